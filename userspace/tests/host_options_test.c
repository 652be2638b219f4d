// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line of vmclock-hostd.
 */
#include <stdlib.h>
#include <unistd.h>

#include "options.h"
#include "tap.h"

/* Parses the words of a command line; messages go to standard error. */
static enum options_result parse(struct options *o, const char *line)
{
	static char copy[512];
	char *argv[16] = { (char *)"vmclock-hostd" }, *save;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return options_parse(o, argc, argv);
}

static void runs(const char *line)
{
	struct options o;

	if (!ok(parse(&o, line) == OPTIONS_RUN))
		note("in: %s", line);
}

static void refuses(const char *line)
{
	struct options o;

	if (!ok(parse(&o, line) == OPTIONS_BAD))
		note("in: %s", line);
}

TAP_TEST(the_defaults_are_one_second_15_ppm_and_an_unscaled_counter)
{
	struct options o;

	is_int(parse(&o, "--file=p"), OPTIONS_RUN);
	is_u64(o.clock.interval_ns, 1000000000);
	is_u64(o.clock.drift_ppb, 15000);
	is_u64(o.vm.guest.ratio, 1ULL << 48);
	is_u64(o.vm.guest.frac_bits, 48);
	is_u64(o.vm.guest.offset, 0);
	is_u64(o.clock.assumed_ns, 0);
	ok(!o.vm.publishes && !o.vm.wants_utc && !o.clock.has_tai_offset && !o.clock.leap_list_given);
	ok(!strcmp(o.vm.file, "p") && !o.vm.qemu_pid);
}

static const char all_options[] = "--qemu-pid=42 --tsc-offset=-5 --tsc-ratio=0x100000000 --tsc-frac-bits=32 --tsc-offset-error=99 --interval=20ms --drift=50 --assume-synchronized=3us --tai-offset=-37 --publish-us=0 --force-counter --verbose";

TAP_TEST(every_option_arrives)
{
	struct options o;

	is_int(parse(&o, all_options), OPTIONS_RUN);
	is_int(o.vm.qemu_pid, 42);
	is_u64(o.vm.guest.offset, UINT64_MAX - 4);
	is_u64(o.vm.guest.ratio, 1ULL << 32);
	is_u64(o.vm.guest.frac_bits, 32);
	is_u64(o.vm.offset_error, 99);
	is_u64(o.clock.interval_ns, 20000000);
	is_u64(o.clock.drift_ppb, 50000);
	is_u64(o.clock.assumed_ns, 3000);
	is_int(o.clock.tai_offset_sec, -37);
	ok(o.clock.has_tai_offset && o.vm.publishes && !o.vm.publish_us && o.clock.force_counter && o.clock.verbose);
}

TAP_TEST(sources_and_the_limits_of_holdover_arrive)
{
	struct options o;

	is_int(parse(&o, "--file=p"), OPTIONS_RUN);
	is_int(o.clock.source, CLOCK_KERNEL);
	is_u64(o.clock.holdover.after_ns, 3000000000);
	is_u64(o.clock.holdover.max_bound_ns, 128000000);
	ok(!strcmp(o.clock.chronyc, "/usr/bin/chronyc"));
	is_int(parse(&o, "--file=p --source=chrony --chronyc=x --holdover-after=0s --holdover-max-bound=5ms"),
	       OPTIONS_RUN);
	is_int(o.clock.source, CLOCK_CHRONY);
	ok(!o.clock.source_path && !strcmp(o.clock.chronyc, "x"));
	is_u64(o.clock.holdover.after_ns, 0);
	is_u64(o.clock.holdover.max_bound_ns, 5000000);
	is_int(parse(&o, "--file=p --source=chrony:/run/s"), OPTIONS_RUN);
	ok(!strcmp(o.clock.source_path, "/run/s"));
	is_int(parse(&o, "--file=p --source=phc:/dev/ptp7 --assume-synchronized=1us --phc-scale=utc"),
	       OPTIONS_RUN);
	is_int(o.clock.source, CLOCK_PHC);
	ok(!strcmp(o.clock.source_path, "/dev/ptp7") && o.clock.phc_is_utc);
	is_int(parse(&o, "--file=p --source=kernel --phc-scale=tai"), OPTIONS_RUN);
	ok(!o.clock.phc_is_utc);
}

TAP_TEST(sources_that_are_none_are_refused)
{
	refuses("--file=p --source=");
	refuses("--file=p --source=ntp");
	refuses("--file=p --source=kernel:x");
	refuses("--file=p --source=chrony:");
	refuses("--file=p --source=chronyx");
	refuses("--file=p --assume-synchronized=1us --source=phc");
	refuses("--file=p --assume-synchronized=1us --source=phc:");
	refuses("--file=p --source=phc:/dev/ptp0");
	refuses("--file=p --source=chrony --assume-synchronized=1us");
	refuses("--file=p --chronyc=");
	refuses("--file=p --phc-scale=gps");
	refuses("--file=p --holdover-after=3601s");
	refuses("--file=p --holdover-max-bound=0ns");
}

TAP_TEST(what_is_assumed_must_leave_room_for_holdover)
{
	struct options o;

	is_int(parse(&o, "--file=p --assume-synchronized=63ms"), OPTIONS_RUN);
	refuses("--file=p --assume-synchronized=64ms");
	refuses("--file=p --assume-synchronized=1us --holdover-max-bound=2us");
	is_int(parse(&o, "--file=p --assume-synchronized=100ms --holdover-max-bound=1s"),
	       OPTIONS_RUN);
}

TAP_TEST(frac_bits_alone_leave_the_counter_unscaled)
{
	struct options o;

	is_int(parse(&o, "--file=p --tsc-offset=0 --tsc-frac-bits=32"), OPTIONS_RUN);
	is_u64(o.vm.guest.ratio, 1ULL << 32);
}

TAP_TEST(an_offset_may_be_negative_or_modulo_2_to_the_64)
{
	struct options o;

	is_int(parse(&o, "--file=p --tsc-offset=18446744073709551615"), OPTIONS_RUN);
	is_u64(o.vm.guest.offset, UINT64_MAX);
	is_int(parse(&o, "--file=p --tsc-offset=-9223372036854775808"), OPTIONS_RUN);
	is_u64(o.vm.guest.offset, 1ULL << 63);
	is_int(parse(&o, "--file=p --tsc-offset=0xff"), OPTIONS_RUN);
	is_u64(o.vm.guest.offset, 255);
	refuses("--file=p --tsc-offset=-9223372036854775809");
	refuses("--file=p --tsc-offset=18446744073709551616");
	refuses("--file=p --tsc-offset=");
	refuses("--file=p --tsc-offset=--5");
	refuses("--file=p --tsc-offset=0x");
}

TAP_TEST(a_duration_needs_a_unit_and_must_fit)
{
	uint64_t ns;

	ok(options_parse_duration("100us", &ns));
	is_u64(ns, 100000);
	ok(options_parse_duration("2s", &ns));
	is_u64(ns, 2000000000);
	ok(options_parse_duration("18446744073709551615ns", &ns));
	is_u64(ns, UINT64_MAX);
	ok(!options_parse_duration("18446744073709551616ns", &ns));
	ok(!options_parse_duration("18446744073709551615us", &ns));
	ok(!options_parse_duration("100", &ns));
	ok(!options_parse_duration("us", &ns));
	ok(!options_parse_duration("", &ns));
	ok(!options_parse_duration("-1us", &ns));
	ok(!options_parse_duration("1.5ms", &ns));
	ok(!options_parse_duration("1 ms", &ns));
	ok(!options_parse_duration("1msx", &ns));
	ok(!options_parse_duration("999999999999999999999999999999s", &ns));
}

TAP_TEST(one_page_has_to_be_named)
{
	refuses("--verbose");
	refuses("--file=p --qemu-pid=1");
	refuses("--file=");
	refuses("--qemu-pid=1");
	refuses("--qemu-pid=0");
	refuses("--qemu-pid=-1");
	refuses("--qemu-pid=2147483648");
	refuses("--file=p surplus");
	refuses("--file=p --nonsense");
	refuses("--qemu-pid=1 --tsc-offset=0 --replace");
	runs("--qemu-pid=1 --tsc-offset=0");
	runs("--file=p --replace");
	refuses("--ivshmem-socket=s");
	refuses("--ivshmem-socket= --tsc-offset=0");
	refuses("--ivshmem-socket=s --tsc-offset=0 --file=p");
	refuses("--ivshmem-socket=s --tsc-offset=0 --qemu-pid=1");
	refuses("--ivshmem-socket=s --tsc-offset=0 --replace");
	runs("--ivshmem-socket=s --tsc-offset=0 --vhost-fd=0");
}

TAP_TEST(a_generation_is_kept_or_new_and_of_a_machine_that_is_followed)
{
	struct options o;

	is_int(parse(&o, "--qmp=m"), OPTIONS_RUN);
	is_int(o.vm.generation, VM_GENERATION_FOREIGN);
	is_int(parse(&o, "--qmp=m --generation=keep"), OPTIONS_RUN);
	is_int(o.vm.generation, VM_GENERATION_KEPT);
	is_int(parse(&o, "--qmp=m --generation=new"), OPTIONS_RUN);
	is_int(o.vm.generation, VM_GENERATION_NEW);
	refuses("--qmp=m --generation=");
	refuses("--qmp=m --generation=newer");
	refuses("--qmp=m --generation=5");
	refuses("--qemu-pid=1 --tsc-offset=0 --generation=new");
	refuses("--file=p --generation=keep");
}

TAP_TEST(the_user_of_a_qemu_is_a_name_or_a_number)
{
	struct options o;

	is_int(parse(&o, "--qemu-pid=1 --tsc-offset=0"), OPTIONS_RUN);
	ok(!o.vm.has_qemu_user);
	is_u64(vm_qemu_user(&o.vm), geteuid());
	is_int(parse(&o, "--qemu-pid=1 --tsc-offset=0 --qemu-user=4294967294"), OPTIONS_RUN);
	is_u64(vm_qemu_user(&o.vm), 4294967294);
	is_int(parse(&o, "--qmp=m --qemu-user=0"), OPTIONS_RUN);
	ok(o.vm.has_qemu_user);
	is_u64(vm_qemu_user(&o.vm), 0);
	is_int(parse(&o, "--qmp=m --qemu-user=root"), OPTIONS_RUN);
	is_u64(vm_qemu_user(&o.vm), 0);
	refuses("--qmp=m --qemu-user=");
	refuses("--qmp=m --qemu-user=-1");
	refuses("--qmp=m --qemu-user=4294967295");
	refuses("--qmp=m --qemu-user=4294967296");
	refuses("--qmp=m --qemu-user=0x");
	refuses("--qmp=m --qemu-user=1000x");
	refuses("--qmp=m --qemu-user=no-such-user");
	refuses("--file=p --qemu-user=0");
	refuses("--vhost-socket=s --qemu-user=0");
}

TAP_TEST(without_options_there_is_a_file_to_be_read)
{
	struct options o;

	is_int(parse(&o, ""), OPTIONS_RUN);
	ok(!strcmp(o.config, "/etc/vmclock/hostd.conf") && !o.control);
	is_int(parse(&o, "--control=s"), OPTIONS_RUN);
	ok(!strcmp(o.config, "/etc/vmclock/hostd.conf") && !strcmp(o.control, "s"));
	is_int(parse(&o, "--config=c"), OPTIONS_RUN);
	ok(!strcmp(o.config, "c"));
	is_int(parse(&o, "--file=p --control=s"), OPTIONS_RUN);
	ok(!o.config && !strcmp(o.control, "s"));
	refuses("--config=");
	refuses("--control=");
	refuses("--config=c --file=p");
	refuses("--config=c --interval=1s");
}

TAP_TEST(whose_counter_is_told_later_needs_a_control_socket)
{
	refuses("--qemu-pid=1");
	runs("--qemu-pid=1 --control=s");
	refuses("--file=p --guest");
	runs("--file=p --guest --control=s");
}

TAP_TEST(a_file_is_a_guests_if_that_is_said_or_its_counter_is_another)
{
	struct options o;

	is_int(parse(&o, "--file=p"), OPTIONS_RUN);
	ok(!o.vm.is_guests && !vm_needs_counter(&o.vm));
	is_int(parse(&o, "--file=p --guest --control=s"), OPTIONS_RUN);
	ok(vm_needs_counter(&o.vm));
	is_int(parse(&o, "--file=p --guest --tsc-offset=0"), OPTIONS_RUN);
	ok(!vm_needs_counter(&o.vm));
	refuses("--file=p --tsc-ratio=1");
	refuses("--file=p --tsc-frac-bits=32");
	refuses("--file=p --tsc-offset-error=1");
	refuses("--guest --ivshmem-socket=s --tsc-offset=0");
}

TAP_TEST(a_key_of_the_file_is_taken_only_where_it_belongs)
{
	struct options o = options_default;

	ok(!options_set(&o, true, "tsc-offset", "-5"));
	is_u64(o.vm.guest.offset, UINT64_MAX - 4);
	ok(options_set(&o, false, "tsc-offset", "-5"));
	ok(!options_set(&o, false, "interval", "2s"));
	is_u64(o.clock.interval_ns, 2000000000);
	ok(options_set(&o, true, "interval", "2s"));
	ok(!options_set(&o, false, "control", "s"));
	ok(options_set(&o, true, "control", "s"));
	ok(options_set(&o, true, "vhost-fd", "3"));
	ok(options_set(&o, true, "publish-us", "3"));
	ok(options_set(&o, false, "config", "c"));
	ok(options_set(&o, false, "help", "yes"));
	ok(options_set(&o, true, "nonsense", "1"));
	ok(options_set(&o, false, "interval", "2"));
}

TAP_TEST(what_takes_no_value_is_yes_or_no_in_the_file)
{
	struct options o = options_default;

	ok(!options_set(&o, true, "replace", "no") && !o.vm.replace);
	ok(!options_set(&o, true, "replace", "yes") && o.vm.replace);
	ok(options_set(&o, true, "replace", "1"));
	ok(!options_set(&o, false, "verbose", "yes") && o.clock.verbose);
}

TAP_TEST(a_clock_device_needs_no_page)
{
	struct options o;

	is_int(parse(&o, "--vhost-socket=s"), OPTIONS_RUN);
	ok(!strcmp(o.vm.vhost_socket, "s") && o.vm.vhost_fd == -1 && !o.vm.file && !o.vm.has_tsc_offset);
	is_int(parse(&o, "--vhost-fd=0 --file=p"), OPTIONS_RUN);
	ok(!o.vm.vhost_socket && o.vm.vhost_fd == 0 && !strcmp(o.vm.file, "p"));
	runs("--vhost-socket=s --qemu-pid=1 --tsc-offset=0");
	refuses("--vhost-socket=s --vhost-fd=3");
	refuses("--vhost-socket=");
	refuses("--vhost-fd=-1");
	refuses("--vhost-fd=x");
	refuses("--vhost-fd=2147483648");
}

TAP_TEST(values_out_of_range_are_refused)
{
	runs("--file=p --interval=10ms");
	refuses("--file=p --interval=9ms");
	refuses("--file=p --interval=61s");
	refuses("--file=p --drift=1001");
	refuses("--file=p --tsc-ratio=0");
	refuses("--file=p --tsc-frac-bits=64");
	refuses("--file=p --assume-synchronized=0ns");
	refuses("--file=p --assume-synchronized=2000h");
	refuses("--file=p --assume-synchronized=3601s");
	refuses("--file=p --publish-us=100001");
	refuses("--file=p --publish-us=x");
	refuses("--file=p --time-scale=gps");
	runs("--file=p --time-scale=tai");
}

TAP_TEST(a_tai_offset_is_negative_and_not_for_utc)
{
	refuses("--file=p --tai-offset=37");
	refuses("--file=p --tai-offset=-1001");
	refuses("--file=p --tai-offset=-37 --time-scale=utc");
	runs("--file=p --tai-offset=-37 --time-scale=tai");
}

int main(void)
{
	return tap_main();
}
