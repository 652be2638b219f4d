// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chronyd's tracking report: what it says, and every way in which it can be wrong.
 */
#include <errno.h>
#include <string.h>

#include "source-chrony.h"
#include "tap.h"

#define REF_TIME_NS	1795245668452701651LL
#define MSEC		1000000LL
#define SEC		(1000 * MSEC)

static const char *const good[14] = {
	"C0A80001", "192.168.0.1", "3", "1795245668.452701651", "0.005000000",
	"-0.000012345", "0.000020000", "-12.345", "0.010", "0.250", "0.000200001",
	"0.000001473", "64.2", "Normal",
};

/* The good report with one field replaced. */
static int parse_with(int n, const char *field, struct chrony_report *report)
{
	char line[1024] = "";

	for (int i = 0; i < 14; i++) {
		strcat(line, i == n ? field : good[i]);
		strcat(line, i < 13 ? "," : "\n");
	}
	return chrony_report_parse(line, strlen(line), report);
}

static void refuses(int n, const char *field)
{
	struct chrony_report report;

	if (!is_int(parse_with(n, field, &report), -EPROTO))
		note("field %d: %s", n, field);
}

static struct chrony_report report_with(int n, const char *field)
{
	struct chrony_report report = { 0 };

	is_int(parse_with(n, field, &report), 0);
	return report;
}

TAP_TEST(every_field_arrives_to_its_last_digit)
{
	struct chrony_report r = report_with(-1, "");

	is_u64(r.refid, 0xc0a80001);
	is_u64(r.stratum, 3);
	is_int(r.ref_time_ns, REF_TIME_NS);
	is_int(r.offset_ns, 5 * MSEC);
	is_u64(r.frequency_ppb, 12345);
	is_u64(r.residual_ppb, 10);
	is_u64(r.skew_ppb, 250);
	is_u64(r.root_delay_ns, 200001);
	is_u64(r.root_dispersion_ns, 1473);
	is_u64(r.interval_ns, 64200 * MSEC);
	is_int(r.leap, CHRONY_LEAP_NORMAL);
	is_int(report_with(4, "-0.000000001").offset_ns, -1);
	is_int(report_with(1, "").offset_ns, 5 * MSEC);
}

TAP_TEST(every_leap_status_is_known)
{
	is_int(report_with(13, "Insert second").leap, CHRONY_LEAP_INSERT);
	is_int(report_with(13, "Delete second").leap, CHRONY_LEAP_DELETE);
	is_int(report_with(13, "Not synchronised").leap, CHRONY_LEAP_UNSYNCHRONISED);
	refuses(13, "");
	refuses(13, "normal");
	refuses(13, "Normal ");
	refuses(13, "Insert");
}

TAP_TEST(no_number_may_be_something_else)
{
	static const char *const wrong[] = {
		"", "-", "+", ".", "x", "1x", " 1", "1 ", "1.", ".5", "1..2", "1.2.3", "1e3",
		"0x1", "nan", "inf", "--1", "+-1", "1.0000000001", "99999999999999999999",
		"9223372036854775808",
	};

	for (int field = 2; field < 13; field++)
		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			refuses(field, wrong[i]);
}

TAP_TEST(every_number_has_its_range)
{
	refuses(0, "C0A8000");
	refuses(0, "C0A800011");
	refuses(0, "C0A8000g");
	refuses(0, "c0a80001");
	refuses(2, "17");
	refuses(2, "-1");
	refuses(2, "1.5");
	refuses(3, "-1.000000000");
	refuses(4, "1000000000.000000001");
	refuses(4, "-1000000001");
	refuses(5, "1000000001");
	refuses(6, "-0.000000001");
	refuses(7, "1000001");
	refuses(7, "1.0001");
	refuses(8, "-1000001");
	refuses(9, "-0.001");
	refuses(9, "1000001");
	refuses(10, "-0.000000001");
	refuses(10, "1000001");
	refuses(11, "-0.000000001");
	refuses(11, "1000001");
	refuses(12, "-1.0");
}

static void refuses_text(const char *text, size_t length)
{
	struct chrony_report report;

	if (!is_int(chrony_report_parse(text, length, &report), -EPROTO))
		note("text: %s", text);
}

TAP_TEST(a_report_is_one_whole_line_of_14_fields)
{
	struct chrony_report report;
	char line[1024] = "", copy[1024];
	size_t length;

	for (int i = 0; i < 14; i++) {
		strcat(line, good[i]);
		strcat(line, i < 13 ? "," : "\n");
	}
	length = strlen(line);
	is_int(chrony_report_parse(line, length, &report), 0);
	/* Cut anywhere it is none. */
	for (size_t cut = 0; cut < length; cut++) {
		memcpy(copy, line, cut);
		copy[cut] = 0;
		refuses_text(copy, cut);
	}
	strcpy(copy, line);
	strcat(copy, line);
	refuses_text(copy, 2 * length);
	strcpy(copy, "x,");
	strcat(copy, line);
	refuses_text(copy, strlen(copy));
	/* A field too few. */
	strcpy(copy, line);
	strcpy(strrchr(copy, ','), "\n");
	refuses_text(copy, strlen(copy));
	refuses_text("506 Cannot talk to daemon\n", 26);
	/* A zero in it. */
	memcpy(copy, line, length + 1);
	copy[9] = 0;
	refuses_text(copy, length);
	/* Too long. */
	memset(copy, 'a', 600);
	strcpy(copy + 600, line + 8);
	refuses_text(copy, strlen(copy));
}

TAP_TEST(without_a_reference_the_time_is_lost)
{
	struct chrony_report r = report_with(-1, "");

	ok(!chrony_why_lost(&r, REF_TIME_NS + SEC));
	r = report_with(13, "Not synchronised");
	ok(chrony_why_lost(&r, REF_TIME_NS));
	r = report_with(0, "00000000");
	ok(chrony_why_lost(&r, REF_TIME_NS));
	r = report_with(0, "7F7F0101");
	ok(chrony_why_lost(&r, REF_TIME_NS));
	r = report_with(2, "0");
	ok(chrony_why_lost(&r, REF_TIME_NS));
	r = report_with(2, "16");
	ok(chrony_why_lost(&r, REF_TIME_NS));
}

TAP_TEST(a_reference_unheard_of_for_eight_intervals_is_lost)
{
	struct chrony_report r = report_with(12, "128.0");

	ok(!chrony_why_lost(&r, REF_TIME_NS + 8 * 128 * SEC));
	ok(chrony_why_lost(&r, REF_TIME_NS + 8 * 128 * SEC + 10));
	/* Short ones count as 64 s. */
	r = report_with(12, "1.0");
	ok(!chrony_why_lost(&r, REF_TIME_NS + 8 * 64 * SEC));
	ok(chrony_why_lost(&r, REF_TIME_NS + 8 * 64 * SEC + 10));
	ok(!chrony_why_lost(&r, REF_TIME_NS - SEC));
	ok(chrony_why_lost(&r, REF_TIME_NS - SEC - 1));
}

TAP_TEST(the_error_is_dispersion_half_the_delay_and_what_age_adds)
{
	struct chrony_report r = report_with(4, "0.000000700");
	uint64_t est;

	/* Dispersion 1473, offset 700, rounding 4, and 1 for the aged rates. */
	is_u64(chrony_error_ns(&r, 100 * MSEC, true, &est) - est, 100000 + 1);
	is_u64(est, 1473 + 700 + 4 + 1 + 12605 / 10);
	/* The clock may have been turned at any rate, or hardly at all. */
	chrony_error_ns(&r, 100 * MSEC, false, &est);
	is_u64(est, 1473 + 12500001 + 4 + 1 + 12605 / 10);
	r.offset_ns = -5 * MSEC;
	chrony_error_ns(&r, 800, true, &est);
	is_u64(est, 1473 + 101 + 4 + 1);
}

int main(void)
{
	return tap_main();
}
