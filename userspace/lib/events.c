// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What happened between two copies of a page.
 */
#include "watch.h"

#define MAINTENANCE_FLAGS (VMCLOCK_PAGE_FLAG_DISRUPTION_SOON | \
			   VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT)
#define LINE_FLAGS (VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID | \
		    VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID | \
		    VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID | \
		    VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID)

#define DIFFERS(field) (old->field != new->field)

static bool line_differs(const struct vmclk_snapshot *old, const struct vmclk_snapshot *new)
{
	return DIFFERS(counter_value) || DIFFERS(counter_period_frac_sec) ||
	       DIFFERS(counter_period_shift) ||
	       DIFFERS(counter_period_esterror_rate_frac_sec) ||
	       DIFFERS(counter_period_maxerror_rate_frac_sec) ||
	       DIFFERS(time_sec) || DIFFERS(time_frac_sec) ||
	       DIFFERS(time_esterror_nanosec) || DIFFERS(time_maxerror_nanosec) ||
	       DIFFERS(counter_id) || DIFFERS(time_type) ||
	       ((old->flags ^ new->flags) & LINE_FLAGS);
}

static bool leap_differs(const struct vmclk_snapshot *old, const struct vmclk_snapshot *new)
{
	return DIFFERS(leap_indicator) || DIFFERS(tai_offset_sec) ||
	       ((old->flags ^ new->flags) & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID);
}

unsigned int vmclk__differences(const struct vmclk_snapshot *old,
				const struct vmclk_snapshot *new)
{
	unsigned int events = 0;

	if (DIFFERS(seq_count))
		events |= VMCLK_EVENT_UPDATE;
	if (line_differs(old, new))
		events |= VMCLK_EVENT_RECALIBRATED;
	if (DIFFERS(disruption_marker))
		events |= VMCLK_EVENT_DISRUPTED;
	if (DIFFERS(clock_status))
		events |= VMCLK_EVENT_STATUS;
	if (leap_differs(old, new))
		events |= VMCLK_EVENT_LEAP;
	if ((old->flags ^ new->flags) & MAINTENANCE_FLAGS)
		events |= VMCLK_EVENT_MAINTENANCE;
	return events;
}
