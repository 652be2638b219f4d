// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* F_GETPIPE_SZ */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "vhost-state.h"

/*
 * The end of a pipe that does not wait. O_NONBLOCK belongs to the open file, and
 * that of @fd to the front-end as well: so the pipe is opened anew. What is no
 * pipe might make us wait there already. @fd is used up.
 */
static int open_anew(int fd, int mode)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = fcntl(fd, F_GETPIPE_SZ) < 0 ? -1 : open(path, mode | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		own = -errno;
	close(fd);
	return own;
}

int state_save(const struct vhost *v, int fd)
{
	uint8_t state[RTC_STATE_SIZE];
	int own = open_anew(fd, O_WRONLY), err = 0;
	ssize_t done;

	if (own < 0)
		return own;
	rtc_save(&v->rtc, state);
	done = write(own, state, sizeof(state));
	if (done != sizeof(state))
		err = done < 0 ? -errno : -EIO;
	close(own);
	return err;
}

void state_drop(struct vhost *v)
{
	if (v->load >= 0)
		close(v->load);
	v->load = -1;
}

static void finish(struct vhost *v, int err)
{
	state_drop(v);
	v->load_error = err;
}

void state_load(struct vhost *v, int fd)
{
	state_drop(v);
	v->load = open_anew(fd, O_RDONLY);
	v->load_have = 0;
	v->load_error = v->load < 0 ? v->load : 0;
}

void state_read(struct vhost *v)
{
	ssize_t got = 1;

	while (v->load >= 0 && got > 0) {
		got = read(v->load, v->load_bytes + v->load_have,
			   sizeof(v->load_bytes) - v->load_have);
		if (got > 0) {
			v->load_have += got;
			if (v->load_have == sizeof(v->load_bytes))
				finish(v, -EPROTO);
		} else if (!got) {
			finish(v, rtc_load(&v->rtc, v->load_bytes, v->load_have));
		} else if (errno != EAGAIN && errno != EINTR) {
			finish(v, -errno);
		}
	}
}

int state_check(struct vhost *v)
{
	int err;

	state_read(v);
	if (v->load >= 0)
		finish(v, -ENODATA);	/* the end has not come */
	err = v->load_error;
	v->load_error = 0;
	return err;
}
