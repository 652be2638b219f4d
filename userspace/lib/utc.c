// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * UTC and TAI, across the end of a month.
 *
 * UTC is written as POSIX counts it. Where a second is inserted the count
 * repeats 23:59:59, so that numbers inside these two seconds do not tell which
 * came first: an interval that touches the inserted second is given as the
 * whole repeated second, and nothing that lies there is ordered by its numbers.
 * Where a second is removed the count skips 23:59:59.
 */
#include <string.h>

#include "utc.h"
#include "vmclock_math.h"

#define DAY	86400

/*
 * A page knows the ends of the month it is in, and months have at least 28
 * days. The day left over is room for the smears.
 */
#define KNOWN	(27 * DAY)

/* Beyond this, sums of a few times might not fit. */
#define SEC_LIMIT	(INT64_MAX / 4)

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * The first day of the month of @day, both counted from 1970-01-01. Years begin
 * in March here, which puts the days of leap years last: in the year, the four
 * years, the century and the 400 years, the last of which may each be longer
 * than what precedes them.
 */
static int64_t month_of_day(int64_t day)
{
	const int64_t march_2000 = 11017, year = 365, four = 1461;
	const int64_t century = 36524, four_centuries = 146097;
	int64_t rest = day - march_2000;
	int64_t month;

	rest -= floor_div(rest, four_centuries) * four_centuries;
	rest -= min(rest / century, 3) * century;
	rest %= four;
	rest -= min(rest / year, 3) * year;

	/* 31, 30, 31, 30, 31 days: five months take 153 days. */
	month = (5 * rest + 2) / 153;
	return day - (rest - (153 * month + 2) / 5);
}

/* 00:00:00 of the first day of @utc's month. */
static int64_t month_start(int64_t utc)
{
	return month_of_day(floor_div(utc, DAY)) * DAY;
}

/*
 * @reference: the reference point in UTC as the page counts it: its own time,
 * plus @offset if that is TAI.
 */
static bool find_leap(int64_t reference, int64_t offset, uint8_t indicator,
		      struct leap *leap)
{
	int64_t start = month_start(reference);
	/* The longest month has 31 days and the shortest has more than 3. */
	int64_t next = month_start(start + 31 * DAY);

	*leap = (struct leap){
		.at = next, .to_even = offset,
		.known_from = start - KNOWN, .known_to = next + KNOWN,
	};
	switch (indicator) {
	case VMCLOCK_PAGE_LEAP_NONE:
		return true;
	case VMCLOCK_PAGE_LEAP_PRE_POS:
		leap->kind = 1;
		return true;
	case VMCLOCK_PAGE_LEAP_PRE_NEG:
		leap->kind = -1;
		return reference < next - 1;	/* else in what is removed */
	case VMCLOCK_PAGE_LEAP_POST_POS:
		leap->kind = 1;
		break;
	case VMCLOCK_PAGE_LEAP_POST_NEG:
		leap->kind = -1;
		break;
	case VMCLOCK_PAGE_LEAP_POS:
		/* With the offset from after the insertion it is 23:59:59 again. */
		leap->kind = 1;
		leap->at = next;
		leap->to_even += 1;
		return reference == next - 1;
	default:
		return false;
	}
	leap->at = start;
	leap->to_even += leap->kind;
	return true;
}

/*
 * Which of the offsets a page in TAI names inside the inserted second, the one
 * before it or the one after, shows where the reference point comes to lie. The
 * one after is taken.
 */
static void settle_offset(struct vmclk_stamp *stamp)
{
	int64_t utc = stamp->reference_sec + stamp->tai_offset_sec;

	if (stamp->leap_indicator == VMCLOCK_PAGE_LEAP_POS && utc == month_start(utc) &&
	    stamp->tai_offset_sec > INT16_MIN)
		stamp->tai_offset_sec--;
}

/* All seconds of @stamp leave room for sums. */
static bool is_in_range(const struct vmclk_stamp *stamp)
{
	return stamp->reference_sec > -SEC_LIMIT && stamp->reference_sec < SEC_LIMIT &&
	       stamp->earliest.sec > -SEC_LIMIT && stamp->latest.sec < SEC_LIMIT;
}

int vmclk__check_times(const struct vmclk_stamp *stamp)
{
	if (!(stamp->valid & VMCLK_STAMP_TIME))
		return -VMCLK_ENOTIME;
	return vmclk__is_sound(stamp) ? 0 : -EINVAL;
}

static bool is_known(const struct vmclk_stamp *even, const struct leap *leap)
{
	return even->earliest.sec >= leap->known_from && even->latest.sec < leap->known_to;
}

static void shift(struct vmclk_stamp *stamp, int64_t seconds)
{
	stamp->point.sec += seconds;
	stamp->earliest.sec += seconds;
	stamp->latest.sec += seconds;
}

/* UTC's number of an even second. */
static int64_t number_of(int64_t even, const struct leap *leap)
{
	int64_t step = leap->kind < 0 ? leap->at - 1 : leap->at;

	return even < step ? even : even - leap->kind;
}

/* The inserted second is the even one at @leap->at. */
static void to_numbers(struct vmclk_stamp *stamp, const struct leap *leap)
{
	bool touches = leap->kind > 0 && stamp->latest.sec >= leap->at &&
		       stamp->earliest.sec <= leap->at;
	bool from_inside = touches && stamp->earliest.sec >= leap->at - 1;
	bool to_inside = touches && stamp->latest.sec <= leap->at;

	if (touches)
		stamp->valid |= VMCLK_STAMP_LEAP_SECOND;
	if (leap->kind > 0 && stamp->point.sec == leap->at)
		stamp->valid |= VMCLK_STAMP_POINT_IS_60;

	stamp->point.sec = number_of(stamp->point.sec, leap);
	stamp->earliest.sec = number_of(stamp->earliest.sec, leap);
	stamp->latest.sec = number_of(stamp->latest.sec, leap);
	if (from_inside)
		stamp->earliest = (struct vmclk_time){ leap->at - 1, 0 };
	if (to_inside)
		stamp->latest = (struct vmclk_time){ leap->at, 0 };
}

/*
 * Back from numbers. One of the repeated second means the earlier moment for
 * the lower edge, and for the upper edge the later one, if the interval touches
 * the inserted second.
 */
static bool from_numbers(struct vmclk_stamp *stamp, const struct leap *leap)
{
	int64_t last = leap->at - 1;
	bool touches = stamp->valid & VMCLK_STAMP_LEAP_SECOND;
	bool is_60 = (stamp->valid & VMCLK_STAMP_POINT_IS_60) && stamp->point.sec == last;

	if (leap->kind < 0 && (stamp->point.sec == last || stamp->earliest.sec == last ||
			       stamp->latest.sec == last))
		return false;	/* that second was removed */

	stamp->valid &= ~(VMCLK_STAMP_LEAP_SECOND | VMCLK_STAMP_POINT_IS_60);
	if (stamp->point.sec >= leap->at || is_60)
		stamp->point.sec += leap->kind;
	if (stamp->earliest.sec >= leap->at)
		stamp->earliest.sec += leap->kind;
	if (stamp->latest.sec >= leap->at || (touches && stamp->latest.sec == last))
		stamp->latest.sec += leap->kind;
	return true;
}

static bool offset_is_usable(const struct vmclk_stamp *stamp)
{
	/* UTC has been behind TAI since there are leap seconds. */
	return (stamp->valid & VMCLK_STAMP_TAI_OFFSET) && stamp->tai_offset_sec <= 0;
}

static int make_even_tai(struct vmclk_stamp *stamp, struct leap *leap)
{
	if (!offset_is_usable(stamp))
		return -VMCLK_EUTC;
	settle_offset(stamp);
	if (!find_leap(stamp->reference_sec + stamp->tai_offset_sec,
		       stamp->tai_offset_sec, stamp->leap_indicator, leap))
		return -VMCLK_EUTC;
	shift(stamp, leap->to_even);
	return is_known(stamp, leap) ? 0 : -VMCLK_EUTC;
}

static int make_even_utc(struct vmclk_stamp *stamp, struct leap *leap)
{
	if (!find_leap(stamp->reference_sec, 0, stamp->leap_indicator, leap) ||
	    !from_numbers(stamp, leap))
		return -VMCLK_EUTC;
	return is_known(stamp, leap) ? 0 : -VMCLK_EUTC;
}

int vmclk__make_even(struct vmclk_stamp *stamp, struct leap *leap)
{
	if (!is_in_range(stamp))
		return -VMCLK_EUTC;
	if (stamp->time_type == VMCLOCK_PAGE_TIME_TAI)
		return make_even_tai(stamp, leap);
	if (stamp->time_type == VMCLOCK_PAGE_TIME_UTC)
		return make_even_utc(stamp, leap);
	return -VMCLK_ESCALES;
}

bool vmclk__line_to_utc(struct vmclk_stamp *stamp)
{
	struct leap leap;

	/*
	 * Inside the inserted second a page in UTC may count on or repeat, and
	 * the number alone does not say which of the two its line continues.
	 */
	if (stamp->leap_indicator == VMCLOCK_PAGE_LEAP_POS || !is_in_range(stamp) ||
	    !find_leap(stamp->reference_sec, 0, stamp->leap_indicator, &leap))
		return false;
	shift(stamp, leap.to_even);
	if (!is_known(stamp, &leap))
		return false;
	to_numbers(stamp, &leap);
	return true;
}

int vmclk_to_utc(const struct vmclk_stamp *in, struct vmclk_stamp *out)
{
	struct vmclk_stamp stamp = *in;
	int err = vmclk__check_times(in);
	struct leap leap;

	if (!err && in->time_type != VMCLOCK_PAGE_TIME_UTC) {
		err = vmclk__make_even(&stamp, &leap);
		if (err)
			return err;
		to_numbers(&stamp, &leap);
		stamp.reference_sec += stamp.tai_offset_sec;
		stamp.time_type = VMCLOCK_PAGE_TIME_UTC;
	}
	if (!err)
		*out = stamp;
	return err;
}

int vmclk_to_tai(const struct vmclk_stamp *in, struct vmclk_stamp *out)
{
	struct vmclk_stamp stamp = *in;
	int err = vmclk__check_times(in);
	struct leap leap;

	if (!err && in->time_type != VMCLOCK_PAGE_TIME_TAI) {
		err = vmclk__make_even(&stamp, &leap);
		if (err)
			return err;
		if (!offset_is_usable(&stamp))
			return -VMCLK_EUTC;
		shift(&stamp, -leap.to_even - stamp.tai_offset_sec);
		stamp.reference_sec -= stamp.tai_offset_sec;
		stamp.time_type = VMCLOCK_PAGE_TIME_TAI;
	}
	if (!err)
		*out = stamp;
	return err;
}
