// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who gets which reading when, in a fleet whose time is told by the test.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fleet.h"
#include "host_fake_kernel.h"
#include "tap.h"

#define SEC	1000000000LL

static struct clock feeding;
static struct fleet fleet;

/* VMs named 0000, 0001 and so on, without a page that anybody sees. */
static void start(size_t count)
{
	struct config config = { .vms = calloc(count, sizeof(struct config_vm *)) };
	char name[24];

	fake_reset();
	kernel.runs = true;
	feeding = (struct clock){ .options = options_default.clock };
	feeding.options.force_counter = true;
	feeding.options.leap_list = "/nonexistent";
	fleet = (struct fleet){ .clock = &feeding };
	is_int(clock_start(&feeding), 0);
	for (; config.vms && config.count < count; config.count++) {
		snprintf(name, sizeof(name), "%04zu", config.count);
		config.vms[config.count] = config_vm_new(name);
		need(config.vms[config.count]);
		config.vms[config.count]->options.guest.ratio = 1ULL << 48;
		config.vms[config.count]->options.has_tsc_offset = true;
	}
	is_int(fleet_apply(&fleet, &config), 0);
	config_free(&config);
}

static void stop(void)
{
	fleet_stop(&fleet);
	clock_stop(&feeding);
}

static struct vm *vm_at(size_t i)
{
	return &fleet.members[i]->machine.vm;
}

/* Until all have had the reading; how many calls that takes. */
static int pass(int64_t now_ns)
{
	int calls = 1;

	while (calls < 100 && !fleet_feed(&fleet, now_ns))
		calls++;
	return calls;
}

/* Until all have a line. Returns the time then. */
static int64_t warm(int64_t now_ns)
{
	for (int i = 0; i < 400 && (!i || fleet.is_warming); i++) {
		pass(now_ns);
		now_ns += VM_WARM_NS;
		usleep(1000);
	}
	ok(!fleet.is_warming && !fleet.is_dead);
	for (size_t i = 0; i < fleet.count; i++)
		ok(vm_at(i)->cal.has_line);
	return now_ns;
}

TAP_TEST(a_reading_reaches_all_and_many_in_slices)
{
	int64_t now_ns;

	start(2500);
	now_ns = warm(SEC);
	for (size_t i = 0; i < fleet.count; i++)
		is_int(vm_at(i)->state, VM_SYNCHRONIZED);
	is_int(pass(now_ns + 2 * SEC), 3);
	for (size_t i = 1; i < fleet.count; i++)
		is_u64(vm_at(i)->last_reading, vm_at(0)->last_reading);
	stop();
}

TAP_TEST(the_next_reading_is_an_interval_away)
{
	int64_t now_ns, left;

	start(2);
	now_ns = warm(SEC);
	pass(now_ns + 2 * SEC);
	left = fleet_feed(&fleet, now_ns + 2 * SEC + SEC / 4);
	is_int(left, SEC - SEC / 4);
	stop();
}

TAP_TEST(who_has_a_line_is_left_alone_while_another_one_warms_up)
{
	const struct guest_counter other = { 1ULL << 48, 48, 1234567 };
	uint64_t reading;
	int64_t now_ns;

	start(2);
	now_ns = warm(SEC);
	pass(now_ns + 2 * SEC);
	reading = vm_at(0)->last_reading;
	is_int(vm_set_counter(vm_at(1), &other, 0), 0);
	ok(!vm_at(1)->cal.has_line);
	/* Without being hurried it is the interval's turn. */
	ok(fleet_feed(&fleet, now_ns + 2 * SEC + SEC / 100) > 0);
	ok(!fleet.is_warming);
	fleet_hurry(&fleet);
	for (int i = 1; i < 90 && !vm_at(1)->cal.has_line; i++) {
		pass(now_ns + 2 * SEC + i * (int64_t)VM_WARM_NS);
		usleep(3000);
	}
	ok(vm_at(1)->cal.has_line);
	is_u64(vm_at(0)->last_reading, reading);
	stop();
}

/* As a monitor does that has heard of something. */
TAP_TEST(who_needs_a_line_does_not_wait_for_the_interval)
{
	const struct guest_counter other = { 1ULL << 48, 48, 1234567 };
	struct poll_set set = { 0 };
	int64_t now_ns;

	start(2);
	now_ns = warm(SEC);
	pass(now_ns + 2 * SEC);
	is_int(fleet_prepare(&fleet, &set), 0);
	fleet_work(&fleet, &set);
	ok(fleet_feed(&fleet, now_ns + 2 * SEC + SEC / 100) > SEC / 2);
	is_int(vm_set_counter(vm_at(1), &other, 0), 0);
	fleet_work(&fleet, &set);
	for (int i = 1; i < 5 && !vm_at(1)->cal.has_line; i++)
		pass(now_ns + 2 * SEC + i * (int64_t)VM_WARM_NS);
	ok(vm_at(1)->cal.has_line);
	poll_set_free(&set);
	stop();
}

TAP_TEST(a_clock_that_fails_ends_all)
{
	int64_t now_ns;

	start(3);
	now_ns = warm(SEC);
	kernel.error = EPERM;
	pass(now_ns + 2 * SEC);
	ok(fleet.is_dead && !feeding.is_open);
	for (size_t i = 0; i < fleet.count; i++) {
		is_int(fleet.members[i]->machine.state, MACHINE_FAILED);
		ok(!vm_at(i)->has_page);
	}
	stop();
}

TAP_TEST(a_reference_that_is_lost_ends_nobody)
{
	int64_t now_ns;

	start(2);
	now_ns = warm(SEC);
	kernel.tx.status |= STA_UNSYNC;
	for (int i = 2; i < 5; i++)
		pass(now_ns + i * SEC);
	ok(!fleet.is_dead && feeding.lost);
	ok(vm_at(0)->cal.has_line && vm_at(1)->cal.has_line);
	stop();
}

int main(void)
{
	return tap_main();
}
