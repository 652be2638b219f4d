// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Publishing a line around a leap second, and what is said of it; the dirty log of
 * a page that is a guest's memory.
 */
#define _GNU_SOURCE
#include <endian.h>

#include "host_front.h"
#include "publish.h"
#include "tap.h"

#define MIDNIGHT	1483228800	/* 2017-01-01 00:00:00 UTC, after 23:59:60 */

static const struct holdover limits = { 0, UINT64_MAX };

/* A page in memory, with a counter of 2^30 Hz that has been running for 3 s. */
struct bench {
	struct vmclock_page page;
	struct guest_counter guest;
	struct scale scale;
	struct calibrate_line line;
	struct vmclk_writer *writer;
	struct shm memory;
	struct publish pub;
};

/*
 * Its line has the reference point @before seconds before midnight, 3 s ago. The
 * offset to TAI is known, but on a page in UTC no part of the seconds.
 */
static struct bench *bench_new(enum scale_origin origin, uint8_t leap_indicator, int before)
{
	struct bench *b = calloc(1, sizeof(*b));
	int base = origin == SCALE_UTC ? 0 : 36;

	b->guest = (struct guest_counter){ .ratio = 1ULL << 48, .frac_bits = 48 };
	b->scale = (struct scale){ .origin = origin, .base = base, .kernel_tai = 36 };
	b->line = (struct calibrate_line){
		.max = {
			.counter = guest_counter_read(&b->guest) - (3ULL << 30),
			.time.sec = MIDNIGHT + base - before,
			.period = 1ULL << 63, .shift = 29,
		},
		.bounded = true,
	};
	is_int(vmclk_writer_format(&b->page, sizeof(b->page)), 0);
	is_int(vmclk_writer_attach(&b->page, sizeof(b->page), &b->writer), 0);
	is_int(publish_attach(&b->pub, b->writer, &b->memory, NULL, &b->guest, &limits), 0);
	b->pub.fields.leap_indicator = leap_indicator;
	b->pub.fields.time_type = scale_time_type(&b->scale);
	b->pub.fields.time_sec = b->line.max.time.sec;
	b->pub.fields.tai_offset_sec = -36;
	b->pub.fields.flags = VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID;
	b->pub.base = base;
	return b;
}

/* Return: UTC of the reference point. */
static uint64_t bench_end(struct bench *b)
{
	uint64_t sec = le64toh(b->page.time_sec) - b->pub.base;

	vmclk_writer_close(b->writer);
	free(b);
	return sec;
}

static uint64_t rebased_sec(enum scale_origin origin, uint8_t leap_indicator, int before)
{
	struct bench *b = bench_new(origin, leap_indicator, before);

	publish_rebased(&b->pub, &b->line, &b->scale);
	return bench_end(b);
}

TAP_TEST(the_reference_point_follows_the_counter)
{
	ok(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_NONE, 2) >= MIDNIGHT + 1);
	ok(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_NONE, 2) >= MIDNIGHT + 1);
	ok(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_PRE_POS, 1000) >= MIDNIGHT - 997);
}

TAP_TEST(it_does_not_pass_an_announced_leap_second)
{
	is_u64(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_PRE_POS, 2), MIDNIGHT - 2);
	is_u64(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 2), MIDNIGHT - 2);
	is_u64(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_NEG, 3), MIDNIGHT - 3);
}

/* The reading behind the leap second did not become a line. */
TAP_TEST(a_line_that_is_not_of_the_latest_offset_stays_where_it_is)
{
	struct bench *b = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 1000);

	b->scale.base++;
	publish_rebased(&b->pub, &b->line, &b->scale);
	is_u64(bench_end(b), MIDNIGHT - 1000);
}

/* A plan made of a reading @since seconds ago; the line goes on as it is. */
static bool publish_plan(struct bench *b, uint8_t leap_indicator, int since, uint64_t bias)
{
	struct calibrate cal = { .line = b->line, .has_line = true };
	uint64_t ticks = (uint64_t)since << 30;
	struct vmclock_time t = { 0 };

	cal.rate.tick = 1ULL << 61;
	cal.rate.shift = 27;
	cal.reading.counter = guest_counter_read(&b->guest) - ticks;
	vmclock_math_time(&b->line.max, cal.reading.counter, &t);
	cal.reading.time = (vmclock_u128)t.sec << 64 | t.frac;
	cal.reading.bounded = true;
	cal.reading.bias = bias;
	cal.plan.new_rate = cal.rate.tick;
	cal.plan.horizon = 10 * (ticks + 1);
	return publish_calibrated(&b->pub, &cal, &b->scale, leap_indicator);
}

TAP_TEST(a_leap_second_between_a_reading_and_its_update_keeps_the_line_back)
{
	struct bench *b = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_NONE, 2);

	ok(!publish_plan(b, VMCLOCK_PAGE_LEAP_PRE_POS, 2, 0));
	is_int(b->page.leap_indicator, VMCLOCK_PAGE_LEAP_NONE);
	ok(publish_plan(b, VMCLOCK_PAGE_LEAP_NONE, 2, 0));
	ok(bench_end(b) >= MIDNIGHT + 1);
	b = bench_new(SCALE_UTC, VMCLOCK_PAGE_LEAP_NONE, 1000);
	ok(publish_plan(b, VMCLOCK_PAGE_LEAP_PRE_POS, 2, 0));
	ok(!publish_plan(b, VMCLOCK_PAGE_LEAP_POS, 2, 0));
	ok(bench_end(b) >= MIDNIGHT - 998);
}

/* It was found there, or is from before the marker changed. */
TAP_TEST(a_line_that_is_not_ours_is_not_offered_while_ours_is_kept_back)
{
	struct bench *b = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 2);

	b->pub.fields.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	ok(!publish_plan(b, VMCLOCK_PAGE_LEAP_PRE_POS, 2, 0));
	is_int(b->page.clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	ok(publish_plan(b, VMCLOCK_PAGE_LEAP_NONE, 1, 0));
	is_int(b->page.clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	publish_unreliable(&b->pub);
	is_int(publish_new_marker(&b->pub), 0);
	b->pub.base++;
	publish_rebased(&b->pub, &b->line, &b->scale);
	is_int(b->page.clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	bench_end(b);
}

/* Into another page, across a leap second: it is the same line there, and ages there. */
TAP_TEST(a_line_that_was_taken_over_can_be_held)
{
	struct bench *from = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 2);
	struct bench *to = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 2);
	struct calibrate cal = { .line = from->line, .has_line = true };

	from->pub.has_line = true;
	from->pub.fields.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	publish_take_over(&to->pub, &from->pub, &cal.line, &from->scale);
	is_int(to->page.clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	publish_held(&to->pub, &cal, &from->scale);
	is_int(to->page.clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
	is_u64(bench_end(to), MIDNIGHT - 2);
	bench_end(from);
}

TAP_TEST(only_of_a_counter_that_is_known_is_time_said_to_be_monotonic)
{
	struct bench *b = bench_new(SCALE_LIST, VMCLOCK_PAGE_LEAP_NONE, 1000);

	ok(publish_plan(b, VMCLOCK_PAGE_LEAP_NONE, 1, 0));
	ok(le64toh(b->page.flags) & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	ok(publish_plan(b, VMCLOCK_PAGE_LEAP_NONE, 1, 26000));
	ok(!(le64toh(b->page.flags) & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC));
	publish_rebased(&b->pub, &b->line, &b->scale);
	ok(!(le64toh(b->page.flags) & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC));
	bench_end(b);
}

/* Where QEMU has its page, and the log it sends for that. */
#define GUEST_ADDRESS	0xfeffb000
#define LOG_SIZE	0x1fe00
#define LOG_BYTE	(GUEST_ADDRESS / 4096 / 8)
#define LOG_BIT		(1 << GUEST_ADDRESS / 4096 % 8)

static struct shm logged_new(int fd, const struct front *front)
{
	struct dirty_log *log = front_log(front);
	struct dirty_window window;
	struct dirty dirty;
	struct shm shm;

	ok(!shm_map_fd(&shm, fd, 0, 4096) && !dirty_default(&dirty) &&
	   !shm_log_writes(&shm, &dirty));
	ok(!dirty_window_init(&window, log, GUEST_ADDRESS, 4096));
	dirty_replace(&dirty, &window);
	dirty_log_put(log);
	dirty_put(&dirty);
	return shm;
}

TAP_TEST(every_update_of_a_page_that_is_logged_marks_it)
{
	struct guest_counter guest = { .ratio = 1ULL << 48, .frac_bits = 48 };
	struct calibrate_line line = { .max = { .period = 1ULL << 63, .shift = 29 } };
	struct scale scale = { .origin = SCALE_UTC };
	struct front front = front_new(LOG_SIZE);
	int fd = memfd_new(4096);
	struct shm memory = logged_new(fd, &front);
	void *page = shm_range(&memory, 0, 4096, 8);
	struct vmclk_writer *writer;
	struct publish pub;

	need(!vmclk_writer_format(page, 4096) && !vmclk_writer_attach(page, 4096, &writer));
	is_int(publish_attach(&pub, writer, &memory, NULL, &guest, &limits), 0);
	is_u64(front_take(&front, LOG_BYTE), 0);
	publish_start(&pub, VMCLOCK_PAGE_TIME_UTC, false);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	publish_rebased(&pub, &line, &scale);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	publish_unreliable(&pub);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	vmclk_writer_close(writer);
	shm_put(&memory);
	close(fd);
	front_end(&front);
}

int main(void)
{
	return tap_main();
}
