// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the simulator says of itself: the timekeeper's line, through two points
 * that it went through. How wrong it is only the parameters can say.
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <linux/timekeeping.h>

#include "sim.h"
#include "vmclock_math.h"

#define MAXERROR_PPB_MAX	100000000UL
/* Of the page's period; that of a counter above 17 MHz fits. */
#define SHIFT			24
#define NS_PER_TICK_MAX		58
#define TRIES			10

static unsigned long maxerror_ns;
module_param(maxerror_ns, ulong, 0444);
MODULE_PARM_DESC(maxerror_ns, "how wrong the system's clock is at most, ns (default: not known)");

static unsigned long maxerror_ppb;
module_param(maxerror_ppb, ulong, 0444);
MODULE_PARM_DESC(maxerror_ppb, "how wrong its rate is at most, 1e-9 (default: not known)");

/* 2^93 / 10^9, rounded: nanoseconds to 2^-64 s, with 29 bits more. */
#define FRAC_PER_NS	9903520314283042199ULL
#define FRAC_EXTRA	29

static u64 frac_of_ns(u32 ns)
{
	return (vmclock_u128)ns * FRAC_PER_NS >> FRAC_EXTRA;
}

/* The period of a line through two points, 2^-(64 + SHIFT) s; 0 if there is none. */
static u64 period_between(const struct sim_point *a, const struct sim_point *b)
{
	u64 ticks = b->counter - a->counter, ns = b->real_ns - a->real_ns, per_tick;
	unsigned int scale;

	if (!ticks || (s64)ticks < 0 || b->real_ns <= a->real_ns)
		return 0;
	scale = min_t(unsigned int, 63 - __fls(ns), 34);
	per_tick = div64_u64(ns << scale, ticks);
	if (per_tick >> scale > NS_PER_TICK_MAX)
		return 0;
	return (vmclock_u128)per_tick * FRAC_PER_NS >> (FRAC_EXTRA + scale - SHIFT);
}

static void set_bound(struct vmclock_page *image, u64 *flags)
{
	u64 period = le64_to_cpu(image->counter_period_frac_sec);

	if (!maxerror_ns)
		return;
	*flags |= VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID |
		  VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID;
	image->time_maxerror_nanosec = cpu_to_le64(maxerror_ns);
	/* Rounded up. */
	image->counter_period_maxerror_rate_frac_sec =
		cpu_to_le64((div_u64(period, VMCLOCK_NSEC_PER_SEC) + 1) * maxerror_ppb);
	image->clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
}

/*
 * How far TAI is ahead of UTC, in seconds; 0 if nobody has told the kernel. The
 * clock may be set between the two readings.
 */
static s16 tai_ahead(void)
{
	ktime_t tai = ktime_mono_to_any(0, TK_OFFS_TAI);
	s64 sec, ns = ktime_to_ns(ktime_sub(tai, ktime_mono_to_any(0, TK_OFFS_REAL)));
	s32 rest;

	sec = div_s64_rem(ns, NSEC_PER_SEC, &rest);
	return rest || sec < 0 || sec > S16_MAX ? 0 : sec;
}

/*
 * The line through @now. TAI, if somebody has told the kernel how far it is ahead;
 * else UTC, with a kernel that knows nothing of leap seconds.
 */
static void set_line(struct vmclock_page *image, const struct sim_point *now, u64 period)
{
	s16 ahead = tai_ahead();
	u64 flags = VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT;
	u32 nsec;

	image->clock_status = VMCLOCK_PAGE_STATUS_UNKNOWN;
	image->time_type = ahead ? VMCLOCK_PAGE_TIME_TAI : VMCLOCK_PAGE_TIME_UTC;
	image->tai_offset_sec = cpu_to_le16(-ahead);
	if (ahead)
		flags |= VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID;
	image->counter_value = cpu_to_le64(now->counter);
	image->time_sec = cpu_to_le64(div_u64_rem(now->real_ns, NSEC_PER_SEC, &nsec) + ahead);
	image->time_frac_sec = cpu_to_le64(frac_of_ns(nsec));
	image->counter_period_frac_sec = cpu_to_le64(period);
	image->counter_period_shift = SHIFT;
	set_bound(image, &flags);
	image->flags = cpu_to_le64(flags);
}

/* Return: false if the system's clocks do not run on the counter. */
static bool read_point(struct sim_point *now)
{
	struct vmclock_clocks clocks = { };
	int tries = TRIES;

	/* Once may fail: the clock was set, or another processor is a bit behind. */
	while (!vmclock_clocks_read(&clocks) || !clocks.correlated)
		if (!--tries)
			return false;
	now->counter = clocks.counter;
	now->real_ns = clocks.before.realtime_ns;
	now->raw_ns = clocks.before.monotonic_raw_ns;
	now->was_set = clocks.clock_was_set_seq;
	return true;
}

/**
 * sim_line_bound_is_sane() - do the parameters make a bound, or none?
 */
bool sim_line_bound_is_sane(void)
{
	if (!!maxerror_ns == !!maxerror_ppb && maxerror_ppb <= MAXERROR_PPB_MAX)
		return true;
	pr_err("a bound needs maxerror_ns and maxerror_ppb, the latter up to %lu\n",
	       MAXERROR_PPB_MAX);
	return false;
}

/**
 * sim_line_start() - the first of two points
 * @line: the line
 *
 * Return: false if the system's clocks do not run on the counter.
 */
bool sim_line_start(struct sim_line *line)
{
	line->begun = read_point(&line->last);
	return line->begun;
}

static void set_no_line(struct vmclock_page *image)
{
	image->flags = cpu_to_le64(VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	image->clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
}

/**
 * sim_line_forget() - no slope goes through a point of before
 * @line: the line
 * @image: the page
 */
void sim_line_forget(struct sim_line *line, struct vmclock_page *image)
{
	line->begun = false;
	line->period = 0;
	set_no_line(image);
}

/**
 * sim_line_refresh() - the line as it is now
 * @line: the line; its period is 0 as long as it is not known
 * @image: the page
 *
 * Return: true if the system's clock was set: that is a disruption.
 */
bool sim_line_refresh(struct sim_line *line, struct vmclock_page *image)
{
	struct sim_point now;
	bool was_set = false;

	if (!read_point(&now)) {
		line->period = 0;
	} else if (!line->begun) {
		line->last = now;
		line->begun = true;
	} else if (now.was_set != line->last.was_set) {
		/* A step is no rate: the old one stays. */
		was_set = true;
		line->last = now;
	} else if (now.raw_ns - line->last.raw_ns >= SIM_SLOPE_MIN_MS * NSEC_PER_MSEC) {
		line->period = period_between(&line->last, &now);
		line->last = now;
	}

	if (line->period)
		set_line(image, &now, line->period);
	else
		set_no_line(image);
	return was_set;
}
