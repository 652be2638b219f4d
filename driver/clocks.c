// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the CPU's counter and the system's clocks as one set.
 */
#include <linux/export.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/timekeeping.h>

#include "vmclock.h"
#include "vmclock_kvmclock.h"

#if defined(CONFIG_X86_64)
#include <asm/msr.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#define COUNTER_ID VMCLOCK_PAGE_COUNTER_X86_TSC

static u64 read_counter_raw(void)
{
	return rdtsc_ordered();
}

bool vmclock_counter_usable(void)
{
	return boot_cpu_has(X86_FEATURE_TSC) && !check_tsc_unstable();
}

/*
 * kvmclock is derived from the TSC, by numbers that the hypervisor gives; with
 * the stable bit they are the same for all processors. One try: they change at
 * migration, and then nothing is known of a reading before.
 */
static bool counter_of_derived(u64 cycles, u64 first, u64 last, u64 *counter)
{
	struct pvclock_vsyscall_time_info *info = pvclock_get_pvti_cpu0_va();
	const struct pvclock_vcpu_time_info *src;
	struct vmclock_kvmclock k;
	unsigned int version;
	u8 flags;

	if (!info)
		return false;
	src = &info->pvti;
	/* Its barriers, and those in read_retry, pair with the hypervisor's. */
	version = pvclock_read_begin(src);
	k.tsc = READ_ONCE(src->tsc_timestamp);
	k.ns = READ_ONCE(src->system_time);
	k.mul = READ_ONCE(src->tsc_to_system_mul);
	k.shift = READ_ONCE(src->tsc_shift);
	flags = READ_ONCE(src->flags);
	if (pvclock_read_retry(src, version))
		return false;
	return (flags & PVCLOCK_TSC_STABLE_BIT) &&
	       vmclock_kvmclock_find(&k, cycles, first, last, counter);
}

#elif defined(CONFIG_ARM64)
#include <asm/arch_timer.h>

#define COUNTER_ID VMCLOCK_PAGE_COUNTER_ARM_VCT

static u64 read_counter_raw(void)
{
	return __arch_counter_get_cntvct();
}

bool vmclock_counter_usable(void)
{
	return true;
}

static bool counter_of_derived(u64 cycles, u64 first, u64 last, u64 *counter)
{
	return false;
}

#else
#error "vmclock knows the counters of x86-64 and arm64 only"
#endif

bool vmclock_counter_is_ours(u8 counter_id)
{
	return counter_id == COUNTER_ID;
}

/* Ordered on both sides; before by the architecture's accessor. */
static u64 read_counter(void)
{
	u64 counter = read_counter_raw();

	/*
	 * No load that follows may be done before the counter is read, and
	 * virt_rmb() alone would not see to that, as the counter is no memory.
	 * LFENCE on x86; on arm64 the accessor ends with a load that depends
	 * on the counter, which this orders like any other. Pairs with nothing.
	 */
	rmb();
	return counter;
}

/*
 * The timekeeper's snapshot has no boot time: it is realtime less the offset
 * between the two, if no clock was set meanwhile. Return: false if one was, or
 * if the timekeeper is suspended.
 */
static bool read_system(struct vmclock_system_time *t, u64 *cycles, unsigned int *set_seq)
{
	struct vmclock_system_snapshot snap, again;
	ktime_t offset;

	if (!vmclock_system_snapshot(&snap))
		return false;
	offset = ktime_sub(ktime_mono_to_any(0, TK_OFFS_BOOT),
			   ktime_mono_to_any(0, TK_OFFS_REAL));
	if (!vmclock_system_snapshot(&again) ||
	    again.clock_was_set_seq != snap.clock_was_set_seq)
		return false;

	t->realtime_ns = ktime_to_ns(snap.real);
	t->monotonic_raw_ns = ktime_to_ns(snap.raw);
	t->boottime_ns = ktime_to_ns(ktime_add(snap.real, offset));
	*cycles = snap.cycles;
	*set_seq = snap.clock_was_set_seq;
	return true;
}

/*
 * The counter's value at the moment when the timekeeper's clocksource had the
 * value @cycles, which was after @first and before @last.
 */
static bool counter_at(u64 cycles, u64 first, u64 last, u64 *counter)
{
	/* A counter that went back between the two proves nothing. */
	if (last < first)
		return false;
	if (cycles - first > last - first)
		return counter_of_derived(cycles, first, last, counter);
	*counter = cycles;
	return true;
}

static void read_between_stamps(struct vmclock_clocks *clocks)
{
	ptp_read_system_prets(clocks->stamps);
	clocks->counter = read_counter();
	ptp_read_system_postts(clocks->stamps);
	clocks->counter_usable = vmclock_counter_usable();
}

/**
 * vmclock_clocks_read() - read counter and system clocks together
 * @clocks: what is wanted, and the result
 *
 * Whether the timekeeper runs on our counter can't be asked of every kernel.
 * But its snapshot tells the clocksource's value, and if that lies between two
 * readings of our counter around it, then the system's time is the time at that
 * counter value, to within those readings. kvmclock's value tells which counter
 * value it was computed from.
 *
 * Return: true, or false if the system's clocks gave no consistent set, since
 * one was set in the middle: try again.
 */
bool vmclock_clocks_read(struct vmclock_clocks *clocks)
{
	unsigned int ignored;
	u64 first, last, cycles;

	if (clocks->counter_only) {
		read_between_stamps(clocks);
		return true;
	}

	first = read_counter();
	if (!read_system(&clocks->before, &cycles, &clocks->clock_was_set_seq))
		return false;
	last = read_counter();

	clocks->counter_usable = vmclock_counter_usable();
	clocks->correlated = clocks->counter_usable &&
			     counter_at(cycles, first, last, &clocks->counter);
	if (clocks->correlated) {
		clocks->after = clocks->before;
		return true;
	}

	clocks->counter = last;
	return read_system(&clocks->after, &cycles, &ignored);
}
EXPORT_SYMBOL_GPL(vmclock_clocks_read);	/* for vmclock_sim */
