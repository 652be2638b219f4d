// SPDX-License-Identifier: GPL-2.0-or-later
#include "calibrate-nesting.h"

static void remember(struct calibrate_nesting *nesting, const struct calibrate_line *line,
		     uint64_t counter)
{
	unsigned int size = (nesting->has_bias ? 4 : 2) * CALIBRATE_HISTORY;

	nesting->point[nesting->next].counter = counter;
	nesting->point[nesting->next].time = calibrate_line_time(line, counter);
	/* 1 ns less than was published, for readers that round down to ns. */
	nesting->point[nesting->next].error = calibrate_line_error(line, counter) -
					      calibrate_from_ns(1);
	nesting->next = (nesting->next + 1) % size;
	if (nesting->count < size)
		nesting->count++;
}

/*
 * A line bends away from another most at the ends of the stretch where it was
 * in use, and brackets are straight there: the ends stand for all between. Further
 * out they are straight again, with a corner at the line's start.
 */
void calibrate_nesting_begin(struct calibrate_nesting *nesting,
			     const struct calibrate_line *line, uint64_t counter,
			     uint64_t bias)
{
	nesting->has_bias |= bias;
	if (nesting->has_bias)
		remember(nesting, line, counter - bias);
	remember(nesting, line, counter);
}

void calibrate_nesting_end(struct calibrate_nesting *nesting,
			   const struct calibrate_line *line, uint64_t counter,
			   uint64_t bias)
{
	nesting->has_bias |= bias;
	remember(nesting, line, counter);
	if (nesting->has_bias)
		remember(nesting, line, counter + bias);
}

/*
 * Turning a line about a point at @until moves it at a counter c by
 * change * (until - c), more the later the turning point; so what holds for
 * the latest one holds for all before it. No change at all is always allowed:
 * the present line was made the same way.
 */
void calibrate_nesting_limits(const struct calibrate_nesting *nesting,
			      const struct calibrate_line *line,
			      const struct calibrate_rate *rate, uint64_t until,
			      s128 *least, s128 *most)
{
	s128 unit = (s128)1 << rate->shift;
	unsigned int i;

	*least = -(s128)rate->tick;
	*most = rate->tick;
	for (i = 0; i < nesting->count; i++) {
		uint64_t counter = nesting->point[i].counter;
		s128 off = calibrate_line_time(line, counter) - nesting->point[i].time;
		s128 error = nesting->point[i].error, ticks = until - counter;
		s128 up, down;

		/* So much error or so long ago: no rate can matter. */
		if (error >> 80 || ticks >> 62 || !ticks)
			continue;
		up = off < error ? (error - off) * unit / ticks : 0;
		down = off > -error ? (-error - off) * unit / ticks : 0;
		if (up < *most)
			*most = up;
		if (down > *least)
			*least = down;
	}
}

static bool is_past_tick(const struct calibrate_nesting *nesting, uint64_t tick)
{
	unsigned int i;

	for (i = 0; i < CALIBRATE_HISTORY; i++)
		if (nesting->past_tick[i] == tick)
			return true;
	return false;
}

uint64_t calibrate_nesting_other_tick(const struct calibrate_nesting *nesting, uint64_t tick,
				      uint64_t towards)
{
	int step = tick < towards ? 1 : -1;

	/* Ends: one more candidate than there are past ticks would be free. */
	while (is_past_tick(nesting, tick))
		tick += step;
	return tick;
}

void calibrate_nesting_use_tick(struct calibrate_nesting *nesting, uint64_t tick)
{
	nesting->past_tick[nesting->past_tick_next++ % CALIBRATE_HISTORY] = tick;
}
