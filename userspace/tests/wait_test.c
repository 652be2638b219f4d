// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting for events: what ends it, and that nothing else has to.
 *
 * A wait that should have ended and did not ends by its time-out, and fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <linux/futex.h>

#include "pages.h"
#include "tap.h"
#include "watch.h"

#define NEVER_NS	VMCLK_WATCH_INTERVAL_MAX_NS
#define PATIENCE_NS	60000000000ULL
#define MSEC		1000000L

static struct test_page page;
static struct vmclk *clk;
static struct vmclk_watch *watch;

/* With F_SEAL_SHRINK the handle maps the page, with 0 it reads it. */
static void watch_page(unsigned int seals)
{
	struct vmclock_page content = good_page();

	page = page_make(&content, PAGE_BYTES, seals);
	if (!ok(!vmclk_open(page.path, &clk)) ||
	    !ok(!vmclk_watch_open(clk, VMCLK_EVENT_DISRUPTED, &watch)))
		_exit(1);
}

static void drop_all(void)
{
	vmclk_watch_close(watch);
	vmclk_close(clk);
	page_drop(&page);
}

static void disrupt(void)
{
	uint32_t seq = le32toh(page.page->seq_count);

	__atomic_store_n(&page.page->seq_count, htole32(seq + 1), __ATOMIC_SEQ_CST);
	__atomic_store_n(&page.page->disruption_marker, ~page.page->disruption_marker,
			 __ATOMIC_SEQ_CST);
	__atomic_store_n(&page.page->seq_count, htole32(seq + 2), __ATOMIC_SEQ_CST);
}

/* What the other side does, after a while in which we may have fallen asleep. */
static bool wakes;
static int notifier = -1;

static void *change_page(void *unused)
{
	(void)unused;
	nanosleep(&(struct timespec){ .tv_nsec = 20 * MSEC }, NULL);
	disrupt();
	if (wakes)
		syscall(SYS_futex, &page.page->seq_count, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	if (notifier >= 0)
		eventfd_write(notifier, 1);
	return NULL;
}

static void wait_for_thread(unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int events = 0;
		pthread_t thread;

		need(!pthread_create(&thread, NULL, change_page, NULL));
		is_int(vmclk_wait(watch, PATIENCE_NS, &events), 0);
		is_u64(events, VMCLK_EVENT_DISRUPTED);
		pthread_join(thread, NULL);
	}
}

TAP_TEST(what_has_happened_before_is_not_waited_for)
{
	unsigned int events = 0;

	watch_page(F_SEAL_SHRINK);
	disrupt();
	is_int(vmclk_wait(watch, 0, &events), 0);
	is_u64(events, VMCLK_EVENT_DISRUPTED);
	drop_all();
}

TAP_TEST(the_time_out_ends_it)
{
	unsigned int events = 77;

	watch_page(F_SEAL_SHRINK);
	is_int(vmclk_wait(watch, 0, &events), -ETIMEDOUT);
	is_int(vmclk_wait(watch, 30 * MSEC, &events), -ETIMEDOUT);
	/* It is shorter than what would have to pass before the next look. */
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	is_int(vmclk_wait(watch, 30 * MSEC, &events), -ETIMEDOUT);
	is_u64(events, 0);
	drop_all();
}

TAP_TEST(a_page_whose_writer_does_not_wake_is_looked_at)
{
	wakes = false;
	watch_page(F_SEAL_SHRINK);
	wait_for_thread(3);
	drop_all();
	watch_page(0);
	wait_for_thread(3);
	drop_all();
}

#define ROUNDS		20000

/* The writer's next update comes when the last one was seen, at any moment. */
static atomic_uint seen;

static void *change_page_often(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		for (unsigned int n = 1; atomic_load(&seen) != i; n++) {
			counter_relax();
			if (n % 4096 == 0)
				sched_yield();
		}
		disrupt();
		syscall(SYS_futex, &page.page->seq_count, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	return NULL;
}

/* Up to some microseconds, so that the update falls between any two steps. */
static void dawdle(unsigned int i)
{
	for (volatile unsigned int n = i * 37 % 2048; n; n--)
		;
}

TAP_TEST(no_wake_up_is_lost)
{
	unsigned int events = 0;
	pthread_t thread;

	watch_page(F_SEAL_SHRINK);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	atomic_store(&seen, 0);
	need(!pthread_create(&thread, NULL, change_page_often, NULL));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (!ok(!vmclk_wait(watch, PATIENCE_NS, &events)))
			_exit(1);
		is_u64(events, VMCLK_EVENT_DISRUPTED);
		atomic_fetch_add(&seen, 1);
		dawdle(i);
	}
	pthread_join(thread, NULL);
	drop_all();
}

/* Nobody looks before the test's patience ends. */
TAP_TEST(a_writer_that_wakes_ends_it_at_once)
{
	wakes = true;
	watch_page(F_SEAL_SHRINK);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	wait_for_thread(3);
	drop_all();
}

TAP_TEST(so_it_does_on_a_file_that_is_not_mapped)
{
	wakes = true;
	watch_page(0);
	ok(!clk->page);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	wait_for_thread(3);
	drop_all();
}

TAP_TEST(a_notification_ends_it)
{
	wakes = false;
	notifier = eventfd(0, 0);
	watch_page(F_SEAL_SHRINK);
	is_int(vmclk__watch_notifier(watch, notifier), 0);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	wait_for_thread(3);
	notifier = -1;
	drop_all();
}

/* The mapping for the futex is never read: its file may lose its end. */
TAP_TEST(a_truncated_file_ends_it_with_an_error)
{
	unsigned int events = 77;

	watch_page(0);
	need(!ftruncate(page.fd, 0));
	is_int(vmclk_wait(watch, PATIENCE_NS, &events), -VMCLK_EMALFORMED);
	is_u64(events, 0);
	drop_all();
}

TAP_TEST(where_there_is_no_futex_polling_has_to_do)
{
	static uint32_t unmapped_page_of_no_file;

	wakes = false;
	watch_page(F_SEAL_SHRINK);
	/* Address 4 can't be waited for. */
	watch->word = (void *)sizeof(unmapped_page_of_no_file);
	wait_for_thread(2);
	ok(!watch->word);
	drop_all();
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* An update that never ends is not waited for in a loop either. */
TAP_TEST(waiting_takes_next_to_nothing_of_the_CPU)
{
	unsigned int events;
	uint64_t before;

	watch_page(F_SEAL_SHRINK);
	disrupt();
	is_int(vmclk_wait(watch, 0, &events), 0);
	before = cpu_ns();
	is_int(vmclk_wait(watch, 300 * MSEC, &events), -ETIMEDOUT);
	page.page->seq_count = htole32(5);
	is_int(vmclk_wait(watch, 300 * MSEC, &events), -ETIMEDOUT);
	ok(cpu_ns() - before < 100 * MSEC);
	drop_all();
}

static unsigned int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		n += !!strstr(line, "memfd:page");
	if (maps)
		fclose(maps);
	return n;
}

TAP_TEST(a_closed_watch_leaves_no_mapping)
{
	unsigned int before = count_mappings();

	watch_page(0);
	/* The test's own, and the watch's. */
	is_u64(count_mappings(), before + 2);
	drop_all();
	is_u64(count_mappings(), before);
}

static void on_signal(int signum)
{
	(void)signum;
}

/* The signal comes again and again, in case the first one finds us awake. */
TAP_TEST(a_signal_ends_it)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { 0 };
	unsigned int events = 77;

	for (int has_word = 1; has_word >= 0; has_word--) {
		watch_page(F_SEAL_SHRINK);
		is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
		if (!has_word)
			watch->word = NULL;
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &often, NULL);
		is_int(vmclk_wait(watch, PATIENCE_NS, &events), -EINTR);
		setitimer(ITIMER_REAL, &never, NULL);
		is_u64(events, 0);
		drop_all();
	}
}

int main(void)
{
	return tap_main();
}
