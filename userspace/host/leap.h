/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAI - UTC from the leap-seconds.list file of the IERS, as tzdata ships it.
 */
#ifndef HOST_LEAP_H
#define HOST_LEAP_H

#include <stdint.h>

#define LEAP_ENTRIES_MAX	128

/**
 * struct leap_list - the file, checked
 * @count: entries used
 * @expires: the list says nothing about instants from here on (POSIX time)
 * @entry: sorted by time
 * @entry.from: POSIX time from which @entry.tai_minus_utc holds
 * @entry.tai_minus_utc: seconds
 */
struct leap_list {
	unsigned int count;
	int64_t expires;
	struct {
		int64_t from;
		int tai_minus_utc;
	} entry[LEAP_ENTRIES_MAX];
};

/**
 * leap_list_load() - read and check a file
 * @path: the file
 * @list: filled in; empty on error
 *
 * Everything is checked: order, steps of one second at the starts of months,
 * ranges, line lengths. A list that is wrong somewhere is refused whole.
 *
 * Return: 0, -EPROTO if this is no such list, or what opening it gave.
 */
int leap_list_load(const char *path, struct leap_list *list);

/**
 * leap_list_offset() - TAI - UTC at an instant
 * @list: the list
 * @utc: the instant, POSIX time
 * @tai_minus_utc: the result, seconds
 *
 * Return: 0, -ESTALE if the list has expired by then, or -ERANGE if it starts
 * later.
 */
int leap_list_offset(const struct leap_list *list, int64_t utc, int *tai_minus_utc);

/**
 * leap_list_indicator() - VMCLOCK_PAGE_LEAP_* at an instant, by the list
 * @list: the list; may be empty
 * @utc: the instant, POSIX time, outside an inserted second
 *
 * Return: NONE, PRE_* or POST_*.
 */
uint8_t leap_list_indicator(const struct leap_list *list, int64_t utc);

/**
 * leap_is_last_day() - is this the last day of its month?
 * @utc: POSIX time
 *
 * Return: 1 or 0.
 */
int leap_is_last_day(int64_t utc);

#endif /* HOST_LEAP_H */
