// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/vmclock-page.h>

#include "scale.h"

static int64_t utc_seconds(const struct source_reading *reading)
{
	return reading->realtime >> 64;
}

/*
 * TAI - UTC by the list. In an inserted second the kernel repeats 23:59:59, so
 * CLOCK_REALTIME is one less than the offset that holds from then on expects,
 * while the list changes only at the end of that second.
 */
static bool list_base(const struct leap_list *list,
		      const struct source_reading *reading, int *base)
{
	if (leap_list_offset(list, utc_seconds(reading), base))
		return false;
	*base += reading->leap_indicator == VMCLOCK_PAGE_LEAP_POS;
	return true;
}

void scale_init(struct scale *scale, const struct source_reading *reading,
		const struct leap_list *list, bool wants_utc,
		const int *tai_offset_sec)
{
	*scale = (struct scale){ .kernel_tai = reading->kernel_tai, .list = list };

	if (wants_utc) {
		scale->origin = SCALE_UTC;
	} else if (tai_offset_sec) {
		scale->origin = SCALE_OPTION;
		scale->base = -*tai_offset_sec;
	} else if (reading->kernel_tai >= SOURCE_TAI_MIN) {
		scale->origin = SCALE_KERNEL;
		scale->base = reading->kernel_tai;
	} else if (list_base(list, reading, &scale->base)) {
		scale->origin = SCALE_LIST;
	}
}

static vmclock_u128 distance(vmclock_u128 a, vmclock_u128 b)
{
	return a > b ? a - b : b - a;
}

vmclock_u128 scale_time(struct scale *scale, const struct source_reading *reading,
			const vmclock_u128 *expected)
{
	/* The kernel's own TAI is right by definition of SCALE_KERNEL. */
	bool is_told = scale->origin == SCALE_KERNEL &&
		       reading->kernel_tai >= SOURCE_TAI_MIN;
	int moved_base = is_told ? reading->kernel_tai :
			 scale->base + reading->kernel_tai - scale->kernel_tai;
	vmclock_u128 kept = reading->realtime + ((vmclock_u128)scale->base << 64);
	vmclock_u128 moved = reading->realtime + ((vmclock_u128)moved_base << 64);

	scale->kernel_tai = reading->kernel_tai;
	if (!is_told && (!expected ||
			 distance(kept, *expected) <= distance(moved, *expected)))
		return kept;
	scale->base = moved_base;
	return moved;
}

void scale_restart(struct scale *scale, const struct source_reading *reading)
{
	int base;

	if (scale->origin == SCALE_LIST && list_base(scale->list, reading, &base))
		scale->base = base;
}

uint8_t scale_time_type(const struct scale *scale)
{
	return scale->origin == SCALE_UTC ? VMCLOCK_PAGE_TIME_UTC :
					    VMCLOCK_PAGE_TIME_TAI;
}

bool scale_tai_offset(const struct scale *scale, int16_t *offset)
{
	int tai = scale->origin == SCALE_UTC ? scale->kernel_tai : scale->base;
	bool is_known = scale->origin != SCALE_UTC || tai >= SOURCE_TAI_MIN;

	*offset = is_known ? -tai : 0;
	return is_known;
}

uint64_t scale_page_seconds(const struct scale *scale, uint64_t sec)
{
	return scale->origin == SCALE_UTC ? sec - scale->base : sec;
}

uint8_t scale_leap_indicator(const struct scale *scale,
			     const struct source_reading *reading)
{
	if (reading->leap_indicator != VMCLOCK_PAGE_LEAP_NONE)
		return reading->leap_indicator;
	return leap_list_indicator(scale->list, utc_seconds(reading));
}

const char *scale_describe(const struct scale *scale)
{
	static const char *const text[] = {
		[SCALE_UTC] = "UTC",
		[SCALE_KERNEL] = "TAI, offset from the kernel",
		[SCALE_LIST] = "TAI, offset from the leap second list",
		[SCALE_OPTION] = "TAI, offset from --tai-offset",
	};

	return text[scale->origin];
}
