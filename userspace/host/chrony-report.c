// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "chrony-report.h"

#define FIELDS		14
#define LINE_MAX	512

/* Larger than these is no measurement, and sums stay far from 64 bits. */
#define OFFSET_MAX_NS	(1000000000LL * 1000000000)
#define DELAY_MAX_NS	(1000000LL * 1000000000)
#define RATE_MAX_PPB	1000000000LL
#define TIME_MAX_NS	INT64_MAX

/* A number with at most @places places, as a whole number of 10^-places. */
static bool parse_decimal(const char *text, int places, int64_t min, int64_t max,
			  int64_t *value)
{
	bool is_negative = *text == '-', has_point = false;
	int64_t v = 0;

	text += is_negative || *text == '+';
	if (*text < '0' || *text > '9')
		return false;
	for (; *text; text++) {
		if (*text == '.' && !has_point && text[1]) {
			has_point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || (has_point && !places--) ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *text - '0', &v))
			return false;
	}
	while (places-- > 0)
		if (__builtin_mul_overflow(v, 10, &v))
			return false;
	*value = is_negative ? -v : v;
	return *value >= min && *value <= max;
}

static bool parse_amount(const char *text, int places, int64_t max, uint64_t *value)
{
	int64_t v;
	bool ok = parse_decimal(text, places, 0, max, &v);

	*value = ok ? v : 0;
	return ok;
}

/* Either sign; what matters is how much. */
static bool parse_rate(const char *text, uint64_t *ppb)
{
	int64_t v;
	bool ok = parse_decimal(text, 3, -RATE_MAX_PPB, RATE_MAX_PPB, &v);

	*ppb = ok ? (uint64_t)(v < 0 ? -v : v) : 0;
	return ok;
}

static bool parse_refid(const char *text, uint32_t *refid)
{
	static const char digits[] = "0123456789ABCDEF";

	if (strlen(text) != 8)
		return false;
	for (*refid = 0; *text; text++) {
		const char *digit = strchr(digits, *text);

		if (!digit)
			return false;
		*refid = *refid << 4 | (digit - digits);
	}
	return true;
}

static bool parse_leap(const char *text, enum chrony_leap *leap)
{
	static const char *const names[] = {
		[CHRONY_LEAP_NORMAL] = "Normal",
		[CHRONY_LEAP_INSERT] = "Insert second",
		[CHRONY_LEAP_DELETE] = "Delete second",
		[CHRONY_LEAP_UNSYNCHRONISED] = "Not synchronised",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*leap = i;
		if (!strcmp(text, names[i]))
			return true;
	}
	return false;
}

/* Cuts the line at its commas; true if there are as many fields as there must be. */
static bool split(char *line, char *field[FIELDS])
{
	int n = 0;

	field[n++] = line;
	for (; *line; line++) {
		if (*line != ',')
			continue;
		if (n == FIELDS)
			return false;
		*line = 0;
		field[n++] = line + 1;
	}
	return n == FIELDS;
}

static bool parse_fields(char *field[FIELDS], struct chrony_report *r)
{
	uint64_t stratum, unused_rate;
	int64_t unused;
	bool ok = parse_refid(field[0], &r->refid) &&
		  parse_amount(field[2], 0, 16, &stratum) &&
		  parse_decimal(field[3], 9, 0, TIME_MAX_NS, &r->ref_time_ns) &&
		  parse_decimal(field[4], 9, -OFFSET_MAX_NS, OFFSET_MAX_NS, &r->offset_ns) &&
		  parse_decimal(field[5], 9, -OFFSET_MAX_NS, OFFSET_MAX_NS, &unused) &&
		  parse_amount(field[6], 9, OFFSET_MAX_NS, &unused_rate) &&
		  parse_rate(field[7], &r->frequency_ppb) &&
		  parse_rate(field[8], &r->residual_ppb) &&
		  parse_amount(field[9], 3, RATE_MAX_PPB, &r->skew_ppb) &&
		  parse_amount(field[10], 9, DELAY_MAX_NS, &r->root_delay_ns) &&
		  parse_amount(field[11], 9, DELAY_MAX_NS, &r->root_dispersion_ns) &&
		  parse_amount(field[12], 9, OFFSET_MAX_NS, &r->interval_ns) &&
		  parse_leap(field[13], &r->leap);

	if (ok)
		r->stratum = stratum;
	return ok;
}

int chrony_report_parse(const char *text, size_t length, struct chrony_report *report)
{
	char line[LINE_MAX], *field[FIELDS];

	/* One whole line, and no zero in it. */
	if (!length || length >= sizeof(line) || strlen(text) != length ||
	    strchr(text, '\n') != text + length - 1)
		return -EPROTO;
	memcpy(line, text, length - 1);
	line[length - 1] = 0;
	return split(line, field) && parse_fields(field, report) ? 0 : -EPROTO;
}
