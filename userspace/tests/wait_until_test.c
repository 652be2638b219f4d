// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting: until a moment is certainly past, and until there is a time to
 * trust, while another thread changes the page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "vmclk-stamp.h"

#define LONG_NS		60000000000ULL	/* no test is meant to wait that long */

/**
 * struct scene - a page in use, and what will happen to it
 * @t: the page
 * @clk: the handle
 * @change: what happens
 * @delay_ns: after how long
 * @done: the test is over
 * @waiter: who waits
 * @thread: what makes it happen
 */
struct scene {
	struct test_page t;
	struct vmclk *clk;
	void (*change)(struct scene *scene);
	long delay_ns;
	bool done;
	pthread_t waiter;
	pthread_t thread;
};

/* A page whose line runs from now on, known to @maxerror_ns. */
static struct scene scene_of(uint64_t maxerror_ns)
{
	struct vmclock_page page = good_page();
	struct scene s = { .waiter = pthread_self() };

	page.counter_value = htole64(counter_read_ordered());
	page.time_maxerror_nanosec = htole64(maxerror_ns);
	s.t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	if (vmclk_open(s.t.path, &s.clk)) {
		printf("Bail out! vmclk_open\n");
		_exit(1);
	}
	/* Whether the kernel trusts this counter is not what is tested. */
	s.clk->counter_trusted = true;
	return s;
}

static void scene_end(struct scene *s)
{
	vmclk_close(s->clk);
	page_drop(&s->t);
}

static void nap_ns(long ns)
{
	const struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

static void set_seq(struct scene *s, uint32_t seq)
{
	__atomic_store_n(&s->t.page->seq_count, htole32(seq), __ATOMIC_SEQ_CST);
}

static void *make_happen(void *arg)
{
	struct scene *s = arg;

	nap_ns(s->delay_ns);
	set_seq(s, 3);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	s->change(s);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set_seq(s, 4);
	return NULL;
}

static void happen(struct scene *s, void (*change)(struct scene *s))
{
	s->change = change;
	s->delay_ns = 20000000;
	if (pthread_create(&s->thread, NULL, make_happen, s)) {
		printf("Bail out! pthread_create\n");
		_exit(1);
	}
}

/* A stamp of now that is certainly past in @sec only. */
static struct vmclk_stamp stamp_in(struct scene *s, int64_t sec)
{
	struct vmclk_stamp stamp;

	is_int(vmclk_now(s->clk, &stamp), 0);
	stamp.latest.sec += sec;
	return stamp;
}

/* Now, the page says that @stamp is past, beyond doubt. */
static bool is_past(struct scene *s, const struct vmclk_stamp *stamp)
{
	struct vmclk_stamp now;

	return !vmclk_now(s->clk, &now) && vmclk_before(stamp, &now);
}

TAP_TEST(the_wait_ends_when_the_moment_is_certainly_past)
{
	for (uint64_t maxerror = 0; maxerror <= 10000000; maxerror += 2500000) {
		struct scene s = scene_of(maxerror);
		struct vmclk_stamp stamp = stamp_in(&s, 0);

		errno = 123;
		is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), 0);
		is_int(errno, 123);
		ok(is_past(&s, &stamp));
		scene_end(&s);
	}
}

TAP_TEST(what_is_past_needs_no_wait)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 0);

	nap_ns(1000000);
	need(is_past(&s, &stamp));
	is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, 0), 0);
	scene_end(&s);
}

static void grow_bound(struct scene *s)
{
	s->t.page->time_maxerror_nanosec = htole64(90000000);
}

/* 25 ms to either side when it starts, 90 ms before it could have ended. */
TAP_TEST(a_bound_that_grows_meanwhile_is_waited_for_too)
{
	struct scene s = scene_of(25000000);
	struct vmclk_stamp stamp = stamp_in(&s, 0);

	happen(&s, grow_bound);
	is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), 0);
	ok(is_past(&s, &stamp));
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

#define BROKEN_TEST(name, what, error) \
	static void break_##name(struct scene *s) \
	{ \
		s->t.page->what; \
	} \
	TAP_TEST(name) \
	{ \
		struct scene s = scene_of(1000); \
		struct vmclk_stamp stamp = stamp_in(&s, 3600); \
		\
		happen(&s, break_##name); \
		is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), error); \
		pthread_join(s.thread, NULL); \
		/* And from the beginning. */ \
		is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), error); \
		scene_end(&s); \
	}

BROKEN_TEST(a_disruption_ends_the_wait, disruption_marker = htole64(9), -VMCLK_EDISRUPTED)
BROKEN_TEST(a_clone_ends_the_wait, vm_generation_counter = htole64(9), -VMCLK_ECLONED)
BROKEN_TEST(no_more_time_ends_the_wait, clock_status = 0, -VMCLK_ENOTIME)
BROKEN_TEST(another_scale_ends_the_wait, time_type = VMCLOCK_PAGE_TIME_UTC, -VMCLK_ESCALES)
BROKEN_TEST(a_page_that_goes_ends_the_wait,
	    magic = htole32(VMCLOCK_PAGE_MAGIC_GONE), -VMCLK_EGONE)

static void disrupt_and_stop(struct scene *s)
{
	s->t.page->disruption_marker = htole64(9);
	s->t.page->clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
}

TAP_TEST(a_disruption_that_takes_the_time_away_is_told_as_one)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 3600);

	happen(&s, disrupt_and_stop);
	is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), -VMCLK_EDISRUPTED);
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

/* A stamp that this page can say nothing about is refused at once. */
TAP_TEST(no_wait_for_stamps_of_others)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 3600), bad = stamp;

	bad.page_id++;
	is_int(vmclk_wait_until_after(s.clk, &bad, NULL, LONG_NS), -VMCLK_EPAGES);
	bad = stamp;
	bad.time_type = VMCLOCK_PAGE_TIME_UTC;
	is_int(vmclk_wait_until_after(s.clk, &bad, NULL, LONG_NS), -VMCLK_ESCALES);
	bad = stamp;
	bad.valid &= ~VMCLK_STAMP_TIME;
	is_int(vmclk_wait_until_after(s.clk, &bad, NULL, LONG_NS), -VMCLK_ENOTIME);
	bad = stamp;
	bad.latest.nsec = 1000000000;
	is_int(vmclk_wait_until_after(s.clk, &bad, NULL, LONG_NS), -EINVAL);
	scene_end(&s);
}

TAP_TEST(a_policy_that_makes_no_sense_is_refused)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 0);
	struct vmclk_policy policy = { 0 };

	is_int(vmclk_wait_until_after(s.clk, &stamp, &policy, LONG_NS), -EINVAL);
	is_int(vmclk_wait_trusted(s.clk, &policy, LONG_NS, &stamp), -EINVAL);
	scene_end(&s);
}

/* The moment is past, but this says a clock that the policy does not trust. */
TAP_TEST(what_the_policy_does_not_trust_does_not_end_the_wait)
{
	struct vmclk_policy policy = VMCLK_POLICY_DEFAULT;
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 0);

	nap_ns(1000000);
	policy.bound_max_ns = 10;
	is_int(vmclk_wait_until_after(s.clk, &stamp, &policy, 30000000), -ETIMEDOUT);
	scene_end(&s);
}

TAP_TEST(the_wait_ends_with_its_timeout)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp far = stamp_in(&s, 3600), near = stamp_in(&s, 0);

	is_int(vmclk_wait_until_after(s.clk, &far, NULL, 0), -ETIMEDOUT);
	is_int(vmclk_wait_until_after(s.clk, &far, NULL, 30000000), -ETIMEDOUT);
	/* A line that stands still: nothing ever becomes past. */
	s.t.page->counter_period_frac_sec = htole64(1);
	s.t.page->counter_period_maxerror_rate_frac_sec = 0;
	need(!vmclk_now(s.clk, &near));
	is_int(vmclk_wait_until_after(s.clk, &near, NULL, 30000000), -ETIMEDOUT);
	/* Not even what ends when now begins: they touch. */
	near.latest = near.point = near.earliest;
	is_int(vmclk_wait_until_after(s.clk, &near, NULL, 1000000), -ETIMEDOUT);
	scene_end(&s);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Again and again: the first one may come before the sleep. */
static void interrupt(struct scene *s)
{
	while (!__atomic_load_n(&s->done, __ATOMIC_SEQ_CST)) {
		pthread_kill(s->waiter, SIGUSR1);
		nap_ns(5000000);
	}
}

static void *interrupter(void *arg)
{
	interrupt(arg);
	return NULL;
}

TAP_TEST(a_signal_ends_the_wait)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct vmclk_policy none = VMCLK_POLICY_DEFAULT;
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp = stamp_in(&s, 3600);

	none.statuses = 0;
	need(!sigaction(SIGUSR1, &action, NULL));
	need(!pthread_create(&s.thread, NULL, interrupter, &s));
	is_int(vmclk_wait_until_after(s.clk, &stamp, NULL, LONG_NS), -EINTR);
	is_int(vmclk_wait_trusted(s.clk, &none, LONG_NS, &stamp), -EINTR);
	__atomic_store_n(&s.done, true, __ATOMIC_SEQ_CST);
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

static void become_good(struct scene *s)
{
	s->t.page->clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
}

TAP_TEST(time_that_becomes_trusted_is_waited_for)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp;

	s.t.page->clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	happen(&s, become_good);
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), 0);
	is_int(vmclk_trusts(NULL, &stamp), 0);
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

static void become_precise(struct scene *s)
{
	s->t.page->time_maxerror_nanosec = htole64(1000);
}

TAP_TEST(a_bound_that_becomes_small_enough_is_waited_for)
{
	struct scene s = scene_of(500000000);
	struct vmclk_stamp stamp;

	happen(&s, become_precise);
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), 0);
	is_int(vmclk_trusts(NULL, &stamp), 0);
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

/* For longer than a reader waits: three of them are told so, one by one. */
static void stay_busy(struct scene *s)
{
	struct vmclk_snapshot snap;

	for (int i = 0; i < 3; i++)
		is_int(vmclk_snapshot(s->clk, &snap), -VMCLK_EBUSY);
}

TAP_TEST(an_update_that_ends_late_is_waited_for)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp;

	set_seq(&s, 3);
	happen(&s, stay_busy);
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), 0);
	pthread_join(s.thread, NULL);
	scene_end(&s);
}

TAP_TEST(time_that_is_not_trusted_in_time_is_still_shown)
{
	struct scene s = scene_of(500000000);
	struct vmclk_stamp stamp;

	is_int(vmclk_wait_trusted(s.clk, NULL, 15000000, &stamp), -ETIMEDOUT);
	is_int(vmclk_trusts(NULL, &stamp), -VMCLK_EWIDE);
	s.t.page->clock_status = VMCLOCK_PAGE_STATUS_UNKNOWN;
	is_int(vmclk_wait_trusted(s.clk, NULL, 0, &stamp), -ETIMEDOUT);
	is_int(stamp.reason, VMCLK_BAD_STATUS);
	scene_end(&s);
}

TAP_TEST(there_is_no_wait_for_what_waiting_does_not_mend)
{
	struct scene s = scene_of(1000);
	struct vmclk_stamp stamp;

	s.clk->boot_unknown = true;
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), -VMCLK_ENOTIME);
	s.clk->counter_trusted = false;
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), -VMCLK_ECOUNTER);
	s.t.page->magic = htole32(VMCLOCK_PAGE_MAGIC_GONE);
	is_int(vmclk_wait_trusted(s.clk, NULL, LONG_NS, &stamp), -VMCLK_EGONE);
	scene_end(&s);
}

int main(void)
{
	return tap_main();
}
