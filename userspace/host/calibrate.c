// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "calibrate.h"

#define MSEC	1000000ULL	/* ns */

/* A line found on the page may have a rate this far off. */
#define RATE_FOUND_MAX(rate)	((rate) / 1000)

/* A difference is absorbed over so many intervals, at 100 ppm at most. */
#define STEER_INTERVALS	4
#define STEER_MAX	(((s128)1 << 64) / 10000)

/* Where there is no bound, more than this is a step; and what was found is left. */
#define STEP_UNBOUNDED_NS	(128 * MSEC)

/* Wide readings that are dropped in a row. */
#define DROP_MAX	3

/* The rate of a line in the calibration's unit. */
static s128 line_rate(const struct calibrate *cal, const struct calibrate_line *line)
{
	int up = cal->rate.shift - line->max.shift;

	return up >= 0 ? (s128)line->max.period << up : (s128)line->max.period >> -up;
}

void calibrate_init(struct calibrate *cal, uint64_t interval_ns, uint64_t drift_ppb)
{
	memset(cal, 0, sizeof(*cal));
	cal->interval_ns = interval_ns;
	cal->rate.drift_ppb = drift_ppb;
}

void calibrate_adopt(struct calibrate *cal, const struct calibrate_line *found)
{
	cal->found = *found;
	cal->has_found = true;
}

uint64_t calibrate_hz(const struct calibrate *cal)
{
	return calibrate_rate_hz(&cal->rate);
}

/* Planning the next line. */

static vmclock_u128 reading_error(const struct calibrate *cal,
				  const struct calibrate_reading *r, uint64_t error_ns)
{
	return calibrate_from_ns(error_ns) + calibrate_rate_time(&cal->rate, r->slack) +
	       calibrate_rate_time(&cal->rate, r->bias);
}

static bool is_step(const struct calibrate *cal, const struct calibrate_line *line,
		    const struct calibrate_reading *r)
{
	s128 difference = r->time - calibrate_line_time(line, r->counter);
	vmclock_u128 limit = 0;

	if (r->bounded)
		limit += reading_error(cal, r, r->maxerror_ns);
	if (line->bounded)
		limit += calibrate_line_error(line, r->counter);
	if (!r->bounded || !line->bounded)
		limit += calibrate_from_ns(STEP_UNBOUNDED_NS);
	return calibrate_magnitude(difference) > limit;
}

static void start_line(struct calibrate *cal, const struct calibrate_reading *r)
{
	cal->line = (struct calibrate_line){
		.max = {
			.counter = r->counter,
			.time = { r->time >> 64, r->time },
			.period = cal->rate.tick,
			.shift = cal->rate.shift,
		},
	};
}

/* The line to continue: the one found on the page, or one through the reading. */
static void first_line(struct calibrate *cal, const struct calibrate_reading *r)
{
	const struct calibrate_line *found = &cal->found;
	vmclock_u128 off, most = calibrate_from_ns(STEP_UNBOUNDED_NS);
	struct vmclock_time unused;

	cal->has_line = true;
	start_line(cal, r);
	if (!cal->has_found || !vmclock_math_time(&found->max, r->counter, &unused) ||
	    calibrate_magnitude(line_rate(cal, found) - cal->rate.tick) > RATE_FOUND_MAX(cal->rate.tick))
		return;
	off = calibrate_magnitude(r->time - calibrate_line_time(found, r->counter));
	/* However wide its bound is: to steer more away would take 20 minutes and more. */
	if (off > most || (found->bounded && off > calibrate_line_error(found, r->counter)))
		return;
	cal->line = *found;
	cal->is_adopted = true;
	if (found->bounded)
		calibrate_nesting_begin(&cal->nesting, found, found->max.counter, r->bias);
}

static s128 clamp(s128 value, s128 least, s128 most)
{
	return value > most ? most : value < least ? least : value;
}

static uint64_t choose_rate(struct calibrate *cal, s128 difference, uint64_t until)
{
	s128 steer = difference * (s128)VMCLOCK_NSEC_PER_SEC /
		     (s128)(STEER_INTERVALS * cal->interval_ns);
	s128 present = line_rate(cal, &cal->line), least, most, wanted, change;

	steer = clamp(steer, -STEER_MAX, STEER_MAX);
	wanted = present - (cal->rate.tick + (steer * (s128)cal->rate.tick >> 64));
	calibrate_nesting_limits(&cal->nesting, &cal->line, &cal->rate, until, &least, &most);
	change = clamp(wanted, least, most);
	cal->clamped += change != wanted;
	return calibrate_nesting_other_tick(&cal->nesting, present - change, present);
}

static void make_plan(struct calibrate *cal)
{
	const struct calibrate_reading *r = &cal->reading;
	s128 difference = r->time - calibrate_line_time(&cal->line, r->counter);

	cal->plan.horizon = calibrate_rate_ticks(&cal->rate, cal->interval_ns);
	cal->plan.new_rate = choose_rate(cal, difference,
					 r->counter + cal->plan.horizon);
	cal->plan.error = reading_error(cal, r, r->maxerror_ns) + calibrate_magnitude(difference);
	cal->plan.est_error = reading_error(cal, r, r->esterror_ns) +
			      calibrate_magnitude(difference);
}

enum calibrate_verdict calibrate_feed(struct calibrate *cal,
				      const struct calibrate_reading *r)
{
	if (calibrate_rate_is_wide(&cal->rate, r->slack) && cal->dropped < DROP_MAX &&
	    (!cal->has_line || r->bounded == cal->reading.bounded)) {
		cal->dropped++;
		return CALIBRATE_DROPPED;
	}
	cal->dropped = 0;
	if (cal->has_line && is_step(cal, &cal->line, r))
		return CALIBRATE_STEP;

	switch (calibrate_rate_add(&cal->rate, r->counter, r->slack, r->time)) {
	case CALIBRATE_RATE_UNKNOWN:
		return CALIBRATE_WARMING;
	case CALIBRATE_RATE_BAD:
		return CALIBRATE_BAD_RATE;
	case CALIBRATE_RATE_KNOWN:
		break;
	}
	if (!cal->has_line)
		first_line(cal, r);
	cal->reading = *r;
	cal->is_held = false;
	make_plan(cal);
	return CALIBRATE_READY;
}

/* From one line to the next. */

/* An error that grows from the reading on, at a later counter. */
static uint64_t error_at(const struct calibrate *cal, vmclock_u128 error,
			 uint64_t rate_error, uint64_t ticks)
{
	/* 2 units for what times are rounded down by, here and when rebased. */
	return vmclock_math_duration_ns(error + 2 +
		vmclock_math_mul_shift_up(ticks, rate_error, cal->rate.shift));
}

bool calibrate_cross(struct calibrate *cal, uint64_t counter)
{
	uint64_t ticks = counter - cal->reading.counter;
	uint64_t drift = (vmclock_u128)cal->rate.tick * cal->rate.drift_ppb /
			 VMCLOCK_NSEC_PER_SEC + 1 + cal->rate.error;
	uint64_t old_off = calibrate_magnitude(line_rate(cal, &cal->line) - cal->rate.tick);
	uint64_t new_off = calibrate_magnitude((s128)cal->plan.new_rate - cal->rate.tick);
	uint64_t max_off = drift + new_off;
	vmclock_u128 t;

	if (ticks > cal->plan.horizon)
		return false;
	t = calibrate_line_time(&cal->line, counter);
	if (cal->line.bounded)
		calibrate_nesting_end(&cal->nesting, &cal->line, counter, cal->reading.bias);
	calibrate_nesting_use_tick(&cal->nesting, cal->plan.new_rate);
	cal->line = (struct calibrate_line){
		.max = {
			.counter = counter,
			.time = { t >> 64, t },
			.period = cal->plan.new_rate,
			/*
			 * Steering counts as an error of the rate: it brings
			 * the line to the estimate, but if no later line
			 * stops it, takes it out on the other side.
			 */
			.period_maxerror = max_off < cal->rate.tick ? max_off : cal->rate.tick,
			.maxerror_ns = error_at(cal, cal->plan.error,
						drift + old_off, ticks),
			.shift = cal->rate.shift,
		},
		.est_ns = error_at(cal, cal->plan.est_error,
				   cal->rate.error + old_off, ticks),
		.est_rate = cal->rate.error + new_off,
		.bounded = cal->reading.bounded,
	};
	if (cal->line.bounded)
		calibrate_nesting_begin(&cal->nesting, &cal->line, counter, cal->reading.bias);
	return true;
}

void calibrate_hold(struct calibrate *cal, uint64_t counter)
{
	uint64_t ticks = counter - cal->line.max.counter;

	if (cal->is_held || ticks >> 62)
		return;
	/* As if a reading had confirmed the line at its start, errors included. */
	cal->reading.counter = cal->line.max.counter;
	cal->reading.bounded = cal->line.bounded;
	cal->plan.error = calibrate_from_ns(cal->line.max.maxerror_ns);
	cal->plan.est_error = calibrate_from_ns(cal->line.est_ns);
	cal->plan.horizon = ticks + calibrate_rate_ticks(&cal->rate, cal->interval_ns);
	cal->plan.new_rate = choose_rate(cal, 0, cal->reading.counter + cal->plan.horizon);
	cal->is_held = calibrate_cross(cal, counter);
}
