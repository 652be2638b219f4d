// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver/vmclock_kvmclock.h: the arithmetic that the driver can use only under
 * KVM, where the tests do not run.
 */
#include "tap.h"
#include "vmclock_kvmclock.h"

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t random_u64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* 2.4 GHz as KVM writes it: (tsc >> 1) * 0.8333 ns. */
static const struct vmclock_kvmclock ghz_2_4 = {
	.tsc = 1000000, .ns = 500, .mul = 3579139413, .shift = -1,
};

TAP_TEST(a_reading_is_what_the_hypervisor_means)
{
	is_u64(vmclock_kvmclock_at(&ghz_2_4, 1000000), 500);
	/* 2.4e9 ticks; mul is rounded down, so a nanosecond is not complete. */
	is_u64(vmclock_kvmclock_at(&ghz_2_4, 1000000 + 2400000000), 500 + 999999999);
	is_u64(vmclock_kvmclock_at(&ghz_2_4, 1000000 + 2400000002), 500 + 1000000000);
}

TAP_TEST(the_first_value_that_shows_a_reading_is_found)
{
	__u64 tsc = 0;

	is_int(vmclock_kvmclock_find(&ghz_2_4, 501, 1000000, 1000100, &tsc), 1);
	is_u64(tsc, 1000004);
	is_u64(vmclock_kvmclock_at(&ghz_2_4, tsc - 1), 500);
	/* Of those that show it, only some are in the window. */
	is_int(vmclock_kvmclock_find(&ghz_2_4, 501, 1000005, 1000100, &tsc), 1);
	is_u64(tsc, 1000005);
}

TAP_TEST(a_reading_from_outside_the_window_is_refused)
{
	__u64 tsc = 0xcccc;

	is_int(vmclock_kvmclock_find(&ghz_2_4, 501, 1000000, 1000003, &tsc), 0);
	is_int(vmclock_kvmclock_find(&ghz_2_4, 501, 1000008, 1000100, &tsc), 0);
	is_int(vmclock_kvmclock_find(&ghz_2_4, 499, 1000000, 1000100, &tsc), 0);
	is_int(vmclock_kvmclock_find(&ghz_2_4, 500, 999999, 1000100, &tsc), 0);
	is_int(vmclock_kvmclock_find(&ghz_2_4, 501, 1000100, 1000000, &tsc), 0);
	is_u64(tsc, 0xcccc);
}

TAP_TEST(a_reading_that_is_never_shown_is_refused)
{
	/* 500 MHz: every second nanosecond only. */
	const struct vmclock_kvmclock slow = { .mul = 0x80000000, .shift = 2 };
	__u64 tsc = 0xcccc;

	is_int(vmclock_kvmclock_find(&slow, 1001, 0, 1000000, &tsc), 0);
	is_u64(tsc, 0xcccc);
	is_int(vmclock_kvmclock_find(&slow, 1000, 0, 1000000, &tsc), 1);
	is_u64(tsc, 500);
}

TAP_TEST(numbers_that_make_no_clock_are_refused)
{
	struct vmclock_kvmclock bad = ghz_2_4;
	__u64 tsc = 0xcccc;

	bad.mul = 0;
	is_int(vmclock_kvmclock_find(&bad, 500, 1000000, 1000100, &tsc), 0);
	bad = ghz_2_4;
	bad.shift = -32;
	is_int(vmclock_kvmclock_find(&bad, 500, 1000000, 1000100, &tsc), 0);
	bad.shift = 32;
	is_int(vmclock_kvmclock_find(&bad, 500, 1000000, 1000100, &tsc), 0);
	bad.shift = -128;
	is_int(vmclock_kvmclock_find(&bad, 500, 1000000, 1000100, &tsc), 0);
	is_u64(tsc, 0xcccc);
}

/* A clock, a value, a window around it: what must come out is known. */
static void round_trip(void)
{
	const struct vmclock_kvmclock k = {
		.tsc = random_u64() >> 8, .ns = random_u64() >> 8,
		.mul = (uint32_t)random_u64() | 1, .shift = (int)(random_u64() % 9) - 4,
	};
	uint64_t actual = k.tsc + (random_u64() >> (10 + random_u64() % 50));
	uint64_t back = random_u64() % 100000;
	uint64_t first = actual - k.tsc < back ? k.tsc : actual - back;
	uint64_t last = actual + random_u64() % 100000;
	__u64 tsc = 0;
	uint64_t ns = vmclock_kvmclock_at(&k, actual);

	is_int(vmclock_kvmclock_find(&k, ns, first, last, &tsc), 1);
	ok(tsc >= first && tsc <= actual);
	is_u64(vmclock_kvmclock_at(&k, tsc), ns);
	ok(tsc == first || vmclock_kvmclock_at(&k, tsc - 1) < ns);
}

TAP_TEST(every_reading_leads_back_to_where_it_came_from)
{
	for (int i = 0; i < 200000; i++)
		round_trip();
}

TAP_TEST(whatever_the_hypervisor_writes_the_answer_shows_the_reading)
{
	for (int i = 0; i < 200000; i++) {
		const struct vmclock_kvmclock k = {
			.tsc = random_u64(), .ns = random_u64(),
			.mul = (uint32_t)random_u64() >> random_u64() % 32,
			.shift = (int8_t)random_u64(),
		};
		uint64_t first = random_u64(), last = first + random_u64() % 1000000;
		__u64 tsc;
		uint64_t ns = k.ns + (random_u64() >> random_u64() % 64);

		if (vmclock_kvmclock_find(&k, ns, first, last, &tsc))
			ok(tsc >= first && tsc <= last &&
				vmclock_kvmclock_at(&k, tsc) == ns);
	}
}

int main(void)
{
	return tap_main();
}
