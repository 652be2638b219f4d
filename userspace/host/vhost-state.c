// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "vhost-state.h"

static int do_not_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

int state_save(const struct vhost *v, int fd)
{
	uint8_t state[RTC_STATE_SIZE];
	int err = do_not_wait(fd);
	ssize_t done;

	rtc_save(&v->rtc, state);
	if (!err) {
		done = write(fd, state, sizeof(state));
		if (done != sizeof(state))
			err = done < 0 ? -errno : -EIO;
	}
	close(fd);
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
	int err = do_not_wait(fd);

	state_drop(v);
	v->load = fd;
	v->load_have = 0;
	if (err)
		finish(v, err);
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
