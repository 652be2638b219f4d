/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Updates whose every field is a function of their number, so that a copy that
 * holds parts of two shows.
 */
#ifndef TESTS_UPDATES_H
#define TESTS_UPDATES_H

#include <stdbool.h>

#include "pages.h"
#include "vmclk.h"

static inline struct vmclk_snapshot update_of(uint64_t n)
{
	return (struct vmclk_snapshot){
		.disruption_marker = ~n,
		.flags = PAGE_FLAGS,
		.counter_value = n,
		.counter_period_frac_sec = n * 3 + 1,
		.counter_period_esterror_rate_frac_sec = n * 5,
		.counter_period_maxerror_rate_frac_sec = n * 7,
		.time_sec = n * 11,
		.time_frac_sec = n << 32 | n,
		.time_esterror_nanosec = n * 13,
		.time_maxerror_nanosec = n * 17,
		.vm_generation_counter = n ^ 0x5555555555555555,
		.tai_offset_sec = (int16_t)-(n & 0x7fff),
		.counter_id = PAGE_COUNTER,
		.time_type = VMCLOCK_PAGE_TIME_TAI,
		.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED,
		.smear_hint = n % 3,
		.leap_indicator = n % 5,
		.counter_period_shift = n & 127,
	};
}

/* Is the copy of one update, whichever? */
static inline bool update_is_whole(const struct vmclk_snapshot *s)
{
	const struct vmclk_snapshot u = update_of(s->counter_value);

	return s->version == VMCLOCK_PAGE_VERSION &&
	       s->disruption_marker == u.disruption_marker && s->flags == u.flags &&
	       s->counter_period_frac_sec == u.counter_period_frac_sec &&
	       s->counter_period_esterror_rate_frac_sec ==
	       u.counter_period_esterror_rate_frac_sec &&
	       s->counter_period_maxerror_rate_frac_sec ==
	       u.counter_period_maxerror_rate_frac_sec &&
	       s->time_sec == u.time_sec && s->time_frac_sec == u.time_frac_sec &&
	       s->time_esterror_nanosec == u.time_esterror_nanosec &&
	       s->time_maxerror_nanosec == u.time_maxerror_nanosec &&
	       s->vm_generation_counter == u.vm_generation_counter &&
	       s->tai_offset_sec == u.tai_offset_sec && s->counter_id == u.counter_id &&
	       s->time_type == u.time_type && s->clock_status == u.clock_status &&
	       s->smear_hint == u.smear_hint && s->leap_indicator == u.leap_indicator &&
	       s->counter_period_shift == u.counter_period_shift;
}

#endif /* TESTS_UPDATES_H */
