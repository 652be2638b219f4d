// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause)
/*
 * Our header and the kernel's <linux/vmclock-abi.h> describe the same page. A
 * TAP program: where the kernel's header is absent, it says so and skips.
 */
#include <stddef.h>
#include <stdio.h>

#include <linux/vmclock-page.h>

#if __has_include("linux/vmclock-abi.h")
#include <linux/vmclock-abi.h>

static int failed, tests;

static void agree(const char *what, unsigned long long ours, unsigned long long theirs)
{
	printf("%sok %d - %s", ours == theirs ? "" : "not ", ++tests, what);
	printf(ours == theirs ? "\n" : ": 0x%llx here, 0x%llx there\n", ours, theirs);
	failed |= ours != theirs;
}

#define MEMBER_SIZE(tag, field) sizeof(((struct tag *)0)->field)

#define SAME(ours, theirs) \
	agree("offset of " #ours, offsetof(struct vmclock_page, ours), \
	      offsetof(struct vmclock_abi, theirs)); \
	agree("size of " #ours, MEMBER_SIZE(vmclock_page, ours), \
	      MEMBER_SIZE(vmclock_abi, theirs))

#define EQUAL(ours, theirs) \
	agree(#ours, VMCLOCK_PAGE_##ours, VMCLOCK_##theirs)

static void fields(void)
{
	SAME(magic, magic);
	SAME(size, size);
	SAME(version, version);
	SAME(counter_id, counter_id);
	SAME(time_type, time_type);
	SAME(seq_count, seq_count);
	SAME(disruption_marker, disruption_marker);
	SAME(flags, flags);
	SAME(reserved, pad);
	SAME(clock_status, clock_status);
	SAME(smear_hint, leap_second_smearing_hint);
	SAME(tai_offset_sec, tai_offset_sec);
	SAME(leap_indicator, leap_indicator);
	SAME(counter_period_shift, counter_period_shift);
	SAME(counter_value, counter_value);
	SAME(counter_period_frac_sec, counter_period_frac_sec);
	SAME(counter_period_esterror_rate_frac_sec, counter_period_esterror_rate_frac_sec);
	SAME(counter_period_maxerror_rate_frac_sec, counter_period_maxerror_rate_frac_sec);
	SAME(time_sec, time_sec);
	SAME(time_frac_sec, time_frac_sec);
	SAME(time_esterror_nanosec, time_esterror_nanosec);
	SAME(time_maxerror_nanosec, time_maxerror_nanosec);
}

static void constants(void)
{
	EQUAL(MAGIC, MAGIC);
	EQUAL(COUNTER_ARM_VCT, COUNTER_ARM_VCNT);
	EQUAL(COUNTER_X86_TSC, COUNTER_X86_TSC);
	EQUAL(COUNTER_NONE, COUNTER_INVALID);
	EQUAL(TIME_UTC, TIME_UTC);
	EQUAL(TIME_TAI, TIME_TAI);
	EQUAL(TIME_MONOTONIC, TIME_MONOTONIC);
	EQUAL(FLAG_TAI_OFFSET_VALID, FLAG_TAI_OFFSET_VALID);
	EQUAL(FLAG_DISRUPTION_SOON, FLAG_DISRUPTION_SOON);
	EQUAL(FLAG_DISRUPTION_IMMINENT, FLAG_DISRUPTION_IMMINENT);
	EQUAL(FLAG_PERIOD_ESTERROR_VALID, FLAG_PERIOD_ESTERROR_VALID);
	EQUAL(FLAG_PERIOD_MAXERROR_VALID, FLAG_PERIOD_MAXERROR_VALID);
	EQUAL(FLAG_TIME_ESTERROR_VALID, FLAG_TIME_ESTERROR_VALID);
	EQUAL(FLAG_TIME_MAXERROR_VALID, FLAG_TIME_MAXERROR_VALID);
	EQUAL(FLAG_TIME_MONOTONIC, FLAG_TIME_MONOTONIC);
	EQUAL(STATUS_UNKNOWN, STATUS_UNKNOWN);
	EQUAL(STATUS_INITIALIZING, STATUS_INITIALIZING);
	EQUAL(STATUS_SYNCHRONIZED, STATUS_SYNCHRONIZED);
	EQUAL(STATUS_FREERUNNING, STATUS_FREERUNNING);
	EQUAL(STATUS_UNRELIABLE, STATUS_UNRELIABLE);
	EQUAL(SMEAR_STRICT, SMEARING_STRICT);
	EQUAL(SMEAR_NOON_LINEAR, SMEARING_NOON_LINEAR);
	EQUAL(SMEAR_UTC_SLS, SMEARING_UTC_SLS);
	EQUAL(LEAP_NONE, LEAP_NONE);
	EQUAL(LEAP_PRE_POS, LEAP_PRE_POS);
	EQUAL(LEAP_PRE_NEG, LEAP_PRE_NEG);
	EQUAL(LEAP_POS, LEAP_POS);
	EQUAL(LEAP_POST_POS, LEAP_POST_POS);
	EQUAL(LEAP_POST_NEG, LEAP_POST_NEG);
}

/* The kernel's header grew: an early one has not all of it. */
static void later_additions(void)
{
#ifdef VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT
	agree("size of the structure", sizeof(struct vmclock_page), sizeof(struct vmclock_abi));
	SAME(vm_generation_counter, vm_generation_counter);
	EQUAL(FLAG_GENERATION_PRESENT, FLAG_VM_GEN_COUNTER_PRESENT);
#else
	printf("ok %d # SKIP the generation counter is not in this header\n", ++tests);
#endif
#ifdef VMCLOCK_FLAG_NOTIFICATION_PRESENT
	EQUAL(FLAG_NOTIFICATION_PRESENT, FLAG_NOTIFICATION_PRESENT);
#else
	printf("ok %d # SKIP the notification is not in this header\n", ++tests);
#endif
}

int main(void)
{
	fields();
	constants();
	later_additions();
	printf("1..%d\n", tests);
	return failed;
}

#else

int main(void)
{
	puts("1..0 # SKIP no <linux/vmclock-abi.h> here");
	return 0;
}

#endif
