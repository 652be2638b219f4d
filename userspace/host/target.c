// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "target.h"

int target_lock(int fd, const char *name)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return log_error(name, -errno);
	log_line("%s: %s", name, vmclk_strerror(-VMCLK_ELOCKED));
	return -VMCLK_ELOCKED;
}

int target_attach(struct target *target, const char *name)
{
	struct stat st;
	int err = fstat(target->fd, &st) ? -errno : 0;

	if (!target->len)
		target->len = st.st_size;
	if (!err)
		err = shm_map_fd(&target->shm, target->fd, target->offset, target->len);
	if (err)
		return log_error(name, err);
	/* Just mapped, so this is not NULL; and never built, so it stays good. */
	target->map = shm_range(&target->shm, 0, target->len, alignof(uint64_t));

	err = vmclk_writer_attach(target->map, target->len, &target->writer);
	if (err && !target_check(target))
		log_line("%s: %s; not touched", name, vmclk_strerror(err));
	return err;
}

/*
 * What was cut off is missed at the next access. Where the end is now in the
 * middle of the page there is none to miss, but new readers refuse the file.
 */
int target_check(const struct target *target)
{
	struct stat st;

	if (!shm_is_broken(&target->shm) && !fstat(target->fd, &st) &&
	    (uint64_t)st.st_size >= target->offset + target->len)
		return 0;
	log_line("the page is gone: its file was cut short, or has no room for it");
	return -EIO;
}

void target_close(struct target *target)
{
	if (target->server)
		ivshmem_server_close(target->server);
	free(target->server);
	target->server = NULL;
	if (target->name)
		target_dir_put(target->dir);
	vmclk_writer_close(target->writer);
	shm_put(&target->shm);
	if (target->fd >= 0)
		close(target->fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
}
