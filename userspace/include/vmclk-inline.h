/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk's hot path, inlined into its callers: the ordered counter read, and
 * the time from a copy of the page that the caller keeps.
 *
 * For C and C++. What begins with vmclk__ is not for callers, nor are the
 * members of struct vmclk_fast: programs compiled with this header share them
 * with the library, so they change only with the library's soname.
 */
#ifndef VMCLK_INLINE_H
#define VMCLK_INLINE_H

#include "vmclk.h"

#ifdef __cplusplus
extern "C" {
#endif

__extension__ typedef unsigned __int128 vmclk__u128;

#define VMCLK__SECOND		1000000000U
#define VMCLK__LIKELY(cond)	__builtin_expect(!!(cond), 1)

/**
 * vmclk_counter() - read this machine's counter, in order
 *
 * The counter that pages of this architecture name: x86's TSC or arm64's
 * virtual count. It is not read before a branch in front of it, and the loads that
 * decided the branch have their values: so a reading says when something was
 * already known, if the program has branched on that. On x86 all loads in front of
 * it have theirs, on arm64 others may still be under way. counter.h in the
 * library's sources has the argument.
 *
 * Context: any.
 * Return: the reading, for vmclk_convert() and the like; 0 where no page can
 * name the counter.
 */
static inline uint64_t vmclk_counter(void)
{
#if defined(__x86_64__)
	uint32_t lo, hi;

	__asm__ volatile("lfence\n\trdtsc" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r" (count) : : "memory");
	return count;
#else
	return 0;
#endif
}

/* @p, but not before @counter has been read: counter.h has the argument. */
static inline const void *vmclk__after(const void *p, uint64_t counter)
{
#if defined(__x86_64__)
	__asm__ volatile("andq $0, %0\n\taddq %1, %0"
			 : "+&r" (counter) : "r" (p) : "cc", "memory");
	return (const void *)counter;
#elif defined(__aarch64__)
	__asm__ volatile("eor %0, %0, %0\n\tadd %0, %0, %1"
			 : "+&r" (counter) : "r" (p) : "memory");
	return (const void *)counter;
#else
	(void)counter;
	return p;
#endif
}

/*
 * A line that needs none of the rare cases: the shift is below 64, and no sum
 * can leave its type. A period P / 2^(64 + S) s is kept as the 128 bits of
 * P * 2^(64 - S), so that what depends on the counter is two multiplications
 * and an addition, and no shift by a variable.
 */
struct vmclk__line {
	uint64_t counter;
	uint64_t sec, frac;
	uint64_t period_high, period_low;
	uint64_t error_high, error_low;
	uint64_t maxerror_ns;
};

struct vmclk__instant {
	uint64_t sec;
	uint32_t nsec, maxerror_ns;
};

/*
 * The time and its bound at @counter, exactly what the general arithmetic gives
 * (vmclock_math.h): with X = d * P, X / 2^S is d * high + (d * low) / 2^64.
 * Returns 0 if the answer is not one of the simple ones: before the reference,
 * or with a bound of a second and more.
 *
 * With d below 2^63 the growth of time is below 2^127 and the line's own
 * seconds are below 2^62, so nothing here overflows.
 */
static inline int vmclk__on_line(const struct vmclk__line *line, uint64_t counter,
				 struct vmclk__instant *at)
{
	uint64_t d = counter - line->counter;
	vmclk__u128 t1 = (vmclk__u128)line->sec << 64 | line->frac;
	vmclk__u128 t = t1 + (vmclk__u128)d * line->period_high +
			(uint64_t)((vmclk__u128)d * line->period_low >> 64);
	vmclk__u128 low = (vmclk__u128)d * line->error_low;
	vmclk__u128 growth = (vmclk__u128)d * line->error_high + (uint64_t)(low >> 64) +
			     !!(uint64_t)low;
	vmclk__u128 ns = (vmclk__u128)(uint64_t)growth * VMCLK__SECOND;
	uint64_t maxerror_ns = (uint64_t)(ns >> 64) + !!(uint64_t)ns + line->maxerror_ns;

	at->sec = (uint64_t)(t >> 64);
	at->nsec = (uint32_t)((vmclk__u128)(uint64_t)t * VMCLK__SECOND >> 64);
	at->maxerror_ns = (uint32_t)maxerror_ns;
	return !(d >> 63) && !(growth >> 64) && maxerror_ns < VMCLK__SECOND &&
	       at->sec < 1ULL << 62;
}

/* The nanoseconds and the padding behind them: no byte stays unwritten. */
static inline void vmclk__put(struct vmclk_time *time, int64_t sec, uint32_t nsec)
{
	const struct {
		int64_t sec;
		uint32_t nsec, zero;
	} whole = { sec, nsec, 0 };

	__builtin_memcpy(time, &whole, sizeof(*time));
}

/*
 * @nsec is rounded down, so the line runs less than 1 ns above it: the upper
 * edge gets that nanosecond.
 */
static inline void vmclk__spread(struct vmclk_stamp *stamp, int64_t sec, uint32_t nsec,
				 int64_t error_sec, uint32_t error_nsec)
{
	const int32_t second = VMCLK__SECOND;
	int32_t early = (int32_t)nsec - (int32_t)error_nsec;
	int32_t late = (int32_t)nsec + (int32_t)error_nsec + 1 - second;

	vmclk__put(&stamp->point, sec, nsec);
	vmclk__put(&stamp->earliest, sec - error_sec - (early < 0),
		   (uint32_t)(early < 0 ? early + second : early));
	vmclk__put(&stamp->latest, sec + error_sec + (late >= 0),
		   (uint32_t)(late < 0 ? late + second : late));
}

/**
 * struct vmclk_fast - a copy of a page, ready to be computed with
 * @clk: the handle it is of
 * @page: the mapped page, or NULL while the copy is of no use
 * @magic_size: the page's first word, as it lies in memory
 * @version_seq: the second
 * @marker: that of the disruption marker
 * @counter_value: that of the reference point
 * @line: the line
 * @base: a stamp but for the time
 *
 * Belongs to the caller, one per thread, from vmclk_fast_init() on. It owns
 * nothing, but refers to a handle, which must outlive it. It can't go stale:
 * each call looks whether the page is still the same.
 */
struct vmclk_fast {
	const struct vmclk *clk;
	const uint64_t *page;
	uint64_t magic_size, version_seq, marker, counter_value;
	struct vmclk__line line;
	struct vmclk_stamp base;
};

/**
 * vmclk_fast_init() - make a copy that vmclk_fast_now() will fill
 * @fast: the copy
 * @clk: the handle it is of
 */
static inline void vmclk_fast_init(struct vmclk_fast *fast, const struct vmclk *clk)
{
	fast->clk = clk;
	fast->page = 0;
}

/**
 * vmclk_fast_fill() - what vmclk_fast_now() does when its copy is of no use
 * @fast: the copy, made anew
 * @stamp: where the answer goes
 *
 * Return: as vmclk_now().
 */
int vmclk_fast_fill(struct vmclk_fast *fast, struct vmclk_stamp *stamp);

/* The page's words in memory order; fast.c checks where they lie. */
#define VMCLK__WORD(page, n)	__atomic_load_n(&(page)[n], __ATOMIC_RELAXED)
#define VMCLK__MAGIC_SIZE	0
#define VMCLK__VERSION_SEQ	1
#define VMCLK__MARKER		2
#define VMCLK__COUNTER_VALUE	5

/*
 * Was the page still what the copy is of when @counter was read? The word with
 * the sequence number decides, and is loaded behind the counter: if it is still
 * the copy's, no update had begun by then. That the counter was not read before
 * the copy's own window is the counter's part: a branch on the load that closed
 * the window stands in front of its LFENCE or ISB, in this thread or in the one
 * that handed the copy over. The other words notice a page made anew that has
 * come to the same number; nothing of it needs to be in order.
 */
static inline int vmclk__unchanged(const struct vmclk_fast *fast, uint64_t counter)
{
	const uint64_t *page = fast->page;
	const uint64_t *later = (const uint64_t *)vmclk__after(page, counter);

	return VMCLK__WORD(later, VMCLK__VERSION_SEQ) == fast->version_seq &&
	       VMCLK__WORD(page, VMCLK__MAGIC_SIZE) == fast->magic_size &&
	       VMCLK__WORD(page, VMCLK__MARKER) == fast->marker &&
	       VMCLK__WORD(page, VMCLK__COUNTER_VALUE) == fast->counter_value;
}

/**
 * vmclk_fast_now() - vmclk_now(), inlined and with a copy that the caller keeps
 * @fast: the copy
 * @stamp: where the answer goes
 *
 * Gives exactly what vmclk_now() gives, and reads as much of the page as it
 * takes to know that the copy is still the page.
 *
 * Context: as vmclk_now(), but one thread at a time for each @fast.
 * Return: as vmclk_now().
 */
static inline int vmclk_fast_now(struct vmclk_fast *fast, struct vmclk_stamp *stamp)
{
	if (VMCLK__LIKELY(fast->page)) {
		uint64_t counter = vmclk_counter();
		struct vmclk__instant at;

		if (VMCLK__LIKELY(vmclk__unchanged(fast, counter) &&
				  vmclk__on_line(&fast->line, counter, &at))) {
			*stamp = fast->base;
			stamp->counter = counter;
			vmclk__spread(stamp, (int64_t)at.sec, at.nsec, 0, at.maxerror_ns);
			return 0;
		}
	}
	return vmclk_fast_fill(fast, stamp);
}

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_INLINE_H */
