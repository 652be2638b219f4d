/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What earlier lines have promised: a later one must give, for each counter that was
 * read under them, a time inside the bracket that they gave (nesting). That limits
 * how fast a line may turn.
 */
#ifndef HOST_CALIBRATE_NESTING_H
#define HOST_CALIBRATE_NESTING_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate-line.h"
#include "calibrate-rate.h"

#define CALIBRATE_HISTORY	64	/* lines kept */

/**
 * struct calibrate_nesting - the last lines; zero at the start
 * @point: both ends of each: the time, and the error that was published for it; with
 *	a bias each end twice, as readers may have been that much further out
 * @next: where the next one goes
 * @count: how many there are
 * @has_bias: some have been there twice: then all are, so that the oldest go first
 * @past_tick: the lines' ticks
 * @past_tick_next: where the next one goes
 */
struct calibrate_nesting {
	struct {
		uint64_t counter;
		vmclock_u128 time;
		vmclock_u128 error;
	} point[4 * CALIBRATE_HISTORY];
	unsigned int next, count;
	bool has_bias;
	uint64_t past_tick[CALIBRATE_HISTORY];
	unsigned int past_tick_next;
};

/**
 * calibrate_nesting_begin() - a line that has a bound comes into use
 * @nesting: the lines so far
 * @line: the line
 * @counter: from here on
 * @bias: ticks: or from as much earlier, by a reader's own counter
 */
void calibrate_nesting_begin(struct calibrate_nesting *nesting,
			     const struct calibrate_line *line, uint64_t counter,
			     uint64_t bias);

/* It was in use until @counter, or until @bias later. */
void calibrate_nesting_end(struct calibrate_nesting *nesting,
			   const struct calibrate_line *line, uint64_t counter,
			   uint64_t bias);

/**
 * calibrate_nesting_limits() - how far may the next line turn away from this one?
 * @nesting: the lines so far
 * @line: the one in use
 * @rate: the unit of the results
 * @until: the next line begins not later than at this counter
 * @least: it may be so much faster (-*@least)
 * @most: or so much slower
 */
void calibrate_nesting_limits(const struct calibrate_nesting *nesting,
			      const struct calibrate_line *line,
			      const struct calibrate_rate *rate, uint64_t until,
			      s128 *least, s128 *most);

/**
 * calibrate_nesting_other_tick() - the nearest tick that no past line had
 * @nesting: the lines so far
 * @tick: what is wanted
 * @towards: where to look
 *
 * No two lines have the same tick, so that an equal period on two updates means an
 * equal line. One unit is 2^-61 of the tick.
 *
 * Return: the tick.
 */
uint64_t calibrate_nesting_other_tick(const struct calibrate_nesting *nesting, uint64_t tick,
				      uint64_t towards);

/* A line with this tick comes into use. */
void calibrate_nesting_use_tick(struct calibrate_nesting *nesting, uint64_t tick);

#endif /* HOST_CALIBRATE_NESTING_H */
