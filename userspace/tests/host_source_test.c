// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is made of the kernel's clock: the estimate, its bound, leap seconds,
 * and the time scale.
 */
#include <stdlib.h>

#include <linux/vmclock-page.h>

#include "clock.h"
#include "host_fake_kernel.h"
#include "scale.h"
#include "source-kernel.h"
#include "tap.h"

static struct source_kernel source;
static struct source_reading reading;

static int64_t realtime_ns(void)
{
	/* Rounded, since the conversion from ns rounds down. */
	return (int64_t)(((reading.realtime >> 32) * 1000000000 + (1u << 31)) >> 32);
}

static int read_fresh(void)
{
	source = (struct source_kernel){ 0 };
	return source_kernel_read(&source, &reading);
}

TAP_TEST(the_bound_is_maxerror_its_staleness_and_rounding)
{
	fake_reset();
	is_int(read_fresh(), 0);
	ok(reading.bounded);
	is_u64(reading.maxerror_ns, (1000 + 500) * 1000 + 1);
	is_u64(reading.esterror_ns, 10 * 1000 + 1);
	is_int(realtime_ns(), FAKE_NOW_NS);
	is_int(reading.kernel_tai, 37);
	ok(reading.slack > 0 && counter_read_ordered() - reading.counter < 1ULL << 40);
}

TAP_TEST(an_unsynchronized_clock_has_no_bound)
{
	fake_reset();
	kernel.tx.status |= STA_UNSYNC;
	is_int(read_fresh(), 0);
	ok(!reading.bounded);

	fake_reset();
	kernel.state = TIME_ERROR;
	is_int(read_fresh(), 0);
	ok(!reading.bounded);
}

TAP_TEST(an_assumed_bound_replaces_the_kernels)
{
	fake_reset();
	kernel.tx.status |= STA_UNSYNC;
	kernel.tx.maxerror = 16000000;
	kernel.state = TIME_ERROR;
	source = (struct source_kernel){ .assumed_ns = 5000 };
	is_int(source_kernel_read(&source, &reading), 0);
	ok(reading.bounded);
	is_u64(reading.maxerror_ns, 5001);
}

TAP_TEST(what_the_kernel_still_has_to_slew_is_added)
{
	fake_reset();
	kernel.tx.offset = -1500000;
	is_int(read_fresh(), 0);
	is_int(realtime_ns(), FAKE_NOW_NS - 1500000);
	/* The part under way in this second: 1/16 of the offset before it. */
	is_u64(reading.maxerror_ns, 1500001 + 1500000 / 15 + 1);
}

TAP_TEST(an_offset_in_microseconds_is_understood)
{
	struct timex tx = { .offset = 250, .constant = 10 };
	uint64_t error;

	is_int(source_slew_ns(&tx, &error), 250000);
	is_u64(error, 1000 + 250000 / 4095 + 1);
	tx.offset = -250;
	is_int(source_slew_ns(&tx, &error), -250000);
	tx.offset = 0;
	is_int(source_slew_ns(&tx, &error), 0);
	is_u64(error, 0);
}

TAP_TEST(a_negative_offset_divided_as_unsigned_is_understood)
{
	struct timex tx = { .constant = 10 };
	uint64_t error;
	int wrong = 0;

	for (int64_t ns = -1000; ns >= -500000000; ns -= 333333) {
		tx.offset = (uint32_t)ns / 1000;
		wrong += llabs(source_slew_ns(&tx, &error) - ns) > (int64_t)error;
	}
	is_int(wrong, 0);
}

TAP_TEST(an_adjtime_under_way_is_added_and_widens_the_bound)
{
	fake_reset();
	source = (struct source_kernel){ 0 };
	kernel.adjtime_us = -700;
	is_int(source_kernel_read(&source, &reading), 0);
	is_int(realtime_ns(), FAKE_NOW_NS - 700000);
	is_u64(reading.maxerror_ns, 1500001 + 500000);

	/* Its last piece is not seen, but may be under way. */
	kernel.adjtime_us = 0;
	kernel.monotonic_ns += 1000000000;
	is_int(source_kernel_read(&source, &reading), 0);
	is_u64(reading.maxerror_ns, 1500001 + 500000);
	kernel.monotonic_ns += 2000000000;
	is_int(source_kernel_read(&source, &reading), 0);
	is_u64(reading.maxerror_ns, 1500001);
}

TAP_TEST(a_clock_that_cannot_be_read_is_an_error)
{
	fake_reset();
	kernel.error = EPERM;
	is_int(read_fresh(), -EPERM);
}

TAP_TEST(a_clock_that_changes_all_the_time_is_tried_again_later)
{
	fake_reset();
	kernel.flickers = true;
	is_int(read_fresh(), -EAGAIN);
}

TAP_TEST(a_clock_before_1970_is_refused)
{
	fake_reset();
	kernel.real_ns = -5;
	is_int(read_fresh(), -ERANGE);
	kernel.real_ns = 5;
	kernel.tx.offset = -1000;
	is_int(read_fresh(), -ERANGE);
}

/* 2016-12-31 23:59:59, the second before the one that was inserted. */
#define LEAP_2016	1483228799

TAP_TEST(the_kernels_leap_state_becomes_the_indicator)
{
	is_u64(source_leap_indicator(TIME_OK, 0, LEAP_2016), VMCLOCK_PAGE_LEAP_NONE);
	is_u64(source_leap_indicator(TIME_ERROR, STA_INS, LEAP_2016), VMCLOCK_PAGE_LEAP_NONE);
	is_u64(source_leap_indicator(TIME_INS, STA_INS, LEAP_2016), VMCLOCK_PAGE_LEAP_PRE_POS);
	is_u64(source_leap_indicator(TIME_DEL, STA_DEL, LEAP_2016), VMCLOCK_PAGE_LEAP_PRE_NEG);
	is_u64(source_leap_indicator(TIME_INS, STA_INS, LEAP_2016 - 86400),
	       VMCLOCK_PAGE_LEAP_NONE);
	is_u64(source_leap_indicator(TIME_OOP, STA_INS, LEAP_2016), VMCLOCK_PAGE_LEAP_POS);
	is_u64(source_leap_indicator(TIME_WAIT, STA_INS, LEAP_2016 + 1),
	       VMCLOCK_PAGE_LEAP_POST_POS);
	is_u64(source_leap_indicator(TIME_WAIT, STA_DEL, LEAP_2016 + 1),
	       VMCLOCK_PAGE_LEAP_POST_NEG);
	is_u64(source_leap_indicator(TIME_WAIT, 0, LEAP_2016 + 1), VMCLOCK_PAGE_LEAP_NONE);
}

static const struct leap_list no_list;
static const struct leap_list leap_2016 = {
	.count = 2,
	.expires = LEAP_2016 + 100 * 86400,
	.entry = { { 1435708800, 36 }, { LEAP_2016 + 1, 37 } },
};

static struct source_reading at(int64_t utc, int kernel_tai)
{
	return (struct source_reading){
		.realtime = (vmclock_u128)utc << 64, .kernel_tai = kernel_tai, .bounded = true,
	};
}

static uint64_t seconds_by(struct scale *scale, struct source_reading r, uint64_t expected,
			   uint64_t expected_ms, uint64_t maxerror_ms)
{
	struct calibrate_line line = {
		.max.time = { expected, expected_ms * (UINT64_MAX / 1000) },
		.max.maxerror_ns = maxerror_ms * 1000000,
		.bounded = maxerror_ms,
	};

	return scale_time(scale, &r, &line, 0) >> 64;
}

/* @expected: 0 where there is no line */
static uint64_t seconds(struct scale *scale, struct source_reading r, uint64_t expected)
{
	return expected ? seconds_by(scale, r, expected, 0, 1) : scale_time(scale, &r, NULL, 0) >> 64;
}

TAP_TEST(a_kernel_that_knows_the_offset_gives_tai)
{
	struct source_reading r = at(1000, 37);
	struct scale scale;
	int16_t offset;

	scale_init(&scale, &r, &no_list, false, NULL);
	is_u64(scale_time_type(&scale), VMCLOCK_PAGE_TIME_TAI);
	is_u64(seconds(&scale, r, 0), 1037);
	ok(scale_tai_offset(&scale, &offset));
	is_int(offset, -37);
}

TAP_TEST(without_any_offset_the_page_is_utc_and_says_so)
{
	struct source_reading r = at(1000, 0);
	struct scale scale;
	int16_t offset;

	scale_init(&scale, &r, &no_list, false, NULL);
	is_u64(scale_time_type(&scale), VMCLOCK_PAGE_TIME_UTC);
	ok(!scale_tai_offset(&scale, &offset));
	is_int(offset, 0);
	is_u64(scale_page_seconds(&scale, seconds(&scale, r, 0)), 1000);
}

TAP_TEST(an_offset_given_by_the_operator_comes_first)
{
	struct source_reading r = at(1000, 37);
	struct scale scale;
	int given = -20;

	scale_init(&scale, &r, &no_list, false, &given);
	is_u64(seconds(&scale, r, 0), 1020);
	scale_init(&scale, &r, &no_list, true, NULL);
	is_u64(scale_time_type(&scale), VMCLOCK_PAGE_TIME_UTC);
}

TAP_TEST(the_list_is_asked_when_the_kernel_does_not_know)
{
	struct source_reading r = at(LEAP_2016, 0);
	struct scale scale;

	scale_init(&scale, &r, &leap_2016, false, NULL);
	is_u64(seconds(&scale, r, 0), LEAP_2016 + 36);
	/* In the second that is inserted, the kernel's clock is one behind. */
	r.leap_indicator = VMCLOCK_PAGE_LEAP_POS;
	scale_init(&scale, &r, &leap_2016, false, NULL);
	is_u64(seconds(&scale, r, 0), LEAP_2016 + 37);
	r = at(leap_2016.expires, 0);
	scale_init(&scale, &r, &leap_2016, false, NULL);
	is_u64(scale_time_type(&scale), VMCLOCK_PAGE_TIME_UTC);
}

/* The kernel counts from 0 when nobody tells it, and inserts a second. */
TAP_TEST(a_leap_second_does_not_disturb_the_line)
{
	struct source_reading r = at(LEAP_2016, 0);
	struct scale scale;
	int16_t offset;

	scale_init(&scale, &r, &leap_2016, false, NULL);
	is_u64(seconds(&scale, at(LEAP_2016, 0), LEAP_2016 + 36), LEAP_2016 + 36);
	is_u64(seconds(&scale, at(LEAP_2016, 1), LEAP_2016 + 37), LEAP_2016 + 37);
	is_u64(seconds(&scale, at(LEAP_2016 + 1, 1), LEAP_2016 + 38), LEAP_2016 + 38);
	ok(scale_tai_offset(&scale, &offset));
	is_int(offset, -37);
}

/* Of UTC + 36, in the second after a leap second of which it was told. */
static uint64_t seconds_after_leap(uint8_t indicator, int kernel_tai, uint64_t line_sec,
				   uint64_t line_ms, uint64_t maxerror_ms)
{
	struct source_reading r = at(LEAP_2016, 10);
	struct scale scale;
	int given = -36;

	scale_init(&scale, &r, &no_list, false, &given);
	r = at(LEAP_2016, kernel_tai);
	r.leap_indicator = indicator;
	if (!line_sec)
		return seconds(&scale, r, 0) - LEAP_2016;
	return seconds_by(&scale, r, LEAP_2016 + line_sec, line_ms, maxerror_ms) - LEAP_2016;
}

TAP_TEST(a_line_too_far_off_to_tell_a_leap_second_leaves_that_to_the_kernel)
{
	/* 0.6 s from the truth, and 0.4 s from what it would be otherwise. */
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POS, 11, 36, 400, 700), 37);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 11, 36, 400, 700), 37);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_NEG, 9, 35, 600, 700), 35);
	/* So too if it is not as good as it says, or says nothing and is. */
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 11, 36, 400, 100), 37);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 11, 36, 600, 0), 37);
	/* Nobody says that it was one, or it was another: what is nearer. */
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_NONE, 11, 36, 400, 700), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 9, 35, 600, 700), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_NEG, 11, 36, 400, 700), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_NONE, 11, 36, 600, 700), 37);
}

TAP_TEST(a_line_that_can_tell_is_asked_first)
{
	/* Somebody told the kernel, some time after a leap second. */
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 11, 36, 100, 200), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_NONE, 11, 36, 900, 200), 37);
}

TAP_TEST(a_leap_second_before_the_first_line_is_the_kernels_to_tell)
{
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 11, 0, 0, 0), 37);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_NEG, 9, 0, 0, 0), 35);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_NONE, 11, 0, 0, 0), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_POS, 37, 0, 0, 0), 36);
	is_u64(seconds_after_leap(VMCLOCK_PAGE_LEAP_POST_NEG, 37, 0, 0, 0), 36);
}

/* A page begins after a leap second, the latest reading is from before it. */
TAP_TEST(no_rate_is_handed_on_across_a_leap_second)
{
	struct guest_counter guest = { .ratio = 1ULL << 48, .frac_bits = 48 };
	struct calibrate_rate rate = { .drift_ppb = 15000 };
	struct clock c = { .rate.drift_ppb = 15000, .reading = at(LEAP_2016, 0) };
	struct source_reading now = at(LEAP_2016, 1);
	struct scale scale;

	for (uint64_t i = 0; i < 100; i++)
		calibrate_rate_add(&c.rate, i * 10000000, 10, c.reading.realtime +
				   ((vmclock_u128)i * 10000000 << 64) / 1000000000);
	now.leap_indicator = VMCLOCK_PAGE_LEAP_POS;
	scale_init(&scale, &now, &leap_2016, false, NULL);
	clock_give_rate(&c, &guest, &scale, &rate);
	is_u64(rate.count, 0);
	now.leap_indicator = VMCLOCK_PAGE_LEAP_POST_POS;
	is_u64(seconds(&scale, now, 0), LEAP_2016 + 37);
	c.reading.kernel_tai = 1;
	clock_give_rate(&c, &guest, &scale, &rate);
	ok(rate.count > 10);
}

TAP_TEST(a_utc_page_repeats_the_second_and_calibration_does_not)
{
	struct source_reading r = at(LEAP_2016, 0);
	struct scale scale;
	uint64_t before, after;

	scale_init(&scale, &r, &no_list, true, NULL);
	before = seconds(&scale, at(LEAP_2016, 0), LEAP_2016);
	is_u64(scale_page_seconds(&scale, before), LEAP_2016);
	after = seconds(&scale, at(LEAP_2016, 1), LEAP_2016 + 1);
	is_u64(after, before + 1);
	is_u64(scale_page_seconds(&scale, after), LEAP_2016);
}

TAP_TEST(telling_the_kernel_the_offset_later_does_not_disturb_the_line)
{
	struct source_reading r = at(1000, 0);
	struct scale scale;
	int16_t offset;

	scale_init(&scale, &r, &no_list, false, NULL);
	is_u64(seconds(&scale, at(1001, 37), 1001), 1001);
	is_u64(seconds(&scale, at(1002, 37), 1002), 1002);
	/* A UTC page can say the offset as soon as it is known. */
	ok(scale_tai_offset(&scale, &offset));
	is_int(offset, -37);
}

TAP_TEST(a_kernel_that_forgets_the_offset_does_not_disturb_the_line)
{
	struct source_reading r = at(1000, 37);
	struct scale scale;

	scale_init(&scale, &r, &no_list, false, NULL);
	is_u64(seconds(&scale, at(1001, 0), 1038), 1038);
	is_u64(seconds(&scale, at(1002, 37), 1039), 1039);
	/* But another offset from the kernel is another TAI. */
	is_u64(seconds(&scale, at(1003, 38), 1040), 1041);
}

TAP_TEST(the_kernels_indicator_comes_before_the_lists)
{
	struct source_reading r = at(LEAP_2016, 36);
	struct scale scale;

	scale_init(&scale, &r, &leap_2016, false, NULL);
	is_u64(scale_leap_indicator(&scale, &r), VMCLOCK_PAGE_LEAP_PRE_POS);
	r.leap_indicator = VMCLOCK_PAGE_LEAP_POS;
	is_u64(scale_leap_indicator(&scale, &r), VMCLOCK_PAGE_LEAP_POS);
}

TAP_TEST(after_a_step_the_list_is_asked_again)
{
	struct source_reading r = at(LEAP_2016, 0);
	struct scale scale;

	scale_init(&scale, &r, &leap_2016, false, NULL);
	r = at(LEAP_2016 + 1, 0);
	scale_restart(&scale, &r);
	is_u64(seconds(&scale, r, 0), LEAP_2016 + 38);
}

int main(void)
{
	return tap_main();
}
