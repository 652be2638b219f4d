// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver/vmclock_math.h against whole numbers of any size.
 */
#include "tap.h"
#include "vectors.h"
#include "vmclock_math.h"

static void time_vector(const struct vector *v)
{
	const struct vmclock_line line = {
		.counter = v->args[0], .time = { v->args[1], v->args[2] },
		.period = v->args[3], .shift = v->args[4],
	};
	struct vmclock_time time = { 0xcccc, 0xdddd };

	is_int(vmclock_math_time(&line, v->args[5], &time), !v->refused);
	if (v->refused) {
		is_u64(time.sec, 0xcccc);
		is_u64(time.frac, 0xdddd);
	} else {
		is_u64(time.sec, v->results[0]);
		is_u64(time.frac, v->results[1]);
		is_u64(vmclock_math_nsec(time.frac), v->results[2]);
	}
}

static void error_vector(const struct vector *v)
{
	const struct vmclock_line line = {
		.counter = v->args[0], .period_maxerror = v->args[1],
		.maxerror_ns = v->args[2], .shift = v->args[3],
	};

	is_u64(vmclock_math_maxerror_ns(&line, v->args[4]), v->results[0]);
}

TAP_TEST(time_and_refusals_match_big_integers)
{
	vectors_each("time", 5000, time_vector);
}

TAP_TEST(worst_case_error_matches_big_integers)
{
	vectors_each("error", 3500, error_vector);
}

TAP_TEST(nanoseconds_stay_below_a_second)
{
	is_u64(vmclock_math_nsec(UINT64_MAX), 999999999);
	is_u64(vmclock_math_nsec(0), 0);
}

TAP_TEST(a_duration_is_rounded_up_and_saturates)
{
	is_u64(vmclock_math_duration_ns(0), 0);
	is_u64(vmclock_math_duration_ns(1), 1);
	is_u64(vmclock_math_duration_ns((vmclock_u128)1 << 64), 1000000000);
	is_u64(vmclock_math_duration_ns(~(vmclock_u128)0), UINT64_MAX);
}

TAP_TEST(distance_is_signed_and_wraps)
{
	_Bool before;

	is_u64(vmclock_math_distance(1, UINT64_MAX, &before), 2);
	ok(!before);
	is_u64(vmclock_math_distance(UINT64_MAX, 1, &before), 2);
	ok(before);
	is_u64(vmclock_math_distance(1ULL << 63, 0, &before), 1ULL << 63);
	ok(before);
}

int main(void)
{
	return tap_main();
}
