// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calibration in simulated time: a counter whose rate wanders, a clock that is
 * wrong within its bound, and the truth, which calibration never sees.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calibrate.h"
#include "tap.h"

#define MSEC		1000000ULL
#define SEC		(1000 * MSEC)
#define SHIFT		31
#define HZ		2600000000ULL
#define DRIFT_PPB	15000
#define BOUND_NS	(100 * 1000ULL)
#define SAMPLES		4000

static uint64_t seed;

static uint64_t random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Uniform in [-limit, limit]. */
static int64_t random_within(uint64_t limit)
{
	return (int64_t)(random_u64() % (2 * limit + 1)) - (int64_t)limit;
}

static s128 ns(int64_t n)
{
	return n * ((s128)1 << 64) / (s128)SEC;
}

static uint64_t rate_at(int64_t ppb)
{
	s128 nominal = ((vmclock_u128)1 << (64 + SHIFT)) / HZ;

	return nominal + nominal * ppb / 1000000000;
}

/*
 * The world: the counter, the true time at it, the rate, and the clock's
 * error. What readers saw is kept: it must stay true.
 */
struct sim {
	struct calibrate cal;
	uint64_t counter;
	vmclock_u128 truth;
	int64_t ppb;
	int64_t wander_ppb;	/* the rate changes within +/- this */
	int64_t clock_error_ns;
	uint64_t noise_ns;
	uint64_t bound_ns;
	uint64_t slack;
	uint64_t bias;
	bool unbounded;
	/* what was seen */
	struct { uint64_t counter; vmclock_u128 lo, hi; } seen[SAMPLES];
	unsigned int seen_count, seen_from;
	vmclock_u128 last_point;
	uint64_t widest_ns;
	/* what went wrong */
	unsigned int outside, backwards, unnested, updates;
};

static struct sim *sim_new(void)
{
	struct sim *s = calloc(1, sizeof(*s));

	calibrate_init(&s->cal, SEC, DRIFT_PPB);
	s->counter = random_u64();
	s->truth = (vmclock_u128)1800000000 << 64;
	s->bound_ns = BOUND_NS;
	s->slack = 60;
	return s;
}

static void sim_advance(struct sim *s, uint64_t ticks)
{
	s->truth += ((vmclock_u128)ticks * rate_at(s->ppb)) >> SHIFT;
	s->counter += ticks;
	if (s->wander_ppb)
		s->ppb = random_within(s->wander_ppb);
}

/* A reader's look at the present: inside the bound, and not going back? */
static void sim_look(struct sim *s)
{
	struct calibrate_line at;
	vmclock_u128 point, error;

	if (!s->updates || !calibrate_rebase(&s->cal.line, s->counter, &at))
		return;
	point = (vmclock_u128)at.max.time.sec << 64 | at.max.time.frac;
	s->backwards += point < s->last_point;
	s->last_point = point;
	if (!at.bounded)
		return;
	error = ns(at.max.maxerror_ns) + 1;
	s->outside += s->truth > point + error || s->truth < point - error;
	if (at.max.maxerror_ns > s->widest_ns)
		s->widest_ns = at.max.maxerror_ns;
	if (s->seen_count == SAMPLES)
		return;
	s->seen[s->seen_count].counter = s->counter;
	s->seen[s->seen_count].lo = point - error;
	s->seen[s->seen_count++].hi = point + error;
}

/* Does the new line give times inside the brackets seen before? */
static void sim_check_nesting(struct sim *s)
{
	struct vmclock_time t = { 0 };
	vmclock_u128 point;
	unsigned int i;

	for (i = s->seen_from; i < s->seen_count; i++) {
		vmclock_math_time(&s->cal.line.max, s->seen[i].counter, &t);
		point = (vmclock_u128)t.sec << 64 | t.frac;
		s->unnested += point < s->seen[i].lo || point > s->seen[i].hi;
	}
	/* The promise of calibration is for the last 64 lines, 5 looks each. */
	if (s->seen_count - s->seen_from > 5 * (CALIBRATE_HISTORY - 2))
		s->seen_from = s->seen_count - 5 * (CALIBRATE_HISTORY - 2);
}

static void sim_reading(struct sim *s, struct calibrate_reading *r)
{
	*r = (struct calibrate_reading){
		.counter = s->counter + random_within(s->slack),
		.slack = s->slack,
		.bias = s->bias,
		.time = s->truth + ns(s->clock_error_ns + random_within(s->noise_ns)),
		.bounded = !s->unbounded,
		.maxerror_ns = s->bound_ns,
		.esterror_ns = s->bound_ns / 10,
	};
}

/* One reading and, 20 us later, what it leads to. */
static enum calibrate_verdict sim_read(struct sim *s)
{
	struct calibrate_reading r;
	enum calibrate_verdict verdict;

	sim_reading(s, &r);
	verdict = calibrate_feed(&s->cal, &r);
	sim_advance(s, HZ / 50000);
	sim_look(s);
	if (verdict == CALIBRATE_READY && calibrate_cross(&s->cal, s->counter)) {
		s->updates++;
		sim_look(s);
		sim_check_nesting(s);
	}
	return verdict;
}

/* Readers look at three moments in each second. */
static enum calibrate_verdict sim_run(struct sim *s, unsigned int seconds)
{
	enum calibrate_verdict verdict = CALIBRATE_WARMING;
	uint64_t at[3];
	unsigned int i;

	while (seconds--) {
		for (i = 0; i < 3; i++)
			at[i] = random_u64() % (HZ / 3) + 1;
		for (i = 0; i < 3; i++) {
			sim_advance(s, at[i]);
			sim_look(s);
			sim_advance(s, HZ / 3 - at[i] + 1);
		}
		verdict = sim_read(s);
		if (verdict == CALIBRATE_STEP)
			break;
	}
	return verdict;
}

static void sim_warm_up(struct sim *s)
{
	int i;

	for (i = 0; i < 100 && sim_read(s) == CALIBRATE_WARMING; i++)
		sim_advance(s, HZ / 100);
}

/* The three promises, and the numbers they rest on. */
static void sim_end(struct sim *s)
{
	note("%u updates, %u looks, rate limited %llu times, widest bound %llu ns",
	     s->updates, s->seen_count, (unsigned long long)s->cal.clamped,
	     (unsigned long long)s->widest_ns);
	ok(s->updates > 0);
	is_u64(s->outside, 0);
	is_u64(s->backwards, 0);
	is_u64(s->unnested, 0);
	free(s);
}

static struct sim *sim_started(void)
{
	struct sim *s = sim_new();

	sim_warm_up(s);
	return s;
}

static bool hz_is_near(const struct sim *s, int64_t hz, int64_t by)
{
	return llabs((int64_t)calibrate_hz(&s->cal) - hz) <= by;
}

TAP_TEST(a_steady_clock_gives_a_bound_near_its_own)
{
	struct sim *s = sim_new();

	s->wander_ppb = 5000;
	s->noise_ns = 200;
	sim_warm_up(s);
	sim_run(s, 600);
	ok(s->widest_ns < BOUND_NS + 40000);
	ok(hz_is_near(s, HZ, HZ / 100000));
	sim_end(s);
}

/* The clock's error moves by up to 30 us a second. */
TAP_TEST(a_clock_that_wanders_within_its_bound_keeps_all_promises)
{
	struct sim *s = sim_new();
	int i;

	s->wander_ppb = 2000;
	s->noise_ns = 300;
	sim_warm_up(s);
	for (i = 0; i < 500; i++) {
		s->clock_error_ns += random_within(30000);
		if (llabs(s->clock_error_ns) > 95000)
			s->clock_error_ns = 0;
		sim_run(s, 1);
	}
	sim_end(s);
}

/* A bound so tight that a rate chosen freely would leave older brackets. */
TAP_TEST(with_a_tight_bound_nesting_limits_the_rate)
{
	struct sim *s = sim_new();
	int i;

	s->bound_ns = 1000;
	sim_warm_up(s);
	for (i = 0; i < 500; i++) {
		s->ppb = i / 20 % 2 ? 6000 : -6000;
		s->clock_error_ns = random_within(900);
		sim_run(s, 1);
	}
	ok(s->cal.clamped > 0);
	sim_end(s);
}

/* It is known better from some time on; lines from before are not for ever. */
TAP_TEST(a_bias_that_ends_leaves_no_bracket_behind)
{
	struct sim *s = sim_new();
	uint64_t clamped;

	s->bias = 20000;
	sim_warm_up(s);
	sim_run(s, 200);
	s->bias = 0;
	sim_run(s, 200);
	clamped = s->cal.clamped;
	s->ppb = 12000;
	sim_run(s, 1000);
	s->widest_ns = 0;
	sim_run(s, 300);
	ok(s->widest_ns < BOUND_NS + 40000);
	ok(s->cal.clamped < clamped + 300);
	sim_end(s);
}

TAP_TEST(a_step_of_the_frequency_within_the_drift_breaks_no_promise)
{
	struct sim *s = sim_started();

	sim_run(s, 100);
	s->ppb = 12000;
	sim_run(s, 200);
	ok(hz_is_near(s, HZ - HZ / 1000000 * 12, 1000));
	sim_end(s);
}

TAP_TEST(an_offset_within_the_bound_is_absorbed_smoothly)
{
	struct sim *s = sim_started();
	struct vmclock_time t = { 0 };
	s128 off;

	sim_run(s, 80);
	s->clock_error_ns = 50000;
	is_int(sim_run(s, 150), CALIBRATE_READY);
	ok(vmclock_math_time(&s->cal.line.max, s->counter, &t));
	off = s->truth + ns(50000) - ((vmclock_u128)t.sec << 64 | t.frac);
	ok(off < ns(1000) && off > ns(-1000));
	sim_end(s);
}

/*
 * A line that turns down and, much later, up again could stay inside the
 * bracket at the start of the first line and leave the one at its end.
 */
TAP_TEST(both_ends_of_a_line_hold_those_that_follow)
{
	struct sim *s = sim_started();

	s->bound_ns = MSEC;
	s->clock_error_ns = -500000;
	sim_run(s, 1);
	s->clock_error_ns = 0;
	sim_advance(s, 9 * HZ);
	is_int(sim_read(s), CALIBRATE_READY);
	sim_run(s, 30);
	sim_end(s);
}

/* Up to the crossing the old line's rate counts, after it that of the new. */
TAP_TEST(the_bound_covers_drift_steering_and_the_way_to_the_crossing)
{
	struct sim *s = sim_started();
	struct calibrate *cal = &s->cal;
	uint64_t drift = rate_at(DRIFT_PPB) - rate_at(0), old, added;
	struct calibrate_reading r;

	sim_run(s, 1);
	s->clock_error_ns = 90000;
	sim_run(s, 1);
	old = cal->line.max.period;
	ok(old - cal->rate.tick > cal->rate.tick / 100000);
	sim_advance(s, HZ);
	sim_reading(s, &r);
	is_int(calibrate_feed(cal, &r), CALIBRATE_READY);
	need(calibrate_cross(cal, r.counter + HZ / 2));
	drift = drift >> (SHIFT - cal->rate.shift);
	ok(cal->line.max.period_maxerror + 100 >=
	   drift + cal->rate.error + llabs((int64_t)(cal->line.max.period - cal->rate.tick)));
	added = vmclock_math_duration_ns((vmclock_u128)(HZ / 2) *
					 (drift + old - cal->rate.tick) >> cal->rate.shift);
	ok(cal->line.max.maxerror_ns >= vmclock_math_duration_ns(cal->plan.error) + added - 1);
	free(s);
}

TAP_TEST(slack_and_bias_of_a_reading_are_in_the_bound)
{
	struct calibrate_reading r;
	struct sim *s = sim_started();

	sim_run(s, 20);
	s->slack = 200;
	sim_advance(s, HZ);
	sim_reading(s, &r);
	r.bias = 26000;
	is_int(calibrate_feed(&s->cal, &r), CALIBRATE_READY);
	need(calibrate_cross(&s->cal, r.counter));
	ok(s->cal.line.max.maxerror_ns >= BOUND_NS + 10000 + 70);
	free(s);
}

/* Steering brings the line to the clock; without a writer it goes on for ever. */
TAP_TEST(a_line_steered_when_its_writer_died_holds_the_truth_an_hour_later)
{
	struct sim *s = sim_started();

	sim_run(s, 80);
	s->clock_error_ns = 90000;
	sim_run(s, 1);
	s->ppb = -14000;
	sim_advance(s, 3600 * HZ);
	sim_look(s);
	sim_end(s);
}

TAP_TEST(brackets_without_a_common_point_are_a_step)
{
	struct sim *s = sim_started();
	uint64_t updates;

	sim_run(s, 20);
	updates = s->updates;
	s->clock_error_ns = 2 * BOUND_NS + 40000;
	is_int(sim_run(s, 1), CALIBRATE_STEP);
	is_u64(s->updates, updates);
	free(s);
}

TAP_TEST(brackets_that_overlap_are_no_step)
{
	struct sim *s = sim_started();

	sim_run(s, 20);
	s->clock_error_ns = 2 * BOUND_NS - 10000;
	is_int(sim_run(s, 1), CALIBRATE_READY);
	free(s);
}

TAP_TEST(a_lost_source_takes_the_bound_away_until_it_is_back)
{
	struct sim *s = sim_started();

	sim_run(s, 70);
	s->unbounded = true;
	s->clock_error_ns = 5 * MSEC;
	sim_run(s, 20);
	ok(!s->cal.line.bounded);
	s->unbounded = false;
	s->clock_error_ns = 0;
	sim_run(s, 100);
	ok(s->cal.line.bounded);
	sim_end(s);
}

TAP_TEST(without_a_bound_more_than_128_ms_are_a_step)
{
	struct sim *s = sim_new();

	s->unbounded = true;
	sim_warm_up(s);
	s->clock_error_ns = 120 * MSEC;
	is_int(sim_run(s, 1), CALIBRATE_READY);
	s->clock_error_ns = 300 * MSEC;
	is_int(sim_run(s, 1), CALIBRATE_STEP);
	free(s);
}

TAP_TEST(three_bad_readings_in_a_row_are_dropped_and_the_fourth_is_used)
{
	struct sim *s = sim_started();
	int i;

	s->slack = 5000000;
	for (i = 0; i < 3; i++)
		is_int(sim_run(s, 1), CALIBRATE_DROPPED);
	is_int(sim_run(s, 1), CALIBRATE_READY);
	sim_run(s, 20);
	s->slack = 60;
	sim_run(s, 20);
	sim_end(s);
}

TAP_TEST(a_clock_set_while_the_rate_is_measured_does_not_spoil_it)
{
	struct sim *s = sim_new();
	int i;

	for (i = 0; i < 8; i++) {
		sim_read(s);
		sim_advance(s, HZ / 100);
	}
	s->clock_error_ns = SEC;
	sim_warm_up(s);
	ok(s->updates > 0);
	ok(hz_is_near(s, HZ, 10000));
	free(s);
}

/* Too small a jump to be seen beside the readings' slack, in a very short time. */
TAP_TEST(a_clock_that_jumped_while_the_rate_was_measured_is_in_its_error)
{
	struct sim *s = sim_new();
	struct calibrate_rate *rate = &s->cal.rate;
	int i;

	s->slack = 6000;
	for (i = 0; i < 16 && !rate->tick; i++) {
		struct calibrate_reading r;

		s->clock_error_ns = i < 6 ? 0 : 6000;
		sim_reading(s, &r);
		r.counter = s->counter;
		calibrate_feed(&s->cal, &r);
		sim_advance(s, HZ / 100);
	}
	need(rate->tick);
	ok(rate->tick > (rate_at(30000) >> (SHIFT - rate->shift)));
	ok(rate->tick - rate->error <= rate_at(0) >> (SHIFT - rate->shift));
	free(s);
}

/* Feeds a counter of so many ticks in 10 ms. */
static enum calibrate_verdict feed_counter(uint64_t ticks, int *readings)
{
	struct calibrate_reading r = { .time = (vmclock_u128)1 << 94 };
	enum calibrate_verdict verdict = CALIBRATE_WARMING;
	struct calibrate cal;

	calibrate_init(&cal, SEC, DRIFT_PPB);
	for (*readings = 0; *readings < 100 && verdict == CALIBRATE_WARMING; ++*readings) {
		verdict = calibrate_feed(&cal, &r);
		r.time += ns(10 * MSEC);
		r.counter += ticks;
	}
	return verdict;
}

TAP_TEST(a_counter_that_stands_still_never_gets_a_rate)
{
	int readings;

	is_int(feed_counter(0, &readings), CALIBRATE_WARMING);
	is_int(readings, 100);
}

TAP_TEST(a_frequency_out_of_range_is_refused)
{
	int readings;

	is_int(feed_counter(1000, &readings), CALIBRATE_BAD_RATE);
	is_int(feed_counter(2000000000, &readings), CALIBRATE_BAD_RATE);
	is_int(feed_counter(240000, &readings), CALIBRATE_READY);
}

TAP_TEST(a_crossing_that_is_not_soon_after_its_reading_leaves_the_old_line)
{
	struct sim *s = sim_started();
	struct calibrate_line before = s->cal.line;
	struct calibrate_reading r;

	sim_advance(s, HZ);
	sim_reading(s, &r);
	is_int(calibrate_feed(&s->cal, &r), CALIBRATE_READY);
	ok(!calibrate_cross(&s->cal, r.counter + HZ + HZ / 10));
	ok(!calibrate_cross(&s->cal, r.counter - 1));
	ok(!memcmp(&before, &s->cal.line, sizeof(before)));
	ok(calibrate_cross(&s->cal, r.counter + HZ / 10));
	free(s);
}

/* A line on the page, with another shift than ours, off by so much. */
static struct sim *sim_with_found_line(int64_t off_ns)
{
	struct sim *s = sim_new();
	struct calibrate_line found = {
		.max = {
			.counter = s->counter,
			.time = { (s->truth + ns(off_ns)) >> 64, s->truth + ns(off_ns) },
			.period = rate_at(0) >> 3,
			.period_maxerror = rate_at(0) >> 18,
			.maxerror_ns = BOUND_NS,
			.shift = SHIFT - 3,
		},
		.bounded = true,
	};

	calibrate_adopt(&s->cal, &found);
	s->last_point = s->truth + ns(off_ns);
	s->seen[s->seen_count].counter = s->counter;
	s->seen[s->seen_count].lo = s->last_point - ns(BOUND_NS) - 1;
	s->seen[s->seen_count++].hi = s->last_point + ns(BOUND_NS) + 1;
	sim_advance(s, HZ / 2);
	return s;
}

TAP_TEST(a_line_found_on_the_page_is_continued_if_it_holds_the_clock)
{
	struct sim *s = sim_with_found_line(90000);

	sim_warm_up(s);
	ok(s->cal.is_adopted);
	sim_run(s, 5);
	s->clock_error_ns = -60000;
	sim_run(s, 55);
	sim_end(s);
}

TAP_TEST(a_line_found_on_the_page_is_given_up_if_it_does_not)
{
	struct sim *s = sim_with_found_line(2 * MSEC);

	sim_warm_up(s);
	ok(!s->cal.is_adopted);
	is_u64(s->outside, 0);
	free(s);
}

TAP_TEST(a_line_found_on_the_page_is_given_up_if_its_rate_is_another)
{
	struct sim *s = sim_new();
	struct calibrate_line found = {
		.max = {
			.counter = s->counter,
			.time = { s->truth >> 64, s->truth },
			.period = rate_at(5000000),
			.maxerror_ns = UINT64_MAX,
			.shift = SHIFT,
		},
		.bounded = true,
	};

	calibrate_adopt(&s->cal, &found);
	sim_warm_up(s);
	ok(s->updates > 0 && !s->cal.is_adopted);
	free(s);
}

/* Without noise the same rate would be measured again and again. */
TAP_TEST(no_two_lines_have_the_same_rate)
{
	struct sim *s = sim_new();
	uint64_t rates[60];
	int i, j, equal = 0;

	s->slack = 0;
	sim_warm_up(s);
	for (i = 0; i < 60; i++) {
		sim_run(s, 1);
		rates[i] = s->cal.line.max.period;
		for (j = 0; j < i; j++)
			equal += rates[i] == rates[j];
	}
	is_int(equal, 0);
	sim_end(s);
}

TAP_TEST(re_based_lines_are_one_line_within_a_unit)
{
	struct sim *s = sim_started();
	vmclock_u128 origin, lowest = ~(vmclock_u128)0, highest = 0;
	struct calibrate_line at;
	int i;

	for (i = 0; i < 10000; i++) {
		need(calibrate_rebase(&s->cal.line, s->counter + random_u64() % (100 * HZ), &at));
		calibrate_normalise(&at);
		/* As a reader sees it: from the published fields. */
		origin = ((vmclock_u128)at.max.time.sec << 64 | at.max.time.frac) -
			 ((vmclock_u128)(at.max.counter - s->cal.line.max.counter) *
			  at.max.period >> at.max.shift);
		lowest = origin < lowest ? origin : lowest;
		highest = origin > highest ? origin : highest;
	}
	ok(highest - lowest <= 1);
	free(s);
}

static void check_normalised(uint64_t hz)
{
	struct calibrate_line line = {
		.max = { .period = ((vmclock_u128)1 << 93) / hz, .shift = 29 },
	};
	struct calibrate_line normal = line;
	struct vmclock_time a, b;

	calibrate_normalise(&normal);
	is_u64(normal.max.period >> 63, 1);
	need(vmclock_math_time(&line.max, 123456789012345, &a));
	need(vmclock_math_time(&normal.max, 123456789012345, &b));
	is_u64(b.sec, a.sec);
	is_u64(b.frac, a.frac);
}

TAP_TEST(a_normalised_period_has_bit_63_set_and_gives_the_same_times)
{
	check_normalised(24000000);
	check_normalised(1000000000);
	check_normalised(1 << 30);
	check_normalised(2600000000);
}

int main(void)
{
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;
	note("SEED=%llu", (unsigned long long)seed);
	return tap_main();
}
