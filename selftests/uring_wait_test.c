// SPDX-License-Identifier: GPL-2.0-only
/*
 * WAIT in io_uring: how a pending command comes to its end.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"

#define MANY 300

FIXTURE(pending) {
	struct io_uring ring;
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
	struct vmclock_wait waits[MANY];
	uint64_t id;		/* of the last result */
	bool can_wait;
};

/* In each test: after a skip in the set-up the harness would go on. */
#define NEED_WAIT() do {							\
	if (!self->can_wait)						\
		SKIP(return, "this kernel can not cancel pending commands"); \
} while (0)

FIXTURE_SETUP(pending)
{
	struct vmclock_info info = { .size = sizeof(info) };

	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	self->can_wait = info.features & VMCLOCK_F_URING_WAIT;
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_KNOB, &self->page));
	ASSERT_EQ(0, io_uring_queue_init(MANY, &self->ring, 0));
}

FIXTURE_TEARDOWN(pending)
{
	io_uring_queue_exit(&self->ring);
	ASSERT_TRUE(t_poke(T_KNOB, 0, &self->before, sizeof(self->before)));
	close(self->fd);
}

/* Submit a WAIT. */
static int start(struct io_uring *ring, int fd, struct vmclock_wait *wait, uint32_t events,
		 int64_t timeout_ns, uint64_t id)
{
	memset(wait, 0, sizeof(*wait));
	wait->size = sizeof(*wait);
	wait->events = events;
	wait->timeout_ns = timeout_ns;
	return ring_command(ring, fd, VMCLOCK_URING_WAIT, wait, id, id);
}

static int start_many(struct io_uring *ring, int fd, struct vmclock_wait *waits,
		      int64_t timeout_ns)
{
	for (int i = 0; i < MANY; i++) {
		int ret = start(ring, fd, &waits[i], 0, timeout_ns, i);

		if (ret)
			return ret;
	}
	return 0;
}

TEST_F(pending, completes_at_once_if_there_is_something_new)
{
	NEED_WAIT();
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 4));
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 0, -1, 0));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
	EXPECT_EQ(VMCLOCK_EVENT_UPDATE, self->waits[0].events);
	EXPECT_EQ(3, self->waits[0].missed);
}

TEST_F(pending, completes_with_the_event_of_its_mask)
{
	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, VMCLOCK_EVENT_STATUS, -1, 0));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
	EXPECT_EQ(VMCLOCK_EVENT_UPDATE | VMCLOCK_EVENT_STATUS, self->waits[0].events);
}

TEST_F(pending, follows_the_mask_of_its_file)
{
	NEED_WAIT();
	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_STATUS));
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 0, -1, 0));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_UPDATE));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
}

TEST_F(pending, one_event_is_told_once_per_file)
{
	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[0], 0, -1, 0));
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[1], 0, -1, 1));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
}

TEST_F(pending, does_not_wait_if_told_so)
{
	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 0, 0, 0));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, NULL));
}

TEST_F(pending, ends_at_its_own_timeout)
{
	int64_t begin = t_clock_ns(CLOCK_MONOTONIC);

	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[0], 0, -1, 0));
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[1], 0, 300000000, 1));
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[2], 0, 50000000, 2));
	EXPECT_EQ(-ETIMEDOUT, ring_result(&self->ring, &self->id));
	EXPECT_EQ(2, self->id);
	EXPECT_LE(50000000, t_clock_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(-ETIMEDOUT, ring_result(&self->ring, &self->id));
	EXPECT_EQ(1, self->id);
	EXPECT_LE(300000000, t_clock_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_TRUE(ring_is_quiet(&self->ring));
}

TEST_F(pending, is_cancelled_by_its_id)
{
	int a, b;

	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[0], 0, -1, 7));
	ASSERT_EQ(0, start(&self->ring, self->fd, &self->waits[1], 0, -1, 8));
	ASSERT_EQ(0, ring_command(&self->ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 8, 99));
	a = ring_result(&self->ring, &self->id);
	EXPECT_EQ(self->id == 99 ? 0 : -ECANCELED, a);
	b = ring_result(&self->ring, &self->id);
	EXPECT_EQ(self->id == 99 ? 0 : -ECANCELED, b);
	EXPECT_NE(a, b);
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_EQ(0, ring_command(&self->ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 8, 99));
	EXPECT_EQ(-ENOENT, ring_result(&self->ring, &self->id));
}

TEST_F(pending, is_not_cancelled_through_another_file)
{
	int other = t_open(T_KNOB, O_RDONLY);

	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 0, -1, 7));
	ASSERT_EQ(0, ring_command(&self->ring, other, VMCLOCK_URING_CANCEL, NULL, 7, 99));
	EXPECT_EQ(-ENOENT, ring_result(&self->ring, NULL));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	close(other);
}

/*
 * Two WAITs on their way to a task that does not look yet. Only one of them can
 * have the update.
 */
static int start_two_in_transit(struct io_uring *ring, int fd, struct vmclock_wait *waits,
				struct vmclock_page *page)
{
	int ret = io_uring_queue_init(4, ring, IORING_SETUP_DEFER_TASKRUN |
				      IORING_SETUP_SINGLE_ISSUER);

	for (int i = 0; i < 2 && !ret; i++)
		ret = start(ring, fd, &waits[i], VMCLOCK_EVENT_UPDATE, -1, 7 + i);
	if (!ret && !t_publish(T_KNOB, page, 1))
		ret = -EIO;
	/* Opening a file makes the driver look, at once. */
	close(t_open(T_KNOB, O_RDONLY));
	return ret;
}

TEST_F(pending, is_cancelled_on_the_way_to_its_task)
{
	struct io_uring ring;

	NEED_WAIT();
	ASSERT_EQ(0, start_two_in_transit(&ring, self->fd, self->waits, &self->page));
	ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 8, 99));
	ASSERT_EQ(0, ring_result(&ring, &self->id));
	EXPECT_EQ(99, self->id);
	EXPECT_EQ(0, ring_result(&ring, &self->id));
	EXPECT_EQ(7, self->id);
	EXPECT_EQ(-ECANCELED, ring_result(&ring, &self->id));
	EXPECT_EQ(8, self->id);
	EXPECT_TRUE(ring_is_quiet(&ring));
	io_uring_queue_exit(&ring);
}

TEST_F(pending, leaves_the_event_to_others_if_cancelled)
{
	struct io_uring ring;

	NEED_WAIT();
	ASSERT_EQ(0, start_two_in_transit(&ring, self->fd, self->waits, &self->page));
	ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 7, 99));
	ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 7, 98));
	ASSERT_EQ(0, ring_result(&ring, &self->id));
	EXPECT_EQ(99, self->id);
	EXPECT_EQ(-ENOENT, ring_result(&ring, &self->id));
	EXPECT_EQ(-ECANCELED, ring_result(&ring, &self->id));
	EXPECT_EQ(7, self->id);
	EXPECT_EQ(0, ring_result(&ring, &self->id));
	EXPECT_EQ(8, self->id);
	io_uring_queue_exit(&ring);
}

TEST_F(pending, ends_with_its_ring_on_the_way_to_its_task)
{
	struct io_uring ring;

	NEED_WAIT();
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, start_two_in_transit(&ring, self->fd, self->waits, &self->page));
		io_uring_queue_exit(&ring);
	}
	/* Cancelled, they did not take the update. */
	EXPECT_EQ(0, t_wait(self->fd, 0, 0, &self->waits[0]));
}

TEST_F(pending, faults_if_its_argument_has_gone)
{
	struct vmclock_wait *wait = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED_WAIT();
	ASSERT_EQ(0, start(&self->ring, self->fd, wait, 0, -1, 0));
	munmap(wait, 4096);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(-EFAULT, ring_result(&self->ring, NULL));
}

TEST_F(pending, refuses_a_bad_argument)
{
	NEED_WAIT();
	ASSERT_EQ(0, ring_command(&self->ring, self->fd, VMCLOCK_URING_WAIT, NULL, 0, 0));
	EXPECT_EQ(-EFAULT, ring_result(&self->ring, NULL));
	for (int bit = 7; bit < 32; bit++) {
		ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 1U << bit, -1, 0));
		EXPECT_EQ(-EINVAL, ring_result(&self->ring, NULL));
	}
}

TEST_F(pending, is_refused_where_nobody_would_tell)
{
	int ret;

	NEED_WAIT();
	ASSERT_EQ(0, t_write_file(T_WATCH_MS, "0"));
	ret = start(&self->ring, self->fd, self->waits, 0, -1, 0) ?:
	      ring_result(&self->ring, NULL);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
	EXPECT_EQ(-EOPNOTSUPP, ret);
}

TEST_F(pending, in_hundreds_time_out)
{
	NEED_WAIT();
	ASSERT_EQ(0, start_many(&self->ring, self->fd, self->waits, 200000000));
	for (int i = 0; i < MANY; i++)
		ASSERT_EQ(-ETIMEDOUT, ring_result(&self->ring, NULL));
}

TEST_F(pending, in_hundreds_learn_that_the_device_has_gone)
{
	char device[64];

	NEED_WAIT();
	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, start_many(&self->ring, self->fd, self->waits, -1));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	for (int i = 0; i < MANY; i++)
		ASSERT_EQ(-ENODEV, ring_result(&self->ring, NULL));
	ASSERT_EQ(0, start(&self->ring, self->fd, self->waits, 0, -1, 0));
	EXPECT_EQ(-ENODEV, ring_result(&self->ring, NULL));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
}

/* Nothing of them is left in the driver: it goes on, and can be unbound. */
TEST_F(pending, in_hundreds_end_with_their_ring)
{
	struct io_uring ring;
	char device[64];

	NEED_WAIT();
	ASSERT_EQ(0, io_uring_queue_init(MANY, &ring, 0));
	ASSERT_EQ(0, start_many(&ring, self->fd, self->waits, -1));
	io_uring_queue_exit(&ring);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
}

static void fill_ring_and_pause(int ready)
{
	static struct vmclock_wait waits[MANY];
	struct io_uring ring;
	int fd = t_open(T_KNOB, O_RDONLY);
	struct vmclock_wait now;

	t_wait(fd, 0, 0, &now);
	if (io_uring_queue_init(MANY, &ring, 0) || start_many(&ring, fd, waits, -1))
		_exit(1);
	write(ready, "", 1);
	for (;;)
		pause();
}

TEST_F(pending, in_hundreds_do_not_keep_a_process_alive)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	NEED_WAIT();
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid)
			fill_ring_and_pause(ready[1]);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		/* While it is told of an event. */
		ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		close(ready[0]);
		close(ready[1]);
	}
}

TEST_HARNESS_MAIN
