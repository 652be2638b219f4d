/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time scale of the page, and the one calibration works in.
 *
 * Calibration works in a scale without leap seconds: CLOCK_REALTIME plus a
 * whole number of seconds, the base, which follows leap seconds. On a TAI page
 * the base is TAI - UTC and calibration's time is the page's. On a UTC page
 * the base is taken off again before publishing.
 */
#ifndef HOST_SCALE_H
#define HOST_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate-line.h"
#include "leap.h"
#include "source-kernel.h"

/* Who knows TAI - UTC. */
enum scale_origin {
	SCALE_UTC,	/* nobody, or the operator wants UTC: a UTC page */
	SCALE_KERNEL,	/* the kernel */
	SCALE_LIST,	/* the leap second list */
	SCALE_OPTION,	/* the operator */
};

/**
 * struct scale - the scale in use; initialised by scale_init()
 * @origin: where the base comes from
 * @base: seconds that are added to CLOCK_REALTIME
 * @kernel_tai: the kernel's offset at the last reading
 * @list: for the indicator; may be empty
 */
struct scale {
	enum scale_origin origin;
	int base;
	int kernel_tai;
	const struct leap_list *list;
};

/**
 * scale_init() - choose the scale
 * @scale: initialised here
 * @reading: a reading of the source
 * @list: the list; empty if there is none
 * @wants_utc: publish UTC in any case
 * @tai_offset_sec: UTC - TAI given by the operator, or NULL
 */
void scale_init(struct scale *scale, const struct source_reading *reading,
		const struct leap_list *list, bool wants_utc,
		const int *tai_offset_sec);

/**
 * scale_time() - a reading's time in the scale of calibration
 * @scale: the scale; its base follows a leap second here
 * @reading: the reading
 * @line: the present line, or NULL
 * @counter: the reading's, as @line counts
 *
 * When the kernel's TAI offset changes, either there was a leap second and
 * CLOCK_REALTIME went the other way, or somebody told the kernel and it did not.
 * What the line's bound allows decides. Where that allows both or neither, the
 * kernel's leap second state does, which somebody may have cleared since; then
 * what is nearer to the line. Without a line and that state, it was no leap second.
 *
 * Return: the time, 2^-64 s.
 */
vmclock_u128 scale_time(struct scale *scale, const struct source_reading *reading,
			const struct calibrate_line *line, uint64_t counter);

/**
 * scale_restart() - look the offset up again after the clock was set
 * @scale: the scale; its time_type stays
 * @reading: a reading taken since
 */
void scale_restart(struct scale *scale, const struct source_reading *reading);

/**
 * scale_time_type() - the page's time_type
 * @scale: the scale
 *
 * Return: VMCLOCK_PAGE_TIME_UTC or VMCLOCK_PAGE_TIME_TAI.
 */
uint8_t scale_time_type(const struct scale *scale);

/**
 * scale_tai_offset() - the page's tai_offset_sec
 * @scale: the scale
 * @offset: UTC - TAI, seconds
 *
 * Return: true if it is known.
 */
bool scale_tai_offset(const struct scale *scale, int16_t *offset);

/**
 * scale_page_seconds() - seconds of calibration's time in the page's scale
 * @scale: the scale
 * @sec: seconds
 *
 * Return: seconds since the epoch of the page's time_type.
 */
uint64_t scale_page_seconds(const struct scale *scale, uint64_t sec);

/**
 * scale_leap_indicator() - the page's leap_indicator
 * @scale: the scale
 * @reading: the latest reading
 *
 * Return: VMCLOCK_PAGE_LEAP_*, by the kernel, else by the list.
 */
uint8_t scale_leap_indicator(const struct scale *scale,
			     const struct source_reading *reading);

/**
 * scale_describe() - the scale and who says so, for the log
 * @scale: the scale
 *
 * Return: a string.
 */
const char *scale_describe(const struct scale *scale);

#endif /* HOST_SCALE_H */
