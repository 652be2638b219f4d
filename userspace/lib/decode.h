/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * From the page's bytes to a snapshot: the one place that knows both, for
 * readers and writers alike.
 */
#ifndef VMCLK_DECODE_H
#define VMCLK_DECODE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include <linux/vmclock-page.h>

#include "vmclk.h"

/* Atomic, so that each is one load, of one field, whatever the compiler likes. */
#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static inline uint32_t load_seq(const void *page)
{
	const struct vmclock_page *p = page;

	return le32toh(LOAD(p->seq_count));
}

/*
 * All but the sequence number and the counter, which belong to the window.
 * Returns the magic, which no snapshot has room for.
 */
static inline uint32_t decode(const struct vmclock_page *page, struct vmclk_snapshot *snap)
{
	snap->disruption_marker = le64toh(LOAD(page->disruption_marker));
	snap->flags = le64toh(LOAD(page->flags));
	snap->counter_value = le64toh(LOAD(page->counter_value));
	snap->counter_period_frac_sec = le64toh(LOAD(page->counter_period_frac_sec));
	snap->counter_period_esterror_rate_frac_sec =
		le64toh(LOAD(page->counter_period_esterror_rate_frac_sec));
	snap->counter_period_maxerror_rate_frac_sec =
		le64toh(LOAD(page->counter_period_maxerror_rate_frac_sec));
	snap->time_sec = le64toh(LOAD(page->time_sec));
	snap->time_frac_sec = le64toh(LOAD(page->time_frac_sec));
	snap->time_esterror_nanosec = le64toh(LOAD(page->time_esterror_nanosec));
	snap->time_maxerror_nanosec = le64toh(LOAD(page->time_maxerror_nanosec));
	snap->vm_generation_counter = le64toh(LOAD(page->vm_generation_counter));
	snap->size = le32toh(LOAD(page->size));
	snap->version = le16toh(LOAD(page->version));
	snap->tai_offset_sec = (int16_t)le16toh(LOAD(page->tai_offset_sec));
	snap->counter_id = LOAD(page->counter_id);
	snap->time_type = LOAD(page->time_type);
	snap->clock_status = LOAD(page->clock_status);
	snap->smear_hint = LOAD(page->smear_hint);
	snap->leap_indicator = LOAD(page->leap_indicator);
	snap->counter_period_shift = LOAD(page->counter_period_shift);
	memset(snap->reserved, 0, sizeof(snap->reserved));
	return le32toh(LOAD(page->magic));
}

#endif /* VMCLK_DECODE_H */
