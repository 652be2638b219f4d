// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hot paths give, to the last byte, what the general one gives: on vectors
 * of big integers, on random pages, and on a page in use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "pages.h"
#include "stamp.h"
#include "tap.h"
#include "vectors.h"

static unsigned int simple, all;

/* The general way, the simple one if it is one, and the library's choice. */
static void same_stamp(const struct vmclk_snapshot *snap, uint64_t counter)
{
	struct vmclk_stamp any, one, chosen;
	int err;

	memset(&any, 0xcc, sizeof(any));
	memset(&one, 0x33, sizeof(one));
	memset(&chosen, 0x55, sizeof(chosen));
	err = vmclk__stamp_any(snap, counter, &any);
	is_int(vmclk_stamp_at(snap, counter, &chosen), err);
	ok(!memcmp(&any, &chosen, sizeof(any)));
	all++;
	if (!stamp_simple(snap, counter, &one))
		return;
	simple++;
	is_int(err, 0);
	ok(!memcmp(&any, &one, sizeof(any)));
}

static void vector_both_ways(const struct vector *v)
{
	const struct vmclk_snapshot snap = {
		.size = PAGE_BYTES, .counter_id = (uint8_t)COUNTER_ID,
		.counter_valid = 1, .time_type = VMCLOCK_PAGE_TIME_TAI,
		.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING, .flags = PAGE_FLAGS,
		.counter_value = v->args[0], .time_sec = v->args[1],
		.time_frac_sec = v->args[2], .counter_period_frac_sec = v->args[3],
		.counter_period_shift = v->args[4],
		.counter_period_maxerror_rate_frac_sec = v->args[5],
		.time_maxerror_nanosec = v->args[6],
	};

	same_stamp(&snap, v->args[7]);
}

TAP_TEST(both_ways_agree_on_vectors)
{
	simple = all = 0;
	vectors_each("stamp", 3000, vector_both_ways);
	note("%u of %u simple", simple, all);
	ok(simple);
}

static uint64_t state;

static uint64_t draw(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state ^ state >> 29;
}

/* A number of any length in bits: the edges are where the lengths differ. */
static uint64_t draw_length(void)
{
	return draw() >> (draw() >> 40 & 63);
}

/* Of ten random bytes, nine are in the range that gives a time. */
static uint8_t draw_mostly(uint8_t limit)
{
	uint64_t n = draw() >> 8;

	return n % 10 ? (n >> 20) % limit : n >> 20;
}

static struct vmclk_snapshot draw_page(void)
{
	return (struct vmclk_snapshot){
		.page_id = draw(), .disruption_marker = draw(), .vm_generation_counter = draw(),
		.size = draw_mostly(10) ? PAGE_BYTES : 104, .counter_id = (uint8_t)COUNTER_ID,
		.counter_valid = !!draw_mostly(20), .boot_unknown = !draw_mostly(20),
		.time_type = draw_mostly(3), .leap_indicator = draw_mostly(6),
		.clock_status = 2 + draw_mostly(2), .tai_offset_sec = (int16_t)draw(),
		.flags = draw_mostly(10) ? draw() | BOUND_FLAGS : draw(),
		.counter_value = draw(), .time_frac_sec = draw(),
		.time_sec = draw_mostly(4) ? draw_length() : ~draw_length(),
		.counter_period_frac_sec = draw_length(),
		.counter_period_maxerror_rate_frac_sec = draw_length(),
		.time_maxerror_nanosec = draw_length(),
		.counter_period_shift = draw_mostly(128),
	};
}

TAP_TEST(both_ways_agree_on_random_pages)
{
	const char *seed = getenv("VECTORS_SEED");

	state = seed ? strtoull(seed, NULL, 10) : counter_read_ordered();
	note("VECTORS_SEED=%" PRIu64, state);
	simple = all = 0;
	for (unsigned int i = 0; i < 2000000 && !tap_failed; i++) {
		struct vmclk_snapshot snap = draw_page();

		same_stamp(&snap, snap.counter_value + (draw() & 1 ? draw_length() : 0));
		same_stamp(&snap, snap.counter_value - draw_length());
	}
	note("%u of %u simple", simple, all);
	ok(simple > all / 100);
}

/* Each of the ways to a stamp, between two that enclose it. */
static void compare_ways(const struct vmclk *clk, struct vmclk_fast *fast,
			 struct vmclk_snapshot *kept)
{
	struct vmclk_stamp ways[3], again;
	int errs[3];

	for (unsigned int i = 0; i < 3; i++)
		memset(&ways[i], 0x11 << i, sizeof(ways[i]));
	errs[0] = vmclk_now(clk, &ways[0]);
	errs[1] = vmclk_fast_now(fast, &ways[1]);
	errs[2] = vmclk_now_from(clk, kept, &ways[2]);
	for (unsigned int i = 0; i < 3; i++) {
		is_int(errs[i], errs[0]);
		memset(&again, 0x99, sizeof(again));
		is_int(vmclk_convert(clk, ways[i].counter, &again), errs[i]);
		ok(!memcmp(&again, &ways[i], sizeof(again)));
		ok(ways[i].counter >= ways[0].counter);
	}
}

static void change_page(struct vmclock_page *page, unsigned int n)
{
	page->seq_count = htole32(2 * n);
	page->disruption_marker = htole64(n);
	page->counter_value = htole64(counter_read_ordered() - (uint64_t)n * 1000003);
	page->time_type = n % 4;
	page->clock_status = n % 5 ? 2 + n % 2 : n % 3;
	page->leap_indicator = n % 16 ? 0 : n / 16 % 6;
	page->flags = htole64(n % 7 ? PAGE_FLAGS : PAGE_FLAGS ^ n);
	page->size = htole32(n % 13 ? PAGE_BYTES : 104);
}

static void compare_on_live_page(unsigned int seals)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, seals);
	struct vmclk_snapshot kept = { 0 };
	struct vmclk_fast fast;
	struct vmclk *clk;

	need(!vmclk_open(t.path, &clk));
	vmclk_fast_init(&fast, clk);
	for (unsigned int n = 0; n < 3000 && !tap_failed; n++) {
		change_page(t.page, n);
		compare_ways(clk, &fast, &kept);
		compare_ways(clk, &fast, &kept);
	}
	vmclk_close(clk);
	page_drop(&t);
}

TAP_TEST(all_ways_to_now_agree_on_a_live_page)
{
	compare_on_live_page(F_SEAL_SHRINK);
	compare_on_live_page(0);
}

/* A copy that holds is used: nothing but the sequence's word need be right. */
TAP_TEST(an_unchanged_page_is_not_copied_again)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_snapshot snap = { 0 }, kept;
	struct vmclk *clk;

	need(!vmclk_open(t.path, &clk));
	is_int(vmclk_refresh(clk, &snap), 0);
	kept = snap;
	t.page->vm_generation_counter = htole64(3);	/* no writer does that */
	is_int(vmclk_refresh(clk, &snap), 0);
	ok(!memcmp(&snap, &kept, sizeof(snap)));
	t.page->seq_count = htole32(4);
	is_int(vmclk_refresh(clk, &snap), 0);
	is_u64(snap.vm_generation_counter, 3);
	is_u64(snap.seq_count, 4);
	vmclk_close(clk);
	page_drop(&t);
}

TAP_TEST(the_public_counter_is_the_librarys)
{
	uint64_t before = counter_read_ordered(), between = vmclk_counter();

	ok(before <= between && between <= counter_read_ordered());
}

int main(void)
{
	return tap_main();
}
