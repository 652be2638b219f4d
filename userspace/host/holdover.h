/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the page may claim while its source gives no time, or none that is worth it. No
 * clock in here: it runs in simulated time as well.
 */
#ifndef HOST_HOLDOVER_H
#define HOST_HOLDOVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Three intervals: one or two answers that are late on a busy machine are no news,
 * and the bound is as true as before.
 */
#define HOLDOVER_AFTER_DEFAULT_NS	3000000000ULL

/*
 * Where NTP ends slewing and begins to set the clock. At 15 ppm it is reached after
 * 2.4 hours.
 */
#define HOLDOVER_MAX_BOUND_DEFAULT_NS	128000000ULL

/**
 * struct holdover - the operator's limits
 * @after_ns: without a reading for so long, the reference is lost
 * @max_bound_ns: more is not a time any more, with a reference or without one
 */
struct holdover {
	uint64_t after_ns;
	uint64_t max_bound_ns;
};

enum holdover_verdict {
	HOLDOVER_WAIT,		/* nothing has changed */
	HOLDOVER_FREERUNNING,	/* the line goes on, its bound grows */
	HOLDOVER_UNRELIABLE,	/* it has grown too much */
};

/**
 * holdover_is_lost() - is a source that answers lost all the same?
 * @limits: the limits
 * @maxerror_ns: what it says of itself
 *
 * Who tells the kernel the time may have died: then the kernel answers as ever, but its
 * bound grows by 500 ppm, while that of the page's own line would by the drift of 15.
 * So the source may use up half of @max_bound_ns, and the other half is for the time
 * without it: were it more, the line would have no time left to be FREERUNNING in.
 *
 * Return: true if its answers are no readings any more.
 */
bool holdover_is_lost(const struct holdover *limits, uint64_t maxerror_ns);

/**
 * holdover_judge() - the source gave nothing; what now?
 * @limits: the limits
 * @silence_ns: since the last reading
 * @bounded: the line has a bound
 * @bound_ns: the bound now
 *
 * Return: the verdict. As silence and bound only grow, so does it; a reading ends it.
 */
enum holdover_verdict holdover_judge(const struct holdover *limits, uint64_t silence_ns,
				     bool bounded, uint64_t bound_ns);

#endif /* HOST_HOLDOVER_H */
