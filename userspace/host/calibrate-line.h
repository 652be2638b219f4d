/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line from the counter to time, with its errors. Times are in units of 2^-64 s.
 */
#ifndef HOST_CALIBRATE_LINE_H
#define HOST_CALIBRATE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmclock_math.h"

typedef __int128 s128;

/**
 * struct calibrate_line - a line and its errors
 * @max: the line; its errors are the worst-case ones
 * @est_ns: estimated error at the line's start
 * @est_rate: estimated error of the rate
 * @bounded: errors are known
 */
struct calibrate_line {
	struct vmclock_line max;
	uint64_t est_ns;
	uint64_t est_rate;
	bool bounded;
};

/**
 * calibrate_rebase() - the same line, seen from another counter reading
 * @line: the line
 * @counter: the reading
 * @at: the result; its errors are those at @counter, rounded up
 *
 * Of two results for one line, T1 - P * C1 agrees within one unit of 2^-64 s,
 * since both are rounded down once, from @line.
 *
 * Return: true, or false if the time is out of range; @at is then undefined.
 */
bool calibrate_rebase(const struct calibrate_line *line, uint64_t counter,
		      struct calibrate_line *at);

/**
 * calibrate_normalise() - set bit 63 of the period, as the page wants it
 * @line: the line
 */
void calibrate_normalise(struct calibrate_line *line);

/* The time on the line at a counter reading; lines leave the range of time nowhere. */
vmclock_u128 calibrate_line_time(const struct calibrate_line *line, uint64_t counter);

/* Its worst-case error there. */
vmclock_u128 calibrate_line_error(const struct calibrate_line *line, uint64_t counter);

/* Nanoseconds in 2^-64 s, rounded up. */
static inline vmclock_u128 calibrate_from_ns(uint64_t ns)
{
	return ((vmclock_u128)ns << 64) / VMCLOCK_NSEC_PER_SEC + 1;
}

static inline vmclock_u128 calibrate_magnitude(s128 x)
{
	return x < 0 ? -x : x;
}

#endif /* HOST_CALIBRATE_LINE_H */
