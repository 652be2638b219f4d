/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fixed-point arithmetic of the VMClock page, exact.
 *
 * Shared by the driver, the library and the unit tests: no call into a kernel
 * or a C library, no floating point, no division by a variable. Needs a
 * compiler with 128-bit integers, that is a 64-bit target.
 *
 * Periods and their errors are in units of 2^-(64 + shift) s, fractions of a
 * second in 2^-64 s (specification, sections 2, 8 and 9). A counter distance
 * is signed: its absolute value is at most 2^63.
 */
#ifndef VMCLOCK_MATH_H
#define VMCLOCK_MATH_H

#include <linux/types.h>

#ifndef __SIZEOF_INT128__
#error "vmclock needs a 64-bit target: the page's arithmetic is 128 bits wide"
#endif

#define VMCLOCK_MATH_SHIFT_MAX	127
#define VMCLOCK_NSEC_PER_SEC	1000000000ULL

typedef unsigned __int128 vmclock_u128;

/**
 * struct vmclock_time - an instant, as the page writes it
 * @sec: whole seconds since the epoch
 * @frac: fraction, 2^-64 s
 */
struct vmclock_time {
	__u64 sec;
	__u64 frac;
};

/**
 * struct vmclock_line - a line from counter to time
 * @counter: C1
 * @time: T1, the time at C1
 * @period: P, 2^-(64 + shift) s
 * @period_maxerror: worst-case error of P in its unit
 * @maxerror_ns: worst-case error of T1, ns
 * @shift: S, at most VMCLOCK_MATH_SHIFT_MAX; the caller has checked it
 */
struct vmclock_line {
	__u64 counter;
	struct vmclock_time time;
	__u64 period;
	__u64 period_maxerror;
	__u64 maxerror_ns;
	__u8 shift;
};

/* |C - C1|: the distance modulo 2^64, read as a signed number. */
static inline __u64 vmclock_math_distance(__u64 c, __u64 c1, _Bool *before)
{
	__u64 d = c - c1;

	*before = d >> 63;
	return *before ? -d : d;
}

/* (a * b) >> shift, rounded up. For a <= 2^63 nothing overflows. */
static inline vmclock_u128 vmclock_math_mul_shift_up(__u64 a, __u64 b, __u8 shift)
{
	vmclock_u128 product = (vmclock_u128)a * b;
	vmclock_u128 lost = product & (((vmclock_u128)1 << shift) - 1);

	return (product >> shift) + !!lost;
}

/**
 * vmclock_math_time() - the time at a counter reading (section 8)
 * @line: the line
 * @counter: the reading; up to 2^63 ticks before or after the line's
 * @time: the result, rounded down to 2^-64 s
 *
 * Return: 1, or 0 if the seconds are below 0 or above 2^64 - 1; @time is then
 * unchanged.
 */
static inline int vmclock_math_time(const struct vmclock_line *line,
				    __u64 counter, struct vmclock_time *time)
{
	_Bool before;
	__u64 d = vmclock_math_distance(counter, line->counter, &before);
	vmclock_u128 t1 = (vmclock_u128)line->time.sec << 64 | line->time.frac;
	vmclock_u128 t;

	if (before) {
		/* Rounding the subtrahend up rounds the difference down. */
		vmclock_u128 x = vmclock_math_mul_shift_up(d, line->period, line->shift);

		if (x > t1)
			return 0;
		t = t1 - x;
	} else {
		t = t1 + (((vmclock_u128)d * line->period) >> line->shift);
		if (t < t1)
			return 0;
	}

	time->sec = t >> 64;
	time->frac = t;
	return 1;
}

/* Nanoseconds of a fraction, rounded down: at most 999999999. */
static inline __u32 vmclock_math_nsec(__u64 frac)
{
	return ((vmclock_u128)frac * VMCLOCK_NSEC_PER_SEC) >> 64;
}

/* A duration in 2^-64 s as ns, rounded up; saturates at 2^64 - 1. */
static inline __u64 vmclock_math_duration_ns(vmclock_u128 duration)
{
	vmclock_u128 whole = (duration >> 64) * VMCLOCK_NSEC_PER_SEC;
	vmclock_u128 part = (vmclock_u128)(__u64)duration * VMCLOCK_NSEC_PER_SEC;
	vmclock_u128 ns = whole + (part >> 64) + !!(__u64)part;

	return ns >> 64 ? ~0ULL : (__u64)ns;
}

/**
 * vmclock_math_leap_is_near() - may a leap second lie between two UTC times?
 * @leap_indicator: the page's, which refers to @from (section 6)
 * @from: whole seconds of the line's reference point
 * @to: whole seconds of the time on the line
 *
 * Leap seconds come at the end of a UTC day, and the line knows none. Which day
 * of the month it is does not matter here: the answer is yes for each midnight
 * of a month that ends, or began, with one.
 *
 * Return: 1 if @to can't be told from the line, else 0.
 */
static inline int vmclock_math_leap_is_near(__u8 leap_indicator, __u64 from, __u64 to)
{
	const __u64 day = 86400;

	switch (leap_indicator) {
	case 1:	/* inserted at the end of this month */
		return to / day > from / day;
	case 2:	/* removed: the last second of the day is already another one */
		return (to + 1) / day > from / day;
	case 3:	/* inside the inserted second, which has no number */
		return 1;
	case 4:	/* inserted at the end of last month */
	case 5:	/* removed there */
		return to / day < from / day;
	default:
		return 0;
	}
}

/**
 * vmclock_math_maxerror_ns() - worst-case error at a counter reading (section 9)
 * @line: the line
 * @counter: the reading
 *
 * Both roundings, to 2^-64 s and to ns, are upwards.
 *
 * Return: the error in ns, +/-; saturates at 2^64 - 1.
 */
static inline __u64 vmclock_math_maxerror_ns(const struct vmclock_line *line,
					     __u64 counter)
{
	_Bool before;
	__u64 d = vmclock_math_distance(counter, line->counter, &before);
	__u64 growth = vmclock_math_duration_ns(
		vmclock_math_mul_shift_up(d, line->period_maxerror, line->shift));
	__u64 sum = growth + line->maxerror_ns;

	return sum < growth ? ~0ULL : sum;
}

#endif /* VMCLOCK_MATH_H */
