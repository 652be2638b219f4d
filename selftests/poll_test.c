// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll(), on a page that is watched and on one that notifies.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

FIXTURE(poll) {
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
};

FIXTURE_VARIANT(poll) {
	int page;
	uint8_t events_from;
};

FIXTURE_VARIANT_ADD(poll, watched) {
	.page = T_KNOB, .events_from = VMCLOCK_EVENTS_WATCHED
};

FIXTURE_VARIANT_ADD(poll, notified) {
	.page = T_NOTIFIED, .events_from = VMCLOCK_EVENTS_NOTIFIED
};

FIXTURE_SETUP(poll)
{
	self->fd = t_open(variant->page, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(sizeof(self->page), pread(self->fd, &self->page, sizeof(self->page), 0));
	self->before = self->page;
}

FIXTURE_TEARDOWN(poll)
{
	ASSERT_TRUE(t_poke(variant->page, 0, &self->before, sizeof(self->before)));
	close(self->fd);
}

static int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

static void read_page(int fd)
{
	char byte;

	if (pread(fd, &byte, 1, 0) != 1)
		ksft_exit_fail_msg("read failed: %s\n", strerror(errno));
}

TEST_F(poll, info_tells_where_events_come_from)
{
	struct vmclock_info info = { .size = sizeof(info) };
	bool watched = variant->events_from == VMCLOCK_EVENTS_WATCHED;
	struct timespec tick;
	uint32_t tick_us;

	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC_COARSE, &tick));
	tick_us = tick.tv_nsec / 1000;
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(variant->events_from, info.events_from);
	EXPECT_EQ(watched ? (10000 + tick_us - 1) / tick_us * tick_us : 0, info.watch_us);
}

TEST_F(poll, finds_a_new_file_readable)
{
	int fd = t_open(variant->page, O_RDONLY);

	EXPECT_EQ(POLLIN, poll_now(fd));
	EXPECT_EQ(POLLIN, poll_now(fd));
	read_page(fd);
	EXPECT_EQ(0, poll_now(fd));
	close(fd);
}

TEST_F(poll, finds_an_update_until_it_is_read)
{
	EXPECT_EQ(0, poll_now(self->fd));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(POLLIN, poll_now(self->fd));
	EXPECT_EQ(POLLIN, poll_now(self->fd));
	read_page(self->fd);
	EXPECT_EQ(0, poll_now(self->fd));
}

TEST_F(poll, takes_an_odd_number_for_no_change)
{
	uint32_t seq = le32toh(self->page.seq_count);

	ASSERT_TRUE(t_poke_field(variant->page, seq_count, htole32(seq + 1)));
	EXPECT_EQ(0, poll_now(self->fd));
	ASSERT_TRUE(t_poke_field(variant->page, seq_count, htole32(seq + 2)));
	EXPECT_EQ(POLLIN, poll_now(self->fd));
}

TEST_F(poll, of_an_odd_page_remembers_what_was_read)
{
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	read_page(self->fd);
	ASSERT_TRUE(t_poke_field(variant->page, seq_count,
				 htole32(le32toh(self->page.seq_count) + 1)));
	EXPECT_EQ(0, poll_now(self->fd));
}

static void *read_once(void *arg)
{
	int *fd = arg;
	char byte;

	return (void *)(long)(pread(*fd, &byte, 1, 0) == 1);
}

/*
 * A read that waits for the end of an update knows more than the last look,
 * which did not wait; and there is no newer one while the page is odd again.
 */
TEST_F(poll, of_an_odd_page_is_not_behind_what_was_read)
{
	uint32_t seq = le32toh(self->page.seq_count);
	void *done = NULL;
	pthread_t thread;

	/* On a slow machine the read may give up before we get to the end. */
	for (int i = 0; i < 50 && !done; i++) {
		seq += 2;
		ASSERT_TRUE(t_poke_field(variant->page, seq_count, htole32(seq - 1)));
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_once, &self->fd));
		usleep(20000);
		ASSERT_TRUE(t_poke_field(variant->page, seq_count, htole32(seq)));
		pthread_join(thread, &done);
	}
	ASSERT_NE(NULL, done);
	ASSERT_TRUE(t_poke_field(variant->page, seq_count, htole32(seq + 1)));
	EXPECT_EQ(0, poll_now(self->fd));
}

TEST_F(poll, is_not_rearmed_by_a_read_at_the_end)
{
	char byte;

	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, 0x1000));
	EXPECT_EQ(POLLIN, poll_now(self->fd));
	EXPECT_EQ(1, pread(self->fd, &byte, 1, 0xfff));
	EXPECT_EQ(0, poll_now(self->fd));
}

TEST_F(poll, of_one_file_is_not_changed_by_another)
{
	int other = t_open(variant->page, O_RDONLY);

	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	read_page(other);
	EXPECT_EQ(POLLIN, poll_now(self->fd));
	close(other);
}

TEST_F(poll, gives_priority_to_a_disruption)
{
	self->page.disruption_marker = htole64(0x3333);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(POLLIN | POLLPRI, poll_now(self->fd));
	read_page(self->fd);
	EXPECT_EQ(0, poll_now(self->fd));
}

TEST_F(poll, gives_priority_to_a_generation_whatever_the_mask)
{
	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_STATUS));
	self->page.vm_generation_counter = htole64(0x4444);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(POLLPRI, poll_now(self->fd));
}

TEST_F(poll, keeps_to_the_mask)
{
	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_STATUS));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(0, poll_now(self->fd));
	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_EQ(POLLIN, poll_now(self->fd));
	ASSERT_EQ(0, t_set_events(self->fd, 0));
	EXPECT_EQ(0, poll_now(self->fd));
}

/* @events: what is waited for, if not POLLIN. */
struct sleeper {
	int fd;
	int epoll;
	short events;
	pid_t tid;
	int revents;
};

static void *sleep_in_poll(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p = { .fd = s->fd, .events = s->events ?: POLLIN };

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->revents = poll(&p, 1, -1) < 0 ? -errno : p.revents;
	return NULL;
}

static void *sleep_in_epoll(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct sleeper *s = arg;

	s->revents = -ENOENT;
	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	if (epoll_wait(s->epoll, &event, 1, -1) == 1)
		s->revents = event.events;
	return NULL;
}

static pthread_t start(struct sleeper *s, void *(*how)(void *))
{
	pthread_t thread;

	pthread_create(&thread, NULL, how, s);
	while (!__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (!t_sleeps(s->tid))
		ksft_exit_fail_msg("the thread does not sleep\n");
	return thread;
}

/* For ever: only being woken ends it. */
TEST_F(poll, wakes_on_an_update)
{
	struct sleeper s = { .fd = self->fd };
	pthread_t thread = start(&s, sleep_in_poll);

	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLIN, s.revents);
}

/* A while after the last look: the watch goes on as long as somebody waits. */
TEST_F(poll, wakes_after_a_long_time)
{
	struct sleeper s = { .fd = self->fd };
	pthread_t thread = start(&s, sleep_in_poll);

	usleep(300000);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLIN, s.revents);
}

TEST_F(poll, wakes_epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct sleeper s = { .epoll = epoll_create1(0) };
	pthread_t thread;

	ASSERT_EQ(0, epoll_ctl(s.epoll, EPOLL_CTL_ADD, self->fd, &event));
	thread = start(&s, sleep_in_epoll);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(EPOLLIN, s.revents);
	close(s.epoll);
}

/* Who wants to know of nothing else. Other updates do not count as such. */
TEST_F(poll, for_priority_wakes_on_a_disruption)
{
	struct sleeper s = { .fd = self->fd, .events = POLLPRI };
	pthread_t thread = start(&s, sleep_in_poll);

	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	usleep(100000);
	EXPECT_TRUE(t_sleeps(s.tid));
	self->page.disruption_marker = htole64(0x3334);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLPRI, s.revents);
}

TEST_F(poll, for_priority_wakes_on_a_generation)
{
	struct sleeper s = { .fd = self->fd, .events = POLLPRI };
	pthread_t thread = start(&s, sleep_in_poll);

	self->page.vm_generation_counter = htole64(0x4445);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLPRI, s.revents);
}

TEST_F(poll, for_priority_wakes_epoll)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	struct sleeper s = { .epoll = epoll_create1(0) };
	pthread_t thread;

	ASSERT_EQ(0, epoll_ctl(s.epoll, EPOLL_CTL_ADD, self->fd, &event));
	thread = start(&s, sleep_in_epoll);
	self->page.disruption_marker = htole64(0x3335);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(EPOLLPRI, s.revents);
	close(s.epoll);
}

/* Each file has events of its own: a sleeper woken for one must not do for all. */
TEST_F(poll, wakes_the_exclusive_epoll_of_each_file)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	struct sleeper s[2] = { { .epoll = epoll_create1(0) }, { .epoll = epoll_create1(0) } };
	int other = t_open(variant->page, O_RDONLY);
	pthread_t threads[2];

	read_page(other);
	ASSERT_EQ(0, epoll_ctl(s[0].epoll, EPOLL_CTL_ADD, self->fd, &event));
	ASSERT_EQ(0, epoll_ctl(s[1].epoll, EPOLL_CTL_ADD, other, &event));
	for (int i = 0; i < 2; i++)
		threads[i] = start(&s[i], sleep_in_epoll);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(EPOLLIN, s[i].revents);
		close(s[i].epoll);
	}
	close(other);
}

TEST(without_watch_and_notification_poll_hangs_up)
{
	struct vmclock_info info = { .size = sizeof(info) };
	struct vmclock_wait wait;
	int fd = t_open(T_KNOB, O_RDONLY);

	ASSERT_EQ(0, t_write_file(T_WATCH_MS, "0"));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(fd));
	EXPECT_EQ(0, t_wait(fd, 0, -1, &wait));
	EXPECT_EQ(POLLHUP, poll_now(fd));
	EXPECT_EQ(-EOPNOTSUPP, t_wait(fd, 0, -1, &wait));
	EXPECT_EQ(0, ioctl(fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(VMCLOCK_EVENTS_NONE, info.events_from);
	EXPECT_EQ(0, info.watch_us);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
	EXPECT_EQ(0, poll_now(fd));
	close(fd);
}

TEST(end_of_the_watch_wakes_who_sleeps)
{
	struct sleeper s = { .fd = t_open(T_KNOB, O_RDONLY) };
	pthread_t thread;

	read_page(s.fd);
	thread = start(&s, sleep_in_poll);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "0"));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLHUP, s.revents);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
	close(s.fd);
}

/* That is, it is the notification which wakes, and nothing else. */
TEST(notification_needs_no_watch)
{
	struct sleeper s = { .fd = t_open(T_NOTIFIED, O_RDONLY) };
	struct vmclock_page page, before;
	pthread_t thread;
	uint32_t seq;

	ASSERT_EQ(sizeof(page), pread(s.fd, &page, sizeof(page), 0));
	before = page;
	ASSERT_EQ(0, t_write_file(T_WATCH_MS, "0"));
	thread = start(&s, sleep_in_poll);
	seq = le32toh(page.seq_count) + 2;
	ASSERT_TRUE(t_poke_field(T_NOTIFIED, seq_count, htole32(seq)));
	usleep(200000);
	EXPECT_EQ(0, __atomic_load_n(&s.revents, __ATOMIC_RELAXED));
	EXPECT_TRUE(t_sleeps(s.tid));
	EXPECT_TRUE(t_ring());
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLIN, s.revents);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
	ASSERT_TRUE(t_poke(T_NOTIFIED, 0, &before, sizeof(before)));
	close(s.fd);
}

TEST_HARNESS_MAIN
