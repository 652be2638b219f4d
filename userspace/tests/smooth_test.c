// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clock of the preloaded library: it never goes backwards, whatever its
 * source does, and agrees with it again.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "smooth.h"
#include "tap.h"

static int64_t mono;

static int64_t read_mono(void)
{
	return mono;
}

static int64_t tell(struct smooth *s, int64_t now)
{
	return smooth_tell(s, smooth_floor(s), now, read_mono);
}

TAP_TEST(a_clock_that_runs_on_is_told_as_it_is)
{
	struct smooth s = { 0 };

	for (int64_t t = 1000; t < 2000; t += 7)
		is_int(tell(&s, t), t);
	is_int(tell(&s, INT64_MAX), INT64_MAX);
}

TAP_TEST(a_step_forward_is_passed_on)
{
	struct smooth s = { 0 };

	is_int(tell(&s, 1000), 1000);
	is_int(tell(&s, 5000000), 5000000);
}

/* 1000 ns back take 2000 ns: after 400 of them 800 are left, and so on. */
TAP_TEST(a_step_back_is_caught_up_at_half_speed)
{
	struct smooth s = { 0 };

	mono = 0;
	is_int(tell(&s, 11000), 11000);
	is_int(tell(&s, 10000), 11000);
	mono = 400;
	is_int(tell(&s, 10400), 11200);
	mono = 1998;
	is_int(tell(&s, 11998), 11999);
	mono = 2000;
	is_int(tell(&s, 12000), 12000);
	mono = 2500;
	is_int(tell(&s, 12500), 12500);
	is_int(s.line, 0);
}

TAP_TEST(a_second_step_back_makes_it_longer)
{
	struct smooth s = { 0 };

	mono = 0;
	is_int(tell(&s, 11000), 11000);
	is_int(tell(&s, 10000), 11000);
	mono = 1000;
	is_int(tell(&s, 11000), 11500);
	is_int(tell(&s, 10000), 11500);
	mono = 4000;
	is_int(tell(&s, 13000), 13000);
}

TAP_TEST(a_step_forward_again_ends_it)
{
	struct smooth s = { 0 };

	mono = 0;
	is_int(tell(&s, 11000), 11000);
	is_int(tell(&s, 10000), 11000);
	mono = 10;
	is_int(tell(&s, 20010), 20010);
	is_int(s.line, 0);
}

/* A thread was interrupted between its reading and its answer. */
TAP_TEST(a_reading_from_before_the_step_is_told_late)
{
	struct smooth s = { 0 };
	int64_t floor;

	mono = 0;
	is_int(tell(&s, 5000000), 5000000);
	floor = smooth_floor(&s);
	is_int(tell(&s, 1000), 5000000);
	mono = 20;
	is_int(smooth_tell(&s, floor, 5000004, read_mono), 5000010);
}

static struct smooth stepped;
static pthread_t late;
static sem_t has_read, may_go_on;

static int64_t read_and_stall(void)
{
	sem_post(&has_read);
	sem_wait(&may_go_on);
	return 0;
}

static void *find_the_step(void *unused)
{
	smooth_tell(&stepped, smooth_floor(&stepped), 500, read_and_stall);
	return unused;
}

static int64_t read_while_it_goes_on(void)
{
	sem_post(&may_go_on);
	pthread_join(late, NULL);
	return mono;
}

/* It has read the monotonic clock long before it stores what it found. */
TAP_TEST(a_thread_that_stalls_makes_no_line_too_high)
{
	need(!sem_init(&has_read, 0, 0) && !sem_init(&may_go_on, 0, 0));
	mono = 0;
	is_int(tell(&stepped, 1000), 1000);
	need(!pthread_create(&late, NULL, find_the_step, NULL));
	while (sem_wait(&has_read))
		;
	mono = 10000;
	is_int(tell(&stepped, 500), 1000);
	is_int(smooth_tell(&stepped, smooth_floor(&stepped), 500, read_while_it_goes_on), 1000);
}

/* A source that its readers make jump to and fro. */
#define THREADS	3
static struct smooth shared;
static _Atomic int64_t source;
static _Atomic uint64_t backwards, steps;

static int64_t no_time_passes(void)
{
	return 0;
}

static void *read_on(void *seed)
{
	uint64_t random = (uintptr_t)seed;
	int64_t last = 0;

	for (int i = 0; i < 200000; i++) {
		int64_t floor = smooth_floor(&shared);
		int64_t now = atomic_load(&source);
		int64_t told = smooth_tell(&shared, floor, now, no_time_passes);

		backwards += told < last;
		steps += now < last;
		last = told;
		random = random * 6364136223846793005 + 1442695040888963407;
		source += (int64_t)(random >> 50) - 8000;
	}
	return NULL;
}

TAP_TEST(no_thread_ever_sees_it_go_backwards)
{
	pthread_t threads[THREADS];

	source = 1000000;
	for (uintptr_t i = 0; i < THREADS; i++)
		need(!pthread_create(&threads[i], NULL, read_on, (void *)i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	note("%llu readings below what had been told", (unsigned long long)steps);
	is_u64(backwards, 0);
	ok(steps);
}

int main(void)
{
	return tap_main();
}
