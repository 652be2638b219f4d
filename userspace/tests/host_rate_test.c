// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rate of a counter that ticks once in a nanosecond, from readings whose errors are
 * chosen.
 */
#include "calibrate-rate.h"
#include "tap.h"

#define MSEC	1000000ULL
#define SEC	(1000 * MSEC)

/* A reading at @ns of the true time, @late of which are its error. */
static enum calibrate_rate_verdict add(struct calibrate_rate *rate, uint64_t ns, uint64_t slack,
				       int64_t late)
{
	return calibrate_rate_add(rate, ns, slack, calibrate_from_ns(SEC + ns + late));
}

/* Is one tick in a nanosecond within the rate's error? */
static bool holds(const struct calibrate_rate *rate)
{
	uint64_t true_tick = (((vmclock_u128)1 << (64 + rate->shift)) / SEC);

	return calibrate_magnitude((s128)true_tick - rate->tick) <= rate->error + 1;
}

static uint64_t error_ppb(const struct calibrate_rate *rate)
{
	return (vmclock_u128)rate->error * SEC / rate->tick;
}

/* The first was interrupted: it is off by more than a rate may change later. */
TAP_TEST(a_bad_first_reading_is_in_the_error_of_the_first_rate)
{
	struct calibrate_rate rate = { .drift_ppb = 15000 };

	is_int(add(&rate, 0, 200000, 150000), CALIBRATE_RATE_UNKNOWN);
	is_int(add(&rate, 50 * MSEC, 10, 0), CALIBRATE_RATE_UNKNOWN);
	is_int(add(&rate, 100 * MSEC, 10, 0), CALIBRATE_RATE_UNKNOWN);
	is_int(add(&rate, 151 * MSEC, 10, 0), CALIBRATE_RATE_KNOWN);
	ok(holds(&rate));
	note("the error is %llu ppb", (unsigned long long)error_ppb(&rate));
}

int main(void)
{
	return tap_main();
}
