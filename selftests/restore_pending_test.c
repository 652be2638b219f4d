// SPDX-License-Identifier: GPL-2.0-only
/*
 * on_restore: the page is good again after a disruption, but CLOCK_REALTIME can't
 * be set yet, and something happens before it is.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "kselftest_harness.h"
#include "restore.h"

#define ROUNDS 5

/* The page has no UTC for the moment. */
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

/* The driver is to have no memory of another page. */
static bool rebind(int page)
{
	char device[64];

	return t_platform_device(page, device, sizeof(device)) &&
	       !t_write_file(T_DRIVER_DIR "/unbind", device) &&
	       !t_write_file(T_DRIVER_DIR "/bind", device);
}

/* It is good but for UTC, and its writer is stuck. @good is what it was. */
static bool occupy(struct vmclock_page *good)
{
	struct vmclock_page page;

	if (!rebind(T_KNOB) || !t_peek(T_KNOB, 0, good, sizeof(*good)))
		return false;
	page = *good;
	page.time_type = VMCLOCK_PAGE_TIME_MONOTONIC;
	page.disruption_marker ^= htole64(1);
	if (!t_poke_field(T_KNOB, time_type, page.time_type) || !t_publish(T_KNOB, &page, 1))
		return false;
	usleep(200000);
	if (!t_publish(T_KNOB, &page, 1))
		return false;
	usleep(50000);
	return t_poke_field(T_KNOB, seq_count, page.seq_count | htole32(1));
}

/* A disruption and a good update, each seen by itself. */
#define is_good_again(self)								\
	(disrupt(&(self)->feed) && comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE) &&	\
	 go_ahead(&(self)->feed, 1) && comes(self, VMCLOCK_EVENT_UPDATE, PATIENCE))

/*
 * One clock is set at a time. While the driver waits for the stuck page, a tenth of
 * a second again and again, ours is disrupted and good again, twice: what was to be
 * done the first time, and did not get its turn, must not be taken for the second.
 */
TEST_F(restore, starts_anew_when_disrupted_before_its_turn)
{
	struct vmclock_page good;

	ASSERT_TRUE(occupy(&good));
	for (int i = 1; i <= ROUNDS; i++) {
		/* This waits for the end of such a tenth; then comes the next one. */
		ASSERT_EQ(0, set("on_restore", "step"));
		usleep(30000);
		ASSERT_TRUE(is_good_again(self));
		usleep(10000);
		ASSERT_TRUE(is_good_again(self));
		EXPECT_TRUE(self->wait.events & VMCLOCK_EVENT_RECALIBRATED ||
			    comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
		EXPECT_TRUE(is_right(self->fd));
		EXPECT_EQ(2 * i, stepped(self));
	}
	ASSERT_TRUE(t_poke(T_KNOB, 0, &good, sizeof(good)));
	ASSERT_TRUE(rebind(T_KNOB));
}

/* As when the machine is saved and restored right before the clock is set. */
#define EXPECT_SEEN(field) do {								\
	MAKE_PENDING();									\
	ASSERT_EQ(0, set("watch_ms", "60000"));						\
	usleep(200000);									\
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;				\
	self->feed.image.field ^= htole64(0xd15);					\
	sim_publish(&self->feed);							\
	usleep(A_WHILE / 1000);								\
	EXPECT_FALSE(was_set(self->timer));						\
} while (0)

TEST_F(restore, sees_a_disruption_that_nobody_has_told_of)
{
	EXPECT_SEEN(disruption_marker);
}

TEST_F(restore, sees_a_clone_that_nobody_has_told_of)
{
	self->feed.image.flags |= htole64(VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	EXPECT_SEEN(vm_generation_counter);
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

TEST_F(restore, waits_for_a_status_that_vouches_again)
{
	MAKE_PENDING();
	self->feed.image.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	ASSERT_TRUE(publish(&self->feed));
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, 2 * DRIVER_PATIENCE));
	EXPECT_FALSE(was_set(self->timer));
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_UTC;
	ASSERT_TRUE(go_ahead(&self->feed, 0));
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

static void *end_binding(void *)
{
	return (void *)(intptr_t)t_write_file(T_DRIVER_DIR "/unbind", "vmclock-sim");
}

#define UNBINDINGS 60
#define DELAY_US(i) (20 * (i) * (i))

/* Meanwhile the page is good again, sooner or later, when nobody sets the clock any more. */
TEST_F(restore, tells_nothing_while_the_binding_ends)
{
	int err, told = 0, ended = 0;
	pthread_t thread;
	void *status;

	for (int i = 1; i <= UNBINDINGS; i++) {
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
		ASSERT_EQ(0, pthread_create(&thread, NULL, end_binding, NULL));
		usleep(DELAY_US(i));
		EXPECT_TRUE(go_ahead(&self->feed, 1));
		do {
			err = t_wait(self->fd, VMCLOCK_EVENT_RECALIBRATED, 0, &self->wait);
		} while (err == -EAGAIN);
		/* It was in time, or it is not told at all. */
		EXPECT_TRUE(err ? err == -ENODEV : stepped(self) == i)
			TH_LOG("%d after %d us", err, DELAY_US(i));
		told += !err;
		ended += err == -ENODEV;
		EXPECT_EQ(0, pthread_join(thread, &status));
		EXPECT_EQ(0, (intptr_t)status);
		close(self->fd);
		ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", "vmclock-sim"));
		self->fd = sim_open_node();
	}
	printf("# told %d times, ended %d times\n", told, ended);
	EXPECT_LT(0, ended);
}

TEST_HARNESS_MAIN
