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

#include "vmclock_math.h"

#define CALIBRATE_READINGS	64	/* kept to measure the rate */
#define CALIBRATE_HISTORY	64	/* lines kept for nesting */

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

enum calibrate_verdict {
	CALIBRATE_WARMING,	/* no rate yet: more readings, please */
	CALIBRATE_DROPPED,	/* a bad reading: the present line stays */
	CALIBRATE_BAD_RATE,	/* this is not a counter's frequency */
	CALIBRATE_STEP,		/* the source left the line: start again */
	CALIBRATE_READY,	/* calibrate_cross() has a new line */
};

/*
 * Private: a point of an earlier line, and the error published for it.
 */
struct calibrate_point {
	uint64_t counter;
	vmclock_u128 time;
	vmclock_u128 error;
};

/**
 * struct calibrate - the state; initialised by calibrate_init()
 * @interval_ns: expected time between readings
 * @drift_ppb: how far the counter's rate may wander from what was measured
 * @line: the line in use, if @has_line
 * @has_line: there is one
 * @found: a line that was published before our time, see calibrate_adopt()
 * @has_found: there is one
 * @is_adopted: the first line continued @found
 * @is_held: the line was made by calibrate_hold()
 * @clamped: how often nesting limited a line's rate
 * @shift: of all rates here: they have their bit 61 set, so that no drift
 *	carries them out of 64 bits
 * @rate: the measured tick, 0: not known yet
 * @rate_error: how well it was measured
 * @reading: the latest reading that was used
 */
struct calibrate {
	uint64_t interval_ns;
	uint64_t drift_ppb;

	struct calibrate_line line;
	bool has_line;
	struct calibrate_line found;
	bool has_found;
	bool is_adopted;
	bool is_held;
	uint64_t clamped;

	uint8_t shift;
	uint64_t rate;
	uint64_t rate_error;
	struct calibrate_reading reading;

	/* private */
	struct {
		uint64_t new_rate;
		uint64_t horizon;	/* ticks after the reading */
		vmclock_u128 error, est_error;	/* at the reading */
	} plan;
	struct {
		uint64_t counter;
		uint64_t slack;
		vmclock_u128 time;
	} window[CALIBRATE_READINGS];
	unsigned int window_count;
	struct calibrate_point history[2 * CALIBRATE_HISTORY];
	unsigned int history_next, history_count;
	uint64_t past_rates[CALIBRATE_HISTORY];
	unsigned int past_rate_next;
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
 * lies inside its bracket; then @is_adopted is set.
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

/**
 * calibrate_hz() - the counter's frequency
 * @cal: the state, with a rate
 *
 * Return: Hz, rounded down.
 */
uint64_t calibrate_hz(const struct calibrate *cal);

#endif /* HOST_CALIBRATE_H */
