/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces for older kernels. Included before everything
 * else by Kbuild; no other file knows that kernels differ.
 */
#ifndef VMCLOCK_COMPAT_H
#define VMCLOCK_COMPAT_H

/* Here because this file includes printk.h before any other file could. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/timekeeping.h>

#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef HAVE_EVENTFD_SIGNAL_ONE
#define eventfd_signal(ctx) eventfd_signal(ctx, 1)
#endif

/*
 * DEFINE_VMCLOCK_REMOVE() - a platform driver's .remove from a function that
 * returns nothing.
 */
#ifdef HAVE_REMOVE_VOID
#define DEFINE_VMCLOCK_REMOVE(name, fn) \
	static void name(struct platform_device *pdev) { fn(pdev); }
#else
#define DEFINE_VMCLOCK_REMOVE(name, fn) \
	static int name(struct platform_device *pdev) { fn(pdev); return 0; }
#endif

/**
 * struct vmclock_system_snapshot - the timekeeper at one instant
 * @cycles: its clocksource, or the hardware counter that one is derived from
 * @real: CLOCK_REALTIME
 * @raw: CLOCK_MONOTONIC_RAW
 * @clock_was_set_seq: changes when a clock is set
 */
struct vmclock_system_snapshot {
	u64 cycles;
	ktime_t real;
	ktime_t raw;
	unsigned int clock_was_set_seq;
};

/* Return: false if there is none now: the timekeeper is suspended. */
static inline bool vmclock_system_snapshot(struct vmclock_system_snapshot *s)
{
	struct system_time_snapshot snap = { };

#ifdef HAVE_SNAPSHOT_ID
	ktime_get_snapshot_id(CLOCK_REALTIME, &snap);
	if (!snap.valid)
		return false;
	s->cycles = snap.hw_csid ? snap.hw_cycles : snap.cycles;
	s->real = snap.systime;
	s->raw = snap.monoraw;
#else
	ktime_get_snapshot(&snap);
	s->cycles = snap.cycles;
	s->real = snap.real;
	s->raw = snap.raw;
#endif
	s->clock_was_set_seq = snap.clock_was_set_seq;
	return true;
}

#endif /* VMCLOCK_COMPAT_H */
