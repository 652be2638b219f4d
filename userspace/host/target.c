// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdalign.h>
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
	log_line("%s: another writer has this page", name);
	return -EWOULDBLOCK;
}

int target_map(struct target *target, const char *name)
{
	int err = shm_map_fd(&target->shm, target->fd, 0, TARGET_SIZE);

	if (err)
		return log_error(name, err);
	/* Just mapped, so this is not NULL; and never built, so it stays good. */
	target->map = shm_range(&target->shm, 0, TARGET_SIZE, alignof(uint64_t));
	return 0;
}

int target_attach(struct target *target, const char *name)
{
	int err = vmclk_writer_attach(target->map, TARGET_SIZE, &target->writer);

	if (err) {
		if (!target_check(target))
			log_line("%s: %s; not touched", name, vmclk_strerror(err));
		shm_put(&target->shm);
	}
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
	    st.st_size >= TARGET_SIZE)
		return 0;
	log_line("the page is gone: its file was cut short, or has no room for it");
	return -EIO;
}

void target_close(struct target *target)
{
	vmclk_writer_close(target->writer);
	shm_put(&target->shm);
	close(target->fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
}
