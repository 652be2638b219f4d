// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints, every 20 ms, which time the host's clock showed at which counter
 * reading:
 *
 *	COUNTER NANOSECONDS UNCERTAINTY
 *
 * CLOCK_REALTIME, and what the kernel still has to slew it by, as ns since 1970,
 * +/- the uncertainty in ns. The counter is read between two readings of the
 * clock, the closest pair of several.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

#include "counter.h"

#define TRIES		16
#define INTERVAL_NS	20000000L

struct sample {
	uint64_t counter;
	int64_t before, after;
};

static int64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static struct sample sample_once(void)
{
	struct sample s;

	s.before = realtime_ns();
	s.counter = counter_ordered();
	s.after = realtime_ns();
	return s;
}

/* A clock set back between the two readings makes a negative bracket. */
static int closer(const struct sample *a, const struct sample *b)
{
	return a->after >= a->before && a->after - a->before < b->after - b->before;
}

static struct sample sample_best(void)
{
	struct sample best = sample_once();

	for (int i = 1; i < TRIES; i++) {
		struct sample s = sample_once();

		if (closer(&s, &best) || best.after < best.before)
			best = s;
	}
	return best;
}

/*
 * What a time daemon has asked for and the kernel has not applied yet. Of that,
 * the part under way in this second does not show, a third at most.
 */
static int64_t pending_slew_ns(int64_t *uncertainty)
{
	struct timex pll = { .modes = 0 }, single = { .modes = ADJ_OFFSET_SS_READ };
	int64_t ns;

	if (adjtimex(&pll) < 0 || adjtimex(&single) < 0)
		return 0;
	ns = pll.status & STA_NANO ? pll.offset : pll.offset * INT64_C(1000);
	*uncertainty += llabs(ns) / 3 + (ns != 0) + (single.offset ? 500000 : 0);
	return ns + single.offset * INT64_C(1000);
}

int main(void)
{
	const struct timespec interval = { .tv_nsec = INTERVAL_NS };

	for (;;) {
		struct sample s = sample_best();
		int64_t width = s.after - s.before;
		/* One ns for halving, one for the clock's own rounding. */
		int64_t uncertainty = width / 2 + 2;
		int64_t ns = s.before + width / 2 + pending_slew_ns(&uncertainty);

		if (printf("%" PRIu64 " %" PRId64 " %" PRId64 "\n", s.counter, ns,
			   uncertainty) < 0 || fflush(stdout))
			return 1;
		nanosleep(&interval, NULL);
	}
}
