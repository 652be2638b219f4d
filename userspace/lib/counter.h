/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Reading the CPU's counter between two loads of the sequence count. The
 * instructions are in vmclk-inline.h; why they are the right ones is here.
 *
 * counter_read_ordered() is not performed before the load whose value decided
 * that we got here (the first, even sequence number) has its value:
 *
 * - x86-64: LFENCE does not complete before all earlier loads have, and RDTSC
 *   does not start before LFENCE has completed. (On AMD this needs LFENCE to be
 *   dispatch-serialising, which Linux sets, and which is fixed in guests.)
 * - arm64: the branch on the sequence number, then ISB: the count after a
 *   context synchronisation event that depends on a load is not read before
 *   that load has its value. Loads of the page's fields may still be under way:
 *   that does no harm, the second check of the sequence comes after them too.
 *   It takes both. ISB does not wait for loads; it is the branch that must be
 *   decided before the ISB may complete. Without one in front of it, nothing
 *   holds the count back behind a load, and a DSB would cost more than all of
 *   the window. So each caller has its branch: window.h and vmclk-inline.h on
 *   what closed the window of the copy in use; the public vmclk_counter() says
 *   that it wants one.
 *
 * counter_dependent() gives a pointer that depends on the counter's value, so
 * that a load through it can't be issued before the counter has been read. An
 * address dependency holds a load back on every machine that does not guess
 * values, and arm64 guarantees it for one that starts at a system register
 * read just as the kernel's own arch_counter_enforce_ordering() relies on. It
 * replaces a second LFENCE or ISB, which would cost more than all the rest.
 * The AND with 0 is not one of the idioms (XOR, SUB of a register with
 * itself) that x86 cores resolve without waiting for the operand.
 */
#ifndef VMCLK_COUNTER_H
#define VMCLK_COUNTER_H

#include <stdint.h>

#include <linux/vmclock-page.h>

#include "vmclk-inline.h"

#if defined(__x86_64__)
#define COUNTER_ID VMCLOCK_PAGE_COUNTER_X86_TSC
#define COUNTER_CLOCKSOURCE "tsc"
#elif defined(__aarch64__)
#define COUNTER_ID VMCLOCK_PAGE_COUNTER_ARM_VCT
#define COUNTER_CLOCKSOURCE "arch_sys_counter"
#else
/* No counter a page could name: every page is one with the wrong counter. */
#define COUNTER_ID (-1)
#define COUNTER_CLOCKSOURCE ""
#endif

static inline uint64_t counter_read_ordered(void)
{
	return vmclk_counter();
}

static inline const void *counter_dependent(const void *p, uint64_t counter)
{
	return vmclk__after(p, counter);
}

/* The counter has been read before anything that follows. */
static inline void counter_barrier(void)
{
#if defined(__x86_64__)
	__asm__ volatile("lfence" : : : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("isb" : : : "memory");
#endif
}

static inline void counter_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" : : : "memory");
#endif
}

#endif /* VMCLK_COUNTER_H */
