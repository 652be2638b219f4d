// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The leap second list: good, expired, hostile.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "leap.h"
#include "tap.h"

/* 1972-01-01, 1972-07-01 and 2017-01-01 in the list's own count, and after. */
#define Y1972	"2272060800"
#define JULY	"2287785600"
#define Y2017	"3692217600"
#define Y2100	"6311433600"

#define POSIX_1972	63072000
#define POSIX_JULY_1972	78796800
#define POSIX_2100	4102444800

static int load(const char *text, size_t len, struct leap_list *list)
{
	char path[] = "/tmp/vmclock-leap-XXXXXX";
	int fd = mkstemp(path), err;

	is_int(write(fd, text, len), len);
	close(fd);
	err = leap_list_load(path, list);
	unlink(path);
	return err;
}

static int load_text(const char *text, struct leap_list *list)
{
	return load(text, strlen(text), list);
}

static void refuses(const char *text)
{
	struct leap_list list;

	if (!ok(load_text(text, &list) == -EPROTO))
		note("in: %.200s", text);
	is_u64(list.count, 0);
}

#define GOOD	"# comment\n#$\t3960835200\n#@\t" Y2100 "\n\n" \
		Y1972 "\t10\t# 1 Jan 1972\n" JULY " 11\n"

TAP_TEST(the_offset_changes_at_the_first_second_of_the_month)
{
	struct leap_list list;
	int offset;

	is_int(load_text(GOOD, &list), 0);
	is_u64(list.count, 2);
	is_int(leap_list_offset(&list, POSIX_JULY_1972 - 1, &offset), 0);
	is_int(offset, 10);
	is_int(leap_list_offset(&list, POSIX_JULY_1972, &offset), 0);
	is_int(offset, 11);
	is_int(leap_list_offset(&list, POSIX_1972 - 1, &offset), -ERANGE);
}

TAP_TEST(an_expired_list_gives_no_offset)
{
	struct leap_list list;
	int offset;

	is_int(load_text(GOOD, &list), 0);
	is_int(leap_list_offset(&list, POSIX_2100 - 1, &offset), 0);
	is_int(leap_list_offset(&list, POSIX_2100, &offset), -ESTALE);
}

TAP_TEST(the_indicator_holds_for_the_month_before_and_after)
{
	struct leap_list list;

	is_int(load_text(GOOD, &list), 0);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972 - 1), VMCLOCK_PAGE_LEAP_PRE_POS);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972 - 30 * 86400),
	       VMCLOCK_PAGE_LEAP_PRE_POS);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972 - 31 * 86400),
	       VMCLOCK_PAGE_LEAP_NONE);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972), VMCLOCK_PAGE_LEAP_POST_POS);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972 + 31 * 86400),
	       VMCLOCK_PAGE_LEAP_NONE);
	is_u64(leap_list_indicator(&list, POSIX_1972), VMCLOCK_PAGE_LEAP_NONE);
}

TAP_TEST(a_negative_leap_second_is_one_too)
{
	struct leap_list list;

	is_int(load_text("#@ " Y2100 "\n" Y1972 " 10\n" JULY " 9\n", &list), 0);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972 - 1), VMCLOCK_PAGE_LEAP_PRE_NEG);
	is_u64(leap_list_indicator(&list, POSIX_JULY_1972), VMCLOCK_PAGE_LEAP_POST_NEG);
}

TAP_TEST(an_empty_list_has_no_leap_seconds)
{
	struct leap_list list = { 0 };
	int offset;

	is_u64(leap_list_indicator(&list, POSIX_JULY_1972), VMCLOCK_PAGE_LEAP_NONE);
	is_int(leap_list_offset(&list, POSIX_JULY_1972, &offset), -ESTALE);
}

TAP_TEST(the_last_day_of_a_month_is_known)
{
	ok(leap_is_last_day(POSIX_JULY_1972 - 1));
	ok(leap_is_last_day(POSIX_JULY_1972 - 86400));
	ok(!leap_is_last_day(POSIX_JULY_1972 - 86401));
	ok(!leap_is_last_day(POSIX_JULY_1972));
}

TAP_TEST(a_list_that_is_wrong_somewhere_is_refused_whole)
{
	refuses("");
	refuses("\n# nothing\n");
	refuses(Y1972 " 10\n");						/* no expiry */
	refuses("#@ " Y2100 "\n");					/* no entry */
	refuses("#@ " Y2100 "\n" Y1972 " 11\n");			/* starts wrong */
	refuses("#@ " Y2100 "\n" JULY " 10\n" Y1972 " 11\n");		/* not sorted */
	refuses("#@ " Y2100 "\n" Y1972 " 10\n" Y1972 " 11\n");		/* twice */
	refuses("#@ " Y2100 "\n" Y1972 " 10\n" JULY " 12\n");		/* by two */
	refuses("#@ " Y2100 "\n" Y1972 " 10\n" JULY " 10\n");		/* by none */
	refuses("#@ " Y2100 "\n" Y1972 " 10\n2287785601 11\n");		/* no month */
	refuses("#@ " JULY "\n" Y1972 " 10\n" JULY " 11\n");		/* expired by itself */
	refuses("#@ " Y2100 "\n#@ " Y2100 "\n" Y1972 " 10\n");		/* two expiries */
	refuses("#@ " Y2100 "\n" Y1972 " 10 junk\n");
	refuses("#@ " Y2100 "\n" Y1972 "\n");
	refuses("#@ " Y2100 "\n" Y1972 " ten\n");
	refuses("#@ " Y2100 "\n-" Y1972 " 10\n");
	refuses("#@ " Y2100 "\nhello\n");
	refuses("#@ soon\n" Y1972 " 10\n");
	refuses("#@ 99999999999999999999\n" Y1972 " 10\n");
	refuses("#@ " Y2100 "\n99999999999999999999999 10\n");
	refuses("#@ " Y2100 "\n" Y1972 " 10");				/* cut off */
}

TAP_TEST(long_lines_zero_bytes_and_endless_files_are_refused)
{
	static char text[300000];
	struct leap_list list;

	memset(text, '#', 1000);
	is_int(load(text, 1000, &list), -EPROTO);
	is_int(load("#@ " Y2100 "\n" Y1972 " 10\n#\0\n", 31, &list), -EPROTO);
	memset(text, '\n', sizeof(text));
	is_int(load(text, sizeof(text), &list), -EPROTO);
}

TAP_TEST(more_entries_than_there_is_room_for_are_refused)
{
	static char text[20000];
	struct leap_list list;
	int len = sprintf(text, "#@ " Y2100 "\n");

	for (int i = 0; i <= LEAP_ENTRIES_MAX; i++) {
		struct tm tm = { .tm_year = 72, .tm_mon = i, .tm_mday = 1 };

		len += sprintf(text + len, "%lld %d\n",
			       (long long)timegm(&tm) + 2208988800LL, 10 + i % 2);
		if (i == LEAP_ENTRIES_MAX - 1)
			is_int(load(text, len, &list), 0);
	}
	is_int(load(text, len, &list), -EPROTO);
}

TAP_TEST(what_is_no_readable_file_is_reported)
{
	struct leap_list list;

	is_int(leap_list_load("/nonexistent/leap", &list), -ENOENT);
	is_int(leap_list_load("/tmp", &list), -EIO);
}

TAP_TEST(the_list_of_this_system_is_understood)
{
	struct leap_list list;
	int err = leap_list_load("/usr/share/zoneinfo/leap-seconds.list", &list), offset;

	if (err == -ENOENT)
		skip("tzdata has no leap-seconds.list here");
	is_int(err, 0);
	ok(list.count >= 28);
	is_int(leap_list_offset(&list, 1483228800, &offset), 0);
	is_int(offset, 37);
	is_int(leap_list_offset(&list, 1483228799, &offset), 0);
	is_int(offset, 36);
}

int main(void)
{
	return tap_main();
}
