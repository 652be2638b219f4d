/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * From a snapshot to a stamp, where nothing about the page is unusual: it
 * gives a time, and the arithmetic needs none of its rare cases. time.c has
 * all of the others, and these as well: what is not simple here goes there.
 *
 * What does not depend on the counter costs little when it stands behind the
 * counter read: a processor does it meanwhile. What counts is the way from the
 * counter to the last edge of the bound, and after that the number of
 * instructions.
 */
#ifndef VMCLK_STAMP_SIMPLE_H
#define VMCLK_STAMP_SIMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <linux/vmclock-page.h>

#include "counter.h"
#include "vmclk-inline.h"

#define BOUND_FLAGS (VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID | \
		     VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID)

/* A status below SYNCHRONIZED becomes large by the subtraction. */
static inline bool is_simple(const struct vmclk_snapshot *snap)
{
	return snap->size >= sizeof(struct vmclock_page) && snap->counter_valid &&
	       !snap->boot_unknown &&
	       (uint8_t)(snap->clock_status - VMCLOCK_PAGE_STATUS_SYNCHRONIZED) <=
		       VMCLOCK_PAGE_STATUS_FREERUNNING - VMCLOCK_PAGE_STATUS_SYNCHRONIZED &&
	       (snap->time_type == VMCLOCK_PAGE_TIME_TAI ||
		snap->time_type == VMCLOCK_PAGE_TIME_MONOTONIC) &&
	       snap->counter_period_frac_sec && snap->counter_period_shift < 64 &&
	       (snap->flags & BOUND_FLAGS) == BOUND_FLAGS &&
	       snap->time_sec < 1ULL << 61 && snap->time_maxerror_nanosec < VMCLK__SECOND;
}

/* For a simple one. Two shifts, since one by 64 is none. */
static inline struct vmclk__line simple_line(const struct vmclk_snapshot *snap)
{
	unsigned int shift = snap->counter_period_shift & 63;
	uint64_t period = snap->counter_period_frac_sec;
	uint64_t error = snap->counter_period_maxerror_rate_frac_sec;

	return (struct vmclk__line){
		.counter = snap->counter_value,
		.sec = snap->time_sec,
		.frac = snap->time_frac_sec,
		.period_high = period >> shift,
		.period_low = period << 1 << (63 - shift),
		.error_high = error >> shift,
		.error_low = error << 1 << (63 - shift),
		.maxerror_ns = snap->time_maxerror_nanosec,
	};
}

/*
 * All but the time. The last words whole, what is reserved included, as vmclk__put() does
 * with its own: a stamp has no byte that was not written.
 */
static inline void fill_markers(struct vmclk_stamp *stamp, const struct vmclk_snapshot *snap,
				uint64_t counter)
{
	bool has_generation = snap->flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;
	bool has_tai = snap->flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID;

	stamp->counter = counter;
	stamp->reference_sec = (int64_t)snap->time_sec;
	stamp->page_id = snap->page_id;
	stamp->disruption_marker = snap->disruption_marker;
	stamp->vm_generation_counter = has_generation ? snap->vm_generation_counter : 0;
	stamp->valid = VMCLK_STAMP_TIME | (has_generation ? VMCLK_STAMP_GENERATION : 0) |
		       (has_tai ? VMCLK_STAMP_TAI_OFFSET : 0);
	stamp->tai_offset_sec = has_tai ? snap->tai_offset_sec : 0;
	stamp->time_type = snap->time_type;
	stamp->clock_status = snap->clock_status;
	memset((char *)stamp + offsetof(struct vmclk_stamp, leap_indicator), 0,
	       sizeof(*stamp) - offsetof(struct vmclk_stamp, leap_indicator));
	stamp->leap_indicator = snap->leap_indicator;
}

/* Returns false, with @stamp unchanged, if this needs time.c. */
static inline bool stamp_simple(const struct vmclk_snapshot *snap, uint64_t counter,
				struct vmclk_stamp *stamp)
{
	struct vmclk__line line = simple_line(snap);
	struct vmclk__instant at;

	if (!is_simple(snap) || !vmclk__on_line(&line, counter, &at))
		return false;
	vmclk__spread(stamp, (int64_t)at.sec, at.nsec, 0, at.maxerror_ns);
	fill_markers(stamp, snap, counter);
	return true;
}

#endif /* VMCLK_STAMP_SIMPLE_H */
