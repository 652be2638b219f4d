// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PTP clock tells what SNAPSHOT tells, on its own scale, and nothing else.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define FD_TO_CLOCKID(fd) ((~(clockid_t)(fd) << 3) | 3)
#define NSEC 1000000000LL
#define UTC_OF_TAI (-37)

FIXTURE(ptp) {
	int fd;			/* of /dev/vmclockN */
	int ptp;		/* of /dev/ptpN */
	int index;
	struct vmclock_page good;
};

FIXTURE_SETUP(ptp)
{
	ASSERT_EQ(0, t_load_with_utc());
	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->ptp = t_open_ptp(T_KNOB, &self->index, O_RDWR);
	ASSERT_GE(self->ptp, 0);
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->good, sizeof(self->good)));
}

FIXTURE_TEARDOWN(ptp)
{
	t_poke(T_KNOB, 0, &self->good, sizeof(self->good));
	close(self->ptp);
	close(self->fd);
}

static int64_t ptp_ns(const struct ptp_clock_time *t)
{
	return t->sec * NSEC + t->nsec;
}

static int take(int fd, struct vmclock_snapshot *snap)
{
	memset(snap, 0, sizeof(*snap));
	snap->size = sizeof(*snap);
	return ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap);
}

/* The page's time, or -1. */
static int64_t page_ns(int fd)
{
	struct vmclock_snapshot snap;

	if (take(fd, &snap) || !(snap.valid & VMCLOCK_SNAPSHOT_TIME))
		return -1;
	return (int64_t)snap.time_sec * NSEC + snap.time_nsec;
}

/* One reading of the PTP clock, through each of its doors: ns, or -errno. */
static int64_t read_gettime(int ptp)
{
	struct timespec ts;

	return clock_gettime(FD_TO_CLOCKID(ptp), &ts) ? -errno : ts.tv_sec * NSEC + ts.tv_nsec;
}

static int64_t read_basic(int ptp)
{
	struct ptp_sys_offset arg = { .n_samples = 1 };

	return ioctl(ptp, PTP_SYS_OFFSET, &arg) ? -errno : ptp_ns(&arg.ts[1]);
}

static int64_t read_extended(int ptp)
{
	struct ptp_sys_offset_extended arg = { .n_samples = 1 };

	return ioctl(ptp, PTP_SYS_OFFSET_EXTENDED, &arg) ? -errno : ptp_ns(&arg.ts[0][1]);
}

static int64_t read_precise(int ptp)
{
	struct ptp_sys_offset_precise arg = { 0 };

	return ioctl(ptp, PTP_SYS_OFFSET_PRECISE, &arg) ? -errno : ptp_ns(&arg.device);
}

static int64_t (*const doors[])(int) = {
	read_gettime, read_basic, read_extended, read_precise,
};

#define EXPECT_REFUSED(error) do {						\
	for (int d = 0; d < 4; d++)						\
		EXPECT_EQ(-(error), doors[d](self->ptp));			\
} while (0)

/* Each door gives a time between two of the page's, moved by @offset seconds. */
#define EXPECT_TIME(offset) do {						\
	for (int d = 0; d < 4; d++) {						\
		int64_t t_before = page_ns(self->fd) + (offset) * NSEC;		\
		int64_t t_ptp = doors[d](self->ptp);				\
		ASSERT_NE(-1, page_ns(self->fd));				\
		EXPECT_LT(t_before, t_ptp);					\
		EXPECT_LT(t_ptp, page_ns(self->fd) + (offset) * NSEC);		\
	}									\
} while (0)

TEST_F(ptp, is_found_through_info)
{
	struct vmclock_info info = { .size = sizeof(info) };
	char path[128], name[64] = "", device[64];

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(VMCLOCK_PTP_UTC, info.ptp_timescale);
	snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", info.ptp_index);
	EXPECT_TRUE(t_read_line(path, name, sizeof(name)));
	EXPECT_STREQ("vmclock UTC", name);

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/ptp/ptp%d", device,
		 info.ptp_index);
	EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(ptp, can_do_nothing_but_tell_time)
{
	struct ptp_clock_caps caps;

	memset(&caps, 0xcc, sizeof(caps));
	ASSERT_EQ(0, ioctl(self->ptp, PTP_CLOCK_GETCAPS, &caps));
	EXPECT_EQ(0, caps.max_adj);
	EXPECT_EQ(0, caps.n_alarm);
	EXPECT_EQ(0, caps.n_ext_ts);
	EXPECT_EQ(0, caps.n_per_out);
	EXPECT_EQ(0, caps.n_pins);
	EXPECT_EQ(0, caps.pps);
	EXPECT_EQ(1, caps.cross_timestamping);
}

TEST_F(ptp, cannot_be_set)
{
	clockid_t clock = FD_TO_CLOCKID(self->ptp);
	struct timex step = { .modes = ADJ_SETOFFSET, .time.tv_sec = 1 };
	struct timex rate = { .modes = ADJ_FREQUENCY };
	struct timespec ts = { .tv_sec = 1 };

	EXPECT_EQ(-1, clock_settime(clock, &ts));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, clock_adjtime(clock, &step));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, clock_adjtime(clock, &rate));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(ptp, tells_utc_of_a_tai_page)
{
	EXPECT_TIME(UTC_OF_TAI);
}

TEST_F(ptp, tells_utc_of_a_utc_page)
{
	uint64_t flags = le64toh(self->good.flags);

	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_UTC);
	/* Which needs no offset for that. */
	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	EXPECT_TIME(0);
}

TEST_F(ptp, samples_lie_between_the_system_times)
{
	struct ptp_sys_offset_extended arg = { .n_samples = PTP_MAX_SAMPLES };
	int64_t before = t_clock_ns(CLOCK_REALTIME), last = 0;

	ASSERT_EQ(0, ioctl(self->ptp, PTP_SYS_OFFSET_EXTENDED, &arg));
	for (int i = 0; i < PTP_MAX_SAMPLES; i++) {
		EXPECT_LT(before, ptp_ns(&arg.ts[i][0]));
		EXPECT_LT(ptp_ns(&arg.ts[i][0]), ptp_ns(&arg.ts[i][2]));
		EXPECT_LT(last, ptp_ns(&arg.ts[i][1]));
		before = ptp_ns(&arg.ts[i][2]);
		last = ptp_ns(&arg.ts[i][1]);
	}
	EXPECT_LT(before, t_clock_ns(CLOCK_REALTIME));
}

/* The page's time and the raw clock, at one counter value: where a line goes through. */
struct point {
	int64_t raw, real, page;
};

static struct point point_of(const struct vmclock_snapshot *snap)
{
	return (struct point){
		snap->before.monotonic_raw_ns, snap->before.realtime_ns,
		(int64_t)snap->time_sec * NSEC + snap->time_nsec + UTC_OF_TAI * NSEC,
	};
}

/* How far @p is from the line through @a and @b, ns. */
static int64_t off_line(struct point p, struct point a, struct point b)
{
	__int128 rise = (__int128)(p.raw - a.raw) * (b.page - a.page) / (b.raw - a.raw);

	return llabs((long long)(p.page - a.page - (int64_t)rise));
}

TEST_F(ptp, precise_pair_is_that_of_snapshot)
{
	struct ptp_sys_offset_precise arg = { 0 };
	struct vmclock_snapshot first, last;
	struct point p, a, b;

	ASSERT_EQ(0, take(self->fd, &first));
	usleep(100000);
	ASSERT_EQ(0, ioctl(self->ptp, PTP_SYS_OFFSET_PRECISE, &arg));
	usleep(100000);
	ASSERT_EQ(0, take(self->fd, &last));
	ASSERT_TRUE(first.valid & last.valid & VMCLOCK_SNAPSHOT_CORRELATED);

	/* Two clocks on one counter: exact, but for the ns they are rounded to. */
	a = point_of(&first);
	b = point_of(&last);
	p = (struct point){ ptp_ns(&arg.sys_monoraw), ptp_ns(&arg.sys_realtime),
			    ptp_ns(&arg.device) };
	EXPECT_LT(a.raw, p.raw);
	EXPECT_LT(p.raw, b.raw);
	EXPECT_LE(off_line(p, a, b), 10);
	EXPECT_LT(a.real, p.real);
	EXPECT_LT(p.real, b.real);
}

#ifndef T_ARM64	/* which has one clocksource */
TEST_F(ptp, pairs_need_the_same_counter)
{
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "hpet"));
	EXPECT_EQ(-EOPNOTSUPP, read_precise(self->ptp));
	EXPECT_LT(0, read_extended(self->ptp));
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "tsc"));
	EXPECT_LT(0, read_precise(self->ptp));
}
#endif

TEST_F(ptp, trusts_two_statuses_only)
{
	for (unsigned int status = 0; status <= 5; status++) {
		ASSERT_TRUE(t_poke_field(T_KNOB, clock_status, status));
		if (status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
		    status == VMCLOCK_PAGE_STATUS_FREERUNNING)
			EXPECT_TIME(UTC_OF_TAI);
		else
			EXPECT_REFUSED(ENODATA);
	}
}

TEST_F(ptp, refuses_what_snapshot_refuses)
{
	uint64_t flags = le64toh(self->good.flags);

	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID));
	EXPECT_REFUSED(ENODATA);
	t_poke_field(T_KNOB, flags, self->good.flags);
	t_poke_field(T_KNOB, counter_period_shift, 128);
	EXPECT_REFUSED(ENODATA);
	t_poke_field(T_KNOB, counter_period_shift, self->good.counter_period_shift);
	t_poke_field(T_KNOB, counter_id, VMCLOCK_PAGE_COUNTER_NONE);
	EXPECT_REFUSED(ENODATA);
	t_poke_field(T_KNOB, counter_id, self->good.counter_id);
	t_poke_field(T_KNOB, time_type, 3);
	EXPECT_REFUSED(ENODATA);
	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_TAI);
	EXPECT_TIME(UTC_OF_TAI);
}

TEST_F(ptp, needs_a_scale_that_leads_to_utc)
{
	uint64_t flags = le64toh(self->good.flags);

	/* SNAPSHOT tells these: it leaves the scale to its caller. */
	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_MONOTONIC);
	EXPECT_NE(-1, page_ns(self->fd));
	EXPECT_REFUSED(ENODATA);
	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_TAI);
	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	EXPECT_NE(-1, page_ns(self->fd));
	EXPECT_REFUSED(ENODATA);
}

TEST_F(ptp, refuses_an_offset_with_the_wrong_sign)
{
	t_poke_field(T_KNOB, tai_offset_sec, htole16(37));
	EXPECT_REFUSED(ENODATA);
}

TEST_F(ptp, refuses_utc_where_a_leap_second_may_be)
{
	/* TAI of a second before midnight UTC; the machine has been up for longer. */
	t_poke_field(T_KNOB, time_sec, htole64(1767225599 + 37));
	EXPECT_TIME(UTC_OF_TAI);
	for (int leap = VMCLOCK_PAGE_LEAP_PRE_POS; leap <= VMCLOCK_PAGE_LEAP_POS; leap++) {
		t_poke_field(T_KNOB, leap_indicator, leap);
		EXPECT_NE(-1, page_ns(self->fd));
		EXPECT_REFUSED(ENODATA);
	}
	/* Midnight of TAI is none of UTC's. */
	t_poke_field(T_KNOB, time_sec, htole64(1767225599 - 7200));
	t_poke_field(T_KNOB, leap_indicator, VMCLOCK_PAGE_LEAP_PRE_POS);
	EXPECT_TIME(UTC_OF_TAI);
}

TEST_F(ptp, refuses_times_that_the_kernel_cannot_hold)
{
	t_poke_field(T_KNOB, time_sec, htole64(INT64_MAX / NSEC + 37));
	EXPECT_NE(-1, page_ns(self->fd));
	EXPECT_REFUSED(ENODATA);
	/* Before 1970 in UTC, though not in TAI. */
	t_poke_field(T_KNOB, time_sec, 0);
	t_poke_field(T_KNOB, counter_period_frac_sec, htole64(1));
	EXPECT_NE(-1, page_ns(self->fd));
	EXPECT_REFUSED(ENODATA);
}

TEST_F(ptp, says_what_is_wrong_with_a_page)
{
	t_poke_field(T_KNOB, magic, 0);
	EXPECT_REFUSED(EPROTO);
	t_poke_field(T_KNOB, magic, self->good.magic);
	t_poke_field(T_KNOB, seq_count, htole32(3));
	EXPECT_REFUSED(ETIMEDOUT);
}

TEST(markers_only_page_has_a_clock_that_waits_for_its_writer)
{
	int ptp = t_open_ptp(T_QEMU, NULL, O_RDONLY);

	ASSERT_GE(ptp, 0);
	for (int d = 0; d < 4; d++)
		EXPECT_EQ(-ENODATA, doors[d](ptp));
	close(ptp);
}

TEST_HARNESS_MAIN
