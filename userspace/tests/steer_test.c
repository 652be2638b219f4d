// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steering, in simulated time: a clock with a rate of its own, the loop, and
 * what theory says of them; and who else is seen to steer.
 */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "rivals.h"
#include "steer.h"
#include "tap.h"

#define SEC	1000000000LL
#define PPM	65536

/* What the page has and the clock lacks, exactly; the loop gets whole ns of it. */
struct clock {
	double offset_ns;
	double drift_ppm;
	struct steer steer;
	int64_t freq;
};

static void pass(struct clock *c, int64_t interval_ns, double noise_ns)
{
	c->freq = steer_round(&c->steer, llround(c->offset_ns + noise_ns), interval_ns);
	c->offset_ns += (c->drift_ppm - c->freq / (double)PPM) * 1e-6 * interval_ns;
}

/* From the recurrence by hand: both roots are 7/8. */
static double theory(double x0, double drift_ppm, int64_t interval_ns, int k)
{
	double x1 = x0 * 3 / 4 + drift_ppm * 1e-6 * interval_ns;

	return (x0 + (x1 * 8 / 7 - x0) * k) * pow(7.0 / 8, k);
}

static double farthest(double x0, double drift_ppm, int64_t interval_ns)
{
	struct clock c = { .offset_ns = x0, .drift_ppm = drift_ppm };
	double far = 0;

	for (int k = 0; k < 200; k++) {
		far = fmax(far, fabs(c.offset_ns - theory(x0, drift_ppm, interval_ns, k)));
		pass(&c, interval_ns, 0);
	}
	return far;
}

TAP_TEST(an_offset_dies_out_as_theory_has_it)
{
	ok(farthest(100000, 0, SEC) < 5);
	ok(farthest(-100000, 0, SEC) < 5);
	ok(farthest(100000, 0, SEC / 10) < 5);
	ok(farthest(1000000, 0, 16 * SEC) < 50);
}

TAP_TEST(a_drift_is_learned_as_theory_has_it)
{
	ok(farthest(0, 30, SEC) < 5);
	ok(farthest(0, -30, SEC) < 5);
	ok(farthest(-20000, 30, SEC) < 5);
	ok(farthest(0, 3, 16 * SEC) < 50);
}

TAP_TEST(what_was_learned_is_the_drift)
{
	struct clock c = { .offset_ns = 1000000, .drift_ppm = -123.5 };

	for (int k = 0; k < 500; k++)
		pass(&c, SEC, 0);
	ok(fabs(c.steer.base / (double)PPM + 123.5) < 0.01);
	ok(fabs(c.offset_ns) < 5);
}

/* 10 ms, and then 10 s: much more than can be made up for at once. */
TAP_TEST(a_large_offset_is_made_up_for_at_the_limit_and_not_overshot)
{
	for (int64_t start = 10000000; start <= 10 * SEC; start *= 1000) {
		struct clock c = { .offset_ns = start, .drift_ppm = 40 };
		double least = start;
		int rounds = 0;

		while (fabs(c.offset_ns) > 1000 && rounds++ < 60000) {
			pass(&c, SEC, 0);
			ok(llabs(c.freq) <= STEER_FREQ_MAX);
			least = fmin(least, c.offset_ns);
		}
		/* At 460 ppm, and a while to settle. */
		ok(rounds < start / 460e3 + 120);
		ok(rounds > start / 460e3);
		/* Of the last, linear part no more than theory has. */
		ok(least > -2000000);
		note("%g s: %d rounds, %.0f ns beyond", start / 1e9, rounds, -least);
	}
}

TAP_TEST(a_drift_beyond_the_limit_gets_the_limit)
{
	struct clock c = { .drift_ppm = 700 };

	for (int k = 0; k < 1000; k++)
		pass(&c, SEC, 0);
	is_int(c.freq, STEER_FREQ_MAX);
	ok(c.steer.base <= STEER_FREQ_MAX);
	c = (struct clock){ .drift_ppm = -700 };
	for (int k = 0; k < 1000; k++)
		pass(&c, SEC, 0);
	is_int(c.freq, -STEER_FREQ_MAX);
}

TAP_TEST(noise_is_not_made_louder)
{
	struct clock c = { .drift_ppm = 20 };
	double sum = 0;

	srand(1);
	for (int k = 0; k < 20000; k++) {
		pass(&c, SEC, rand() % 2001 - 1000);
		if (k >= 1000)
			sum += c.offset_ns * c.offset_ns;
	}
	/* Evenly in +/- 1000 has an rms of 577. */
	note("rms %.0f ns", sqrt(sum / 19000));
	ok(sqrt(sum / 19000) < 577);
	ok(sqrt(sum / 19000) > 10);
}

TAP_TEST(any_numbers_are_borne)
{
	static const int64_t some[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX };

	for (unsigned int i = 0; i < 6; i++) {
		struct steer s = { .base = 7 };

		ok(llabs(steer_round(&s, some[i], 1)) <= STEER_FREQ_MAX);
		ok(llabs(steer_round(&s, some[i], INT64_MAX)) <= STEER_FREQ_MAX);
		ok(llabs(s.base) <= STEER_FREQ_MAX);
		ok(steer_error_us(some[i]) >= 0);
		ok(steer_error_us(some[i]) <= STEER_ERROR_MAX_US);
		steer_leap(1, some[i], some[i]);
	}
}

TAP_TEST(errors_are_rounded_away_from_zero)
{
	is_int(steer_error_us(0), 0);
	is_int(steer_error_us(1), 1);
	is_int(steer_error_us(-1), 1);
	is_int(steer_error_us(1000), 1);
	is_int(steer_error_us(1001), 2);
	is_int(steer_error_us(17 * SEC), STEER_ERROR_MAX_US);
}

#define DEC_31		1483142400LL	/* 2016-12-31 00:00:00, which ended with one */
#define JAN_1		(DEC_31 + 86400)

TAP_TEST(a_leap_second_is_announced_on_its_day)
{
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_POS, DEC_31 - 1000, DEC_31 - 1), 0);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_POS, DEC_31 - 1000, DEC_31), STA_INS);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_POS, DEC_31 - 1000, JAN_1 - 1), STA_INS);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_NEG, DEC_31 - 1000, JAN_1 - 1), STA_DEL);
	/* It is over, but the page does not know yet. */
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_POS, JAN_1 - 1000, JAN_1), 0);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_PRE_POS, JAN_1 - 1000, JAN_1 + 30 * 86400), 0);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_NONE, DEC_31, DEC_31), 0);
	is_int(steer_leap(VMCLOCK_PAGE_LEAP_POST_POS, DEC_31, DEC_31), 0);
	is_int(steer_leap(200, DEC_31, DEC_31), 0);
}

TAP_TEST(next_to_a_leap_second_the_clock_is_not_measured)
{
	for (int i = -2; i < 2; i++) {
		ok(steer_is_ambiguous(VMCLOCK_PAGE_LEAP_PRE_POS, JAN_1 + i));
		ok(steer_is_ambiguous(VMCLOCK_PAGE_LEAP_POST_POS, JAN_1 + i));
		ok(!steer_is_ambiguous(VMCLOCK_PAGE_LEAP_NONE, JAN_1 + i));
	}
	ok(!steer_is_ambiguous(VMCLOCK_PAGE_LEAP_PRE_POS, JAN_1 - 3));
	ok(!steer_is_ambiguous(VMCLOCK_PAGE_LEAP_PRE_POS, JAN_1 + 2));
}

/* A directory that looks like /proc, with one process. */
static bool put_process(const char *dir, const char *pid, const char *comm)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, pid);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/comm", dir, pid);
	f = fopen(path, "w");
	if (!f)
		return false;
	fprintf(f, "%s\n", comm);
	return !fclose(f);
}

static void remove_process(const char *dir, const char *pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s/comm", dir, pid);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", dir, pid);
	rmdir(path);
}

TAP_TEST(who_else_steers_is_known_by_name)
{
	static const char *const names[] = { "chronyd", "ntpd", "systemd-timesyn", "phc2sys" };
	char dir[] = "/tmp/steer-XXXXXX", name[64];

	if (!access("/run/chrony/chronyd.sock", F_OK))
		skip("a chronyd has been here");
	need(mkdtemp(dir));
	need(put_process(dir, "17", "bash") && put_process(dir, "self", "chronyd"));
	ok(!rivals_find(dir, name, sizeof(name)));
	for (int i = 0; i < 4; i++) {
		need(put_process(dir, "230", names[i]));
		ok(rivals_find(dir, name, sizeof(name)));
		ok(strstr(name, names[i]) && strstr(name, "230"));
	}
	need(put_process(dir, "230", "chronyc"));
	ok(!rivals_find(dir, name, sizeof(name)));
	remove_process(dir, "230");
	remove_process(dir, "17");
	remove_process(dir, "self");
	ok(!rmdir(dir));
	ok(!rivals_find(dir, name, sizeof(name)));
}

int main(void)
{
	return tap_main();
}
