// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "calibrate-rate.h"

#define MSEC	1000000ULL	/* ns */

/* The bit that is the highest in every tick here. */
#define TICK_TOP	61

/* No rate from readings closer together than this. */
#define SPAN_NS		(150 * MSEC)
#define READINGS_MIN	4
#define WINDOW_NS	(64000 * MSEC)
/* The span over which a change of the source's rate is looked for. */
#define RECENT_NS	(8000 * MSEC)

#define HZ_MIN	1000000ULL
#define HZ_MAX	100000000000ULL

/*
 * A kernel clock's rate is corrected by at most 500 ppm: a larger difference
 * between two measurements is a clock being slewed, not an oscillator.
 */
#define CHANGE_MAX(tick)	((tick) / 2000)

/* A reading is wide if it is worse than the best by this factor. */
#define WIDE_FACTOR	4
#define WIDE_TICKS	8

vmclock_u128 calibrate_rate_time(const struct calibrate_rate *rate, uint64_t ticks)
{
	return vmclock_math_mul_shift_up(ticks, rate->tick, rate->shift);
}

uint64_t calibrate_rate_ticks(const struct calibrate_rate *rate, uint64_t ns)
{
	return (calibrate_from_ns(ns) << rate->shift) / rate->tick;
}

uint64_t calibrate_rate_hz(const struct calibrate_rate *rate)
{
	return ((vmclock_u128)1 << (64 + rate->shift)) / rate->tick;
}

bool calibrate_rate_is_wide(const struct calibrate_rate *rate, uint64_t slack)
{
	uint64_t best = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < rate->count; i++)
		if (rate->window[i].slack < best)
			best = rate->window[i].slack;
	return rate->count && slack > WIDE_TICKS && (slack - WIDE_TICKS) / WIDE_FACTOR > best;
}

static void forget_first(struct calibrate_rate *rate)
{
	rate->count--;
	memmove(&rate->window[0], &rate->window[1], rate->count * sizeof(rate->window[0]));
}

/*
 * Readings that come fast are thinned out, so that a full window always spans
 * a good part of WINDOW_NS.
 */
static void add(struct calibrate_rate *rate, const struct calibrate_rate_point *r)
{
	unsigned int n = rate->count;

	if (rate->tick && n > 1 &&
	    r->counter - rate->window[n - 1].counter <
	    (r->counter - rate->window[0].counter) / (CALIBRATE_READINGS / 2))
		return;
	while (rate->count == CALIBRATE_READINGS ||
	       (rate->count > READINGS_MIN &&
		r->time - rate->window[0].time > calibrate_from_ns(WINDOW_NS)))
		forget_first(rate);
	rate->window[rate->count++] = *r;
}

static bool is_long_enough(const struct calibrate_rate *rate)
{
	unsigned int n = rate->count;

	return n >= READINGS_MIN &&
	       rate->window[n - 1].time - rate->window[0].time >= calibrate_from_ns(SPAN_NS);
}

/* The tick between two readings of the window; 0 if it is no number. */
static uint64_t tick_between(const struct calibrate_rate *rate, unsigned int from,
			     unsigned int to)
{
	uint64_t ticks = rate->window[to].counter - rate->window[from].counter;
	s128 time = rate->window[to].time - rate->window[from].time;
	vmclock_u128 tick;

	if (!ticks || ticks >> 63 || time <= 0 || time >> 72)
		return 0;
	tick = ((vmclock_u128)time << rate->shift) / ticks;
	return tick >> 63 ? 0 : (uint64_t)tick;
}

/* The reading that gives the best rate together with the latest one. */
static unsigned int best_partner(const struct calibrate_rate *rate)
{
	const struct calibrate_rate_point *w = rate->window, *last = &w[rate->count - 1];
	unsigned int best = 0, i;

	for (i = 1; i + 1 < rate->count; i++) {
		vmclock_u128 slack = w[i].slack + last->slack;
		vmclock_u128 best_slack = w[best].slack + last->slack;

		if (slack * (last->counter - w[best].counter) <
		    best_slack * (last->counter - w[i].counter))
			best = i;
	}
	return best;
}

/* An error of the time over so many ticks, as one of the tick. */
static uint64_t error_of_tick(const struct calibrate_rate *rate, vmclock_u128 error,
			      uint64_t ticks)
{
	vmclock_u128 of_tick;

	/* So large an error is no measurement at all. */
	if (error >> 65)
		return rate->tick;
	of_tick = (error << rate->shift) / ticks + 1;
	return of_tick < rate->tick ? of_tick : rate->tick;
}

/* How well the tick between two readings is known. */
static uint64_t error_of_ends(const struct calibrate_rate *rate, unsigned int from,
			      unsigned int to)
{
	uint64_t ticks = rate->window[to].counter - rate->window[from].counter;
	uint64_t slack = rate->window[from].slack + rate->window[to].slack;

	/* Both ends are rounded to ns. */
	return error_of_tick(rate, calibrate_rate_time(rate, slack) + calibrate_from_ns(2), ticks);
}

/*
 * If the source's rate over the last seconds differs from that over the whole
 * window then the source is being slewed, or the counter has changed: nobody
 * knows which, so the error covers both.
 */
static uint64_t disagreement(const struct calibrate_rate *rate)
{
	unsigned int last = rate->count - 1, i = last;
	uint64_t recent;

	while (i && rate->window[last].time - rate->window[i].time <
		    calibrate_from_ns(RECENT_NS))
		i--;
	recent = tick_between(rate, i, last);
	return recent ? calibrate_magnitude((s128)recent - rate->tick) : 0;
}

/* How far a reading is from the line between two others. */
static vmclock_u128 bend(const struct calibrate_rate *rate, unsigned int from, unsigned int i)
{
	const struct calibrate_rate_point *w = rate->window;
	bool before;
	uint64_t ticks = vmclock_math_distance(w[i].counter, w[from].counter, &before);
	s128 time = calibrate_rate_time(rate, ticks);

	return calibrate_magnitude((s128)(w[i].time - w[from].time) - (before ? -time : time));
}

/*
 * A source that jumped among the readings bends them. The jump is at most twice
 * what it moved some reading away from the line between the ends, and is in the
 * tick that they give.
 */
static uint64_t error_of_bends(const struct calibrate_rate *rate, unsigned int from,
			       unsigned int to)
{
	uint64_t ticks = rate->window[to].counter - rate->window[from].counter;
	vmclock_u128 largest = 0;
	unsigned int i;

	for (i = from + 1; i < to; i++) {
		vmclock_u128 off = bend(rate, from, i);

		largest = off > largest ? off : largest;
	}
	return error_of_tick(rate, 2 * largest, ticks);
}

/*
 * Chooses the shift with which the tick between the first and the last reading
 * has its highest bit at TICK_TOP.
 */
static bool choose_shift(struct calibrate_rate *rate)
{
	for (rate->shift = 0; rate->shift <= TICK_TOP; rate->shift++) {
		rate->tick = tick_between(rate, 0, rate->count - 1);
		if (rate->tick >> TICK_TOP)
			return true;
	}
	return false;
}

/*
 * Do the readings lie on one line? They do not when the clock was set among
 * them, and then their rate is that of no counter.
 */
static bool is_straight(const struct calibrate_rate *rate)
{
	const struct calibrate_rate_point *w = rate->window;
	unsigned int last = rate->count - 1, i;

	for (i = 1; i < last; i++) {
		vmclock_u128 time = calibrate_rate_time(rate, w[i].counter - w[0].counter);
		uint64_t slack = w[0].slack + w[i].slack + w[last].slack;

		if (bend(rate, 0, i) > calibrate_rate_time(rate, slack) + calibrate_from_ns(4) +
				       time / VMCLOCK_NSEC_PER_SEC * rate->drift_ppb)
			return false;
	}
	return true;
}

static enum calibrate_rate_verdict measure_first(struct calibrate_rate *rate)
{
	uint64_t hz;

	if (!choose_shift(rate) || !is_straight(rate)) {
		rate->tick = 0;
		rate->count = 0;
		return CALIBRATE_RATE_UNKNOWN;
	}
	hz = calibrate_rate_hz(rate);
	return hz >= HZ_MIN && hz <= HZ_MAX ? CALIBRATE_RATE_KNOWN : CALIBRATE_RATE_BAD;
}

/* @is_first: there is no good rate yet, but that of two readings however bad. */
static void measure(struct calibrate_rate *rate, bool is_first)
{
	unsigned int last = rate->count - 1, first = best_partner(rate);
	uint64_t tick = tick_between(rate, first, last), error;

	if (!is_first && calibrate_magnitude((s128)tick - rate->tick) > CHANGE_MAX(rate->tick)) {
		/* Keep the rate that was good, measure anew from here. */
		while (rate->count > 1)
			forget_first(rate);
		return;
	}
	rate->tick = tick;
	error = error_of_ends(rate, first, last) + error_of_bends(rate, first, last) +
		disagreement(rate);
	/* Sums of it with other errors must fit. */
	rate->error = error < tick ? error : tick;
}

enum calibrate_rate_verdict calibrate_rate_add(struct calibrate_rate *rate, uint64_t counter,
					       uint64_t slack, vmclock_u128 time)
{
	const struct calibrate_rate_point point = { counter, slack, time };
	enum calibrate_rate_verdict verdict = CALIBRATE_RATE_KNOWN;
	bool is_first = !rate->tick;

	add(rate, &point);
	if (is_first)
		verdict = is_long_enough(rate) ? measure_first(rate) : CALIBRATE_RATE_UNKNOWN;
	if (verdict == CALIBRATE_RATE_KNOWN && is_long_enough(rate))
		measure(rate, is_first);
	return verdict;
}

static bool is_known_well(const struct calibrate_rate *rate)
{
	return rate->tick && rate->error <= (vmclock_u128)rate->tick * rate->drift_ppb /
					    VMCLOCK_NSEC_PER_SEC;
}

void calibrate_rate_inherit(struct calibrate_rate *rate, const struct calibrate_rate *host,
			    const struct guest_counter *guest, vmclock_u128 later)
{
	for (unsigned int i = 0; i < host->count; i++)
		rate->window[i] = (struct calibrate_rate_point){
			.counter = guest_counter_from_host(guest, host->window[i].counter),
			.slack = guest_counter_ticks(guest, host->window[i].slack),
			.time = host->window[i].time + later,
		};
	rate->count = host->count;
	if (is_long_enough(rate) && measure_first(rate) == CALIBRATE_RATE_KNOWN)
		measure(rate, true);
	if (!is_known_well(rate))
		*rate = (struct calibrate_rate){ .drift_ppb = rate->drift_ppb };
}
