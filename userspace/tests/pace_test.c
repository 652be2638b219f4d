// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the verbs of vmclockctl that go on look again: after a pause, of the
 * process or of the machine, once, and not as often as they would have.
 */
#include <time.h>

#include "pace.h"
#include "tap.h"

#define MSEC	1000000ULL

static void stop_for(uint64_t ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	ok(!clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL));
}

TAP_TEST(times_that_were_missed_are_not_made_up_for)
{
	struct pace p;
	uint64_t now;

	pace_start(&p, MSEC, 0);
	stop_for(100 * MSEC);
	now = pace_now_ns();
	ok(pace_wait(&p));
	ok(p.due_ns >= now);
	/* And from there on it goes its way. */
	ok(pace_wait(&p));
	ok(p.due_ns >= now + MSEC);
}

TAP_TEST(who_is_late_by_less_than_an_interval_stays_in_step)
{
	uint64_t due = pace_now_ns() - 15000 * MSEC;

	is_u64(pace_next(due, 10000 * MSEC), due + 10000 * MSEC);
}

TAP_TEST(an_end_that_was_slept_through_is_the_end)
{
	struct pace p;

	pace_start(&p, MSEC, 50 * MSEC);
	stop_for(100 * MSEC);
	ok(!pace_wait(&p));
}

int main(void)
{
	return tap_main();
}
