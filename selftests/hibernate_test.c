// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine hibernates to a disk and is woken by another QEMU, with other devices
 * of the same kind: see vm/hibernated.py. The first time the page is as it was, the
 * second time it has another marker at the same number.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define DISK "/dev/nvme0n1"
#define MARKER 0x7777	/* as in vm/hibernated.py */
#define A_WHILE 1000000000LL
#define ALL 0x7f

static void *in_wait(void *arg)
{
	struct vmclock_wait *wait = arg;
	int fd = wait->events;

	wait->valid = -t_wait(fd, ALL, -1, wait);
	return NULL;
}

FIXTURE(hibernated) {
	int fd;
	int listener;
	int eventfd;
	const volatile struct vmclock_page *map;
	uint32_t seq;
	pthread_t thread;
	struct vmclock_wait wait;
};

FIXTURE_SETUP(hibernated)
{
	char byte;

	self->fd = t_open(T_QEMU, O_RDONLY);
	self->listener = t_open(T_QEMU, O_RDONLY);
	self->eventfd = eventfd(0, EFD_NONBLOCK);
	self->map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->seq = self->map->seq_count;
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 0));
	ASSERT_EQ(0, t_set_eventfd(self->listener, ALL, self->eventfd));
	self->wait.events = self->fd;
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, in_wait, &self->wait));
	if (swapon(DISK, 0))
		ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(0, t_write_file("/sys/power/disk", "shutdown"));
	ASSERT_EQ(0, t_write_file("/sys/power/state", "disk"));
	/* Another QEMU's. */
	ASSERT_EQ(self->seq, self->map->seq_count);
}

FIXTURE_TEARDOWN(hibernated)
{
	munmap((void *)self->map, getpagesize());
	close(self->eventfd);
	close(self->listener);
	close(self->fd);
}

TEST_F_TIMEOUT(hibernated, a_page_as_before_is_nothing_new, 300)
{
	struct pollfd p = { .fd = self->eventfd, .events = POLLIN };

	EXPECT_EQ(0, poll(&p, 1, A_WHILE / 1000000));
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(self->thread, NULL));
}

TEST_F_TIMEOUT(hibernated, b_another_marker_is_told_once, 300)
{
	struct pollfd p = { .fd = self->eventfd, .events = POLLIN };
	uint64_t count = 0;

	EXPECT_EQ(MARKER, le64toh(self->map->disruption_marker));
	ASSERT_EQ(1, poll(&p, 1, 20000));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_EQ(VMCLOCK_EVENT_DISRUPTED, self->wait.events);
	EXPECT_EQ(0, self->wait.missed);
	EXPECT_EQ(8, read(self->eventfd, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	EXPECT_EQ(-ETIMEDOUT, t_wait(self->fd, ALL, A_WHILE, &self->wait));
	EXPECT_EQ(-1, read(self->eventfd, &count, sizeof(count)));
}

TEST_HARNESS_MAIN
