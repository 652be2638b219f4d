// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * From a copied page to a time with a bound, in any case there is; stamp.h does
 * the usual one.
 *
 * A time comes out only when everything that makes it true is there: a counter
 * this machine has and trusts, a status that vouches for the line, a valid
 * scale and period, and a worst-case error whose growth is known.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "stamp.h"
#include "vmclock_math.h"

static bool status_is_trusted(uint8_t status)
{
	return status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
	       status == VMCLOCK_PAGE_STATUS_FREERUNNING;
}

/* Section 9: without the period's error the bound holds at C1 only. */
static bool bound_is_known(const struct vmclk_snapshot *snap, uint64_t counter)
{
	if (counter == snap->counter_value)
		return snap->flags & VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID;
	return (snap->flags & BOUND_FLAGS) == BOUND_FLAGS;
}

/* The first reason for which the page gives no time at @counter, or VMCLK_OK. */
static enum vmclk_reason judge(const struct vmclk_snapshot *snap, uint64_t counter)
{
	if (!VMCLOCK_PAGE_HAS(snap->size, time_maxerror_nanosec))
		return VMCLK_FIELDS_ABSENT;
	if (snap->counter_id == VMCLOCK_PAGE_COUNTER_NONE)
		return VMCLK_NO_COUNTER;
	if (!snap->counter_valid)
		return VMCLK_WRONG_COUNTER;
	if (snap->boot_unknown)
		return VMCLK_BOOT_UNKNOWN;
	if (!status_is_trusted(snap->clock_status))
		return VMCLK_BAD_STATUS;
	if (snap->time_type > VMCLOCK_PAGE_TIME_MONOTONIC)
		return VMCLK_BAD_SCALE;
	if (!snap->counter_period_frac_sec ||
	    snap->counter_period_shift > VMCLOCK_MATH_SHIFT_MAX)
		return VMCLK_BAD_PERIOD;
	if (!bound_is_known(snap, counter))
		return VMCLK_NO_BOUND;
	return VMCLK_OK;
}

static struct vmclock_line line_of(const struct vmclk_snapshot *snap)
{
	return (struct vmclock_line){
		.counter = snap->counter_value,
		.time = { snap->time_sec, snap->time_frac_sec },
		.period = snap->counter_period_frac_sec,
		.period_maxerror = snap->counter_period_maxerror_rate_frac_sec,
		.maxerror_ns = snap->time_maxerror_nanosec,
		.shift = snap->counter_period_shift,
	};
}

static void spread_nothing(struct vmclk_stamp *stamp)
{
	stamp->point = stamp->earliest = stamp->latest = (struct vmclk_time){ 0 };
}

/* Times beyond this leave no room for any bound in 64 signed bits. */
#define SEC_MAX (INT64_MAX - (int64_t)(UINT64_MAX / VMCLOCK_NSEC_PER_SEC) - 1)

static enum vmclk_reason compute(const struct vmclk_snapshot *snap,
				 uint64_t counter, struct vmclk_stamp *stamp)
{
	struct vmclock_line line = line_of(snap);
	struct vmclock_time t;
	uint64_t maxerror_ns;

	if (!vmclock_math_time(&line, counter, &t) || t.sec > SEC_MAX)
		return VMCLK_OUT_OF_RANGE;
	maxerror_ns = vmclock_math_maxerror_ns(&line, counter);
	if (maxerror_ns == UINT64_MAX)
		return VMCLK_OUT_OF_RANGE;

	vmclk__spread(stamp, (int64_t)t.sec, vmclock_math_nsec(t.frac),
		      (int64_t)(maxerror_ns / VMCLOCK_NSEC_PER_SEC),
		      (uint32_t)(maxerror_ns % VMCLOCK_NSEC_PER_SEC));
	if (snap->time_type == VMCLOCK_PAGE_TIME_UTC && !vmclk__line_to_utc(stamp)) {
		spread_nothing(stamp);
		return VMCLK_LEAP_SECOND;
	}
	return VMCLK_OK;
}

int vmclk__stamp_any(const struct vmclk_snapshot *snap, uint64_t counter,
		     struct vmclk_stamp *stamp)
{
	memset(stamp, 0, sizeof(*stamp));
	stamp->counter = counter;
	stamp->page_id = snap->page_id;
	stamp->reference_sec = (int64_t)snap->time_sec;
	stamp->disruption_marker = snap->disruption_marker;
	stamp->time_type = snap->time_type;
	stamp->clock_status = snap->clock_status;
	stamp->leap_indicator = snap->leap_indicator;

	if ((snap->flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT) &&
	    VMCLOCK_PAGE_HAS(snap->size, vm_generation_counter)) {
		stamp->vm_generation_counter = snap->vm_generation_counter;
		stamp->valid |= VMCLK_STAMP_GENERATION;
	}
	if ((snap->flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID) &&
	    VMCLOCK_PAGE_HAS(snap->size, tai_offset_sec)) {
		stamp->tai_offset_sec = snap->tai_offset_sec;
		stamp->valid |= VMCLK_STAMP_TAI_OFFSET;
	}

	stamp->reason = judge(snap, counter);
	if (stamp->reason == VMCLK_OK)
		stamp->reason = compute(snap, counter, stamp);
	if (stamp->reason != VMCLK_OK)
		return stamp->reason == VMCLK_WRONG_COUNTER ? -VMCLK_ECOUNTER : -VMCLK_ENOTIME;

	stamp->valid |= VMCLK_STAMP_TIME;
	return 0;
}

int vmclk_stamp_at(const struct vmclk_snapshot *snap, uint64_t counter,
		   struct vmclk_stamp *stamp)
{
	return stamp_simple(snap, counter, stamp) ? 0 : vmclk__stamp_any(snap, counter, stamp);
}
