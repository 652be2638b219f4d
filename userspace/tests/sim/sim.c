// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's clock.c and vm.c, with what they use, in months of simulated time:
 *
 *	sim [--seed=N] [--seconds=N] [--interval-ms=N] [--untold] [--calm | --demo] [--text]
 *
 * The oscillator wanders with the temperature and steps, the reference is wrong
 * within its bound, jumps, lies, is lost and comes back, the daemon is late, is
 * killed and started again, leap seconds come and go. What the page said and what
 * was true goes to the standard output; sim_checker.py judges it. --untold has the
 * reference answer with a bound that grows by 500 ppm, for the last quarter but an
 * eighth. --calm leaves all events out, --demo all but two, --text is for vmclockctl plot.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sim-counter.h"
#include "trace.h"

#define MSEC		1000000LL
#define YEAR_START	1799971200LL	/* 2027-01-15, TAI - UTC taken off */
#define JULY		1814400000LL	/* 2027-07-01 */
#define NEXT_YEAR	1830297600LL	/* 2028-01-01 */

static struct sim {
	struct world world;
	struct reference reference;
	struct daemon daemon;
	struct trace trace;
	uint64_t seed;
	int64_t seconds, next_event, events_sec;
	int64_t late_ns;	/* until the daemon looks at the counter */
	uint64_t wrong_by;	/* what the daemon does not know of the guest's counter */
	bool is_calm, is_demo, is_untold, publishes;
} sim = {
	.seconds = 86400,
	.daemon.clock.options = {
		.interval_ns = NS_PER_SEC,
		.drift_ppb = 15000,
		.holdover.max_bound_ns = HOLDOVER_MAX_BOUND_DEFAULT_NS,
	},
};

/* The world's, so that a seed gives the same markers too. */
ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
	uint64_t value = world_random(&sim.world);

	(void)flags;
	memcpy(buffer, &value, size < sizeof(value) ? size : sizeof(value));
	return size;
}

/* Some time goes by while the counter is read. */
uint64_t guest_counter_read(const struct guest_counter *guest)
{
	world_advance(&sim.world, sim.late_ns + 20 + world_random(&sim.world) % 100);
	sim.late_ns = 0;
	return guest_counter_from_host(guest, sim.world.counter);
}

/* As the guest itself reads it. */
static uint64_t readers_counter(void)
{
	const struct guest_counter *guest = &sim.daemon.vm.options.guest;

	return guest_counter_from_host(guest, sim.world.counter) + sim.wrong_by;
}

static int64_t now(void)
{
	return sim.world.truth >> WORLD_FRAC;
}

/* A picture has one look for each line, where that is oldest. */
static void sample_at_random(void)
{
	if (!sim.trace.is_text)
		trace_sample(&sim.trace, &sim.world, readers_counter());
}

static void sample(void)
{
	trace_sample(&sim.trace, &sim.world, readers_counter());
}

/* Whatever happens in @act, readers looked just before and just after it. */
static void trace_act(void (*act)(void))
{
	uint64_t before;

	sample();
	before = readers_counter();
	act();
	trace_update(&sim.trace, &sim.world, sim.daemon.page, before, readers_counter());
}

static int64_t lateness(void)
{
	if (!sim.is_calm && world_once_in(&sim.world, 300))
		return world_random(&sim.world) % (3 * sim.daemon.clock.options.interval_ns);
	return 20000 + world_random(&sim.world) % 100000;
}

/* Even without a reference the kernel's clock can be asked for its second. */
void sim_kernel_read(struct source_reading *reading)
{
	int64_t unused, lost_until = sim.reference.lost_until;

	sim.reference.lost_until = 0;
	reference_read(&sim.reference, &sim.world, reading, &unused);
	sim.reference.lost_until = lost_until;
}

bool sim_source_read(struct source_reading *reading)
{
	int64_t error_ns = 0;
	bool has = reference_read(&sim.reference, &sim.world, reading, &error_ns);

	trace_reading(&sim.trace, &sim.world, has ? reading : NULL, error_ns);
	sim.late_ns = has ? lateness() : 0;
	return has;
}

static void act_work(void)
{
	daemon_work(&sim.daemon);
	sim.late_ns = 0;
}

static void act_publish_again(void)
{
	daemon_publish_again(&sim.daemon);
}

static void act_start(void)
{
	/* The operator keeps up with leap seconds. */
	sim.daemon.clock.options.tai_offset_sec = -reference_tai_offset(&sim.reference, now());
	daemon_start(&sim.daemon);
}

static void read_reference(void)
{
	daemon_ask(&sim.daemon);
	trace_act(act_work);
}

static void restart(void)
{
	daemon_kill(&sim.daemon);
	trace_kill(&sim.trace, &sim.world);
	for (uint64_t n = world_random(&sim.world) % 10; n; n--) {
		world_advance(&sim.world, world_random(&sim.world) % (60 * NS_PER_SEC));
		sample();
	}
	trace_restart(&sim.trace, &sim.world);
	trace_act(act_start);
}

/* How long an event lasts: mostly short, at times for hours. */
static int64_t some_seconds(void)
{
	uint64_t longest = world_once_in(&sim.world, 4) ? sim.events_sec / 2 : 60;

	return now() + 1 + world_random(&sim.world) % (longest > 43200 ? 43200 : longest);
}

/*
 * A clock set across a leap second is a kernel's affair that is not simulated: it does
 * not take the second back, nor make up for it.
 */
static bool is_across_leap(int64_t ns, int64_t until)
{
	int64_t sec = llabs(ns) / NS_PER_SEC + 1;

	for (unsigned int i = 0; i < sim.reference.leap_count; i++)
		if (sim.reference.leaps[i].tai + sec >= now() &&
		    sim.reference.leaps[i].tai - sec <= until)
			return true;
	return false;
}

static void lie(void)
{
	int64_t by = sim.reference.bound_ns, small = 4 * by;
	struct reference *r = &sim.reference;

	/* From what the bounds may just hide, to a clock set by a minute. */
	for (uint64_t n = world_random(&sim.world) % 8; n && by < 10 * NS_PER_SEC; n--)
		by *= 8;
	r->lie_ns = world_within(&sim.world, by > small ? by : small);
	r->lie_until = some_seconds();
	if (is_across_leap(r->lie_ns, r->lie_until))
		r->lie_ns %= small;
}

static void happen(void)
{
	struct reference *r = &sim.reference;

	switch (world_random(&sim.world) % 8) {
	case 0:
	case 1:
		world_step_frequency(&sim.world);
		break;
	case 2:
	case 3:
		r->lost_until = some_seconds();
		break;
	case 4:
		lie();
		break;
	case 5:
		r->noisy_until = some_seconds();
		break;
	case 6:
		r->unbounded_until = some_seconds();
		break;
	case 7:
		restart();
	}
}

static void maybe_happen(void)
{
	if (sim.is_calm || now() < sim.next_event)
		return;
	happen();
	sim.next_event = now() + 1 + world_random(&sim.world) % (2 * sim.events_sec);
}

/* One reading just before a leap second: the update that follows may be behind it. */
static int64_t until_leap(int64_t ns)
{
	for (unsigned int i = 0; i < sim.reference.leap_count; i++) {
		vmclock_u128 at = (vmclock_u128)sim.reference.leaps[i].tai << WORLD_FRAC;
		int64_t left = -world_ns_since(&sim.world, at);

		if (sim.world.truth < at)
			left = (at - sim.world.truth) /
			       (((vmclock_u128)1 << WORLD_FRAC) / NS_PER_SEC);
		left -= world_random(&sim.world) % 100000;
		if (left > 0 && left < ns)
			return left;
	}
	return ns;
}

/* The oscillator steps after a minute, the reference after two and a half. */
static void demonstrate(int64_t left)
{
	if (!sim.is_demo)
		return;
	if (left < sim.seconds - 60)
		sim.world.step_ppt = 5000000;
	if (left == sim.seconds - 150)
		sim.reference.error_ns = sim.reference.bound_ns * 3 / 4;
}

static void run(void)
{
	int64_t end = now() + sim.seconds;

	while (now() < end) {
		int64_t ns = vm_is_warming(&sim.daemon.vm) ? VM_WARM_NS :
			     sim.daemon.clock.options.interval_ns;
		int64_t at = world_random(&sim.world) % ns;

		ns = until_leap(ns);
		at %= ns;
		world_advance(&sim.world, at);
		if (sim.publishes)
			trace_act(act_publish_again);
		sample_at_random();
		world_advance(&sim.world, ns - at);
		maybe_happen();
		demonstrate(end - now());
		read_reference();
	}
}

static void set_leaps(int64_t start)
{
	struct leap_list *list = &sim.daemon.clock.leaps;
	struct reference *r = &sim.reference;
	/* The whole year has one of each; less has one in its middle. */
	bool has_two = start + sim.seconds > NEXT_YEAR;
	int sign = has_two || world_once_in(&sim.world, 2) ? 1 : -1;

	r->leaps[r->leap_count++] = (struct leap){ JULY + TAI_AT_START - (sign < 0), sign };
	if (has_two)
		r->leaps[r->leap_count++] = (struct leap){ NEXT_YEAR + TAI_AT_START, -1 };
	list->expires = INT64_MAX;
	list->entry[list->count].from = 1483228800;
	list->entry[list->count++].tai_minus_utc = TAI_AT_START;
	list->entry[list->count].from = JULY;
	list->entry[list->count++].tai_minus_utc = TAI_AT_START + sign;
	if (has_two) {
		list->entry[list->count].from = NEXT_YEAR;
		list->entry[list->count++].tai_minus_utc = TAI_AT_START;
	}
}

/* Who knows the offset between the scales, and which one is published. */
static void set_scale(void)
{
	static struct leap_list none;

	switch (world_random(&sim.world) % 4) {
	case 0:
		sim.reference.kernel_knows_tai = true;
		sim.daemon.clock.leaps = none;
		break;
	case 1:
		break;
	case 2:
		sim.daemon.clock.options.has_tai_offset = true;
		break;
	case 3:
		sim.daemon.vm.options.wants_utc = true;
		sim.reference.kernel_knows_tai = world_once_in(&sim.world, 2);
	}
}

static void set_guest(void)
{
	struct vm_options *o = &sim.daemon.vm.options;
	struct guest_counter *guest = &o->guest;

	guest->frac_bits = 48;
	guest->ratio = 1ULL << 48;
	guest->offset = world_random(&sim.world);
	o->has_tsc_offset = true;
	if (world_once_in(&sim.world, 3))
		guest->ratio -= world_random(&sim.world) >> 18;
	if (world_once_in(&sim.world, 3)) {
		o->offset_error = sim.world.hz / 100000;
		sim.wrong_by = world_within(&sim.world, o->offset_error);
	}
}

static void set_up(void)
{
	int64_t start = YEAR_START;

	/* What is drawn is compared with UTC, and a leap second would be all there is. */
	if (start + sim.seconds < JULY + 86400 && !sim.trace.is_text)
		start = JULY - sim.seconds / 2;
	world_init(&sim.world, sim.seed, start + TAI_AT_START);
	reference_init(&sim.reference, &sim.world);
	if (sim.is_untold) {
		sim.reference.untold_from = now() + sim.seconds / 8 * 5;
		sim.reference.untold_until = now() + sim.seconds / 8 * 7;
	}
	set_leaps(start);
	set_scale();
	set_guest();
	sim.daemon.clock.options.holdover.after_ns = 3 * sim.daemon.clock.options.interval_ns;
	sim.publishes = world_once_in(&sim.world, 3);
	sim.events_sec = sim.seconds / 60 > 20000 ? 20000 : sim.seconds / 60 + 1;
	sim.next_event = now() + sim.events_sec;
	daemon_init(&sim.daemon);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 'n' },
		{ "interval-ms", required_argument, NULL, 'i' },
		{ "calm", no_argument, NULL, 'c' },
		{ "demo", no_argument, NULL, 'd' },
		{ "untold", no_argument, NULL, 'u' },
		{ "text", no_argument, NULL, 't' },
		{ 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == '?')
			exit(2);
		sim.is_calm |= c == 'c' || c == 'd';
		sim.is_demo |= c == 'd';
		sim.is_untold |= c == 'u';
		sim.trace.is_text |= c == 't';
		if (c == 's')
			sim.seed = strtoull(optarg, NULL, 0);
		if (c == 'n')
			sim.seconds = strtoll(optarg, NULL, 0);
		if (c == 'i')
			sim.daemon.clock.options.interval_ns = strtoull(optarg, NULL, 0) * MSEC;
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	sim.trace.out = stdout;
	set_up();
	trace_begin(&sim.trace, &sim.world, &sim.reference, &sim.daemon, sim.seed);
	trace_act(act_start);
	run();
	if (trace_end(&sim.trace, &sim.world))
		return 0;
	perror("sim: standard output");
	return 2;
}
