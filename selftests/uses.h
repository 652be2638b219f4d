/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every way there is to use the device, at once, while it goes and comes.
 */
#ifndef SELFTESTS_USES_H
#define SELFTESTS_USES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vmclock-dev.h>

static inline volatile struct vmclock_page *uses_map(int fd)
{
	void *map = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

static inline void uses_unmap(volatile struct vmclock_page *map)
{
	munmap((void *)map, sysconf(_SC_PAGESIZE));
}

/* What was open and mapped when the device went: does it say so? */
bool uses_are_told(int fd, const volatile struct vmclock_page *map);

/*
 * Start threads that will use the device of a test page in @rounds rounds, and one
 * that has the host update the page all the time, or does so itself with that of the
 * simulator. Some updates are disruptions, and in every second round the driver sets
 * CLOCK_REALTIME after them; uses_join() puts it back. Once in a process.
 */
bool uses_start(int page, int rounds);

/* Begin a round. Returns when all are at work, and a little later. */
void uses_begin(void);

/*
 * The device has gone: returns when all were told so. It must be back before the
 * next round.
 */
void uses_end(void);

/*
 * After the last round. Return: how often one was not told in the right way; which
 * and how is said on the standard output.
 */
int uses_join(void);

#endif /* SELFTESTS_USES_H */
