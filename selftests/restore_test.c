// SPDX-License-Identifier: GPL-2.0-only
/*
 * on_restore: what becomes of CLOCK_REALTIME after a disruption.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/timex.h>

#include "kselftest_harness.h"
#include "restore.h"

TEST_F(restore, steps_the_clock_before_it_tells)
{
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	EXPECT_FALSE(was_set(self->timer));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_TRUE(is_right(self->fd));
	EXPECT_EQ(60, stepped(self));
}

TEST_F(restore, does_not_use_the_old_line)
{
	/* Old, but not the system's time: it would be seen if it was used. */
	ASSERT_TRUE(go_ahead(&self->feed, 30));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_UPDATE, PATIENCE));
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	EXPECT_FALSE(self->wait.events & VMCLOCK_EVENT_RECALIBRATED);
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(90, stepped(self));
}

/* Nobody looks between the two updates. */
TEST_F(restore, does_not_use_a_line_that_may_be_old)
{
	ASSERT_TRUE(go_ahead(&self->feed, 30));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_UPDATE, PATIENCE));
	ASSERT_EQ(0, set("watch_ms", "60000"));
	usleep(200000);
	self->feed.image.time_sec = htole64(le64toh(self->feed.image.time_sec) + 1);
	sim_publish(&self->feed);
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_EQ(0, set("watch_ms", "10"));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));
}

/* Nobody has collected the end of the first disruption when the second one comes. */
TEST_F(restore, what_was_good_again_is_not_told_when_it_is_no_more)
{
	const char *const policies[] = { "step", "off" };
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	int other = sim_open_node(), late = sim_open_node();

	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_RECALIBRATED));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, set("on_restore", policies[i]));
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_EQ(0, t_wait(other, VMCLOCK_EVENT_DISRUPTED, PATIENCE, &self->wait));
		ASSERT_TRUE(go_ahead(&self->feed, 60));
		ASSERT_EQ(0, t_wait(other, VMCLOCK_EVENT_RECALIBRATED, PATIENCE, &self->wait));
		EXPECT_EQ(1, poll(&p, 1, 0));

		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_EQ(0, t_wait(other, VMCLOCK_EVENT_DISRUPTED, PATIENCE, &self->wait));
		EXPECT_EQ(0, poll(&p, 1, 0));
		EXPECT_EQ(-EAGAIN, t_wait(self->fd, VMCLOCK_EVENT_RECALIBRATED, 0, &self->wait));
		EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_DISRUPTED |
				    VMCLOCK_EVENT_RECALIBRATED, 0, &self->wait));
		EXPECT_EQ(0, self->wait.events & VMCLOCK_EVENT_RECALIBRATED);
		/* A disruption, and what is out of date. */
		EXPECT_EQ(2, self->wait.missed);

		ASSERT_TRUE(go_ahead(&self->feed, 60));
		EXPECT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
		EXPECT_EQ(0, self->wait.missed);
		EXPECT_EQ(0, t_wait(late, VMCLOCK_EVENT_RECALIBRATED, PATIENCE, &self->wait));
		EXPECT_EQ(1, self->wait.missed);
	}
	close(other);
	close(late);
}

TEST_F(restore, waits_while_the_writer_is_initializing)
{
	self->feed.image.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	ASSERT_TRUE(publish(&self->feed));
	ASSERT_TRUE(disrupt(&self->feed));
	for (int i = 0; i < 5; i++)
		ASSERT_TRUE(publish(&self->feed));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_TRUE(is_right(self->fd));
	EXPECT_EQ(60, stepped(self));
}

#define WAITERS 3
#define ROUNDS 10

struct waiter {
	pthread_t thread;
	int fd;
	int wrong;
	int told;
};

static void *wait_and_look(void *arg)
{
	struct waiter *w = arg;
	struct vmclock_wait wait;

	for (int i = 0; i < ROUNDS; i++) {
		if (t_wait(w->fd, VMCLOCK_EVENT_RECALIBRATED, PATIENCE, &wait))
			break;
		w->wrong += !is_right(w->fd);
		__atomic_add_fetch(&w->told, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static bool all_told(struct waiter *w, int rounds)
{
	for (int ms = 0; ms < 30000; ms++) {
		int told = 0;

		for (int i = 0; i < WAITERS; i++)
			told += __atomic_load_n(&w[i].told, __ATOMIC_SEQ_CST) >= rounds;
		if (told == WAITERS)
			return true;
		usleep(1000);
	}
	return false;
}

TEST_F(restore, nobody_who_waited_reads_a_wrong_clock)
{
	const int64_t ahead[ROUNDS] = { 60, -60, 1, 3600, -3600, 86400, -1, -86400, 7, 100 };
	struct waiter w[WAITERS] = { };
	int64_t sum = 0;

	for (int i = 0; i < WAITERS; i++) {
		w[i].fd = sim_open_node();
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, wait_and_look, &w[i]));
	}
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
		ASSERT_TRUE(go_ahead(&self->feed, ahead[i]));
		ASSERT_TRUE(all_told(w, i + 1));
		sum += ahead[i];
		EXPECT_EQ(sum, stepped(self));
	}
	for (int i = 0; i < WAITERS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].wrong);
		close(w[i].fd);
	}
}

TEST_F(restore, off_touches_nothing)
{
	struct timex before = { .modes = ADJ_STATUS | ADJ_FREQUENCY | ADJ_MAXERROR,
				.freq = 12345, .maxerror = 1000 }, after = { };

	ASSERT_EQ(0, set("on_restore", "off"));
	ASSERT_LE(0, adjtimex(&before));
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));
	EXPECT_EQ(0, stepped(self));
	ASSERT_LE(0, adjtimex(&after));
	EXPECT_EQ(before.freq, after.freq);
	EXPECT_EQ(0, after.status);
	EXPECT_EQ(before.tick, after.tick);
	EXPECT_EQ(0, after.offset);
	after.modes = ADJ_STATUS | ADJ_FREQUENCY;
	after.status = STA_UNSYNC;
	after.freq = 0;
	ASSERT_LE(0, adjtimex(&after));
}

/* What is off by @sec, after a disruption, is left alone for this reason. */
#define EXPECT_LEFT_ALONE(sec, reason) do {						\
	int events = t_uevent_socket();						\
	ASSERT_TRUE(disrupt(&self->feed));						\
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));			\
	ASSERT_TRUE(go_ahead(&self->feed, sec));					\
	EXPECT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));			\
	EXPECT_FALSE(was_set(self->timer));						\
	EXPECT_TRUE(t_uevent_comes(events, self->node, "VMCLOCK_RESTORE=" reason, 20000)); \
	close(events);									\
} while (0)

TEST_F(restore, leaves_what_is_right_alone)
{
	EXPECT_LEFT_ALONE(0, "small");
}

TEST_F(restore, has_a_threshold)
{
	ASSERT_EQ(0, set("step_above_us", "2000000"));
	EXPECT_LEFT_ALONE(1, "small");
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 2));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(3, stepped(self));
}

TEST_F(restore, has_a_maximum)
{
	ASSERT_EQ(0, set("step_below_s", "10"));
	EXPECT_LEFT_ALONE(-60, "large");
}

TEST_F(restore, takes_utc_from_a_tai_page)
{
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_TAI;
	self->feed.image.tai_offset_sec = htole16(-37);
	self->feed.image.flags |= htole64(VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID);
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 60 + 37));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_TRUE(is_right(self->fd));
	EXPECT_EQ(60, stepped(self));
}

TEST_F(restore, switched_on_while_disrupted_steps)
{
	ASSERT_EQ(0, set("on_restore", "off"));
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_EQ(0, set("on_restore", "step"));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(60, stepped(self));
}

/* Nobody has the device open: the driver looks by itself. */
TEST_F(restore, needs_nobody_who_waits)
{
	close(self->fd);
	ASSERT_TRUE(disrupt(&self->feed));
	usleep(200000);
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	for (int i = 0; i < 300 && !was_set(self->timer); i++)
		usleep(100000);
	usleep(200000);
	EXPECT_EQ(60, stepped(self));
	self->fd = sim_open_node();
}

TEST_F(restore, says_by_how_much)
{
	char line[512] = "", text[64];
	long long by = 0;
	int events = t_uevent_socket();

	snprintf(text, sizeof(text), "vmclock: %s: CLOCK_REALTIME stepped",
		 self->node + strlen("/dev/"));
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 1000));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	ASSERT_TRUE(t_uevent_comes(events, self->node, "VMCLOCK_RESTORE=stepped", 20000));
	ASSERT_LE(1, t_count_in_log(text, "by ", line, sizeof(line)));
	printf("# %s\n", line);
	by = strtoll(strstr(line, "by ") + 3, NULL, 10);
	EXPECT_LT(llabs(by - 1000 * NSEC), NSEC / 10);
	close(events);
}

/* No setting of a clock is that exact, but one of many may happen to be. */
TEST_F(restore, does_not_say_that_the_clock_is_right_when_it_is_not)
{
	char line[512] = "", text[64], *rest;
	int events = t_uevent_socket();
	struct vmclock_snapshot snap;
	long long lacks, bound;

	ASSERT_EQ(0, sim_take(self->fd, &snap));
	if (!(snap.valid & VMCLOCK_SNAPSHOT_CORRELATED))
		SKIP(return, "here, how the clocks are read is part of the bound");
	snprintf(text, sizeof(text), "vmclock: %s: CLOCK_REALTIME stepped",
		 self->node + strlen("/dev/"));
	self->feed.image.time_maxerror_nanosec = 0;
	self->feed.image.counter_period_maxerror_rate_frac_sec = 0;
	for (int i = 1; i <= 5; i++) {
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
		ASSERT_TRUE(go_ahead(&self->feed, 60));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
		EXPECT_EQ(60 * i, stepped(self));
		ASSERT_TRUE(t_uevent_comes(events, self->node, "VMCLOCK_EVENT=recalibrated", 20000));
		ASSERT_LE(1, t_count_in_log(text, "lacks ", line, sizeof(line)));
		lacks = strtoll(strstr(line, "lacks ") + strlen("lacks "), &rest, 10);
		ASSERT_EQ(rest, strstr(rest, " +/- "));
		bound = strtoll(rest + strlen(" +/- "), NULL, 10);
		EXPECT_TRUE(strstr(line, "(coarse)") || llabs(lacks) <= bound)
			TH_LOG("%s", line);
	}
	close(events);
}

/* A second of the page is a millisecond of ours. */
TEST_F(restore, says_that_the_bound_is_out_of_reach)
{
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);
	int events = t_uevent_socket();
	struct vmclock_snapshot snap;

	ASSERT_EQ(0, sim_take(self->fd, &snap));
	if (!(snap.valid & VMCLOCK_SNAPSHOT_CORRELATED))
		SKIP(return, "here, how the clocks are read is part of the bound");
	self->feed.image.time_maxerror_nanosec = 0;
	self->feed.image.counter_period_maxerror_rate_frac_sec = 0;
	self->feed.image.counter_period_shift -= 10;
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 0));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_LE(DRIVER_PATIENCE, t_clock_ns(CLOCK_MONOTONIC) - start);
	EXPECT_TRUE(t_uevent_comes(events, self->node, "VMCLOCK_RESTORE=coarse", 20000));
	EXPECT_TRUE(was_set(self->timer));
	close(events);
}

static atomic_bool enough;

static void *disturb(void *arg)
{
	struct timespec ts;

	while (!enough) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += rand() % 3 - 1;
		clock_settime(CLOCK_REALTIME, &ts);
	}
	return NULL;
}

TEST_F(restore, bears_others_who_set_the_clock)
{
	pthread_t thread;

	enough = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, disturb, NULL));
	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
		ASSERT_TRUE(go_ahead(&self->feed, 60));
		EXPECT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	}
	enough = true;
	pthread_join(thread, NULL);
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_TRUE(is_right(self->fd));
}

TEST(parameter_is_off_or_step)
{
	char value[16];

	ASSERT_TRUE(t_read_line(PARAMETERS "on_restore", value, sizeof(value)));
	EXPECT_STREQ("off", value);
	EXPECT_EQ(-EINVAL, set("on_restore", "jump"));
	EXPECT_EQ(0, set("on_restore", "step"));
	ASSERT_TRUE(t_read_line(PARAMETERS "on_restore", value, sizeof(value)));
	EXPECT_STREQ("step", value);
	EXPECT_EQ(0, set("on_restore", "off"));
}

TEST_HARNESS_MAIN
