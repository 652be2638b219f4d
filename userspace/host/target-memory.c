// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages without a name: in memory of our own, and one in guest memory that a
 * front-end has handed over.
 */
#define _GNU_SOURCE	/* memfd_create() */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "log.h"
#include "target.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The page's size is what hypervisors offer, however much memory there is. */
static int format(int fd, size_t size)
{
	uint8_t region[TARGET_SIZE] __attribute__((aligned(8))) = { 0 };

	/* Never fails: it is long enough, and aligned. */
	vmclk_writer_format(region, sizeof(region));
	if (ftruncate(fd, size) || pwrite(fd, region, sizeof(region), 0) != sizeof(region) ||
	    fcntl(fd, F_ADD_SEALS, SEALS))
		return log_error("memfd", -errno);
	return 0;
}

int target_memory_open(struct target *target, size_t size)
{
	int err;

	*target = (struct target){ .pidfd = -1 };
	target->fd = memfd_create("vmclock-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (target->fd < 0)
		return log_error("memfd", -errno);
	err = format(target->fd, size);
	if (!err)
		err = target_attach(target, "memfd");
	if (err)
		target_close(target);
	return err;
}

/*
 * Opened anew: a lock belongs to an open file, and that of @fd is the front-end's
 * as well.
 */
int target_lent_open(struct target *target, int fd, uint64_t offset)
{
	static const char name[] = "the guest's page";
	char path[32];
	int err;

	*target = (struct target){ .pidfd = -1, .offset = offset, .len = TARGET_SIZE };
	if (offset % sizeof(uint64_t))
		return log_error(name, -EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	target->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (target->fd < 0)
		return log_error(name, -errno);
	err = target_lock(target->fd, name);
	if (!err)
		err = target_attach(target, name);
	if (err)
		target_close(target);
	return err;
}

bool target_is_same(const struct target *target, int fd, uint64_t offset)
{
	struct stat ours, theirs;

	return target->offset == offset && !fstat(target->fd, &ours) && !fstat(fd, &theirs) &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}
