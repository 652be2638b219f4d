/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulator's page: what its readers see, and writing it in its place.
 */
#ifndef SELFTESTS_SIMPAGE_H
#define SELFTESTS_SIMPAGE_H

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers.h"

#define SIM_MODULE "/selftests/vmclock_sim.ko"
#define SIM_FEED "/dev/vmclock_sim"
#define SIM_FAULT "/sys/class/misc/vmclock_sim/fault"
#define SIM_NODE_DIR "/sys/bus/platform/devices/vmclock-sim/misc"
#define NSEC 1000000000LL

/* The node that vmclock has made of the simulator's page. Return: false if none. */
static inline bool sim_node(char *path, size_t size)
{
	char dir[128];

	for (int i = 0; i < 64; i++) {
		snprintf(path, size, i ? "/dev/vmclock%d" : "/dev/vmclock", i);
		snprintf(dir, sizeof(dir), SIM_NODE_DIR "/%s", path + strlen("/dev/"));
		if (!access(dir, F_OK))
			return true;
	}
	return false;
}

static inline int sim_open_node(void)
{
	char path[64];

	return sim_node(path, sizeof(path)) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static inline int sim_take(int fd, struct vmclock_snapshot *snap)
{
	memset(snap, 0, sizeof(*snap));
	snap->size = sizeof(*snap);
	return ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap) ? -errno : 0;
}

/* How far the page is from the system's clock at one counter value, ns. */
static inline int64_t sim_distance(const struct vmclock_snapshot *snap)
{
	int64_t sec = snap->time_sec;

	if (snap->page.time_type == VMCLOCK_PAGE_TIME_TAI)
		sec += (int16_t)le16toh(snap->page.tai_offset_sec);
	return llabs((long long)(sec * NSEC + snap->time_nsec - snap->before.realtime_ns));
}

/**
 * struct sim_feed - the page, written by this process
 * @fd: the simulator's own node
 * @shared: the page
 * @image: what sim_publish() writes
 */
struct sim_feed {
	int fd;
	struct vmclock_page *shared;
	struct vmclock_page image;
};

/* Take over from the kernel, with the page as it is. */
static inline bool sim_feed_open(struct sim_feed *feed)
{
	feed->fd = open(SIM_FEED, O_RDWR | O_CLOEXEC);
	if (feed->fd < 0)
		return false;
	feed->shared = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, feed->fd, 0);
	if (feed->shared == MAP_FAILED)
		return false;
	feed->image = *feed->shared;
	return true;
}

static inline void sim_feed_close(struct sim_feed *feed)
{
	munmap(feed->shared, getpagesize());
	close(feed->fd);
}

/* Begin an update. Pairs, as all of this, with try_read() in driver/page.c. */
static inline void sim_begin(struct sim_feed *feed)
{
	uint32_t seq = le32toh(feed->shared->seq_count) | 1;

	__atomic_store_n(&feed->shared->seq_count, htole32(seq), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* All of the image but the number; and the end of the update. */
static inline void sim_end(struct sim_feed *feed)
{
	const size_t at = offsetof(struct vmclock_page, seq_count);
	const size_t after = at + sizeof(feed->image.seq_count);
	uint32_t seq = le32toh(feed->shared->seq_count);

	memcpy(feed->shared, &feed->image, at);
	memcpy((char *)feed->shared + after, (char *)&feed->image + after,
	       sizeof(feed->image) - after);
	__atomic_store_n(&feed->shared->seq_count, htole32(seq + 1), __ATOMIC_RELEASE);
}

static inline void sim_publish(struct sim_feed *feed)
{
	sim_begin(feed);
	sim_end(feed);
}

/* The notification, if the page promises it. */
static inline bool sim_ring(struct sim_feed *feed)
{
	return !(le64toh(feed->image.flags) & VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT) ||
	       write(feed->fd, "!", 1) == 1;
}

#endif /* SELFTESTS_SIMPAGE_H */
