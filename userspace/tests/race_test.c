// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reader against writer, at full speed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "tap.h"
#include "updates.h"
#include "vmclk-writer.h"

#define ENOUGH		100000
#define ENOUGH_UPDATES	300
#define SECONDS_MAX	60

static struct test_page shared;
static struct vmclk_writer *writer;
static atomic_bool stop;
static time_t deadline;

static void publish(uint64_t n)
{
	const struct vmclk_snapshot fields = update_of(n);

	vmclk_writer_write(writer, &fields);
}

static bool is_whole(const struct vmclk_snapshot *s)
{
	/* Update n is the one that made the sequence 2n. */
	return update_is_whole(s) && s->seq_count == (uint32_t)(2 * s->counter_value);
}

/* A reader that takes system calls would hardly ever fit between two updates. */
static void *write_on(void *mapped)
{
	for (uint64_t n = 2; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
		publish(n);
		for (unsigned int i = 0; !mapped && i < 200; i++)
			counter_relax();
	}
	return NULL;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/*
 * Looked at after each step of a reader. Now and then it lets the writer have
 * the CPU, in case there is only one for both.
 */
static bool time_is_up(void)
{
	static unsigned int steps;

	if (++steps % 64)
		return false;
	sched_yield();
	return seconds() > deadline;
}

/* Runs @body beside a writer, on a page with the given @seals. */
static void beside_writer(unsigned int seals, void (*body)(void))
{
	struct vmclock_page page = good_page();
	pthread_t thread;

	page.seq_count = 0;
	shared = page_make(&page, PAGE_BYTES, seals);
	need(!vmclk_writer_attach(shared.page, PAGE_BYTES, &writer));
	publish(1);
	deadline = seconds() + SECONDS_MAX;
	atomic_store(&stop, false);
	need(!pthread_create(&thread, NULL, write_on, seals ? &shared : NULL));
	body();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	vmclk_writer_close(writer);
	page_drop(&shared);
}

/* A time-out is no failure: the writer was descheduled in the middle. */
static void read_checked(void)
{
	unsigned int reads = 0, updates = 0, torn = 0, timeouts = 0, wrong = 0;
	uint64_t last = 0, back = 0;
	struct vmclk_snapshot s;
	struct vmclk *clk;

	need(!vmclk_open(shared.path, &clk));
	while ((reads < ENOUGH || updates < ENOUGH_UPDATES) && !time_is_up()) {
		int err = vmclk_snapshot(clk, &s);

		if (err) {
			timeouts += err == -VMCLK_EBUSY;
			wrong += err != -VMCLK_EBUSY;
			sched_yield();
			continue;
		}
		reads++;
		torn += !is_whole(&s);
		back += s.counter_value < last;
		updates += s.counter_value != last;
		last = s.counter_value;
	}
	vmclk_close(clk);
	note("%u reads, %u updates seen, %u torn, %u time-outs", reads, updates, torn, timeouts);
	is_u64(torn, 0);
	is_u64(back, 0);
	is_u64(wrong, 0);
	ok(reads >= 1000 && updates >= ENOUGH_UPDATES);
}

TAP_TEST(no_checked_copy_of_a_mapped_page_is_torn)
{
	beside_writer(F_SEAL_SHRINK, read_checked);
}

TAP_TEST(no_checked_copy_of_a_file_is_torn)
{
	beside_writer(0, read_checked);
}

#define LOAD(field) __atomic_load_n(&shared.page->field, __ATOMIC_ACQUIRE)

/* The same without the check does find some, or the tests above prove nothing. */
static void read_unchecked(void)
{
	unsigned int copies = 0, torn = 0;

	while ((copies < ENOUGH || !torn) && !time_is_up()) {
		uint64_t n = le64toh(LOAD(counter_value));

		torn += le64toh(LOAD(vm_generation_counter)) != (n ^ 0x5555555555555555);
		copies++;
	}
	note("%u copies, %u torn", copies, torn);
	ok(torn);
}

TAP_TEST(copies_that_are_not_checked_are_torn)
{
	beside_writer(F_SEAL_SHRINK, read_unchecked);
}

/*
 * The odd number comes before the fields, and the even one after them: who has
 * seen field n then sees at least 2n - 1, who has seen 2n sees at least field n.
 */
static void watch_order(void)
{
	unsigned int early = 0, late = 0, odd = 0, updates = 0;
	uint32_t last = 0;

	for (unsigned int i = 0; (i < ENOUGH || updates < ENOUGH_UPDATES || !odd) && !time_is_up();
	     i++) {
		uint64_t n = le64toh(LOAD(counter_value));
		uint32_t seq = le32toh(LOAD(seq_count));
		uint64_t then = le64toh(LOAD(vm_generation_counter)) ^ 0x5555555555555555;

		early += seq < 2 * n - 1;
		late += then < seq / 2;
		odd += seq & 1;
		updates += seq != last;
		last = seq;
	}
	note("%u sequence numbers seen, %u looks at an odd one", updates, odd);
	is_u64(early, 0);
	is_u64(late, 0);
	ok(odd && updates >= ENOUGH_UPDATES);
}

TAP_TEST(a_racing_reader_sees_odd_before_and_even_after_the_fields)
{
	beside_writer(F_SEAL_SHRINK, watch_order);
}

int main(void)
{
	return tap_main();
}
