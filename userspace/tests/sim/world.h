/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulated world: true time, and an oscillator that counts it badly. Whole
 * numbers only, so that a seed gives the same world everywhere.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "vmclock_math.h"

typedef __int128 s128;

#define NS_PER_SEC	1000000000LL
#define WORLD_FRAC	95	/* true time is in units of 2^-95 s: no rounding */

/**
 * struct world - true time, and the host's counter
 * @random: state of the generator
 * @counter: the host's counter
 * @truth: TAI, 2^-95 s since 1970
 * @hz: the counter's nominal frequency
 * @base_ppt: how wrong that is, in 10^-12
 * @daily_ppt: the rate follows the temperature of the day by so much
 * @cycle_ppt: and that of the air conditioning
 * @cycle_sec: whose cycle is this long
 * @step_ppt: sum of the sudden changes
 * @walk_ppt: what it wandered off by
 * @period: of the counter, now
 */
struct world {
	uint64_t random;
	uint64_t counter;
	vmclock_u128 truth;
	uint64_t hz;
	int64_t base_ppt, daily_ppt, cycle_ppt, cycle_sec, step_ppt, walk_ppt;
	vmclock_u128 period;
};

uint64_t world_random(struct world *w);

/* Uniform in [-limit, limit]. */
int64_t world_within(struct world *w, int64_t limit);

/* True once in so many calls. */
bool world_once_in(struct world *w, uint64_t n);

/* Starts at @tai seconds since 1970. */
void world_init(struct world *w, uint64_t seed, int64_t tai);

/* Lets @ns of the counter's nominal time go by. */
void world_advance(struct world *w, int64_t ns);

/* A sudden change of the frequency, within what an oscillator is allowed. */
void world_step_frequency(struct world *w);

/* True time in ns since @since. */
int64_t world_ns_since(const struct world *w, vmclock_u128 since);

#endif /* TESTS_SIM_WORLD_H */
