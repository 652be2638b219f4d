/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where time comes from. All sources answer with the same kind of reading: an
 * estimate of UTC at a reading of the host's counter, and a bound.
 */
#ifndef HOST_SOURCE_H
#define HOST_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmclock_math.h"

/**
 * struct source_reading - one reading
 * @counter: the host's counter
 * @slack: ticks: @time belongs to a counter reading no further than this from
 *	@counter
 * @realtime: the estimate of UTC at @counter, 2^-64 s since 1970, POSIX count
 * @bounded: the clock is synchronized, or said to be
 * @maxerror_ns: if @bounded: UTC is no further than this from @realtime,
 *	@slack not included
 * @esterror_ns: if @bounded: the same as an estimate
 * @kernel_tai: TAI - UTC by the kernel; below SOURCE_TAI_MIN nobody told it
 * @leap_indicator: VMCLOCK_PAGE_LEAP_* by the kernel's leap second state;
 *	NONE, PRE_* (in the last day of a month), POS or POST_*
 */
struct source_reading {
	uint64_t counter;
	uint64_t slack;
	vmclock_u128 realtime;
	bool bounded;
	uint64_t maxerror_ns;
	uint64_t esterror_ns;
	int kernel_tai;
	uint8_t leap_indicator;
};

/*
 * The kernel counts leap seconds in its TAI offset, starting at 0 when nobody
 * tells it the offset. UTC began 10 s behind TAI.
 */
#define SOURCE_TAI_MIN	10

/**
 * struct source - a source; one of source_kernel_open() and its like fills it in
 * @read: take a reading. Return: 0; -EAGAIN if the clock was being changed (try
 *	later); -ENODATA if the reference is lost, which may pass, @why says how;
 *	-EINPROGRESS if it is on its way: again when @fd is readable, or at @deadline,
 *	and @reading is as it was; any other error is final
 * @close: release what open took; NULL if that was nothing
 * @why: why the reference is lost
 * @fd: see @read
 * @deadline: CLOCK_MONOTONIC in ns; see @read
 * @state: the source's own
 */
struct source {
	int (*read)(struct source *source, struct source_reading *reading);
	void (*close)(struct source *source);
	const char *why;
	int fd;
	int64_t deadline;
	void *state;
};

/**
 * source_lost() - the answer of a source without a reference
 * @source: the source
 * @why: a string that stays
 *
 * Return: -ENODATA.
 */
int source_lost(struct source *source, const char *why);

/*
 * The kernel's bare clock, from which other sources go on: CLOCK_REALTIME is
 * what their times are told in.
 */

/*
 * Linux turns its clock by no more than 500 ppm by frequency and 10 % by tick: an
 * eighth is more than a stretch of CLOCK_REALTIME can be wrong by.
 */
#define SOURCE_STRETCH(ns)	((ns) / 8 + 1)

/**
 * source_clock() - CLOCK_REALTIME at a counter reading
 * @reading: @counter and @slack are filled in
 * @ns: the clock, rounded down
 *
 * Return: 0, or what clock_gettime(2) answered.
 */
int source_clock(struct source_reading *reading, int64_t *ns);

/**
 * source_clock_leap() - what the kernel knows about leap seconds
 * @reading: @kernel_tai and @leap_indicator are filled in
 * @ns: CLOCK_REALTIME
 *
 * Return: 0, or what adjtimex(2) answered.
 */
int source_clock_leap(struct source_reading *reading, int64_t ns);

/**
 * source_estimate() - fill in @realtime
 * @reading: the reading
 * @ns: UTC
 *
 * Return: 0, or -ERANGE if that is before 1970.
 */
int source_estimate(struct source_reading *reading, int64_t ns);

/**
 * struct source_gap - CLOCK_REALTIME - CLOCK_MONOTONIC; changes if that is set
 * @min: ns, not more than it
 * @max: ns, not less than it
 */
struct source_gap {
	int64_t min;
	int64_t max;
};

/**
 * source_gap_read() - measure the gap
 * @gap: the result
 *
 * Return: 0, or what clock_gettime(2) answered.
 */
int source_gap_read(struct source_gap *gap);

/**
 * source_gap_error() - was the clock set between two measurements?
 * @before: the first
 * @after: the second
 * @error_ns: what it may have been set by, unnoticed, is added
 *
 * Return: 0, or -EAGAIN if it was set.
 */
int source_gap_error(const struct source_gap *before, const struct source_gap *after,
		     uint64_t *error_ns);

#endif /* HOST_SOURCE_H */
