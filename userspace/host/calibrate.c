// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "calibrate.h"

typedef __int128 s128;

#define MSEC	1000000ULL	/* ns */

/* The bit that is the highest in every rate here; see struct calibrate. */
#define RATE_TOP	61

/* No rate from readings closer together than this. */
#define RATE_SPAN_NS	(150 * MSEC)
#define RATE_READINGS	4
#define WINDOW_NS	(64000 * MSEC)
/* The span over which a change of the source's rate is looked for. */
#define RECENT_NS	(8000 * MSEC)

#define HZ_MIN	1000000ULL
#define HZ_MAX	100000000000ULL

/*
 * A kernel clock's rate is corrected by at most 500 ppm: a larger difference
 * between two measurements is a clock being slewed, not an oscillator.
 */
#define RATE_CHANGE_MAX(rate)	((rate) / 2000)
/* A line found on the page may have a rate this far off. */
#define RATE_FOUND_MAX(rate)	((rate) / 1000)

/* A difference is absorbed over so many intervals, at 100 ppm at most. */
#define STEER_INTERVALS	4
#define STEER_MAX	(((s128)1 << 64) / 10000)

/* Where there is no bound, more than this is a step. */
#define STEP_UNBOUNDED_NS	(128 * MSEC)

/* Readings dropped in a row for being worse than the best by this factor. */
#define DROP_MAX	3
#define DROP_FACTOR	4
#define DROP_TICKS	8

static vmclock_u128 from_ns(uint64_t ns)
{
	return ((vmclock_u128)ns << 64) / VMCLOCK_NSEC_PER_SEC + 1;
}

static vmclock_u128 line_time(const struct calibrate_line *line, uint64_t counter)
{
	struct vmclock_time t = line->max.time;

	/* Lines that leave the range of time are never taken in. */
	vmclock_math_time(&line->max, counter, &t);
	return (vmclock_u128)t.sec << 64 | t.frac;
}

static vmclock_u128 line_error(const struct calibrate_line *line, uint64_t counter)
{
	return from_ns(vmclock_math_maxerror_ns(&line->max, counter));
}

static vmclock_u128 magnitude(s128 x)
{
	return x < 0 ? -x : x;
}

/* The rate of a line in the calibration's unit. */
static s128 line_rate(const struct calibrate *cal, const struct calibrate_line *line)
{
	int up = cal->shift - line->max.shift;

	return up >= 0 ? (s128)line->max.period << up : (s128)line->max.period >> -up;
}

static vmclock_u128 ticks_to_time(const struct calibrate *cal, uint64_t ticks)
{
	return vmclock_math_mul_shift_up(ticks, cal->rate, cal->shift);
}

static uint64_t ns_to_ticks(const struct calibrate *cal, uint64_t ns)
{
	return (from_ns(ns) << cal->shift) / cal->rate;
}

void calibrate_init(struct calibrate *cal, uint64_t interval_ns, uint64_t drift_ppb)
{
	memset(cal, 0, sizeof(*cal));
	cal->interval_ns = interval_ns;
	cal->drift_ppb = drift_ppb;
}

void calibrate_adopt(struct calibrate *cal, const struct calibrate_line *found)
{
	cal->found = *found;
	cal->has_found = true;
}

/* Measuring the rate. */

static uint64_t best_slack(const struct calibrate *cal)
{
	uint64_t best = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < cal->window_count; i++)
		if (cal->window[i].slack < best)
			best = cal->window[i].slack;
	return best;
}

static bool is_wide(const struct calibrate *cal, const struct calibrate_reading *r)
{
	uint64_t best = best_slack(cal);

	return cal->window_count && r->slack > DROP_TICKS &&
	       (r->slack - DROP_TICKS) / DROP_FACTOR > best;
}

static void window_forget_first(struct calibrate *cal)
{
	cal->window_count--;
	memmove(&cal->window[0], &cal->window[1],
		cal->window_count * sizeof(cal->window[0]));
}

/*
 * Readings that come fast are thinned out, so that a full window always spans
 * a good part of WINDOW_NS.
 */
static void window_add(struct calibrate *cal, const struct calibrate_reading *r)
{
	unsigned int n = cal->window_count;

	if (cal->rate && n > 1 &&
	    r->counter - cal->window[n - 1].counter <
	    (r->counter - cal->window[0].counter) / (CALIBRATE_READINGS / 2))
		return;
	while (cal->window_count == CALIBRATE_READINGS ||
	       (cal->window_count > RATE_READINGS &&
		r->time - cal->window[0].time > from_ns(WINDOW_NS)))
		window_forget_first(cal);
	n = cal->window_count++;
	cal->window[n].counter = r->counter;
	cal->window[n].slack = r->slack;
	cal->window[n].time = r->time;
}

static bool window_is_long_enough(const struct calibrate *cal)
{
	unsigned int n = cal->window_count;

	return n >= RATE_READINGS &&
	       cal->window[n - 1].time - cal->window[0].time >= from_ns(RATE_SPAN_NS);
}

/* The rate between two readings of the window; 0 if it is no number. */
static uint64_t window_rate(const struct calibrate *cal, unsigned int from, unsigned int to)
{
	uint64_t ticks = cal->window[to].counter - cal->window[from].counter;
	s128 time = cal->window[to].time - cal->window[from].time;
	vmclock_u128 rate;

	if (!ticks || ticks >> 63 || time <= 0 || time >> 72)
		return 0;
	rate = ((vmclock_u128)time << cal->shift) / ticks;
	return rate >> 63 ? 0 : (uint64_t)rate;
}

/* The reading that gives the best rate together with the latest one. */
static unsigned int window_best(const struct calibrate *cal)
{
	unsigned int last = cal->window_count - 1, best = 0, i;

	for (i = 1; i < last; i++) {
		vmclock_u128 slack = cal->window[i].slack + cal->window[last].slack;
		vmclock_u128 best_slack_sum = cal->window[best].slack +
					      cal->window[last].slack;

		if (slack * (cal->window[last].counter - cal->window[best].counter) <
		    best_slack_sum * (cal->window[last].counter - cal->window[i].counter))
			best = i;
	}
	return best;
}

/* How well the rate between two readings is known. */
static uint64_t window_rate_error(const struct calibrate *cal, unsigned int from,
				  unsigned int to, uint64_t rate)
{
	uint64_t ticks = cal->window[to].counter - cal->window[from].counter;
	uint64_t slack = cal->window[from].slack + cal->window[to].slack;
	/* Both ends are rounded to ns. */
	vmclock_u128 noise = vmclock_math_mul_shift_up(slack, rate, cal->shift) +
			     from_ns(2);

	return (noise << cal->shift) / ticks + 1;
}

/*
 * If the source's rate over the last seconds differs from that over the whole
 * window then the source is being slewed, or the counter has changed: nobody
 * knows which, so the error covers both.
 */
static uint64_t window_disagreement(const struct calibrate *cal, uint64_t rate)
{
	unsigned int last = cal->window_count - 1, i = last;
	uint64_t recent;

	while (i && cal->window[last].time - cal->window[i].time < from_ns(RECENT_NS))
		i--;
	recent = window_rate(cal, i, last);
	return recent ? magnitude((s128)recent - rate) : 0;
}

/*
 * Chooses the shift with which the rate between the first and the last reading
 * has its highest bit at RATE_TOP.
 */
static bool choose_shift(struct calibrate *cal)
{
	for (cal->shift = 0; cal->shift <= RATE_TOP; cal->shift++) {
		cal->rate = window_rate(cal, 0, cal->window_count - 1);
		if (cal->rate >> RATE_TOP)
			return true;
	}
	cal->rate = 0;
	return false;
}

/*
 * Do the readings lie on one line? They do not when the clock was set among
 * them, and then their rate is that of no counter.
 */
static bool window_is_straight(const struct calibrate *cal)
{
	unsigned int last = cal->window_count - 1, i;

	for (i = 1; i < last; i++) {
		uint64_t ticks = cal->window[i].counter - cal->window[0].counter;
		uint64_t slack = cal->window[0].slack + cal->window[i].slack +
				 cal->window[last].slack;
		s128 off = cal->window[i].time - cal->window[0].time -
			   ticks_to_time(cal, ticks);
		vmclock_u128 allowed = ticks_to_time(cal, slack) + from_ns(4) +
			ticks_to_time(cal, ticks) / VMCLOCK_NSEC_PER_SEC * cal->drift_ppb;

		if (magnitude(off) > allowed)
			return false;
	}
	return true;
}

static enum calibrate_verdict measure_first_rate(struct calibrate *cal)
{
	uint64_t hz;

	if (!choose_shift(cal) || !window_is_straight(cal)) {
		cal->rate = 0;
		cal->window_count = 0;
		return CALIBRATE_WARMING;
	}
	hz = calibrate_hz(cal);
	return hz >= HZ_MIN && hz <= HZ_MAX ? CALIBRATE_READY : CALIBRATE_BAD_RATE;
}

static void measure_rate(struct calibrate *cal)
{
	unsigned int last = cal->window_count - 1, first = window_best(cal);
	uint64_t rate = window_rate(cal, first, last);

	if (magnitude((s128)rate - cal->rate) > RATE_CHANGE_MAX(cal->rate)) {
		/* Keep the rate that was good, measure anew from here. */
		while (cal->window_count > 1)
			window_forget_first(cal);
		return;
	}
	cal->rate = rate;
	cal->rate_error = window_rate_error(cal, first, last, rate) +
			  window_disagreement(cal, rate);
}

uint64_t calibrate_hz(const struct calibrate *cal)
{
	return ((vmclock_u128)1 << (64 + cal->shift)) / cal->rate;
}

/* Planning the next line. */

static vmclock_u128 reading_error(const struct calibrate *cal,
				  const struct calibrate_reading *r, uint64_t error_ns)
{
	return from_ns(error_ns) + ticks_to_time(cal, r->slack) +
	       ticks_to_time(cal, r->bias);
}

static bool is_step(const struct calibrate *cal, const struct calibrate_line *line,
		    const struct calibrate_reading *r)
{
	s128 difference = r->time - line_time(line, r->counter);
	vmclock_u128 limit = 0;

	if (r->bounded)
		limit += reading_error(cal, r, r->maxerror_ns);
	if (line->bounded)
		limit += line_error(line, r->counter);
	if (!r->bounded || !line->bounded)
		limit += from_ns(STEP_UNBOUNDED_NS);
	return magnitude(difference) > limit;
}

/*
 * A line bends away from another most at the ends of the stretch where it was
 * in use, and brackets are straight there: the ends stand for all between.
 */
static void remember(struct calibrate *cal, uint64_t counter)
{
	struct calibrate_point *p = &cal->history[cal->history_next];

	p->counter = counter;
	p->time = line_time(&cal->line, counter);
	/* 1 ns less than was published, for readers that round down to ns. */
	p->error = line_error(&cal->line, counter) - from_ns(1);
	cal->history_next = (cal->history_next + 1) % (2 * CALIBRATE_HISTORY);
	if (cal->history_count < 2 * CALIBRATE_HISTORY)
		cal->history_count++;
}

static void start_line(struct calibrate *cal, const struct calibrate_reading *r)
{
	cal->line = (struct calibrate_line){
		.max = {
			.counter = r->counter,
			.time = { r->time >> 64, r->time },
			.period = cal->rate,
			.shift = cal->shift,
		},
	};
}

/* The line to continue: the one found on the page, or one through the reading. */
static void first_line(struct calibrate *cal, const struct calibrate_reading *r)
{
	const struct calibrate_line *found = &cal->found;
	struct vmclock_time unused;
	vmclock_u128 limit;

	cal->has_line = true;
	start_line(cal, r);
	if (!cal->has_found || !vmclock_math_time(&found->max, r->counter, &unused) ||
	    magnitude(line_rate(cal, found) - cal->rate) > RATE_FOUND_MAX(cal->rate))
		return;
	limit = found->bounded ? line_error(found, r->counter) :
				 from_ns(STEP_UNBOUNDED_NS);
	if (magnitude(r->time - line_time(found, r->counter)) > limit)
		return;
	cal->line = *found;
	cal->is_adopted = true;
	if (found->bounded)
		remember(cal, found->max.counter);
}

/*
 * How much slower than the present line the next may be (*@most), and how much
 * faster (-*@least), so that at each point of the history it stays inside the
 * bracket there. Turning a line about a point at @until moves it at a counter c
 * by change * (until - c), more the later the turning point; so what holds for
 * the latest one holds for all before it. No change at all is always allowed:
 * the present line was made the same way.
 */
static void nesting_limits(const struct calibrate *cal, uint64_t until,
			   s128 *least, s128 *most)
{
	s128 unit = (s128)1 << cal->shift;
	unsigned int i;

	*least = -(s128)cal->rate;
	*most = cal->rate;
	for (i = 0; i < cal->history_count; i++) {
		const struct calibrate_point *p = &cal->history[i];
		s128 off = line_time(&cal->line, p->counter) - p->time;
		s128 error = p->error, ticks = until - p->counter;
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

static bool is_past_rate(const struct calibrate *cal, uint64_t rate)
{
	unsigned int i;

	for (i = 0; i < CALIBRATE_HISTORY; i++)
		if (cal->past_rates[i] == rate)
			return true;
	return false;
}

/*
 * No two lines have the same rate, so that an equal period on two updates
 * means an equal line. One unit is 2^-61 of the rate.
 */
static uint64_t unlike_past_rates(const struct calibrate *cal, uint64_t rate)
{
	int step = rate < line_rate(cal, &cal->line) ? 1 : -1;

	/* Ends: one more candidate than there are past rates would be free. */
	while (is_past_rate(cal, rate))
		rate += step;
	return rate;
}

static uint64_t choose_rate(struct calibrate *cal, s128 difference, uint64_t until)
{
	s128 steer_ns = (s128)(STEER_INTERVALS * cal->interval_ns);
	s128 steer = difference * (s128)VMCLOCK_NSEC_PER_SEC / steer_ns;
	s128 wanted, least, most, change;

	if (steer > STEER_MAX)
		steer = STEER_MAX;
	if (steer < -STEER_MAX)
		steer = -STEER_MAX;
	wanted = cal->rate + (steer * (s128)cal->rate >> 64);

	nesting_limits(cal, until, &least, &most);
	change = line_rate(cal, &cal->line) - wanted;
	cal->clamped += change > most || change < least;
	if (change > most)
		change = most;
	if (change < least)
		change = least;
	return unlike_past_rates(cal, line_rate(cal, &cal->line) - change);
}

static void make_plan(struct calibrate *cal)
{
	const struct calibrate_reading *r = &cal->reading;
	s128 difference = r->time - line_time(&cal->line, r->counter);

	cal->plan.horizon = ns_to_ticks(cal, cal->interval_ns);
	cal->plan.new_rate = choose_rate(cal, difference,
					 r->counter + cal->plan.horizon);
	cal->plan.error = reading_error(cal, r, r->maxerror_ns) + magnitude(difference);
	cal->plan.est_error = reading_error(cal, r, r->esterror_ns) +
			      magnitude(difference);
}

enum calibrate_verdict calibrate_feed(struct calibrate *cal,
				      const struct calibrate_reading *r)
{
	enum calibrate_verdict verdict;

	if (is_wide(cal, r) && cal->dropped < DROP_MAX &&
	    (!cal->has_line || r->bounded == cal->reading.bounded)) {
		cal->dropped++;
		return CALIBRATE_DROPPED;
	}
	cal->dropped = 0;
	if (cal->has_line && is_step(cal, &cal->line, r))
		return CALIBRATE_STEP;

	window_add(cal, r);
	if (!cal->rate) {
		verdict = window_is_long_enough(cal) ? measure_first_rate(cal) :
						       CALIBRATE_WARMING;
		if (verdict != CALIBRATE_READY)
			return verdict;
	}
	if (window_is_long_enough(cal))
		measure_rate(cal);
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
		vmclock_math_mul_shift_up(ticks, rate_error, cal->shift));
}

bool calibrate_cross(struct calibrate *cal, uint64_t counter)
{
	uint64_t ticks = counter - cal->reading.counter;
	uint64_t drift = (vmclock_u128)cal->rate * cal->drift_ppb /
			 VMCLOCK_NSEC_PER_SEC + 1 + cal->rate_error;
	uint64_t old_off = magnitude(line_rate(cal, &cal->line) - cal->rate);
	uint64_t new_off = magnitude((s128)cal->plan.new_rate - cal->rate);
	uint64_t max_off = drift + new_off;
	vmclock_u128 t;

	if (ticks > cal->plan.horizon)
		return false;
	t = line_time(&cal->line, counter);
	if (cal->line.bounded)
		remember(cal, counter);
	cal->past_rates[cal->past_rate_next++ % CALIBRATE_HISTORY] = cal->plan.new_rate;
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
			.period_maxerror = max_off < cal->rate ? max_off : cal->rate,
			.maxerror_ns = error_at(cal, cal->plan.error,
						drift + old_off, ticks),
			.shift = cal->shift,
		},
		.est_ns = error_at(cal, cal->plan.est_error,
				   cal->rate_error + old_off, ticks),
		.est_rate = cal->rate_error + new_off,
		.bounded = cal->reading.bounded,
	};
	if (cal->line.bounded)
		remember(cal, counter);
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
	cal->plan.error = from_ns(cal->line.max.maxerror_ns);
	cal->plan.est_error = from_ns(cal->line.est_ns);
	cal->plan.horizon = ticks + ns_to_ticks(cal, cal->interval_ns);
	cal->plan.new_rate = choose_rate(cal, 0, cal->reading.counter + cal->plan.horizon);
	cal->is_held = calibrate_cross(cal, counter);
}

bool calibrate_rebase(const struct calibrate_line *line, uint64_t counter,
		      struct calibrate_line *at)
{
	struct vmclock_line est = line->max;

	*at = *line;
	est.period_maxerror = line->est_rate;
	est.maxerror_ns = line->est_ns;
	at->est_ns = vmclock_math_maxerror_ns(&est, counter);
	at->max.maxerror_ns = vmclock_math_maxerror_ns(&line->max, counter);
	at->max.counter = counter;
	return vmclock_math_time(&line->max, counter, &at->max.time);
}

/* An error that does not fit any more is as large as can be. */
static uint64_t shift_up(uint64_t error, int up)
{
	return up && error >> (64 - up) ? UINT64_MAX : error << up;
}

void calibrate_normalise(struct calibrate_line *line)
{
	int up = line->max.period ? __builtin_clzll(line->max.period) : 0;

	if (line->max.shift + up > VMCLOCK_MATH_SHIFT_MAX)
		up = VMCLOCK_MATH_SHIFT_MAX - line->max.shift;
	line->max.period <<= up;
	line->max.period_maxerror = shift_up(line->max.period_maxerror, up);
	line->est_rate = shift_up(line->est_rate, up);
	line->max.shift += up;
}
