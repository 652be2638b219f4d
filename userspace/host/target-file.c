// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "target.h"

/* Nothing in the file is changed unless it is empty. */
static int prepare(struct target *target, const char *path)
{
	struct stat st;
	int err = target_lock(target->fd, path);

	if (err)
		return err;
	if (fstat(target->fd, &st))
		return log_error(path, -errno);
	if (!S_ISREG(st.st_mode)) {
		log_line("%s: not a regular file", path);
		return -EINVAL;
	}
	if (st.st_size && st.st_size < TARGET_SIZE) {
		log_line("%s: holds something that is no VMClock page; not touched", path);
		return -EPROTO;
	}
	if (!st.st_size && ftruncate(target->fd, TARGET_SIZE))
		return log_error(path, -errno);
	err = target_map(target, path);
	if (!err && !st.st_size)
		err = vmclk_writer_format(target->map, TARGET_SIZE);
	return err ? err : target_attach(target, path);
}

int target_file_open(struct target *target, const char *path)
{
	int err;

	*target = (struct target){ .pidfd = -1 };
	/* O_NONBLOCK: opening a FIFO must not wait for its other end. */
	target->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			  0644);
	if (target->fd < 0)
		return log_error(path, -errno);
	err = prepare(target, path);
	if (err)
		close(target->fd);
	return err;
}
