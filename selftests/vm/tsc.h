/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VM_TSC_H
#define VM_TSC_H

#include <stdint.h>

/*
 * The time stamp counter, in program order: the first fence keeps the reading
 * from moving up, the second keeps what follows from moving above it.
 */
static inline uint64_t tsc_ordered(void)
{
	uint32_t lo, hi;

	__asm__ __volatile__("lfence\n\trdtsc\n\tlfence" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#endif /* VM_TSC_H */
