/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * UTC around the leap second that a page announces or has seen.
 *
 * Between an even scale and UTC's numbers lies one step, at the start of a
 * month. The even scale used here runs like TAI and agrees with UTC until the
 * leap second: with one inserted at the end of December it shows 00:00:00 of
 * January where UTC has 23:59:60. Times of it are called "even" below.
 */
#ifndef VMCLK_UTC_H
#define VMCLK_UTC_H

#include "internal.h"
#include "vmclk-stamp.h"

/**
 * struct leap - what a page tells about the leap second nearest to it
 * @at: 00:00:00 UTC of the month that begins after the leap second
 * @kind: 1 if a second is inserted before @at, -1 if one is removed, 0 if none
 * @to_even: to be added to a time of the stamp's own scale (TAI, or the line of
 *	a page in UTC) to make it even
 * @known_from: before this even time another leap second may have been
 * @known_to: and from this one on
 */
struct leap {
	int64_t at;
	int kind;
	int64_t to_even;
	int64_t known_from;
	int64_t known_to;
};

/* Is there something in @stamp that conversions can work on? 0 or an error. */
int vmclk__check_times(const struct vmclk_stamp *stamp);

/*
 * The leap second of @stamp, and its times made even: outwards, where a number
 * of UTC names two moments. 0, -VMCLK_ESCALES or -VMCLK_EUTC.
 */
int vmclk__make_even(struct vmclk_stamp *stamp, struct leap *leap);

#endif /* VMCLK_UTC_H */
