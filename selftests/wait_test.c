// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMCLOCK_IOC_WAIT: what it tells, what it counts, and when it gives up.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define ALL 0x7f
#define UPDATE VMCLOCK_EVENT_UPDATE

FIXTURE(wait) {
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
	struct vmclock_wait wait;
};

FIXTURE_SETUP(wait)
{
	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_KNOB, &self->page));
	ASSERT_EQ(-EAGAIN, t_wait(self->fd, ALL, 0, &self->wait));
}

FIXTURE_TEARDOWN(wait)
{
	ASSERT_TRUE(t_poke(T_KNOB, 0, &self->before, sizeof(self->before)));
	close(self->fd);
}

#define EXPECT_TOLD(what, missed_, valid_) do {				\
	EXPECT_EQ((uint32_t)(what), self->wait.events);			\
	EXPECT_EQ(missed_, self->wait.missed);				\
	EXPECT_EQ(valid_, self->wait.valid);				\
} while (0)

TEST_F(wait, on_a_new_file_returns_once_without_an_update)
{
	int fd = t_open(T_KNOB, O_RDONLY);

	EXPECT_EQ(0, t_wait(fd, 0, -1, &self->wait));
	EXPECT_TOLD(UPDATE, 0, 0);
	EXPECT_EQ(-EAGAIN, t_wait(fd, 0, 0, &self->wait));
	close(fd);
}

TEST_F(wait, leaves_the_argument_alone_if_nothing_came)
{
	struct vmclock_wait wait = { .size = sizeof(wait), .events = UPDATE };
	struct vmclock_wait copy = wait;

	EXPECT_EQ(-1, ioctl(self->fd, VMCLOCK_IOC_WAIT, &wait));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, memcmp(&wait, &copy, sizeof(wait)));
}

TEST_F(wait, does_not_wait_if_the_file_must_not_block)
{
	int fd = t_open(T_KNOB, O_RDONLY | O_NONBLOCK);

	EXPECT_EQ(0, t_wait(fd, 0, -1, &self->wait));
	EXPECT_EQ(-EAGAIN, t_wait(fd, 0, -1, &self->wait));
	close(fd);
}

TEST_F(wait, times_out)
{
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);

	EXPECT_EQ(-ETIMEDOUT, t_wait(self->fd, 0, 50000000, &self->wait));
	EXPECT_LE(50000000, t_clock_ns(CLOCK_MONOTONIC) - start);
}

static void on_signal(int sig)
{
}

TEST_F(wait, ends_with_a_signal)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 50000 }, { 0, 50000 } };
	const struct itimerval never = { };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_EQ(-EINTR, t_wait(self->fd, 0, -1, &self->wait));
	setitimer(ITIMER_REAL, &never, NULL);
}

TEST_F(wait, goes_on_after_a_stop)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(-t_wait(self->fd, 0, -1, &self->wait));
	ASSERT_LT(0, pid);
	ASSERT_TRUE(t_sleeps(pid));
	kill(pid, SIGSTOP);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	EXPECT_TRUE(t_sleeps(pid));
	EXPECT_TRUE(t_publish(T_KNOB, &self->page, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("errno %d", WEXITSTATUS(status));
}

TEST_F(wait, refuses_unknown_events)
{
	for (int bit = 7; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, t_wait(self->fd, 1U << bit, 0, &self->wait));
		EXPECT_EQ(-EINVAL, t_set_events(self->fd, 1U << bit));
	}
}

TEST_F(wait, needs_no_read_in_between)
{
	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
		ASSERT_EQ(0, t_wait(self->fd, 0, -1, &self->wait));
		EXPECT_TOLD(UPDATE, 0, 0);
		ASSERT_EQ(-EAGAIN, t_wait(self->fd, ALL, 0, &self->wait));
	}
}

TEST_F(wait, is_rearmed_by_read)
{
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 3));
	ASSERT_EQ(4, read(self->fd, &self->wait, 4));
	EXPECT_EQ(-EAGAIN, t_wait(self->fd, ALL, 0, &self->wait));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, 0, &self->wait));
	EXPECT_TOLD(UPDATE, 0, 0);
}

TEST_F(wait, tells_a_new_status)
{
	self->page.clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_STATUS, -1, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_STATUS, 0, 0);
}

TEST_F(wait, tells_a_leap_second)
{
	self->page.leap_indicator = VMCLOCK_PAGE_LEAP_PRE_POS;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_LEAP, -1, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_LEAP, 0, 0);

	self->page.tai_offset_sec = htole16(-38);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_LEAP, -1, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_LEAP, 0, 0);
}

TEST_F(wait, tells_maintenance)
{
	uint64_t flags = le64toh(self->page.flags);

	self->page.flags = htole64(flags | VMCLOCK_PAGE_FLAG_DISRUPTION_SOON);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_MAINTENANCE, -1, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_MAINTENANCE, 0, 0);

	self->page.flags = htole64(flags | VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_MAINTENANCE, -1, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_MAINTENANCE, 0, 0);
}

TEST_F(wait, tells_a_generation)
{
	self->page.vm_generation_counter = htole64(0x5555);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_GENERATION, -1, &self->wait));
	EXPECT_EQ(UPDATE | VMCLOCK_EVENT_GENERATION, self->wait.events);
}

/* The line that comes with a disruption may be the old one, and look good. */
TEST_F(wait, tells_of_recalibration_by_a_later_update_only)
{
	self->page.disruption_marker = htole64(0x6666);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, -1, &self->wait));
	EXPECT_EQ(UPDATE | VMCLOCK_EVENT_DISRUPTED, self->wait.events);

	self->page.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, -1, &self->wait));
	EXPECT_EQ(UPDATE | VMCLOCK_EVENT_STATUS, self->wait.events);

	self->page.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_RECALIBRATED, -1, &self->wait));
	EXPECT_EQ(UPDATE | VMCLOCK_EVENT_STATUS | VMCLOCK_EVENT_RECALIBRATED, self->wait.events);

	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, -1, &self->wait));
	EXPECT_EQ(UPDATE, self->wait.events);
}

TEST_F(wait, counts_missed_updates_exactly)
{
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 5));
	EXPECT_EQ(0, t_wait(self->fd, UPDATE, 0, &self->wait));
	EXPECT_TOLD(UPDATE, 4, 0);
}

TEST_F(wait, counts_across_the_wrap_of_the_number)
{
	self->page.seq_count = htole32(0xfffffffc);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, UPDATE, 0, &self->wait));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 3));
	EXPECT_EQ(0, t_wait(self->fd, UPDATE, 0, &self->wait));
	EXPECT_TOLD(UPDATE, 2, 0);
}

TEST_F(wait, says_at_least_if_several_updates_were_seen_as_one)
{
	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 2));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_STATUS, 0, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_STATUS, 0, VMCLOCK_WAIT_AT_LEAST);
}

TEST_F(wait, says_at_least_if_the_number_went_back)
{
	self->page.seq_count = htole32(le32toh(self->page.seq_count) - 100);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, UPDATE, 0, &self->wait));
	EXPECT_TOLD(UPDATE, 0, VMCLOCK_WAIT_AT_LEAST);
}

TEST_F(wait, says_at_least_after_a_disruption)
{
	self->page.disruption_marker = htole64(0x7777);
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 50));
	EXPECT_EQ(0, t_wait(self->fd, UPDATE, 0, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_DISRUPTED, 0, VMCLOCK_WAIT_AT_LEAST);
}

/* Another file makes the driver look after each. */
TEST_F(wait, counts_what_others_have_seen_one_by_one)
{
	int other = t_open(T_KNOB, O_RDONLY);
	struct vmclock_wait wait;

	for (int i = 0; i < 3; i++) {
		self->page.clock_status ^= 1;
		ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
		ASSERT_EQ(0, t_wait(other, VMCLOCK_EVENT_STATUS, -1, &wait));
	}
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_STATUS, 0, &self->wait));
	EXPECT_TOLD(UPDATE | VMCLOCK_EVENT_STATUS, 2, 0);
	close(other);
}

TEST_F(wait, of_a_page_that_is_none_any_more_tells_updates)
{
	ASSERT_TRUE(t_poke_field(T_KNOB, magic, 0));
	self->page.clock_status = 0;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, -1, &self->wait));
	EXPECT_TOLD(UPDATE, 0, 0);
}

/* Its status is that of the last page, and vouches for nothing. */
TEST_F(wait, of_a_page_that_is_none_any_more_does_not_end_a_disruption)
{
	self->page.disruption_marker = htole64(0x6667);
	self->page.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_DISRUPTED, -1, &self->wait));
	ASSERT_TRUE(t_poke_field(T_KNOB, magic, 0));
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(0, t_wait(self->fd, ALL, -1, &self->wait));
	EXPECT_TOLD(UPDATE, 0, 0);
}

TEST_F(wait, on_a_stuck_page_ends_in_time)
{
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, self->page.seq_count | htole32(1)));
	EXPECT_EQ(-ETIMEDOUT, t_wait(self->fd, ALL, 50000000, &self->wait));
}

struct sleeper {
	int fd;
	pid_t tid;
	int ret;
	struct vmclock_wait wait;
};

static void *sleep_in_wait(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->ret = t_wait(s->fd, VMCLOCK_EVENT_STATUS, -1, &s->wait);
	return NULL;
}

TEST_F(wait, wakes_everybody_who_has_a_file_of_his_own)
{
	struct sleeper s[8] = { };
	pthread_t threads[8];

	for (int i = 0; i < 8; i++) {
		s[i].fd = t_open(T_KNOB, O_RDONLY);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, sleep_in_wait, &s[i]));
		while (!__atomic_load_n(&s[i].tid, __ATOMIC_ACQUIRE))
			usleep(1000);
		ASSERT_TRUE(t_sleeps(s[i].tid));
	}
	/* Not what they wait for. */
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	ASSERT_EQ(0, t_wait(self->fd, UPDATE, -1, &self->wait));
	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, s[i].ret);
		EXPECT_EQ(UPDATE | VMCLOCK_EVENT_STATUS, s[i].wait.events);
		EXPECT_EQ(0, s[i].wait.missed);
		close(s[i].fd);
	}
}

TEST_HARNESS_MAIN
