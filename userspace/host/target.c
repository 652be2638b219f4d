// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/file.h>
#include <sys/mman.h>
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
	void *map = mmap(NULL, TARGET_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 target->fd, 0);

	if (map == MAP_FAILED)
		return log_error(name, -errno);
	target->map = map;
	return 0;
}

int target_attach(struct target *target, const char *name)
{
	int err = vmclk_writer_attach(target->map, TARGET_SIZE, &target->writer);

	if (err) {
		log_line("%s: %s; not touched", name, vmclk_strerror(err));
		munmap(target->map, TARGET_SIZE);
	}
	return err;
}

void target_close(struct target *target)
{
	vmclk_writer_close(target->writer);
	munmap(target->map, TARGET_SIZE);
	close(target->fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
}
