// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which of two stamps was first, and whether one still belongs to the page.
 */
#include "internal.h"
#include "vmclk-stamp.h"
#include "vmclock_math.h"

bool vmclk__is_earlier(const struct vmclk_time *a, const struct vmclk_time *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec < b->nsec);
}

/* Stamps may come from a file or a network. */
bool vmclk__is_sound(const struct vmclk_stamp *s)
{
	return s->point.nsec < VMCLOCK_NSEC_PER_SEC &&
	       s->earliest.nsec < VMCLOCK_NSEC_PER_SEC &&
	       s->latest.nsec < VMCLOCK_NSEC_PER_SEC &&
	       !vmclk__is_earlier(&s->point, &s->earliest) &&
	       !vmclk__is_earlier(&s->latest, &s->point);
}

static bool same_generation(const struct vmclk_stamp *a, const struct vmclk_stamp *b)
{
	if ((a->valid ^ b->valid) & VMCLK_STAMP_GENERATION)
		return false;
	return !(a->valid & VMCLK_STAMP_GENERATION) ||
	       a->vm_generation_counter == b->vm_generation_counter;
}

int vmclk__check_epoch(const struct vmclk_stamp *now, const struct vmclk_stamp *then)
{
	if (now->page_id != then->page_id)
		return -VMCLK_EPAGES;
	/* A restored machine's clock was disrupted too: the graver comes first. */
	if (!same_generation(now, then))
		return -VMCLK_ECLONED;
	if (now->disruption_marker != then->disruption_marker)
		return -VMCLK_EDISRUPTED;
	return 0;
}

static int compare_times(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
			 enum vmclk_order *order)
{
	if (!(a->valid & b->valid & VMCLK_STAMP_TIME))
		return -VMCLK_ENOTIME;
	if (a->time_type != b->time_type)
		return -VMCLK_ESCALES;
	if (!vmclk__is_sound(a) || !vmclk__is_sound(b))
		return -EINVAL;

	if (vmclk__is_earlier(&a->latest, &b->earliest))
		*order = VMCLK_BEFORE;
	else if (vmclk__is_earlier(&b->latest, &a->earliest))
		*order = VMCLK_AFTER;
	else
		*order = VMCLK_OVERLAPS;
	return 0;
}

int vmclk_compare(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
		  enum vmclk_order *order)
{
	int err = vmclk__check_epoch(a, b);

	if (err)
		return err == -VMCLK_EPAGES ? err : -VMCLK_EEPOCHS;
	return compare_times(a, b, order);
}

int vmclk_compare_across(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
			 enum vmclk_order *order)
{
	enum vmclk_order mine;
	int err = compare_times(a, b, &mine);

	if (err)
		return err;
	if (a->time_type != VMCLOCK_PAGE_TIME_UTC && a->time_type != VMCLOCK_PAGE_TIME_TAI)
		return -VMCLK_ESCALES;
	*order = mine;
	return 0;
}

static bool is_ordered(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
		       enum vmclk_order wanted)
{
	enum vmclk_order order;

	return !vmclk_compare(a, b, &order) && order == wanted;
}

bool vmclk_before(const struct vmclk_stamp *a, const struct vmclk_stamp *b)
{
	return is_ordered(a, b, VMCLK_BEFORE);
}

bool vmclk_after(const struct vmclk_stamp *a, const struct vmclk_stamp *b)
{
	return is_ordered(a, b, VMCLK_AFTER);
}

bool vmclk_overlaps(const struct vmclk_stamp *a, const struct vmclk_stamp *b)
{
	return is_ordered(a, b, VMCLK_OVERLAPS);
}

int vmclk_still_valid(const struct vmclk *clk, const struct vmclk_stamp *stamp)
{
	struct vmclk_snapshot snap;
	struct vmclk_stamp now;
	int err = vmclk_snapshot(clk, &snap);

	if (err)
		return err;
	/* What is wanted of it are the markers, and they are always there. */
	(void)vmclk_stamp_at(&snap, snap.counter, &now);
	return vmclk__check_epoch(&now, stamp);
}
