/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of on_restore share: the simulator's page, which this process
 * writes as QEMU and a host writer would. Included once, after the harness.
 */
#ifndef SELFTESTS_RESTORE_H
#define SELFTESTS_RESTORE_H

#include <sys/timerfd.h>
#include <time.h>

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

static inline int set(const char *parameter, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", parameter);
	return t_write_file(path, value);
}

static inline int64_t since_boot(void)
{
	return t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
}

static inline void arm(int timer)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

/* Was CLOCK_REALTIME set, by however little, since the timer was armed? */
static inline bool was_set(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;
}

static inline bool publish(struct sim_feed *feed)
{
	sim_publish(feed);
	return sim_ring(feed);
}

/* As QEMU does: another marker, and nothing else. */
static inline bool disrupt(struct sim_feed *feed)
{
	feed->image.disruption_marker = htole64(le64toh(feed->image.disruption_marker) + 1);
	return publish(feed);
}

/* A line that is good, and ahead of the one before. */
static inline bool go_ahead(struct sim_feed *feed, int64_t sec)
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
static inline bool is_right(int fd)
{
	struct vmclock_snapshot snap;

	return !sim_take(fd, &snap) && (snap.valid & VMCLOCK_SNAPSHOT_TIME) &&
	       (snap.valid & VMCLOCK_SNAPSHOT_CORRELATED) &&
	       sim_distance(&snap) <= (int64_t)snap.maxerror_ns;
}

#endif /* SELFTESTS_RESTORE_H */
