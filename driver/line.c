// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a page to a time: the one place that says what may be trusted.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "vmclock.h"
#include "vmclock_math.h"

/**
 * vmclock_line_take() - copy the page and read the clocks, in one window
 * @vd: the device
 * @page: the copy; what the device does not have of it is zero
 * @clocks: see vmclock_page_read()
 * @nonblock: -EAGAIN rather than wait for an update to end
 *
 * Context: process context, may sleep unless @nonblock.
 * Return: bytes of @page that exist, or as vmclock_page_read(), or -EPROTO if
 * it is no page (any more), or -ENODEV.
 */
int vmclock_line_take(struct vmclock_device *vd, struct vmclock_page *page,
		      struct vmclock_clocks *clocks, bool nonblock)
{
	size_t len = min_t(size_t, vd->region_size, sizeof(*page));
	int ret, token;

	token = srcu_read_lock(&vd->srcu);
	if (vmclock_is_gone(vd))
		ret = -ENODEV;
	else if (nonblock)
		ret = vmclock_page_try(vd, page, len, clocks) ? 0 : -EAGAIN;
	else
		ret = vmclock_page_read(vd, page, len, clocks);
	srcu_read_unlock(&vd->srcu, token);
	if (ret)
		return ret;

	ret = vmclock_page_size(vd, page);
	if (ret > 0)
		memset((void *)page + ret, 0, sizeof(*page) - ret);
	return ret;
}

/**
 * vmclock_line_has_counter() - is the counter read the one the page names?
 * @page: the copy
 * @clocks: the readings taken with it
 */
bool vmclock_line_has_counter(const struct vmclock_page *page,
			      const struct vmclock_clocks *clocks)
{
	return clocks->counter_usable && vmclock_counter_is_ours(page->counter_id);
}

/**
 * vmclock_line_is_vouched_for() - does the status say that the line is good?
 * @page: the copy
 *
 * Whether there is a bound, and whether it fits, is another question.
 */
bool vmclock_line_is_vouched_for(const struct vmclock_page *page)
{
	return vmclock_counter_is_ours(page->counter_id) &&
	       (page->clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
		page->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING);
}

/* The same conditions as the library's judge(), in userspace/lib/time.c. */
static bool is_trusted(const struct vmclock_page *page, u32 size, u64 counter)
{
	u64 flags = le64_to_cpu(page->flags);
	u64 need = VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID;

	if (counter != le64_to_cpu(page->counter_value))
		need |= VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID;

	return VMCLOCK_PAGE_HAS(size, time_maxerror_nanosec) &&
	       (page->clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
		page->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING) &&
	       page->time_type <= VMCLOCK_PAGE_TIME_MONOTONIC &&
	       page->counter_period_frac_sec &&
	       page->counter_period_shift <= VMCLOCK_MATH_SHIFT_MAX &&
	       (flags & need) == need;
}

/**
 * vmclock_line_time() - the time at a counter reading
 * @page: the copy
 * @size: bytes of it that exist
 * @counter: the reading
 * @time: the result, on the page's scale
 *
 * Return: true, or false if the page does not vouch for a time there.
 */
bool vmclock_line_time(const struct vmclock_page *page, u32 size, u64 counter,
		       struct vmclock_line_time *time)
{
	struct vmclock_time t;
	struct vmclock_line line = {
		.counter = le64_to_cpu(page->counter_value),
		.time.sec = le64_to_cpu(page->time_sec),
		.time.frac = le64_to_cpu(page->time_frac_sec),
		.period = le64_to_cpu(page->counter_period_frac_sec),
		.period_maxerror =
			le64_to_cpu(page->counter_period_maxerror_rate_frac_sec),
		.maxerror_ns = le64_to_cpu(page->time_maxerror_nanosec),
		.shift = page->counter_period_shift,
	};

	if (!is_trusted(page, size, counter) ||
	    !vmclock_math_time(&line, counter, &t) ||
	    (page->time_type == VMCLOCK_PAGE_TIME_UTC &&
	     vmclock_math_leap_is_near(page->leap_indicator, line.time.sec, t.sec)))
		return false;

	time->sec = t.sec;
	time->nsec = vmclock_math_nsec(t.frac);
	time->maxerror_ns = vmclock_math_maxerror_ns(&line, counter);
	return time->maxerror_ns != U64_MAX;
}

/**
 * vmclock_line_to_scale() - move a time from the page's scale to another
 * @page: the copy
 * @time: from vmclock_line_time() of @page
 * @scale: VMCLOCK_PAGE_TIME_TAI or _UTC
 *
 * The offset holds at the line's reference point. So no leap second may lie
 * between that and the time; vmclock_line_time() has seen to it if the page is
 * in UTC, of which TAI is always known then.
 *
 * Return: true, or false if the page does not vouch for a time on that scale.
 */
bool vmclock_line_to_scale(const struct vmclock_page *page,
			   struct vmclock_line_time *time, u8 scale)
{
	s64 offset = (s16)le16_to_cpu(page->tai_offset_sec);
	u64 from = le64_to_cpu(page->time_sec), ahead = -offset;

	if (page->time_type == scale)
		return true;
	/* Since 1972 TAI has been ahead: what says otherwise has the sign wrong. */
	if (page->time_type == VMCLOCK_PAGE_TIME_MONOTONIC || offset > 0 ||
	    !(le64_to_cpu(page->flags) & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID))
		return false;

	if (scale == VMCLOCK_PAGE_TIME_TAI) {
		time->sec += ahead;
		return time->sec >= ahead;
	}
	if (from < ahead || time->sec < ahead ||
	    vmclock_math_leap_is_near(page->leap_indicator, from - ahead, time->sec - ahead))
		return false;
	time->sec -= ahead;
	return true;
}
