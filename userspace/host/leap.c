// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/vmclock-page.h>

#include "leap.h"

#define NTP_TO_POSIX	2208988800LL	/* 1900-01-01 to 1970-01-01, seconds */
#define DAY		86400

/* Where the list begins (1972), and where a time is taken for nonsense (2200). */
#define POSIX_MIN	63072000LL
#define POSIX_MAX	7258118400LL

/* The longest line of the real file has 112 characters. */
#define LINE_MAX_LEN	256
#define LINES_MAX	2000

/* Start of the month that @months after that of @utc. */
static int64_t month_start(int64_t utc, int months)
{
	time_t t = utc;
	struct tm tm;

	gmtime_r(&t, &tm);
	tm.tm_mon += months;
	tm.tm_mday = 1;
	tm.tm_hour = 0;
	tm.tm_min = 0;
	tm.tm_sec = 0;
	return timegm(&tm);
}

/* Reads "<NTP seconds>" at @s as POSIX time; NULL or what follows. */
static const char *parse_time(const char *s, int64_t *posix)
{
	unsigned long long ntp;
	int used;

	if (sscanf(s, "%12llu%n", &ntp, &used) != 1 || strchr("+-", s[strspn(s, " \t")]))
		return NULL;
	*posix = (int64_t)ntp - NTP_TO_POSIX;
	return *posix >= POSIX_MIN && *posix < POSIX_MAX ? s + used : NULL;
}

/* Nothing but blanks, or a comment. */
static int is_rest_of_line(const char *s)
{
	s += strspn(s, " \t\r\n");
	return !*s || *s == '#';
}

static int parse_entry(const char *line, struct leap_list *list)
{
	unsigned int n = list->count;
	int64_t from;
	int offset, used;
	const char *rest = parse_time(line, &from);

	if (!rest || sscanf(rest, " %4d%n", &offset, &used) != 1 ||
	    !is_rest_of_line(rest + used))
		return -EPROTO;
	if (n == LEAP_ENTRIES_MAX || from != month_start(from, 0))
		return -EPROTO;
	if (n) {
		int step = offset - list->entry[n - 1].tai_minus_utc;

		if (from <= list->entry[n - 1].from || (step != 1 && step != -1))
			return -EPROTO;
	} else if (offset != 10) {
		return -EPROTO;	/* what UTC began with in 1972 */
	}
	list->entry[n].from = from;
	list->entry[n].tai_minus_utc = offset;
	list->count++;
	return 0;
}

static int parse_line(const char *line, struct leap_list *list)
{
	const char *rest;

	if (!strncmp(line, "#@", 2)) {
		if (list->expires)
			return -EPROTO;
		rest = parse_time(line + 2, &list->expires);
		return rest && is_rest_of_line(rest) ? 0 : -EPROTO;
	}
	return is_rest_of_line(line) ? 0 : parse_entry(line, list);
}

static int parse_file(FILE *file, struct leap_list *list)
{
	char line[LINE_MAX_LEN];
	int lines, err;

	for (lines = 0; fgets(line, sizeof(line), file); lines++) {
		/* No newline: too long, a NUL in it, or cut off. */
		if (lines == LINES_MAX || !strchr(line, '\n'))
			return -EPROTO;
		err = parse_line(line, list);
		if (err)
			return err;
	}
	if (ferror(file))
		return -EIO;
	if (!list->count || list->expires <= list->entry[list->count - 1].from)
		return -EPROTO;
	return 0;
}

int leap_list_load(const char *path, struct leap_list *list)
{
	FILE *file = fopen(path, "re");
	int err;

	memset(list, 0, sizeof(*list));
	if (!file)
		return -errno;
	err = parse_file(file, list);
	fclose(file);
	if (err)
		memset(list, 0, sizeof(*list));
	return err;
}

int leap_list_offset(const struct leap_list *list, int64_t utc, int *tai_minus_utc)
{
	unsigned int i = list->count;

	if (utc >= list->expires)
		return -ESTALE;
	while (i && list->entry[i - 1].from > utc)
		i--;
	if (!i)
		return -ERANGE;
	*tai_minus_utc = list->entry[i - 1].tai_minus_utc;
	return 0;
}

uint8_t leap_list_indicator(const struct leap_list *list, int64_t utc)
{
	int64_t start = month_start(utc, 0), end = month_start(utc, 1);
	unsigned int i;

	/* The first entry is the beginning, not a leap second. */
	for (i = 1; i < list->count; i++) {
		int is_positive = list->entry[i].tai_minus_utc >
				  list->entry[i - 1].tai_minus_utc;

		if (list->entry[i].from == end)
			return is_positive ? VMCLOCK_PAGE_LEAP_PRE_POS :
					     VMCLOCK_PAGE_LEAP_PRE_NEG;
		if (list->entry[i].from == start)
			return is_positive ? VMCLOCK_PAGE_LEAP_POST_POS :
					     VMCLOCK_PAGE_LEAP_POST_NEG;
	}
	return VMCLOCK_PAGE_LEAP_NONE;
}

int leap_is_last_day(int64_t utc)
{
	return month_start(utc, 1) - utc <= DAY;
}
