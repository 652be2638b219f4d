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

/* Does the kernel say that the offset is another by @change because of a leap second? */
static bool is_announced(const struct source_reading *reading, int change)
{
	uint8_t leap = reading->leap_indicator;

	return change == 1 ? leap == VMCLOCK_PAGE_LEAP_POS || leap == VMCLOCK_PAGE_LEAP_POST_POS :
	       change == -1 && leap == VMCLOCK_PAGE_LEAP_POST_NEG;
}

static vmclock_u128 distance(vmclock_u128 a, vmclock_u128 b)
{
	return a > b ? a - b : b - a;
}

/* How far the line and the reading may be apart; half a leap second if nobody knows. */
static vmclock_u128 tolerance(const struct source_reading *reading,
			      const struct calibrate_line *line, uint64_t counter)
{
	uint64_t ns = VMCLOCK_NSEC_PER_SEC / 2, sum;

	if (line->bounded && reading->bounded &&
	    !__builtin_add_overflow(vmclock_math_maxerror_ns(&line->max, counter),
				    reading->maxerror_ns, &sum))
		ns = sum;
	return ((vmclock_u128)ns << 64) / VMCLOCK_NSEC_PER_SEC;
}

/* The kernel's offset is another by @change, the time is @kept or @moved: which? */
static bool is_moved(const struct source_reading *reading, int change, vmclock_u128 kept,
		     vmclock_u128 moved, const struct calibrate_line *line, uint64_t counter)
{
	vmclock_u128 to_kept, to_moved, limit;
	struct vmclock_time t;

	if (!line || !vmclock_math_time(&line->max, counter, &t))
		return is_announced(reading, change);
	limit = tolerance(reading, line, counter);
	to_kept = distance(kept, (vmclock_u128)t.sec << 64 | t.frac);
	to_moved = distance(moved, (vmclock_u128)t.sec << 64 | t.frac);
	if ((to_kept <= limit) != (to_moved <= limit))
		return to_moved <= limit;
	return is_announced(reading, change) || to_moved < to_kept;
}

vmclock_u128 scale_time(struct scale *scale, const struct source_reading *reading,
			const struct calibrate_line *line, uint64_t counter)
{
	/* The kernel's own TAI is right by definition of SCALE_KERNEL. */
	bool is_told = scale->origin == SCALE_KERNEL &&
		       reading->kernel_tai >= SOURCE_TAI_MIN;
	int change = reading->kernel_tai - scale->kernel_tai;
	int moved_base = is_told ? reading->kernel_tai : scale->base + change;
	vmclock_u128 kept = reading->realtime + ((vmclock_u128)scale->base << 64);
	vmclock_u128 moved = reading->realtime + ((vmclock_u128)moved_base << 64);

	scale->kernel_tai = reading->kernel_tai;
	if (!is_told && (!change || !is_moved(reading, change, kept, moved, line, counter)))
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
