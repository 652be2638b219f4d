// SPDX-License-Identifier: GPL-2.0-only
/*
 * on_restore: what becomes of CLOCK_REALTIME after a disruption. The page is the
 * simulator's, and this process writes it as QEMU and a host writer would.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>

#include "kselftest_harness.h"
#include "simpage.h"

/* The driver waits on purpose, in some. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

#define BOUND "maxerror_ns=100000 maxerror_ppb=1000"
#define PARAMETERS "/sys/module/vmclock/parameters/"
#define PATIENCE (30 * NSEC)
#define A_WHILE (NSEC / 2)
/* How long the driver waits for a page that has no UTC yet. */
#define DRIVER_PATIENCE (3 * NSEC)

FIXTURE(restore) {
	int fd;
	int timer;
	int64_t since_boot;
	struct sim_feed feed;
	struct vmclock_wait wait;
	char node[64];
};

FIXTURE_VARIANT(restore) {
	bool notified;
};

FIXTURE_VARIANT_ADD(restore, watched) {
	.notified = false
};

FIXTURE_VARIANT_ADD(restore, notified) {
	.notified = true
};

static int set(const char *parameter, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", parameter);
	return t_write_file(path, value);
}

static int64_t since_boot(void)
{
	return t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
}

static void arm(int timer)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

/* Was CLOCK_REALTIME set, by however little, since the timer was armed? */
static bool was_set(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;
}

static bool publish(struct sim_feed *feed)
{
	sim_publish(feed);
	return sim_ring(feed);
}

/* As QEMU does: another marker, and nothing else. */
static bool disrupt(struct sim_feed *feed)
{
	feed->image.disruption_marker = htole64(le64toh(feed->image.disruption_marker) + 1);
	return publish(feed);
}

/* A line that is good, and ahead of the one before. */
static bool go_ahead(struct sim_feed *feed, int64_t sec)
{
	feed->image.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	feed->image.time_sec = htole64(le64toh(feed->image.time_sec) + sec);
	return publish(feed);
}

FIXTURE_SETUP(restore)
{
	struct vmclock_page *image = &self->feed.image;

	self->since_boot = since_boot();
	ASSERT_EQ(0, t_load(SIM_MODULE, BOUND));
	self->fd = sim_open_node();
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(sim_node(self->node, sizeof(self->node)));
	ASSERT_TRUE(sim_feed_open(&self->feed));
	image->flags &= ~htole64(VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	if (variant->notified)
		image->flags |= htole64(VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	ASSERT_TRUE(publish(&self->feed));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, PATIENCE, &self->wait));
	ASSERT_EQ(0, set("on_restore", "step"));
	self->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	arm(self->timer);
}

FIXTURE_TEARDOWN(restore)
{
	struct timespec now;

	EXPECT_EQ(0, set("on_restore", "off"));
	EXPECT_EQ(0, set("watch_ms", "10"));
	EXPECT_EQ(0, set("step_above_us", "0"));
	EXPECT_EQ(0, set("step_below_s", "31622400"));
	clock_gettime(CLOCK_BOOTTIME, &now);
	now.tv_sec += self->since_boot / NSEC;
	clock_settime(CLOCK_REALTIME, &now);
	close(self->timer);
	sim_feed_close(&self->feed);
	close(self->fd);
	EXPECT_EQ(0, t_unload("vmclock_sim"));
}

/* By how many seconds the clock was stepped. */
#define stepped(self) ((since_boot() - (self)->since_boot + NSEC / 2) / NSEC)

/* Does the event come within a time? */
#define comes(self, event, ns) (!t_wait((self)->fd, event, ns, &(self)->wait))

/* Is the system's clock within the page's bound, at this moment? */
static bool is_right(int fd)
{
	struct vmclock_snapshot snap;

	return !sim_take(fd, &snap) && (snap.valid & VMCLOCK_SNAPSHOT_TIME) &&
	       (snap.valid & VMCLOCK_SNAPSHOT_CORRELATED) &&
	       sim_distance(&snap) <= (int64_t)snap.maxerror_ns;
}

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

/* From here on: a page that is good, but has no UTC for the moment. */
#define MAKE_PENDING() do {								\
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_TAI;				\
	ASSERT_TRUE(disrupt(&self->feed));						\
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));			\
	ASSERT_TRUE(go_ahead(&self->feed, 60));						\
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, NSEC / 4));		\
} while (0)

TEST_F(restore, gives_up_on_a_page_without_utc)
{
	int events = t_uevent_socket();
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);

	MAKE_PENDING();
	EXPECT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_LE(DRIVER_PATIENCE, t_clock_ns(CLOCK_MONOTONIC) - start);
	EXPECT_FALSE(was_set(self->timer));
	EXPECT_TRUE(t_uevent_comes(events, self->node, "VMCLOCK_RESTORE=no-utc", 20000));
	close(events);
}

TEST_F(restore, waits_for_the_end_of_a_leap_second)
{
	ASSERT_TRUE(disrupt(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
	self->feed.image.leap_indicator = 3;
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));
	self->feed.image.leap_indicator = 4;
	ASSERT_TRUE(publish(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(60, stepped(self));
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

TEST_F(restore, switched_off_while_pending_touches_nothing)
{
	int64_t start;

	MAKE_PENDING();
	ASSERT_EQ(0, set("on_restore", "off"));
	start = t_clock_ns(CLOCK_MONOTONIC);
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	ASSERT_TRUE(publish(&self->feed));
	EXPECT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_GT(2 * NSEC, t_clock_ns(CLOCK_MONOTONIC) - start);
	EXPECT_FALSE(was_set(self->timer));
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

TEST_F(restore, starts_anew_when_disrupted_while_pending)
{
	MAKE_PENDING();
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	ASSERT_TRUE(disrupt(&self->feed));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, 2 * DRIVER_PATIENCE));
	EXPECT_FALSE(was_set(self->timer));
	ASSERT_TRUE(go_ahead(&self->feed, 60));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(120, stepped(self));
}

/* As when the machine is saved and restored right before the clock is set. */
TEST_F(restore, sees_a_disruption_that_nobody_has_told_of)
{
	MAKE_PENDING();
	ASSERT_EQ(0, set("watch_ms", "60000"));
	usleep(200000);
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	self->feed.image.disruption_marker = htole64(0xd15);
	sim_publish(&self->feed);
	usleep(A_WHILE / 1000);
	EXPECT_FALSE(was_set(self->timer));
}

TEST_F(restore, waits_for_a_writer_that_is_stuck)
{
	MAKE_PENDING();
	sim_begin(&self->feed);
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, 2 * DRIVER_PATIENCE));
	EXPECT_FALSE(was_set(self->timer));
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	sim_end(&self->feed);
	ASSERT_TRUE(sim_ring(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(60, stepped(self));
}

TEST_F(restore, ends_with_the_binding)
{
	MAKE_PENDING();
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", "vmclock-sim"));
	EXPECT_EQ(-ENODEV, t_wait(self->fd, VMCLOCK_EVENT_RECALIBRATED, PATIENCE, &self->wait));
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	ASSERT_TRUE(publish(&self->feed));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", "vmclock-sim"));
	usleep(200000);
	EXPECT_FALSE(was_set(self->timer));
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
