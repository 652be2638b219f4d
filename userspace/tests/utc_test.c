// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stamps in UTC, TAI and smeared UTC, against a model that knows nothing of
 * how the library does it.
 */
#include <errno.h>
#include <stdlib.h>

#include "counter.h"
#include "internal.h"
#include "tap.h"
#include "vectors.h"
#include "vmclk-stamp.h"

#define SCRIPT	"utc_vectors.py"

/* The end of 2016, which a second was inserted at. */
#define MIDNIGHT	1483228800

static struct vmclk_time time_of(const uint64_t *two)
{
	return (struct vmclk_time){ (int64_t)two[0], (uint32_t)two[1] };
}

static struct vmclk_stamp stamp_of(const struct vector *v, uint8_t time_type)
{
	return (struct vmclk_stamp){
		.counter = 5, .page_id = 6, .disruption_marker = 7,
		.valid = VMCLK_STAMP_TIME | VMCLK_STAMP_TAI_OFFSET | (uint32_t)v->args[9],
		.time_type = time_type,
		.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED,
		.reference_sec = (int64_t)v->args[0],
		.tai_offset_sec = (int16_t)v->args[1],
		.leap_indicator = (uint8_t)v->args[2],
		.point = time_of(&v->args[3]), .earliest = time_of(&v->args[5]),
		.latest = time_of(&v->args[7]),
	};
}

static void is_time(const struct vmclk_time *time, const int64_t *two)
{
	is_int(time->sec, two[0]);
	is_int(time->nsec, two[1]);
}

static void is_stamp(const struct vmclk_stamp *s, const struct vector *v, uint8_t time_type)
{
	is_time(&s->point, &v->results[0]);
	is_time(&s->earliest, &v->results[2]);
	is_time(&s->latest, &v->results[4]);
	is_int(s->valid & (VMCLK_STAMP_LEAP_SECOND | VMCLK_STAMP_POINT_IS_60), v->results[6]);
	is_int(s->reference_sec, v->results[7]);
	is_int(s->tai_offset_sec, v->results[8]);
	is_int(s->time_type, time_type);
	is_u64(s->counter + s->page_id + s->disruption_marker, 18);
}

/* The conversion as @v wants it, or refused with nothing changed. */
static void converts(const struct vector *v, uint8_t from, uint8_t to,
		     int (*convert)(const struct vmclk_stamp *, struct vmclk_stamp *))
{
	struct vmclk_stamp in = stamp_of(v, from), out, before;

	memset(&out, 0xcc, sizeof(out));
	before = out;
	is_int(convert(&in, &out), v->refused ? -VMCLK_EUTC : 0);
	if (v->refused)
		ok(!memcmp(&out, &before, sizeof(out)));
	else
		is_stamp(&out, v, to);
	is_int(convert(&in, &in), v->refused ? -VMCLK_EUTC : 0);
	ok(v->refused || !memcmp(&in, &out, sizeof(in)));
}

static void utc_vector(const struct vector *v)
{
	converts(v, VMCLOCK_PAGE_TIME_TAI, VMCLOCK_PAGE_TIME_UTC, vmclk_to_utc);
}

static void tai_vector(const struct vector *v)
{
	converts(v, VMCLOCK_PAGE_TIME_UTC, VMCLOCK_PAGE_TIME_TAI, vmclk_to_tai);
}

static void line_vector(const struct vector *v)
{
	struct vmclk_stamp s = stamp_of(v, VMCLOCK_PAGE_TIME_UTC);

	is_int(vmclk__line_to_utc(&s), !v->refused);
	if (!v->refused)
		is_stamp(&s, v, VMCLOCK_PAGE_TIME_UTC);
}

static void smears(const struct vector *v,
		   int (*smear)(const struct vmclk_stamp *, struct vmclk_smeared *))
{
	const struct vmclk_stamp in = stamp_of(v, VMCLOCK_PAGE_TIME_TAI);
	struct vmclk_smeared out = { .point = { 0xcccc, 0xdddd } };

	is_int(smear(&in, &out), v->refused ? -VMCLK_EUTC : 0);
	if (v->refused) {
		is_int(out.point.sec + out.point.nsec, 0xcccc + 0xdddd);
		return;
	}
	is_time(&out.point, &v->results[0]);
	is_time(&out.earliest, &v->results[2]);
	is_time(&out.latest, &v->results[4]);
}

static void noon_vector(const struct vector *v)
{
	smears(v, vmclk_smear_noon_linear);
}

static void sls_vector(const struct vector *v)
{
	smears(v, vmclk_smear_utc_sls);
}

TAP_TEST(tai_becomes_utc_as_the_model_has_it)
{
	vectors_from(SCRIPT, "utc", 8000, utc_vector);
}

TAP_TEST(utc_becomes_tai_as_the_model_has_it)
{
	vectors_from(SCRIPT, "tai", 24000, tai_vector);
}

TAP_TEST(the_line_of_a_page_in_utc_becomes_utc_as_the_model_has_it)
{
	vectors_from(SCRIPT, "line", 8000, line_vector);
}

TAP_TEST(the_smear_from_noon_to_noon_is_that_of_the_model)
{
	vectors_from(SCRIPT, "noon", 8000, noon_vector);
}

TAP_TEST(utc_sls_is_that_of_the_model)
{
	vectors_from(SCRIPT, "sls", 8000, sls_vector);
}

/* TAI at so many ms from 23:59:60, known to 1 ms; the page is of 23:59:50. */
static struct vmclk_stamp around_leap(int64_t ms)
{
	int64_t tai = (MIDNIGHT + 36) * 1000LL + ms;
	struct vmclk_stamp s = {
		.valid = VMCLK_STAMP_TIME | VMCLK_STAMP_TAI_OFFSET,
		.time_type = VMCLOCK_PAGE_TIME_TAI, .tai_offset_sec = -36,
		.leap_indicator = VMCLOCK_PAGE_LEAP_PRE_POS,
		.reference_sec = MIDNIGHT + 36 - 10,
		.point = { tai / 1000, tai % 1000 * 1000000 },
	};

	s.earliest = (struct vmclk_time){ (tai - 1) / 1000, (tai - 1) % 1000 * 1000000 };
	s.latest = (struct vmclk_time){ (tai + 1) / 1000, (tai + 1) % 1000 * 1000000 };
	return s;
}

/* No pair of moments is ordered by UTC another way than by TAI. */
TAP_TEST(utc_never_orders_wrongly_around_an_inserted_second)
{
	unsigned int kept = 0;

	for (int64_t i = -2500; i <= 2500; i += 50) {
		for (int64_t k = -2500; k <= 2500; k += 50) {
			struct vmclk_stamp a = around_leap(i), b = around_leap(k), ua, ub;
			enum vmclk_order tai, utc;

			need(!vmclk_compare(&a, &b, &tai));
			need(!vmclk_to_utc(&a, &ua) && !vmclk_to_utc(&b, &ub));
			need(!vmclk_compare(&ua, &ub, &utc));
			ok(utc == tai || utc == VMCLK_OVERLAPS);
			kept += utc == tai;
		}
	}
	ok(kept > 5000);
}

TAP_TEST(there_and_back_again_loses_no_moment)
{
	for (int64_t ms = -3000; ms <= 3000; ms += 7) {
		struct vmclk_stamp s = around_leap(ms), utc, tai;

		need(!vmclk_to_utc(&s, &utc) && !vmclk_to_tai(&utc, &tai));
		ok(!memcmp(&tai.point, &s.point, sizeof(s.point)));
		ok(!vmclk__is_earlier(&s.earliest, &tai.earliest));
		ok(!vmclk__is_earlier(&tai.latest, &s.latest));
		is_int(tai.valid, s.valid);
		if (!(utc.valid & VMCLK_STAMP_LEAP_SECOND))
			ok(!memcmp(&tai, &s, sizeof(s)));
	}
}

TAP_TEST(smeared_time_never_goes_back)
{
	struct vmclk_smeared last_noon = { 0 }, last_sls = { 0 };

	for (int64_t s = -50000; s <= 50000; s += 3) {
		struct vmclk_stamp stamp = around_leap(s * 1000);
		struct vmclk_smeared noon, sls;

		need(!vmclk_smear_noon_linear(&stamp, &noon));
		need(!vmclk_smear_utc_sls(&stamp, &sls));
		ok(vmclk__is_earlier(&last_noon.point, &noon.point));
		ok(vmclk__is_earlier(&last_sls.point, &sls.point));
		last_noon = noon;
		last_sls = sls;
	}
}

/* 23:59:60.5 is 999.5 s into the last 1000 s of the day. */
TAP_TEST(utc_sls_shows_the_inserted_second_as_worked_out_by_hand)
{
	struct vmclk_stamp s = around_leap(500);
	struct vmclk_smeared out;

	need(!vmclk_smear_utc_sls(&s, &out));
	is_int(out.point.sec, MIDNIGHT - 1);
	is_int(out.point.nsec, 500500000);
	is_int(out.earliest.nsec, 499501000);
	is_int(out.latest.nsec, 501499000);
}

TAP_TEST(a_stamp_in_its_own_scale_is_only_copied)
{
	struct vmclk_stamp s = around_leap(0), out;

	s.valid &= ~VMCLK_STAMP_TAI_OFFSET;
	is_int(vmclk_to_tai(&s, &out), 0);
	ok(!memcmp(&s, &out, sizeof(s)));
	s.time_type = VMCLOCK_PAGE_TIME_UTC;
	is_int(vmclk_to_utc(&s, &out), 0);
	ok(!memcmp(&s, &out, sizeof(s)));
	is_int(vmclk_to_tai(&s, &out), -VMCLK_EUTC);
}

/* What every function here says to @s. */
static void refused(const struct vmclk_stamp *s, int error)
{
	struct vmclk_smeared smeared;
	struct vmclk_stamp out;

	is_int(vmclk_to_utc(s, &out), error);
	is_int(vmclk_smear_noon_linear(s, &smeared), error);
	is_int(vmclk_smear_utc_sls(s, &smeared), error);
}

TAP_TEST(what_has_no_utc_is_refused)
{
	struct vmclk_stamp s = around_leap(0);

	s.valid &= ~VMCLK_STAMP_TAI_OFFSET;
	refused(&s, -VMCLK_EUTC);
	s = around_leap(0);
	s.time_type = VMCLOCK_PAGE_TIME_MONOTONIC;
	refused(&s, -VMCLK_ESCALES);
	is_int(vmclk_to_tai(&s, &s), -VMCLK_ESCALES);
	s = around_leap(0);
	s.valid &= ~VMCLK_STAMP_TIME;
	refused(&s, -VMCLK_ENOTIME);
	is_int(vmclk_to_tai(&s, &s), -VMCLK_ENOTIME);
}

TAP_TEST(stamps_that_are_no_intervals_are_refused)
{
	struct vmclk_stamp s = around_leap(0);

	s.latest.nsec = 1000000000;
	refused(&s, -EINVAL);
	s = around_leap(0);
	s.earliest.sec += 5;
	refused(&s, -EINVAL);
	s = around_leap(0);
	s.point.sec = INT64_MAX;
	refused(&s, -EINVAL);
	is_int(vmclk_to_tai(&s, &s), -EINVAL);
}

/* Under the sanitizers: no sum of hostile seconds overflows. */
TAP_TEST(seconds_out_of_all_range_are_refused)
{
	static const int64_t secs[] = { INT64_MIN, INT64_MIN / 4, INT64_MAX / 4, INT64_MAX };

	for (unsigned int i = 0; i < 4; i++) {
		struct vmclk_stamp s = around_leap(0);

		s.reference_sec = secs[i];
		refused(&s, -VMCLK_EUTC);
		ok(!vmclk__line_to_utc(&s));
		s.point.sec = s.earliest.sec = s.latest.sec = secs[i];
		s.point.nsec = s.earliest.nsec = s.latest.nsec = 0;
		refused(&s, -VMCLK_EUTC);
		ok(!vmclk__line_to_utc(&s));
		s.time_type = VMCLOCK_PAGE_TIME_UTC;
		is_int(vmclk_to_tai(&s, &s), -VMCLK_EUTC);
	}
}

/* The reference point is @from and a half s from midnight; what is @sec later? */
static int around_midnight(uint8_t time_type, uint8_t leap_indicator, int from, int64_t sec,
			   struct vmclk_stamp *s)
{
	const struct vmclk_snapshot snap = {
		.size = 4096, .counter_valid = 1, .counter_id = (uint8_t)COUNTER_ID,
		.time_type = time_type, .leap_indicator = leap_indicator,
		.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED,
		.flags = VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID |
			 VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID,
		.counter_value = 1ULL << 60, .counter_period_frac_sec = 1ULL << 63,
		.counter_period_shift = 29, .time_sec = MIDNIGHT + from,
		.time_frac_sec = 1ULL << 63, .time_maxerror_nanosec = 1000,
	};

	/* 2^30 Hz */
	vmclk_stamp_at(&snap, (1ULL << 60) + (uint64_t)(sec * (1 << 30)), s);
	is_int(s->leap_indicator, leap_indicator);
	return s->reason;
}

/* There is a time then, @point and a half s from midnight in numbers of UTC. */
static void utc_is(uint8_t leap_indicator, int from, int sec, int point, bool is_60)
{
	struct vmclk_stamp s;

	is_int(around_midnight(VMCLOCK_PAGE_TIME_UTC, leap_indicator, from, sec, &s), VMCLK_OK);
	is_int(s.point.sec, MIDNIGHT + point);
	is_int(s.point.nsec, 500000000);
	is_int(s.valid & VMCLK_STAMP_LEAP_SECOND, is_60 ? VMCLK_STAMP_LEAP_SECOND : 0);
	is_int(s.valid & VMCLK_STAMP_POINT_IS_60, is_60 ? VMCLK_STAMP_POINT_IS_60 : 0);
	is_int(s.earliest.nsec == 0, is_60);
	is_int(s.latest.sec, MIDNIGHT + point + is_60);
}

TAP_TEST(utc_is_told_across_an_announced_leap_second)
{
	utc_is(VMCLOCK_PAGE_LEAP_PRE_POS, -10, 9, -1, false);
	utc_is(VMCLOCK_PAGE_LEAP_PRE_POS, -10, 10, -1, true);
	utc_is(VMCLOCK_PAGE_LEAP_PRE_POS, -10, 11, 0, false);
	utc_is(VMCLOCK_PAGE_LEAP_PRE_NEG, -10, 8, -2, false);
	utc_is(VMCLOCK_PAGE_LEAP_PRE_NEG, -10, 9, 0, false);
}

TAP_TEST(utc_is_told_before_a_leap_second_just_past)
{
	utc_is(VMCLOCK_PAGE_LEAP_POST_POS, 10, -10, 0, false);
	utc_is(VMCLOCK_PAGE_LEAP_POST_POS, 10, -11, -1, true);
	utc_is(VMCLOCK_PAGE_LEAP_POST_POS, 10, -12, -1, false);
	utc_is(VMCLOCK_PAGE_LEAP_POST_NEG, 10, -10, 0, false);
	utc_is(VMCLOCK_PAGE_LEAP_POST_NEG, 10, -11, -2, false);
}

/* Inside the inserted second, with an unknown indicator, and two months on. */
TAP_TEST(utc_is_not_told_where_leap_seconds_are_not_known)
{
	struct vmclk_stamp s;

	is_int(around_midnight(VMCLOCK_PAGE_TIME_UTC, VMCLOCK_PAGE_LEAP_POS, -1, 0, &s),
	       VMCLK_LEAP_SECOND);
	is_int(s.point.sec | s.earliest.sec | s.latest.sec, 0);
	is_int(s.valid & VMCLK_STAMP_TIME, 0);
	is_int(around_midnight(VMCLOCK_PAGE_TIME_UTC, 6, -10, 0, &s), VMCLK_LEAP_SECOND);
	is_int(around_midnight(VMCLOCK_PAGE_TIME_UTC, VMCLOCK_PAGE_LEAP_NONE, -10, 60, &s),
	       VMCLK_OK);
	is_int(around_midnight(VMCLOCK_PAGE_TIME_UTC, VMCLOCK_PAGE_LEAP_NONE, -10,
			       60 * 86400, &s), VMCLK_LEAP_SECOND);
}

TAP_TEST(leap_seconds_do_not_matter_to_tai)
{
	struct vmclk_stamp s;

	for (int leap = VMCLOCK_PAGE_LEAP_NONE; leap <= VMCLOCK_PAGE_LEAP_POST_NEG; leap++) {
		is_int(around_midnight(VMCLOCK_PAGE_TIME_TAI, leap, -10, 60, &s), VMCLK_OK);
		is_int(s.point.sec, MIDNIGHT + 50);
	}
}

int main(void)
{
	return tap_main();
}
