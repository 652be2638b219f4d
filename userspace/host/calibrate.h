/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From readings to lines with honest bounds. No system call and no clock in
 * here: it runs in simulated time as well.
 *
 * The guarantee. If every reading's bound holds, and the counter's true rate
 * stays within the drift of the rate measured, then the true time lies inside
 * the line's bracket at every counter reading, also long after the last line
 * was published.
 *
 * A line starts where the line before it is at that moment, so that time
 * neither jumps nor goes back, and its rate absorbs the difference to the
 * estimate over the next few intervals. Until then the difference is part of
 * the bound. A new line is made to pass through the brackets that earlier ones
 * published (nesting), which limits its rate.
 *
 * Times are in units of 2^-64 s, errors of a rate in those of the rate.
 */
#ifndef HOST_CALIBRATE_H
#define HOST_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate-line.h"
#include "calibrate-nesting.h"
#include "calibrate-rate.h"

/**
 * struct calibrate_reading - one reading, in the guest's counter
 * @counter: the counter
 * @slack: ticks: @time belongs to a counter no further from @counter than this
 * @bias: ticks: the same, but an error that all readings have in common
 * @time: the estimate, 2^-64 s
 * @bounded: the two errors are known
 * @maxerror_ns: worst-case error of @time, slack and bias not included
 * @esterror_ns: estimated error of @time
 */
struct calibrate_reading {
	uint64_t counter;
	uint64_t slack;
	uint64_t bias;
	vmclock_u128 time;
	bool bounded;
	uint64_t maxerror_ns;
	uint64_t esterror_ns;
};

enum calibrate_verdict {
	CALIBRATE_WARMING,	/* no rate yet: more readings, please */
	CALIBRATE_DROPPED,	/* a bad reading: the present line stays */
	CALIBRATE_BAD_RATE,	/* this is not a counter's frequency */
	CALIBRATE_STEP,		/* the source left the line: start again */
	CALIBRATE_READY,	/* calibrate_cross() has a new line */
};

/**
 * struct calibrate - the state; initialised by calibrate_init()
 * @interval_ns: expected time between readings
 * @line: the line in use, if @has_line
 * @has_line: there is one
 * @found: a line that was published before our time, see calibrate_adopt()
 * @has_found: there is one
 * @is_adopted: the first line continued @found
 * @is_held: the line was made by calibrate_hold()
 * @clamped: how often nesting limited a line's rate
 * @rate: the counter's rate; the unit of all rates here is that of its tick
 * @reading: the latest reading that was used
 */
struct calibrate {
	uint64_t interval_ns;

	struct calibrate_line line;
	bool has_line;
	struct calibrate_line found;
	bool has_found;
	bool is_adopted;
	bool is_held;
	uint64_t clamped;

	struct calibrate_rate rate;
	struct calibrate_reading reading;

	/* private */
	struct {
		uint64_t new_rate;
		uint64_t horizon;	/* ticks after the reading */
		vmclock_u128 error, est_error;	/* at the reading */
	} plan;
	struct calibrate_nesting nesting;
	unsigned int dropped;
};

/**
 * calibrate_init() - start from nothing
 * @cal: initialised here
 * @interval_ns: expected time between readings
 * @drift_ppb: how far the counter's rate may wander from what was measured
 */
void calibrate_init(struct calibrate *cal, uint64_t interval_ns, uint64_t drift_ppb);

/**
 * calibrate_adopt() - continue a line found on the page, if it still holds
 * @cal: freshly initialised
 * @found: the line
 *
 * It is continued if its rate is near the measured one and the first estimate
 * lies inside its bracket, and no further from it than NTP slews, 128 ms; then
 * @is_adopted is set.
 */
void calibrate_adopt(struct calibrate *cal, const struct calibrate_line *found);

/**
 * calibrate_feed() - take in a reading
 * @cal: the state
 * @reading: the reading
 *
 * A step is diagnosed when the reading's bracket and the line's have no point
 * in common: then one of them was false, and since nobody knows which, the
 * clock was disrupted. As long as they overlap the truth may be in both, and
 * the difference is absorbed smoothly. Where one has no bound, the limit
 * between slewing and stepping that NTP uses, 128 ms, stands in for it.
 *
 * Return: what to do now.
 */
enum calibrate_verdict calibrate_feed(struct calibrate *cal,
				      const struct calibrate_reading *reading);

/**
 * calibrate_cross() - pass from the present line to the new one
 * @cal: the state, after CALIBRATE_READY
 * @counter: the counter at which both lines meet, not long after the reading
 *
 * Return: true if @cal->line is the new line now; false if too much time has
 * gone by since the reading: the old line stays.
 */
bool calibrate_cross(struct calibrate *cal, uint64_t counter);

/**
 * calibrate_hold() - go on without readings: pass to a line that is not steered
 * @cal: the state, with a line
 * @counter: the counter at which both lines meet
 *
 * The line so far was on its way to an estimate, and would go past it. From here
 * on the bound grows with the drift and the error of the rate alone, as long as
 * nesting allows it. Does nothing if that was done since the last reading.
 */
void calibrate_hold(struct calibrate *cal, uint64_t counter);

/**
 * calibrate_hz() - the counter's frequency
 * @cal: the state, with a rate
 *
 * Return: Hz, rounded down.
 */
uint64_t calibrate_hz(const struct calibrate *cal);

#endif /* HOST_CALIBRATE_H */
