/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counter's rate, from the readings of the last minute: the tick's length, and
 * how well that is known.
 */
#ifndef HOST_CALIBRATE_RATE_H
#define HOST_CALIBRATE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate-line.h"
#include "guest-counter.h"

#define CALIBRATE_READINGS	64	/* kept to measure the rate */

/**
 * struct calibrate_rate - the state; zero but for @drift_ppb at the start
 * @drift_ppb: how far the counter's rate may wander from what was measured
 * @shift: of @tick and @error, whose unit is 2^-(64 + shift) s: @tick has its bit 61
 *	set, so that no drift carries it out of 64 bits
 * @tick: the measured tick, 0: not known yet
 * @error: how well it was measured
 */
struct calibrate_rate {
	uint64_t drift_ppb;
	uint8_t shift;
	uint64_t tick;
	uint64_t error;

	/* private */
	struct calibrate_rate_point {
		uint64_t counter;
		uint64_t slack;
		vmclock_u128 time;
	} window[CALIBRATE_READINGS];
	unsigned int count;
};

enum calibrate_rate_verdict {
	CALIBRATE_RATE_UNKNOWN,	/* not yet */
	CALIBRATE_RATE_BAD,	/* this is not a counter's frequency */
	CALIBRATE_RATE_KNOWN,
};

/**
 * calibrate_rate_is_wide() - is a reading much worse than the best one?
 * @rate: the state
 * @slack: of the reading, ticks
 *
 * Return: true if it is better dropped.
 */
bool calibrate_rate_is_wide(const struct calibrate_rate *rate, uint64_t slack);

/**
 * calibrate_rate_add() - take in a reading, and measure
 * @rate: the state
 * @counter: the reading's counter
 * @slack: ticks: @time belongs to a counter no further from @counter than this
 * @time: the reading's time, 2^-64 s
 *
 * Return: the verdict; @rate->tick and @error are set when it is KNOWN.
 */
enum calibrate_rate_verdict calibrate_rate_add(struct calibrate_rate *rate, uint64_t counter,
					       uint64_t slack, vmclock_u128 time);

/**
 * calibrate_rate_inherit() - what is known of the host's counter is known of a guest's
 * @rate: as at the start
 * @host: the rate of the host's counter
 * @guest: how the guest sees that
 * @later: added to the times of @host's readings, 2^-64 s
 *
 * As if @rate had been given those readings. If they tell the rate no better than it
 * may wander (the clock was set among them, for example), nothing is taken over: then
 * it is better measured anew.
 */
void calibrate_rate_inherit(struct calibrate_rate *rate, const struct calibrate_rate *host,
			    const struct guest_counter *guest, vmclock_u128 later);

/* The counter's frequency in Hz, rounded down; for a rate that is known. */
uint64_t calibrate_rate_hz(const struct calibrate_rate *rate);

/* A number of ticks as time, rounded up, and the other way. */
vmclock_u128 calibrate_rate_time(const struct calibrate_rate *rate, uint64_t ticks);
uint64_t calibrate_rate_ticks(const struct calibrate_rate *rate, uint64_t ns);

#endif /* HOST_CALIBRATE_RATE_H */
