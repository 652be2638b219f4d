// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests without a socket: what they do, and that no bytes do harm.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include <linux/vmclock-page.h>

#include "control-request.h"
#include "host_fake_kernel.h"
#include "tap.h"

static struct clock feeding;
static struct fleet fleet;
static int reload_result, reloads;
static struct control_host host;

static int reload(void *context)
{
	ok(context == &fleet);
	reloads++;
	if (reload_result)
		log_line("bad \xff file");
	return reload_result;
}

/* VMs named "a", "b" and so on, without a page that anybody sees. */
static void apply(const char *names)
{
	struct config_vm *vms[32];
	struct config config = { .vms = vms };

	for (; *names; names++) {
		struct config_vm *vm = config_vm_new((char[]){ *names, '\0' });

		need(vm);
		vm->options.guest.ratio = 1ULL << 48;
		vm->options.has_tsc_offset = true;
		vms[config.count++] = vm;
	}
	is_int(fleet_apply(&fleet, &config), 0);
	for (size_t i = 0; i < config.count; i++)
		config_vm_free(vms[i]);
}

static void start(const char *names)
{
	fake_reset();
	kernel.runs = true;
	feeding = (struct clock){ .options = options_default.clock };
	feeding.options.force_counter = true;
	feeding.options.leap_list = "/nonexistent";
	fleet = (struct fleet){ .clock = &feeding };
	host = (struct control_host){ &fleet, reload, &fleet };
	is_int(clock_start(&feeding), 0);
	apply(names);
}

static void stop(void)
{
	fleet_stop(&fleet);
	clock_stop(&feeding);
}

/* Single quotes stand for double ones. */
static char *json(const char *text)
{
	static char quoted[CONTROL_REQUEST_MAX];

	snprintf(quoted, sizeof(quoted), "%s", text);
	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	return quoted;
}

/* Asks; 1 if that was done, 0 if it was refused. */
static int ask(const char *text)
{
	struct control_listing listing = { 0 };
	json_t *answer = control_request(&host, json(text), strlen(text), &listing);
	json_t *done = json_object_get(answer, "ok");
	int is_done = json_is_true(done);

	ok(json_is_boolean(done) && !listing.is_on);
	ok(is_done || json_is_string(json_object_get(answer, "error")));
	json_decref(answer);
	return is_done;
}

static struct vm *vm_of(const char *name)
{
	struct member *m = fleet_find(&fleet, name);

	return m ? &m->machine.vm : NULL;
}

/* Tells a VM's counter: @what it is, measured under the marker @marker. */
static int tell(const char *name, uint64_t marker, const char *what)
{
	char text[CONTROL_REQUEST_MAX];

	snprintf(text, sizeof(text), "{'command':'set-counter','vm':'%s','marker':'%llu',%s}",
		 name, (unsigned long long)marker, what);
	return ask(text);
}

static uint64_t marker_of(const char *name)
{
	return vm_of(name)->pub.fields.disruption_marker;
}

TAP_TEST(commands_reach_the_vm_that_is_named_and_no_other)
{
	start("abc");
	ok(ask("{'command':'disrupt','vm':'b'}"));
	is_u64(vm_of("b")->disruptions, 1);
	ok(vm_of("b")->waits_for_counter && !vm_of("a")->waits_for_counter);
	is_u64(vm_of("a")->disruptions + vm_of("c")->disruptions, 0);
	ok(tell("b", marker_of("b"), "'tsc-offset':'-3'"));
	is_u64(vm_of("b")->guest.offset, -3);
	is_u64(vm_of("b")->guest.ratio, 1ULL << 48);
	ok(tell("b", marker_of("b"), "'tsc-offset':'1','tsc-ratio':'0x100000000','tsc-frac-bits':'32','tsc-offset-error':'9'"));
	is_u64(vm_of("b")->guest.ratio, 1ULL << 32);
	is_u64(vm_of("b")->guest.frac_bits, 32);
	is_u64(vm_of("b")->offset_error, 9);
	ok(ask("{'command':'drain','vm':'c','when':'soon'}"));
	ok(vm_of("c")->pub.notice && !vm_of("a")->pub.notice);
	ok(ask("{'command':'stop','all':true}"));
	ok(!vm_of("a")->has_page && !vm_of("b")->has_page && !vm_of("c")->has_page);
	stop();
}

TAP_TEST(what_is_not_whole_is_refused_and_changes_nothing)
{
	start("ab");
	ok(!ask("{'command':'disrupt'}"));
	ok(!ask("{'command':'disrupt','all':false}"));
	ok(!ask("{'command':'disrupt','vm':''}"));
	ok(!ask("{'command':'disrupt','vm':'a','all':true}"));
	ok(!ask("{'command':'disrupt','vm':'a','vm':'b'}"));
	ok(!ask("{'command':'disrupt','vm all':'a','vm':'a'}"));
	ok(!ask("{'command':'disrupt','vm':'a'} and more"));
	ok(!ask("{'command':'set-counter','vm':'a','tsc-offset':'7'}"));
	ok(!tell("a", marker_of("a"), "'tsc-ratio':'1'"));
	ok(!tell("a", marker_of("a"), "'tsc-offset':'1','tsc-ratio':'0'"));
	ok(!tell("a", marker_of("a"), "'tsc-offset':7"));
	ok(!tell("a", marker_of("a"), "'tsc-offset':'7','all':true"));
	is_u64(vm_of("a")->disruptions + vm_of("b")->disruptions, 0);
	is_u64(vm_of("a")->guest.offset, 0);
	stop();
}

TAP_TEST(a_counter_measured_before_a_disruption_is_refused_after_it)
{
	uint64_t before, after;

	start("a");
	before = marker_of("a");
	ok(ask("{'command':'disrupt','vm':'a'}"));
	after = marker_of("a");
	ok(!tell("a", before, "'tsc-offset':'5'"));
	ok(!tell("a", 0, "'tsc-offset':'5'") && !tell("a", after + 1, "'tsc-offset':'5'"));
	ok(!ask("{'command':'set-counter','vm':'a','marker':'','tsc-offset':'5'}"));
	ok(vm_of("a")->waits_for_counter);
	is_u64(marker_of("a"), after);
	ok(tell("a", after, "'tsc-offset':'5'"));
	is_u64(vm_of("a")->guest.offset, 5);
	/* Another one is a disruption itself: the second of two who measured is late. */
	ok(tell("a", after, "'tsc-offset':'6'"));
	ok(!tell("a", after, "'tsc-offset':'7'"));
	is_u64(vm_of("a")->guest.offset, 6);
	stop();
}

/* As QEMU does when it restores a machine, which the next look at the page would find. */
TAP_TEST(a_counter_is_not_told_for_a_page_that_somebody_else_wrote)
{
	struct vmclock_page *page;

	start("a");
	ok(ask("{'command':'disrupt','vm':'a'}"));
	page = vm_of("a")->target.map;
	page->seq_count = htole32(le32toh(page->seq_count) + 2);
	ok(!tell("a", marker_of("a"), "'tsc-offset':'5'"));
	ok(vm_of("a")->waits_for_counter);
	stop();
}

TAP_TEST(a_reload_that_fails_says_why_whatever_bytes_that_are)
{
	start("a");
	reloads = 0;
	reload_result = -EPROTO;
	ok(!ask("{'command':'reload'}"));
	reload_result = 0;
	ok(ask("{'command':'reload'}"));
	is_int(reloads, 2);
	stop();
}

/* The name of the VM that is told of next; "" for the last line. */
static const char *next_name(json_t *line)
{
	static char name[CONFIG_NAME_MAX + 1];
	const char *text = json_string_value(json_object_get(json_object_get(line, "vm"),
							     "name"));

	snprintf(name, sizeof(name), "%s", text ? text : "");
	ok(line && (text || json_is_true(json_object_get(line, "ok"))));
	json_decref(line);
	return name;
}

TAP_TEST(a_listing_goes_on_when_vms_come_and_go)
{
	const char *all = json("{'command':'status'}");
	struct control_listing listing = { 0 };

	start("abcdf");
	ok(!strcmp(next_name(control_request(&host, all, strlen(all), &listing)), "a"));
	ok(!strcmp(next_name(control_list(&host, &listing)), "b"));
	apply("aef");
	ok(!strcmp(next_name(control_list(&host, &listing)), "e"));
	apply("a");
	ok(listing.is_on);
	ok(!strcmp(next_name(control_list(&host, &listing)), ""));
	ok(!listing.is_on);
	is_u64(listing.count, 3);
	stop();
}

static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

TAP_TEST(bytes_of_any_kind_are_answered)
{
	static const char *const good[] = {
		"{'command':'status','vm':'a'}",
		"{'command':'drain','all':true,'when':'imminent'}",
		"{'command':'disrupt','vm':'b'}",
		"{'command':'set-counter','vm':'a','marker':'1','tsc-offset':'-1','tsc-ratio':'7','tsc-frac-bits':'3'}",
	};

	start("ab");
	for (int i = 0; i < 20000; i++) {
		struct control_listing listing = { 0 };
		char text[256];
		size_t len;
		json_t *answer;

		strcpy(text, json(good[random_number() % 4]));
		len = strlen(text) - random_number() % 3 / 2;
		for (int j = random_number() % 3; j; j--)
			text[random_number() % len] = random_number() >> 16;
		answer = control_request(&host, text, len, &listing);
		ok(answer && (json_is_object(json_object_get(answer, "vm")) ||
			      json_is_boolean(json_object_get(answer, "ok"))));
		json_decref(answer);
	}
	stop();
}

int main(void)
{
	return tap_main();
}
