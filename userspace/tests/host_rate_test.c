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

/* The host's counter, once a second for so long; then the clock is set by @jump ns. */
static void add_seconds(struct calibrate_rate *host, int seconds, int64_t jump)
{
	for (int i = 0; i < seconds; i++)
		add(host, 5 * SEC + i * SEC, 20, i < seconds / 2 ? 0 : jump);
}

TAP_TEST(a_guests_counter_has_the_rate_of_the_hosts)
{
	const struct guest_counter same = { 1ULL << 48, 48, -(7 * SEC) };
	const struct guest_counter faster = { 5ULL << 31, 32, 1ULL << 63 };
	struct calibrate_rate host = { .drift_ppb = 15000 };
	struct calibrate_rate guest = { .drift_ppb = 15000 };

	add_seconds(&host, 40, 0);
	calibrate_rate_inherit(&guest, &host, &same, (vmclock_u128)37 << 64);
	ok(guest.tick && holds(&guest));
	ok(error_ppb(&guest) <= 3);
	is_u64(calibrate_rate_hz(&guest), SEC);
	/* It goes on with readings of its own, in its own counter and scale. */
	is_int(calibrate_rate_add(&guest, 48 * SEC - 7 * SEC, 20,
				  calibrate_from_ns(49 * SEC) + ((vmclock_u128)37 << 64)),
	       CALIBRATE_RATE_KNOWN);
	ok(holds(&guest) && error_ppb(&guest) <= 3 && guest.count == host.count + 1);

	guest = (struct calibrate_rate){ .drift_ppb = 15000 };
	calibrate_rate_inherit(&guest, &host, &faster, 0);
	ok(guest.tick && error_ppb(&guest) <= 5);
	is_u64((calibrate_rate_hz(&guest) + 5) / 10, SEC * 5 / 20);
}

TAP_TEST(readings_from_before_the_clock_was_set_by_far_are_not_among_them)
{
	const struct guest_counter same = { 1, 0, 0 };
	struct calibrate_rate host = { .drift_ppb = 15000 };
	struct calibrate_rate guest = { .drift_ppb = 15000 };

	add_seconds(&host, 40, SEC);
	calibrate_rate_inherit(&guest, &host, &same, 0);
	ok(guest.tick && holds(&guest) && error_ppb(&guest) <= 5);
}

TAP_TEST(what_is_not_known_well_is_measured_anew)
{
	const struct guest_counter same = { 1, 0, 0 };
	static const struct { int seconds; int64_t jump; } bad[] = {
		{ 0, 0 }, { 3, 0 }, { 40, MSEC }, { 40, -MSEC }, { 40, MSEC / 2 }, { 5, SEC },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct calibrate_rate host = { .drift_ppb = 15000 };
		struct calibrate_rate guest = { .drift_ppb = 15000 };

		add_seconds(&host, bad[i].seconds, bad[i].jump);
		calibrate_rate_inherit(&guest, &host, &same, 0);
		ok(!guest.tick && !guest.count && !guest.error);
		is_u64(guest.drift_ppb, 15000);
	}
}

int main(void)
{
	return tap_main();
}
