// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readings for the guest's clocks: equal to what the page says, and there also
 * when it says nothing.
 */
#include "host_fake_vm.h"
#include "rtc-clocks.h"
#include "vmclk-stamp.h"

static struct rtc_source source;
static struct rtc_clocks clocks;

static struct rtc_reading take(enum rtc_clock id)
{
	struct rtc_reading r = { 0 };

	is_int(clocks.read(clocks.context, id, &r), 0);
	return r;
}

static uint64_t stamp_ns(const struct vmclk_stamp *stamp)
{
	return stamp->point.sec * 1000000000ULL + stamp->point.nsec;
}

/* Within what a try of these tests can take: hours would be wrong, seconds not. */
static bool is_near(uint64_t a, uint64_t b)
{
	return llabs((int64_t)(a - b)) < 600000000000;
}

static uint64_t kernel_now(void)
{
	return kernel.real_ns + counter_read_ordered() - kernel.since;
}

TAP_TEST(utc_and_tai_are_what_the_page_says_at_that_counter)
{
	struct vmclk_stamp stamp;
	struct rtc_reading r;
	struct fed *f;

	fake_reset();
	f = fed_make(true);
	fed_run(f);
	rtc_clocks_init(&source, &f->vm, &clocks);
	is_int(clocks.counter_id, COUNTER_ID);
	ok(clocks.has_counter(clocks.context));
	for (int i = 0; i < 1000; i++) {
		struct vmclk_snapshot page = page_fields(f->vm.target.map);

		r = take(RTC_CLOCK_TAI);
		need(!vmclk_stamp_at(&page, r.counter, &stamp));
		is_int(stamp.time_type, VMCLOCK_PAGE_TIME_TAI);
		is_u64(r.ns, stamp_ns(&stamp));
		r = take(RTC_CLOCK_UTC);
		need(!vmclk_stamp_at(&page, r.counter, &stamp));
		need(!vmclk_to_utc(&stamp, &stamp));
		is_u64(r.ns, stamp_ns(&stamp));
		if (i % 100 == 0)
			is_int(fed_tick(f), 0);
	}
	fed_stop(f);
	free(f);
}

TAP_TEST(a_utc_page_gives_both_too)
{
	struct vmclk_stamp stamp;
	struct vmclk_snapshot page;
	struct rtc_reading r;
	struct fed *f;

	fake_reset();
	f = fed_make(true);
	fed_stop(f);
	free(f);
	f = fed_new(NULL, true);
	f->vm.options.wants_utc = true;
	is_int(fed_start(f), 0);
	fed_run(f);
	rtc_clocks_init(&source, &f->vm, &clocks);
	page = page_fields(f->vm.target.map);
	is_int(page.time_type, VMCLOCK_PAGE_TIME_UTC);
	r = take(RTC_CLOCK_UTC);
	need(!vmclk_stamp_at(&page, r.counter, &stamp));
	is_u64(r.ns, stamp_ns(&stamp));
	r = take(RTC_CLOCK_TAI);
	need(!vmclk_stamp_at(&page, r.counter, &stamp));
	is_u64(r.ns, stamp_ns(&stamp) + 37000000000);
	fed_stop(f);
	free(f);
}

TAP_TEST(before_there_is_a_line_the_kernel_answers)
{
	struct fed *f;
	uint64_t before;

	fake_reset();
	f = fed_make(false);
	rtc_clocks_init(&source, &f->vm, &clocks);
	ok(!clocks.has_counter(clocks.context));
	before = kernel_now();
	ok(take(RTC_CLOCK_UTC).ns >= before && take(RTC_CLOCK_UTC).ns <= kernel_now());
	before = kernel_now() + 37000000000;
	ok(take(RTC_CLOCK_TAI).ns >= before);
	ok(take(RTC_CLOCK_TAI).ns <= kernel_now() + 37000000000);
	ok(take(RTC_CLOCK_MONOTONIC).ns >= 1000000000000);
	fed_stop(f);
	ok(take(RTC_CLOCK_UTC).ns >= before - 37000000000);
	free(f);
}

TAP_TEST(unsynchronized_the_kernel_answers)
{
	struct fed *f;
	struct rtc_reading r;

	fake_reset();
	kernel.tx.status |= STA_UNSYNC;
	f = fed_make(true);
	fed_run(f);
	is_int(f->vm.pub.fields.clock_status, VMCLOCK_PAGE_STATUS_UNKNOWN);
	rtc_clocks_init(&source, &f->vm, &clocks);
	/* Far from the line, so that it is seen who answers. */
	kernel.real_ns += 3600000000000;
	r = take(RTC_CLOCK_UTC);
	ok(is_near(r.ns, kernel_now()));
	ok(is_near(take(RTC_CLOCK_TAI).ns, kernel_now() + 37000000000));
	fed_stop(f);
	free(f);
}

TAP_TEST(a_clock_before_1970_reads_0)
{
	struct fed *f;

	fake_reset();
	f = fed_make(true);
	rtc_clocks_init(&source, &f->vm, &clocks);
	kernel.real_ns = -3600000000000000;
	is_u64(take(RTC_CLOCK_UTC).ns, 0);
	fed_stop(f);
	free(f);
}

/* A hundred readings, each not before the one before; they neither jump nor stand. */
static uint64_t goes_on(uint64_t last)
{
	const uint64_t first = last;
	uint64_t ns;

	for (int i = 0; i < 100; i++) {
		ns = take(RTC_CLOCK_MONOTONIC).ns;
		if (!ok(ns >= last) || !ok(is_near(ns, last)))
			break;
		last = ns;
	}
	ok(last > first);
	return last;
}

TAP_TEST(the_monotonic_clock_goes_on_whatever_happens_to_the_line)
{
	struct fed *f;
	uint64_t last;

	fake_reset();
	f = fed_make(true);
	rtc_clocks_init(&source, &f->vm, &clocks);
	last = goes_on(take(RTC_CLOCK_MONOTONIC).ns);
	ok(!source.on_line);
	fed_run(f);
	last = goes_on(last);
	ok(source.on_line);

	/* The clock is set, back and ahead by an hour: no line, then a new one. */
	for (int hours = -1; hours < 2; hours += 2) {
		kernel.real_ns += hours * 3600000000000;
		is_int(fed_tick(f), 0);
		ok(!f->vm.cal.has_line);
		last = goes_on(last);
		fed_run(f);
		last = goes_on(last);
		ok(source.on_line);
	}

	/* And between two readings. */
	kernel.real_ns += 3600000000000;
	is_int(fed_tick(f), 0);
	fed_run(f);
	last = goes_on(last);
	/* The line was faster than the kernel's clock, by so much after years. */
	kernel.monotonic_ns -= 60000000000;
	fed_stop(f);
	last = goes_on(last);
	ok(!source.on_line);
	free(f);
}

TAP_TEST(counters_of_readings_are_the_guests_and_in_order)
{
	uint64_t last = counter_read_ordered() + GUEST_TICKS;
	struct fed *f;
	struct rtc_reading r;

	fake_reset();
	f = fed_make(true);
	rtc_clocks_init(&source, &f->vm, &clocks);
	for (int i = 0; i < 300; i++) {
		if (i == 150)
			fed_run(f);
		r = take(i % RTC_CLOCK_COUNT);
		ok(r.counter >= last);
		last = r.counter;
	}
	ok(last <= counter_read_ordered() + GUEST_TICKS);
	fed_stop(f);
	free(f);
}

int main(void)
{
	return tap_main();
}
