// SPDX-License-Identifier: GPL-2.0-only
/*
 * What SNAPSHOT and the library make of a page: of QEMU's, which offers no
 * time, and of the test page, whose fields are turned bad one by one.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <vmclk.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static int take(int fd, struct vmclock_snapshot *snap)
{
	memset(snap, 0, sizeof(*snap));
	snap->size = sizeof(*snap);
	return ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap);
}

TEST(markers_only_page_gives_no_time)
{
	int fd = t_open(T_QEMU, O_RDONLY);
	struct vmclock_snapshot snap;
	struct vmclk_stamp stamp;
	struct vmclk *clk;

	ASSERT_EQ(0, take(fd, &snap));
	EXPECT_EQ(0, snap.valid);
	EXPECT_EQ(0, snap.counter);
	EXPECT_EQ(0, snap.time_sec);
	EXPECT_EQ(VMCLOCK_PAGE_COUNTER_NONE, snap.page.counter_id);
	close(fd);

	ASSERT_EQ(0, vmclk_open(NULL, &clk));
	EXPECT_STREQ("/dev/vmclock", vmclk_path(clk));
	EXPECT_EQ(-VMCLK_ENOTIME, vmclk_now(clk, &stamp));
	EXPECT_EQ(VMCLK_NO_COUNTER, stamp.reason);
	EXPECT_EQ(0, stamp.valid & VMCLK_STAMP_TIME);
	EXPECT_EQ(le64toh(snap.page.disruption_marker), stamp.disruption_marker);
	vmclk_close(clk);
}

TEST(short_page_has_no_fields_beyond_its_size)
{
	int fd = t_open(8, O_RDONLY);
	struct vmclock_snapshot snap;

	/* Memory behind the claimed size is not part of the page. */
	ASSERT_TRUE(t_poke_field(8, vm_generation_counter, htole64(0x4444)));
	ASSERT_EQ(0, take(fd, &snap));
	EXPECT_EQ(0x68, snap.page_size);
	EXPECT_EQ(0, snap.page.vm_generation_counter);
	EXPECT_TRUE(snap.valid & VMCLOCK_SNAPSHOT_TIME);
	close(fd);
}

FIXTURE(knob) {
	int fd;
	struct vmclk *clk;
	struct vmclock_page good;
	struct vmclock_snapshot snap;
	struct vmclk_stamp stamp;
};

FIXTURE_SETUP(knob)
{
	char path[64];

	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(t_node(T_KNOB, path, sizeof(path)));
	ASSERT_EQ(0, vmclk_open(path, &self->clk));
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->good, sizeof(self->good)));
}

FIXTURE_TEARDOWN(knob)
{
	t_poke(T_KNOB, 0, &self->good, sizeof(self->good));
	vmclk_close(self->clk);
	close(self->fd);
}

static bool same_time(const struct vmclk_time *t, uint64_t sec, uint32_t nsec)
{
	return t->sec == (int64_t)sec && t->nsec == nsec;
}

TEST_F(knob, gives_time_and_the_library_agrees)
{
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, take(self->fd, &self->snap));
		ASSERT_EQ(VMCLOCK_SNAPSHOT_COUNTER | VMCLOCK_SNAPSHOT_CORRELATED |
			  VMCLOCK_SNAPSHOT_TIME, self->snap.valid);
		ASSERT_EQ(0, vmclk_convert(self->clk, self->snap.counter, &self->stamp));
		ASSERT_TRUE(same_time(&self->stamp.point, self->snap.time_sec,
				      self->snap.time_nsec));
		/* Width: twice the error, and the nanosecond of rounding. */
		ASSERT_EQ(2 * self->snap.maxerror_ns + 1,
			  (self->stamp.latest.sec - self->stamp.earliest.sec) * 1000000000ULL +
			  self->stamp.latest.nsec - self->stamp.earliest.nsec);
	}
}

TEST_F(knob, is_copied_as_it_lies_there)
{
	ASSERT_EQ(0, take(self->fd, &self->snap));
	EXPECT_EQ(sizeof(self->good), self->snap.page_size);
	EXPECT_EQ(0, memcmp(&self->good, &self->snap.page, sizeof(self->good)));
}

TEST_F(knob, counter_is_read_between_ours)
{
	struct vmclk_snapshot before, after;

	ASSERT_EQ(0, vmclk_snapshot(self->clk, &before));
	ASSERT_EQ(0, take(self->fd, &self->snap));
	ASSERT_EQ(0, vmclk_snapshot(self->clk, &after));
	EXPECT_LT(before.counter, self->snap.counter);
	EXPECT_LT(self->snap.counter, after.counter);
}

/* The system's clocks lie between readings of ours around the call. */
#define EXPECT_SYSTEM_BETWEEN(clock, field) do {				\
	int64_t t_before = t_clock_ns(clock);					\
	ASSERT_EQ(0, take(self->fd, &self->snap));				\
	EXPECT_LE(t_before, self->snap.before.field);				\
	EXPECT_LE(self->snap.before.field, self->snap.after.field);		\
	EXPECT_LE(self->snap.after.field, t_clock_ns(clock));			\
} while (0)

TEST_F(knob, correlated_set_is_one_instant)
{
	EXPECT_SYSTEM_BETWEEN(CLOCK_REALTIME, realtime_ns);
	EXPECT_SYSTEM_BETWEEN(CLOCK_MONOTONIC_RAW, monotonic_raw_ns);
	EXPECT_SYSTEM_BETWEEN(CLOCK_BOOTTIME, boottime_ns);
	EXPECT_TRUE(self->snap.valid & VMCLOCK_SNAPSHOT_CORRELATED);
	EXPECT_EQ(0, memcmp(&self->snap.before, &self->snap.after, sizeof(self->snap.before)));
}

TEST_F(knob, correlation_is_exact)
{
	struct vmclock_snapshot first;
	uint64_t ticks, later_ticks;
	int64_t ns, later_ns;

	/* The raw clock advances with the counter, at one rate, within 2 ns. */
	ASSERT_EQ(0, take(self->fd, &first));
	usleep(200000);
	ASSERT_EQ(0, take(self->fd, &self->snap));
	ticks = self->snap.counter - first.counter;
	ns = self->snap.before.monotonic_raw_ns - first.before.monotonic_raw_ns;
	usleep(200000);
	ASSERT_EQ(0, take(self->fd, &self->snap));
	later_ticks = self->snap.counter - first.counter;
	later_ns = self->snap.before.monotonic_raw_ns - first.before.monotonic_raw_ns;

	EXPECT_LE(llabs((long long)((__int128)later_ticks * ns / ticks) - later_ns), 10);
}

#ifndef T_ARM64	/* which has one clocksource */
TEST_F(knob, other_clocksource_gives_two_sets)
{
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "hpet"));
	EXPECT_SYSTEM_BETWEEN(CLOCK_REALTIME, realtime_ns);
	EXPECT_SYSTEM_BETWEEN(CLOCK_MONOTONIC_RAW, monotonic_raw_ns);
	EXPECT_SYSTEM_BETWEEN(CLOCK_BOOTTIME, boottime_ns);
	EXPECT_EQ(VMCLOCK_SNAPSHOT_COUNTER | VMCLOCK_SNAPSHOT_TIME, self->snap.valid);
	EXPECT_LT(self->snap.before.monotonic_raw_ns, self->snap.after.monotonic_raw_ns);
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "tsc"));
}
#endif

#define EXPECT_NO_TIME(why) do {						\
	ASSERT_EQ(0, take(self->fd, &self->snap));				\
	EXPECT_FALSE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);			\
	EXPECT_EQ(0, self->snap.time_sec);					\
	EXPECT_EQ(0, self->snap.maxerror_ns);					\
	EXPECT_EQ(ENODATA, vmclk_errno(vmclk_now(self->clk, &self->stamp)));	\
	EXPECT_EQ(why, self->stamp.reason);					\
	EXPECT_EQ(0, self->stamp.point.sec);					\
} while (0)

TEST_F(knob, only_two_statuses_vouch_for_time)
{
	for (unsigned int status = 0; status < 256; status++) {
		bool good = status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
			    status == VMCLOCK_PAGE_STATUS_FREERUNNING;

		if (status > 8 && status % 50)
			continue;
		ASSERT_TRUE(t_poke_field(T_KNOB, clock_status, status));
		if (!good) {
			EXPECT_NO_TIME(VMCLK_BAD_STATUS);
			continue;
		}
		ASSERT_EQ(0, take(self->fd, &self->snap));
		EXPECT_TRUE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
		EXPECT_EQ(0, vmclk_now(self->clk, &self->stamp));
	}
}

TEST_F(knob, needs_a_bound)
{
	uint64_t flags = le64toh(self->good.flags);

	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID));
	EXPECT_NO_TIME(VMCLK_NO_BOUND);
	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID));
	EXPECT_NO_TIME(VMCLK_NO_BOUND);
}

TEST_F(knob, needs_a_bound_that_fits)
{
	t_poke_field(T_KNOB, time_maxerror_nanosec, htole64(UINT64_MAX));
	EXPECT_NO_TIME(VMCLK_OUT_OF_RANGE);
}

TEST_F(knob, needs_a_time_that_fits)
{
	t_poke_field(T_KNOB, time_sec, htole64(UINT64_MAX));
	EXPECT_NO_TIME(VMCLK_OUT_OF_RANGE);
}

TEST_F(knob, needs_a_period)
{
	t_poke_field(T_KNOB, counter_period_frac_sec, 0);
	EXPECT_NO_TIME(VMCLK_BAD_PERIOD);
}

TEST_F(knob, needs_a_shift_in_range)
{
	t_poke_field(T_KNOB, counter_period_shift, 128);
	EXPECT_NO_TIME(VMCLK_BAD_PERIOD);
	t_poke_field(T_KNOB, counter_period_shift, 255);
	EXPECT_NO_TIME(VMCLK_BAD_PERIOD);
}

TEST_F(knob, needs_a_valid_scale)
{
	t_poke_field(T_KNOB, time_type, 3);
	EXPECT_NO_TIME(VMCLK_BAD_SCALE);
	t_poke_field(T_KNOB, time_type, 255);
	EXPECT_NO_TIME(VMCLK_BAD_SCALE);
}

TEST_F(knob, utc_is_not_told_where_a_leap_second_may_be)
{
	/* A second before midnight; the machine has been up for longer. */
	t_poke_field(T_KNOB, time_sec, htole64(1767225599));
	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_UTC);
	ASSERT_EQ(0, take(self->fd, &self->snap));
	EXPECT_TRUE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
	for (int leap = VMCLOCK_PAGE_LEAP_PRE_POS; leap <= VMCLOCK_PAGE_LEAP_POS; leap++) {
		t_poke_field(T_KNOB, leap_indicator, leap);
		ASSERT_EQ(0, take(self->fd, &self->snap));
		EXPECT_FALSE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
		EXPECT_EQ(0, self->snap.time_sec);
	}
	/* Inside the inserted second; of the rest the library makes UTC. */
	EXPECT_NO_TIME(VMCLK_LEAP_SECOND);
	/* TAI has none. */
	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_TAI);
	ASSERT_EQ(0, take(self->fd, &self->snap));
	EXPECT_TRUE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
}

TEST_F(knob, needs_a_counter_of_this_machine)
{
	t_poke_field(T_KNOB, counter_id, T_NO_COUNTER);
	EXPECT_NO_TIME(VMCLK_WRONG_COUNTER);
	EXPECT_EQ(0, self->snap.counter);
	t_poke_field(T_KNOB, counter_id, VMCLOCK_PAGE_COUNTER_NONE);
	EXPECT_NO_TIME(VMCLK_NO_COUNTER);
}

TEST_F(knob, that_loses_its_magic_is_no_page)
{
	t_poke_field(T_KNOB, magic, 0);
	EXPECT_EQ(-1, take(self->fd, &self->snap));
	EXPECT_EQ(EPROTO, errno);
	EXPECT_EQ(-VMCLK_EMALFORMED, vmclk_now(self->clk, &self->stamp));
}

TEST_F(knob, that_changes_its_version_is_no_page)
{
	t_poke_field(T_KNOB, version, htole16(2));
	EXPECT_EQ(-1, take(self->fd, &self->snap));
	EXPECT_EQ(EPROTO, errno);
	EXPECT_EQ(-VMCLK_EVERSION, vmclk_now(self->clk, &self->stamp));
}

TEST_F(knob, that_claims_to_grow_does_not)
{
	unsigned char buf[0x2000];

	t_poke_field(T_KNOB, size, htole32(UINT32_MAX));
	ASSERT_EQ(0, take(self->fd, &self->snap));
	EXPECT_EQ(sizeof(struct vmclock_page), self->snap.page_size);
	EXPECT_EQ(0x1000, pread(self->fd, buf, sizeof(buf), 0));
}

TEST_F(knob, that_claims_to_shrink_loses_fields)
{
	t_poke_field(T_KNOB, size, htole32(0x40));
	EXPECT_NO_TIME(VMCLK_FIELDS_ABSENT);
	EXPECT_EQ(0x40, self->snap.page_size);
	t_poke_field(T_KNOB, size, htole32(0x1f));
	EXPECT_EQ(-1, take(self->fd, &self->snap));
	EXPECT_EQ(EPROTO, errno);
}

TEST_F(knob, stuck_odd_times_out)
{
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);

	t_poke_field(T_KNOB, seq_count, htole32(3));
	EXPECT_EQ(-1, take(self->fd, &self->snap));
	EXPECT_EQ(ETIMEDOUT, errno);
	EXPECT_GE(t_clock_ns(CLOCK_MONOTONIC) - start, 100000000);
	EXPECT_EQ(-VMCLK_EBUSY, vmclk_now(self->clk, &self->stamp));
}

static void on_signal(int sig)
{
	(void)sig;
}

TEST_F(knob, wait_is_interrupted_by_a_signal)
{
	struct itimerval soon = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 };
	struct itimerval off = { 0 };
	/* Restarting the call would start the wait anew, and not end it. */
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	t_poke_field(T_KNOB, seq_count, htole32(3));
	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-1, take(self->fd, &self->snap));
	EXPECT_EQ(EINTR, errno);
	setitimer(ITIMER_REAL, &off, NULL);
}

TEST_F(knob, shows_markers_and_offset)
{
	ASSERT_EQ(0, vmclk_now(self->clk, &self->stamp));
	EXPECT_EQ(0x1111, self->stamp.disruption_marker);
	EXPECT_EQ(0x2222, self->stamp.vm_generation_counter);
	EXPECT_EQ(-37, self->stamp.tai_offset_sec);
	EXPECT_EQ(VMCLK_STAMP_TIME | VMCLK_STAMP_GENERATION | VMCLK_STAMP_TAI_OFFSET,
		  self->stamp.valid);
}

TEST_HARNESS_MAIN
