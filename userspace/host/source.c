// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/timex.h>
#include <time.h>

#include "../lib/counter.h"
#include "source-kernel.h"
#include "source.h"

#define NSEC_PER_SEC	1000000000LL

/* Readings of which the shortest is used. */
#define BRACKETS	16

static int read_ns(clockid_t clock, int64_t *ns)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -errno;
	*ns = ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
	return 0;
}

int source_lost(struct source *source, const char *why)
{
	source->why = why;
	return -ENODATA;
}

int source_clock(struct source_reading *reading, int64_t *ns)
{
	uint64_t best = UINT64_MAX, before, after;
	int64_t now = 0;
	int i, err;

	for (i = 0; i < BRACKETS; i++) {
		before = counter_read_ordered();
		err = read_ns(CLOCK_REALTIME, &now);
		if (err)
			return err;
		after = counter_read_ordered();
		if (after - before >= best)
			continue;
		best = after - before;
		reading->counter = before + best / 2;
		/* + 1 where counters are slow: a tick is a span of time. */
		reading->slack = best - best / 2 + 1;
		*ns = now;
	}
	return 0;
}

int source_clock_leap(struct source_reading *reading, int64_t ns)
{
	struct timex tx = { .modes = 0 };
	int state = adjtimex(&tx);

	if (state < 0)
		return -errno;
	reading->kernel_tai = tx.tai;
	reading->leap_indicator = source_leap_indicator(state, tx.status,
							ns / NSEC_PER_SEC);
	return 0;
}

int source_estimate(struct source_reading *reading, int64_t ns)
{
	if (ns < 0)
		return -ERANGE;
	reading->realtime = ((vmclock_u128)ns << 64) / VMCLOCK_NSEC_PER_SEC;
	return 0;
}

int source_gap_read(struct source_gap *gap)
{
	int64_t before = 0, real = 0, after = 0, best = INT64_MAX;
	int i, err;

	for (i = 0; i < BRACKETS; i++) {
		err = read_ns(CLOCK_MONOTONIC, &before);
		if (!err)
			err = read_ns(CLOCK_REALTIME, &real);
		if (!err)
			err = read_ns(CLOCK_MONOTONIC, &after);
		if (err)
			return err;
		if (after - before >= best)
			continue;
		best = after - before;
		/* Both clocks are rounded down to ns. */
		gap->min = real - after - 1;
		gap->max = real - before + 1;
	}
	return 0;
}

int source_gap_error(const struct source_gap *before, const struct source_gap *after,
		     uint64_t *error_ns)
{
	int64_t min = before->min < after->min ? before->min : after->min;
	int64_t max = before->max > after->max ? before->max : after->max;

	if (before->max < after->min || after->max < before->min)
		return -EAGAIN;
	*error_ns += max - min;
	return 0;
}
