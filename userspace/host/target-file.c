// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>

#include "log.h"
#include "target.h"

static void complain(const char *path, int err)
{
	if (err == -EINVAL)
		log_line("%s: not a regular file, or its file system can't exchange names", path);
	else if (err == -EEXIST)
		log_line("%s.new: something else has the name that replacing a page takes", path);
	else
		log_line("%s: %s%s", path, vmclk_strerror(err),
			 err == -VMCLK_EMALFORMED ? "; not touched (--replace would)" : "");
}

int target_file_open(struct target *target, const char *path, bool replace)
{
	struct vmclk_writer *opener;
	int err;

	*target = (struct target){ .fd = -1, .pidfd = -1 };
	err = vmclk_writer_open(path, TARGET_SIZE, replace ? VMCLK_WRITER_REPLACE : 0, &opener);
	if (err) {
		complain(path, err);
		return err;
	}
	/*
	 * Its own mapping has no guard: who owns the file can cut it short. The lock
	 * belongs to the open file, and stays as long as this descriptor.
	 */
	target->fd = fcntl(vmclk_writer_fd(opener), F_DUPFD_CLOEXEC, 0);
	err = target->fd < 0 ? log_error(path, -errno) : 0;
	vmclk_writer_close(opener);
	if (!err)
		err = target_attach(target, path);
	if (err)
		target_close(target);
	return err;
}
