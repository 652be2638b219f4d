/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VM_COUNTER_H
#define VM_COUNTER_H

#include <stdint.h>

#ifdef __aarch64__
/* How much later it may be than it says: QEMU's user mode knows microseconds. */
#define COUNTER_GRAIN	63

/*
 * The virtual counter, in program order: the first barrier keeps the reading from
 * moving above a load that the program has looked at, the second keeps what follows
 * from moving above the reading.
 */
static inline uint64_t counter_ordered(void)
{
	uint64_t counter;

	__asm__ __volatile__("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r" (counter) : : "memory");
	return counter;
}

static inline void cpu_relax(void)
{
	__asm__ __volatile__("yield" : : : "memory");
}
#else
#define COUNTER_GRAIN	0

/*
 * The time stamp counter, in program order: the first fence keeps the reading
 * from moving up, the second keeps what follows from moving above it.
 */
static inline uint64_t counter_ordered(void)
{
	uint32_t lo, hi;

	__asm__ __volatile__("lfence\n\trdtsc\n\tlfence" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}
#endif

#endif /* VM_COUNTER_H */
