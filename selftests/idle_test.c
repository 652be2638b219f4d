// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watch costs nothing when nobody waits: it begins with the first who does, and
 * ends with the last, however that one leaves.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"

#define ON_RESTORE "/sys/module/vmclock/parameters/on_restore"

/* What a test waits for: never comes. */
#define NEVER VMCLOCK_EVENT_MAINTENANCE

FIXTURE(idle) {
	int fd;
	int index;
	bool can_wait;
	struct vmclock_page page;
	struct vmclock_page before;
};

/* The driver sees the old page as the last one. */
FIXTURE_SETUP(idle)
{
	struct vmclock_info info = { .size = sizeof(info) };

	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	ASSERT_EQ(VMCLOCK_EVENTS_WATCHED, info.events_from);
	self->index = info.index;
	self->can_wait = info.features & VMCLOCK_F_URING_WAIT;
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_KNOB, &self->page));
	ASSERT_EQ(0, t_set_events(self->fd, NEVER));
	ASSERT_TRUE(t_trace("vmclock_update", true));
}

FIXTURE_TEARDOWN(idle)
{
	t_trace("vmclock_update", false);
	ASSERT_TRUE(t_poke(T_KNOB, 0, &self->before, sizeof(self->before)));
	pread(self->fd, &self->page, sizeof(self->page), 0);
	close(self->fd);
}

/* Is an update noticed, within a time? */
static bool is_noticed(int index, struct vmclock_page *page, int ms)
{
	int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + ms * 1000000LL;
	char text[64];
	bool noticed;

	if (!t_publish(T_KNOB, page, 1))
		return false;
	snprintf(text, sizeof(text), "index=%d seq=%u ", index, le32toh(page->seq_count));
	do {
		usleep(10000);
		noticed = t_count_in_trace("vmclock_update:", text);
	} while (!noticed && t_clock_ns(CLOCK_MONOTONIC) < deadline);
	return noticed;
}

#define is_watched(self) is_noticed((self)->index, &(self)->page, 20000)

/* After the last has left there may be one look more. */
static bool comes_to_rest(int index, struct vmclock_page *page)
{
	for (int i = 0; i < 10; i++)
		if (!is_noticed(index, page, 300))
			return true;
	return false;
}

#define rests(self) comes_to_rest((self)->index, &(self)->page)

/* In a thread, until the event or, if it may, the other descriptor says so. */
struct sleeper {
	int fd;
	int other;
	pid_t tid;
	pthread_t thread;
	int ret;
};

static void *in_poll(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN },
			       { .fd = s->other, .events = POLLIN } };

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->ret = poll(p, 2, -1) == 1 && p[1].revents == POLLIN ? 0 : -EPROTO;
	return NULL;
}

static void *in_wait(void *arg)
{
	struct sleeper *s = arg;
	struct vmclock_wait wait;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->ret = t_wait(s->fd, 0, -1, &wait);
	return NULL;
}

static bool start(struct sleeper *s, void *(*how)(void *))
{
	if (pthread_create(&s->thread, NULL, how, s))
		return false;
	while (!__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	return t_sleeps(s->tid);
}

TEST_F(idle, is_who_only_has_a_file_open)
{
	EXPECT_TRUE(rests(self));
}

TEST_F(idle, is_who_has_polled)
{
	struct sleeper s = { .fd = self->fd, .other = eventfd(0, EFD_CLOEXEC) };

	ASSERT_TRUE(start(&s, in_poll));
	EXPECT_TRUE(is_watched(self));
	ASSERT_EQ(0, eventfd_write(s.other, 1));
	pthread_join(s.thread, NULL);
	EXPECT_EQ(0, s.ret);
	EXPECT_TRUE(rests(self));
	close(s.other);
}

TEST_F(idle, is_who_has_left_an_epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
		EXPECT_TRUE(is_watched(self));
		ASSERT_EQ(0, i ? close(epoll) :
			  epoll_ctl(epoll, EPOLL_CTL_DEL, self->fd, &event));
		EXPECT_TRUE(rests(self));
	}
}

static void on_signal(int sig)
{
}

TEST_F(idle, is_whose_wait_a_signal_has_ended)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct sleeper s = { .fd = self->fd };

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_TRUE(start(&s, in_wait));
	EXPECT_TRUE(is_watched(self));
	ASSERT_TRUE(t_sleeps(s.tid));
	pthread_kill(s.thread, SIGUSR1);
	pthread_join(s.thread, NULL);
	EXPECT_EQ(-EINTR, s.ret);
	EXPECT_TRUE(rests(self));
}

TEST_F(idle, is_whose_wait_has_timed_out)
{
	struct vmclock_wait wait;

	EXPECT_EQ(-ETIMEDOUT, t_wait(self->fd, 0, 50000000, &wait));
	EXPECT_TRUE(rests(self));
}

TEST_F(idle, is_who_has_taken_an_eventfd_back)
{
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_EQ(0, t_set_eventfd(self->fd, NEVER, efd));
	EXPECT_TRUE(is_watched(self));
	ASSERT_EQ(0, t_set_eventfd(self->fd, 0, 0));
	EXPECT_TRUE(rests(self));
	close(efd);
}

TEST_F(idle, is_who_wants_no_sigio_any_more)
{
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_ASYNC));
	EXPECT_TRUE(is_watched(self));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	EXPECT_TRUE(rests(self));
}

TEST_F(idle, is_who_has_closed_the_file)
{
	int efd = eventfd(0, EFD_CLOEXEC), fd;

	for (int i = 0; i < 2; i++) {
		fd = t_open(T_KNOB, O_RDONLY);
		ASSERT_EQ(0, t_set_events(fd, NEVER));
		ASSERT_EQ(0, i ? fcntl(fd, F_SETFL, O_ASYNC) : t_set_eventfd(fd, NEVER, efd));
		EXPECT_TRUE(is_watched(self));
		close(fd);
		EXPECT_TRUE(rests(self));
	}
	close(efd);
}

TEST_F(idle, is_whose_ring_has_ended)
{
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(2, &ring, 0));
	io_uring_prep_poll_multishot(io_uring_get_sqe(&ring), self->fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_TRUE(is_watched(self));
	io_uring_queue_exit(&ring);
	EXPECT_TRUE(rests(self));
}

TEST_F(idle, is_whose_command_was_cancelled)
{
	struct vmclock_wait wait = { .size = sizeof(wait), .timeout_ns = -1 };
	struct io_uring ring;

	if (!self->can_wait)
		SKIP(return, "this kernel can not cancel pending commands");
	ASSERT_EQ(0, io_uring_queue_init(2, &ring, 0));
	ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_WAIT, &wait, 7, 0));
	EXPECT_TRUE(is_watched(self));
	ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 7, 0));
	EXPECT_EQ(-ECANCELED, ring_result(&ring, NULL) ?: ring_result(&ring, NULL));
	EXPECT_TRUE(rests(self));
	io_uring_queue_exit(&ring);
}

TEST_F(idle, is_who_sets_no_clock_any_more)
{
	bool watched;

	ASSERT_EQ(0, t_write_file(ON_RESTORE, "step"));
	watched = is_watched(self);
	EXPECT_EQ(0, t_write_file(ON_RESTORE, "off"));
	EXPECT_TRUE(watched);
	EXPECT_TRUE(rests(self));
}

TEST_HARNESS_MAIN
