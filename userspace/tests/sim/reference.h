/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulated reference: what a source of the daemon answers, with errors that are
 * within the bound it states, except when it lies.
 */
#ifndef TESTS_SIM_REFERENCE_H
#define TESTS_SIM_REFERENCE_H

#include "source.h"
#include "world.h"

/**
 * struct leap - the leap second of the simulated time
 * @tai: the first second that has the new offset; an inserted one begins there
 * @sign: 1: inserted, -1: removed
 */
struct leap {
	int64_t tai;
	int sign;
};

#define LEAPS_MAX	2

/**
 * struct reference - the reference
 * @bound_ns: the bound just after it was looked at
 * @growth_ppb: and how that grows until the next time
 * @poll_sec: which is so much later
 * @noise_ns: of a single reading, beside @slack
 * @slack: ticks between the counter and the clock
 * @error_ns: how wrong the clock is
 * @last: true time when it was read last
 * @lie_ns: and beyond that, against its word, until @lie_until
 * @lost_until: no answer until then (TAI seconds)
 * @unbounded_until: no bound until then
 * @is_noisy_until: slack is a hundred times as large
 * @untold_from: who tells it the time has died: its bound grows as a kernel's does
 * @untold_until: until then
 * @kernel_knows_tai: and tells it
 * @leaps: leap seconds, and how many
 */
struct reference {
	int64_t bound_ns, growth_ppb, poll_sec, noise_ns;
	uint64_t slack;
	int64_t error_ns, lie_ns;
	vmclock_u128 last;
	int64_t lie_until, lost_until, unbounded_until, noisy_until;
	int64_t untold_from, untold_until;
	bool kernel_knows_tai;
	struct leap leaps[LEAPS_MAX];
	unsigned int leap_count;
};

#define TAI_AT_START	37

void reference_init(struct reference *r, struct world *w);

/* TAI - UTC at a TAI second. */
int reference_tai_offset(const struct reference *r, int64_t tai);

/**
 * reference_read() - one reading
 * @r: the reference
 * @w: the world
 * @reading: the result
 * @error_ns: how wrong it is: true time + this is what it says
 *
 * Return: false if it is lost.
 */
bool reference_read(struct reference *r, struct world *w, struct source_reading *reading,
		    int64_t *error_ns);

#endif /* TESTS_SIM_REFERENCE_H */
