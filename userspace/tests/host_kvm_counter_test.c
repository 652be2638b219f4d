// SPDX-License-Identifier: GPL-2.0-or-later
/* What KVM tells of a guest's counter, in a tree of files like its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm-counter.h"
#include "tap.h"

#define PID	4711

static char root[64];

static void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/kvm-counter-XXXXXX");
	ok(mkdtemp(root));
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", root);
	is_int(system(command), 0);
}

static void put(const char *machine, const char *vcpu, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, machine);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s", root, machine, vcpu);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s/%s", root, machine, vcpu, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void put_vcpu(const char *vcpu, const char *offset, const char *ratio)
{
	put("4711-12", vcpu, "tsc-offset", offset);
	put("4711-12", vcpu, "tsc-scaling-ratio", ratio);
	put("4711-12", vcpu, "tsc-scaling-ratio-frac-bits", "48\n");
}

TAP_TEST(what_all_virtual_cpus_have_is_the_counter)
{
	struct guest_counter c;

	make_root();
	put_vcpu("vcpu0", "-31415926535\n", "281474976710656\n");
	put_vcpu("vcpu1", "-31415926535\n", "281474976710656\n");
	put_vcpu("vcpu10", "-31415926535\n", "281474976710656\n");
	is_int(kvm_counter_read(root, PID, &c), 0);
	is_u64(c.offset, -31415926535ULL);
	is_u64(c.ratio, 1ULL << 48);
	is_int(c.frac_bits, 48);
	remove_root();
}

TAP_TEST(the_ratio_and_its_places_are_read)
{
	struct guest_counter c;

	make_root();
	put("4711-12", "vcpu0", "tsc-offset", "5\n");
	put("4711-12", "vcpu0", "tsc-scaling-ratio", "6442450944\n");
	put("4711-12", "vcpu0", "tsc-scaling-ratio-frac-bits", "32\n");
	is_int(kvm_counter_read(root, PID, &c), 0);
	is_u64(guest_counter_from_host(&c, 1000), 1505);
	remove_root();
}

TAP_TEST(a_processor_that_cannot_scale_does_not)
{
	struct guest_counter c;

	make_root();
	put("4711-12", "vcpu0", "tsc-offset", "-7\n");
	is_int(kvm_counter_read(root, PID, &c), 0);
	is_u64(guest_counter_from_host(&c, 1000), 993);
	remove_root();
}

TAP_TEST(virtual_cpus_that_differ_have_no_counter)
{
	struct guest_counter c = { 1, 2, 3 };

	make_root();
	put_vcpu("vcpu0", "-100\n", "281474976710656\n");
	put_vcpu("vcpu1", "-101\n", "281474976710656\n");
	is_int(kvm_counter_read(root, PID, &c), -EDOM);
	put_vcpu("vcpu1", "-100\n", "281474976710657\n");
	is_int(kvm_counter_read(root, PID, &c), -EDOM);
	put_vcpu("vcpu1", "-100\n", "281474976710656\n");
	put("4711-12", "vcpu1", "tsc-scaling-ratio-frac-bits", "32\n");
	is_int(kvm_counter_read(root, PID, &c), -EDOM);
	is_u64(c.ratio + c.frac_bits + c.offset, 6);
	remove_root();
}

static enum kvm_counter_word says(uint64_t ratio, unsigned int bits, uint64_t offset,
				  uint64_t error)
{
	const struct guest_counter told = { ratio, bits, offset };

	return kvm_counter_compare(root, PID, &told, error);
}

static bool denies(uint64_t ratio, unsigned int bits, uint64_t offset, uint64_t error)
{
	return says(ratio, bits, offset, error) == KVM_COUNTER_DENIES;
}

static bool agrees(uint64_t ratio, unsigned int bits, uint64_t offset, uint64_t error)
{
	return says(ratio, bits, offset, error) == KVM_COUNTER_AGREES;
}

TAP_TEST(what_was_told_is_denied_if_it_is_further_off_than_it_may_be)
{
	make_root();
	put_vcpu("vcpu0", "-100\n", "281474976710656\n");
	ok(agrees(1ULL << 48, 48, -100, 0));
	ok(agrees(1ULL << 32, 32, -100, 0) && agrees(1, 0, -100, 0));
	ok(denies(1ULL << 48, 48, -99, 0) && denies(1ULL << 48, 48, -101, 0));
	ok(agrees(1ULL << 48, 48, 100, 200) && denies(1ULL << 48, 48, 100, 199));
	ok(agrees(1ULL << 48, 48, -300, 200) && denies(1ULL << 48, 48, -300, 199));
	ok(denies((1ULL << 48) + 1, 48, -100, 1ULL << 44) && denies(1, 1, -100, 0));
	put_vcpu("vcpu1", "-101\n", "281474976710656\n");
	ok(denies(1ULL << 48, 48, -100, 1000) && kvm_counter_is_known(root, PID));
	remove_root();
}

TAP_TEST(who_can_not_be_asked_says_nothing)
{
	const struct guest_counter told = { 1, 0, 5 };

	make_root();
	is_int(says(1, 0, 5, 0), KVM_COUNTER_SILENT);
	ok(!kvm_counter_is_known(root, PID));
	is_int(kvm_counter_compare("/nonexistent", PID, &told, 0), KVM_COUNTER_SILENT);
	put_vcpu("vcpu0", "rubbish\n", "281474976710656\n");
	is_int(says(1, 0, 5, 0), KVM_COUNTER_SILENT);
	ok(!kvm_counter_is_known(root, PID));
	put_vcpu("vcpu0", "7\n", "281474976710656\n");
	ok(denies(1, 0, 5, 0) && kvm_counter_is_known(root, PID));
	is_int(kvm_counter_compare(root, 0, &told, 0), KVM_COUNTER_SILENT);
	ok(!kvm_counter_is_known(root, 0));
	remove_root();
}

TAP_TEST(other_machines_and_other_files_do_not_count)
{
	struct guest_counter c;

	make_root();
	put("471-12", "vcpu0", "tsc-offset", "1\n");
	put("47110-12", "vcpu0", "tsc-offset", "2\n");
	put("4711-12x", "vcpu0", "tsc-offset", "3\n");
	put("4711", "vcpu0", "tsc-offset", "4\n");
	is_int(kvm_counter_read(root, PID, &c), -ENOENT);
	put("4711-12", "vcpus", "tsc-offset", "5\n");
	put("4711-12", "vcpu0x", "tsc-offset", "6\n");
	is_int(kvm_counter_read(root, PID, &c), -ENOENT);
	put("4711-12", "vcpu0", "tsc-offset", "7\n");
	is_int(kvm_counter_read(root, PID, &c), 0);
	is_u64(c.offset, 7);
	remove_root();
}

TAP_TEST(two_machines_of_one_process_are_refused)
{
	struct guest_counter c;

	make_root();
	put("4711-12", "vcpu0", "tsc-offset", "7\n");
	put("4711-13", "vcpu0", "tsc-offset", "7\n");
	is_int(kvm_counter_read(root, PID, &c), -ENOTUNIQ);
	remove_root();
}

TAP_TEST(what_is_no_number_is_refused)
{
	static const char *const bad[] = {
		"", "\n", "1", "1\n\n", " 1\n", "+1\n", "--1\n", "-\n", "0x10\n", "1 2\n",
		"18446744073709551616\n", "-9223372036854775809\n",
		"1111111111111111111111111111111111111111\n",
	};
	struct guest_counter c;

	make_root();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_vcpu("vcpu0", bad[i], "281474976710656\n");
		is_int(kvm_counter_read(root, PID, &c), -EPROTO);
	}
	put_vcpu("vcpu0", "1\n", "0\n");
	is_int(kvm_counter_read(root, PID, &c), -EPROTO);
	put_vcpu("vcpu0", "1\n", "1\n");
	put("4711-12", "vcpu0", "tsc-scaling-ratio-frac-bits", "64\n");
	is_int(kvm_counter_read(root, PID, &c), -EPROTO);
	put("4711-12", "vcpu0", "tsc-scaling-ratio-frac-bits", "0\n");
	is_int(kvm_counter_read(root, PID, &c), -EPROTO);
	remove_root();
}

TAP_TEST(a_ratio_without_its_places_is_refused)
{
	struct guest_counter c;

	make_root();
	put("4711-12", "vcpu0", "tsc-offset", "1\n");
	put("4711-12", "vcpu0", "tsc-scaling-ratio", "281474976710656\n");
	is_int(kvm_counter_read(root, PID, &c), -EPROTO);
	remove_root();
}

TAP_TEST(a_virtual_cpu_without_an_offset_is_refused)
{
	struct guest_counter c;

	make_root();
	put("4711-12", "vcpu0", "tsc-offset", "1\n");
	put("4711-12", "vcpu1", "lapic_timer_advance_ns", "1\n");
	is_int(kvm_counter_read(root, PID, &c), -ENOENT);
	remove_root();
}

TAP_TEST(no_debugfs_is_an_error)
{
	struct guest_counter c;

	is_int(kvm_counter_read("/nonexistent", PID, &c), -ENOENT);
}

int main(void)
{
	return tap_main();
}
