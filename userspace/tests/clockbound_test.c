// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ClockBound-shaped door: what a program written for ClockBound gets.
 *
 * open() is ours here: the default page and the kernel's list of clocks are
 * what a test says they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "clockbound.h"
#include "pages.h"
#include "tap.h"

#define SEC_WIDEST	9223372035

static const char *default_page;
static const char *default_name;

int open(const char *path, int flags, ...)
{
	static const char clocks[] = "/sys/devices/system/clocksource/";
	int fd;

	if (!strncmp(path, "/dev/vmclock", 12)) {
		if (!default_page || strcmp(path, default_name)) {
			errno = ENOENT;
			return -1;
		}
		path = default_page;
	} else if (!strncmp(path, clocks, strlen(clocks))) {
		fd = memfd_create("clocks", 0);
		if (write(fd, COUNTER_CLOCKSOURCE "\n", sizeof(COUNTER_CLOCKSOURCE)) > 0)
			lseek(fd, 0, SEEK_SET);
		return fd;
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

/* Its line stands still: whatever the counter, it is T1, 1200 ns up or down. */
static struct vmclock_page still_page(void)
{
	struct vmclock_page page = good_page();

	page.counter_value = 0;
	page.counter_period_shift = 127;
	page.counter_period_frac_sec = htole64(1);
	page.counter_period_maxerror_rate_frac_sec = 0;
	return page;
}

struct door {
	struct test_page t;
	clockbound_ctx *ctx;
	clockbound_now_result res;
};

static bool door_open(struct door *d, const struct vmclock_page *page, unsigned int seals)
{
	d->t = page_make(page, PAGE_BYTES, seals);
	d->ctx = clockbound_vmclock_open("/nowhere", d->t.path, NULL);
	memset(&d->res, 0xcc, sizeof(d->res));
	return ok(d->ctx);
}

static void door_close(struct door *d)
{
	ok(!clockbound_close(d->ctx));
	page_drop(&d->t);
}

static void is_time(const struct timespec *t, time_t sec, long nsec)
{
	is_int(t->tv_sec, sec);
	is_int(t->tv_nsec, nsec);
}

static void is_widest(const clockbound_now_result *res, clockbound_clock_status status)
{
	is_int(res->clock_status, status);
	is_time(&res->earliest, 0, 0);
	is_time(&res->latest, SEC_WIDEST, 999999999);
}

/* An error, of this kind, and the result as it was. */
static void now_fails(struct door *d, clockbound_err_kind kind, int sys_errno)
{
	const clockbound_now_result before = d->res;
	const clockbound_err *err = clockbound_now(d->ctx, &d->res);

	need(err);
	is_int(err->kind, kind);
	is_int(err->sys_errno, sys_errno);
	ok(err->detail && *err->detail);
	ok(!memcmp(&before, &d->res, sizeof(before)));
}

static void page_now(const struct vmclock_page *page, clockbound_now_result *res)
{
	struct door d;

	memset(res, 0xcc, sizeof(*res));
	if (!door_open(&d, page, F_SEAL_SHRINK))
		return;
	ok(!clockbound_now(d.ctx, res));
	door_close(&d);
}

TAP_TEST(values_sizes_and_offsets_are_those_of_ClockBound)
{
	is_int(sizeof(clockbound_err), 16);
	is_int(offsetof(clockbound_err, kind), 0);
	is_int(offsetof(clockbound_err, sys_errno), 4);
	is_int(offsetof(clockbound_err, detail), 8);
	is_int(sizeof(clockbound_now_result), 40);
	is_int(offsetof(clockbound_now_result, earliest), 0);
	is_int(offsetof(clockbound_now_result, latest), 16);
	is_int(offsetof(clockbound_now_result, clock_status), 32);
	is_int(CLOCKBOUND_ERR_NONE, 0);
	is_int(CLOCKBOUND_ERR_SYSCALL, 1);
	is_int(CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED, 2);
	is_int(CLOCKBOUND_ERR_SEGMENT_MALFORMED, 3);
	is_int(CLOCKBOUND_ERR_CAUSALITY_BREACH, 4);
	is_int(CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED, 5);
	is_int(CLOCKBOUND_STA_UNKNOWN, 0);
	is_int(CLOCKBOUND_STA_SYNCHRONIZED, 1);
	is_int(CLOCKBOUND_STA_FREE_RUNNING, 2);
	is_int(CLOCKBOUND_STA_DISRUPTED, 3);
	ok(!strcmp(CLOCKBOUND_SHM_DEFAULT_PATH, "/var/run/clockbound/shm0"));
	ok(!strcmp(VMCLOCK_SHM_DEFAULT_PATH, "/dev/vmclock0"));
}

TAP_TEST(a_tai_page_gives_utc)
{
	struct vmclock_page page = still_page();
	clockbound_now_result res;

	page_now(&page, &res);
	is_int(res.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	is_time(&res.earliest, 1767225600, 500000000 - 1200);
	is_time(&res.latest, 1767225600, 500000000 + 1200 + 1);
}

TAP_TEST(a_utc_page_gives_utc)
{
	struct vmclock_page page = still_page();
	clockbound_now_result res;

	page.time_type = VMCLOCK_PAGE_TIME_UTC;
	page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	page.time_frac_sec = 0;
	page_now(&page, &res);
	is_int(res.clock_status, CLOCKBOUND_STA_FREE_RUNNING);
	is_time(&res.earliest, 1767225636, 1000000000 - 1200);
	is_time(&res.latest, 1767225637, 1201);
}

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

TAP_TEST(time_passes)
{
	struct vmclock_page page = good_page();
	clockbound_now_result then;
	struct door d;

	page.counter_value = htole64(counter_read_ordered());
	need(door_open(&d, &page, F_SEAL_SHRINK));
	ok(!clockbound_now(d.ctx, &then));
	usleep(10000);
	ok(!clockbound_now(d.ctx, &d.res));
	is_int(then.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	ok(ns_of(&d.res.earliest) > ns_of(&then.latest));
	door_close(&d);
}

static void unknown(const struct vmclock_page *page)
{
	clockbound_now_result res;

	page_now(page, &res);
	is_widest(&res, CLOCKBOUND_STA_UNKNOWN);
}

TAP_TEST(what_cannot_be_trusted_is_unknown_and_wide)
{
	static const uint8_t bad[] = { 0, 1, 4, 5, 255 };
	struct vmclock_page page = still_page();

	for (size_t i = 0; i < sizeof(bad); i++) {
		page.clock_status = bad[i];
		unknown(&page);
	}
	page = still_page();
	page.counter_id = VMCLOCK_PAGE_COUNTER_NONE;
	unknown(&page);
	page = still_page();
	page.flags = htole64(VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID);
	unknown(&page);
	page = still_page();
	page.time_sec = htole64(SEC_WIDEST + 1 + 37);
	unknown(&page);
	page.time_sec = htole64(36);
	unknown(&page);
}

#define MIDNIGHT	1483228800	/* the end of 2016 */

/*
 * A page @at and a half s from midnight, in UTC, known to @error s: its time is
 * between @early and @late s from midnight, or unknown if both are 0.
 */
static void leap(uint8_t scale, uint8_t indicator, int at, int error, int early, int late)
{
	struct vmclock_page page = still_page();
	clockbound_now_result res;

	page.time_type = scale;
	page.leap_indicator = indicator;
	page.time_sec = htole64(MIDNIGHT + at + (scale == VMCLOCK_PAGE_TIME_TAI ? 37 : 0));
	page.time_maxerror_nanosec = htole64(error * 1000000000ULL);
	page_now(&page, &res);
	if (!early && !late) {
		is_widest(&res, CLOCKBOUND_STA_UNKNOWN);
		return;
	}
	is_int(res.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	is_int(res.earliest.tv_sec, MIDNIGHT + early);
	is_int(res.latest.tv_sec, MIDNIGHT + late);
}

TAP_TEST(leap_seconds_are_counted)
{
	for (int scale = VMCLOCK_PAGE_TIME_UTC; scale <= VMCLOCK_PAGE_TIME_TAI; scale++) {
		leap(scale, VMCLOCK_PAGE_LEAP_PRE_POS, -10, 9, -19, -1);
		leap(scale, VMCLOCK_PAGE_LEAP_PRE_POS, -10, 10, -20, 0);
		leap(scale, VMCLOCK_PAGE_LEAP_PRE_POS, -10, 12, -22, 1);
		leap(scale, VMCLOCK_PAGE_LEAP_PRE_NEG, -10, 8, -18, -2);
		leap(scale, VMCLOCK_PAGE_LEAP_PRE_NEG, -10, 9, -19, 0);
		leap(scale, VMCLOCK_PAGE_LEAP_POST_POS, 5, 5, 0, 10);
		leap(scale, VMCLOCK_PAGE_LEAP_POST_POS, 5, 7, -1, 12);
		leap(scale, VMCLOCK_PAGE_LEAP_POST_NEG, 5, 6, -2, 11);
		leap(scale, VMCLOCK_PAGE_LEAP_NONE, -10, 10, -20, 0);
		/* Not the time of day to be inside an inserted second. */
		leap(scale, VMCLOCK_PAGE_LEAP_POS, -10, 0, 0, 0);
	}
	leap(VMCLOCK_PAGE_TIME_TAI, VMCLOCK_PAGE_LEAP_POS, -1, 0, -1, 0);
	leap(VMCLOCK_PAGE_TIME_UTC, VMCLOCK_PAGE_LEAP_POS, -1, 0, 0, 0);
}

/* Reported at least once, until the page vouches for its time again. */
TAP_TEST(a_disruption_is_reported_and_gets_over)
{
	struct vmclock_page page = still_page();
	struct door d;

	need(door_open(&d, &page, F_SEAL_SHRINK));
	d.t.page->disruption_marker = htole64(7);
	d.t.page->clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	for (int i = 0; i < 3; i++) {
		ok(!clockbound_now(d.ctx, &d.res));
		is_widest(&d.res, CLOCKBOUND_STA_DISRUPTED);
	}
	d.t.page->clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	ok(!clockbound_now(d.ctx, &d.res));
	is_widest(&d.res, CLOCKBOUND_STA_DISRUPTED);
	ok(!clockbound_now(d.ctx, &d.res));
	is_int(d.res.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	is_int(d.res.earliest.tv_sec, 1767225600);
	door_close(&d);
}

static void malformed(const struct vmclock_page *page)
{
	struct door d;

	need(door_open(&d, page, F_SEAL_SHRINK));
	now_fails(&d, CLOCKBOUND_ERR_SEGMENT_MALFORMED, 0);
	door_close(&d);
}

TAP_TEST(what_cannot_be_utc_is_malformed)
{
	struct vmclock_page page = still_page();

	page.time_type = VMCLOCK_PAGE_TIME_MONOTONIC;
	malformed(&page);
	page.time_type = 3;
	malformed(&page);
	page = still_page();
	page.flags &= ~htole64(VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID);
	malformed(&page);
	page = still_page();
	page.tai_offset_sec = htole16(37);
	malformed(&page);
	page = still_page();
	page.counter_period_frac_sec = 0;
	malformed(&page);
	page = still_page();
	page.size = htole32(0x60);
	malformed(&page);
}

TAP_TEST(a_reference_in_the_future_is_a_breach_beyond_the_bound_only)
{
	struct vmclock_page page = good_page();
	struct door d;

	page.counter_value = htole64(counter_read_ordered() + 240000000000);
	need(door_open(&d, &page, F_SEAL_SHRINK));
	now_fails(&d, CLOCKBOUND_ERR_CAUSALITY_BREACH, 0);
	d.t.page->time_maxerror_nanosec = htole64(101000000000);
	ok(!clockbound_now(d.ctx, &d.res));
	is_int(d.res.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	door_close(&d);
}

TAP_TEST(reading_fails_with_a_kind_and_its_errno)
{
	struct vmclock_page page = still_page();
	struct door d;

	need(door_open(&d, &page, F_SEAL_SHRINK));
	d.t.page->seq_count = htole32(3);
	now_fails(&d, CLOCKBOUND_ERR_SYSCALL, ETIMEDOUT);
	d.t.page->seq_count = htole32(4);
	d.t.page->version = htole16(2);
	now_fails(&d, CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED, EPROTONOSUPPORT);
	d.t.page->magic = 0;
	now_fails(&d, CLOCKBOUND_ERR_SEGMENT_MALFORMED, EPROTO);
	door_close(&d);

	need(door_open(&d, &page, 0));
	ok(!ftruncate(d.t.fd, 0x40));
	now_fails(&d, CLOCKBOUND_ERR_SEGMENT_MALFORMED, EPROTO);
	door_close(&d);
}

static void open_fails(const char *path, clockbound_err_kind kind, int sys_errno)
{
	clockbound_err err;

	memset(&err, 0xcc, sizeof(err));
	ok(!clockbound_vmclock_open(NULL, path, &err));
	is_int(err.kind, kind);
	is_int(err.sys_errno, sys_errno);
	ok(err.detail && *err.detail);
	ok(!clockbound_vmclock_open(NULL, path, NULL));
}

static void page_fails(const struct vmclock_page *page, clockbound_err_kind kind, int sys_errno)
{
	struct test_page t = page_make(page, PAGE_BYTES, 0);

	open_fails(t.path, kind, sys_errno);
	page_drop(&t);
}

TAP_TEST(opening_fails_with_a_kind_and_its_errno)
{
	struct vmclock_page page = still_page();

	open_fails("/no/such/file", CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED, ENOENT);
	open_fails("/proc", CLOCKBOUND_ERR_SYSCALL, EISDIR);
	open_fails("/dev/null", CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED, EPROTO);
	page.version = htole16(2);
	page_fails(&page, CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED, EPROTONOSUPPORT);
	page.version = 0;
	page_fails(&page, CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED, EPROTO);
	page.magic = 0;
	page_fails(&page, CLOCKBOUND_ERR_SEGMENT_MALFORMED, EPROTO);
	page = still_page();
	page.seq_count = htole32(3);
	page_fails(&page, CLOCKBOUND_ERR_SYSCALL, ETIMEDOUT);
}

static void opens_default(clockbound_ctx *ctx)
{
	clockbound_now_result res = { .clock_status = CLOCKBOUND_STA_UNKNOWN };

	need(ctx);
	ok(!clockbound_now(ctx, &res));
	is_int(res.clock_status, CLOCKBOUND_STA_SYNCHRONIZED);
	clockbound_close(ctx);
}

TAP_TEST(the_default_paths_lead_to_the_default_page)
{
	struct vmclock_page page = still_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);

	open_fails(NULL, CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED, ENOENT);
	default_page = t.path;
	for (int i = 0; i < 2; i++) {
		default_name = i ? "/dev/vmclock" : "/dev/vmclock0";
		opens_default(clockbound_open(CLOCKBOUND_SHM_DEFAULT_PATH, NULL));
		opens_default(clockbound_open(NULL, NULL));
		opens_default(clockbound_vmclock_open(CLOCKBOUND_SHM_DEFAULT_PATH,
						      VMCLOCK_SHM_DEFAULT_PATH, NULL));
	}
	default_page = NULL;
	page_drop(&t);
}

TAP_TEST(null_arguments_are_errors_or_nothing)
{
	struct vmclock_page page = still_page();
	const clockbound_err *err = clockbound_now(NULL, NULL);
	struct door d;

	need(err);
	is_int(err->kind, CLOCKBOUND_ERR_SYSCALL);
	is_int(err->sys_errno, EINVAL);
	ok(!clockbound_close(NULL));

	need(door_open(&d, &page, F_SEAL_SHRINK));
	err = clockbound_now(d.ctx, NULL);
	ok(err && err->kind == CLOCKBOUND_ERR_SYSCALL && err->sys_errno == EINVAL);
	door_close(&d);
}

#ifdef __SANITIZE_ADDRESS__
#define SANITIZERS "-fsanitize=address,undefined"
#else
#define SANITIZERS ""
#endif

/* Built against header and library, and run on a page: UTC comes out. */
static void program_runs(const char *language)
{
	static const char source[] =
		"#include <stdio.h>\n"
		"#include \"clockbound.h\"\n"
		"int main(int argc, char **argv)\n{\n"
		"	clockbound_err open_err;\n"
		"	clockbound_now_result now;\n"
		"	const clockbound_err *err;\n"
		"	clockbound_ctx *ctx = clockbound_vmclock_open(CLOCKBOUND_SHM_DEFAULT_PATH,\n"
		"		argv[argc - 1], &open_err);\n"
		"	if (!ctx)\n		return open_err.kind;\n"
		"	err = clockbound_now(ctx, &now);\n"
		"	if (err)\n		return err->kind;\n"
		"	printf(\"status %d\\n\", now.clock_status);\n"
		"	return clockbound_close(ctx) != NULL;\n}\n";
	static const char run[] =
		"set -e; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT\n"
		"export LD_LIBRARY_PATH=\"$BUILD\"\n"
		"${CC:-cc} %s -pedantic -Wall -Wextra -Werror " SANITIZERS " \\\n"
		"	-Icompat -o \"$d/p\" - -L\"$BUILD\" -Wl,-rpath-link,\"$BUILD\" -lclockbound\n"
		"readelf -d \"$d/p\" | grep -q 'NEEDED.*\\[libclockbound.so\\]'\n"
		"\"$d/p\" /proc/%d/fd/%d | grep -q '^status [01]$'\n";
	struct vmclock_page page = still_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	char command[1024];
	FILE *compiler;

	snprintf(command, sizeof(command), run, language, getpid(), t.fd);
	compiler = popen(command, "w");
	need(compiler);
	fputs(source, compiler);
	is_int(pclose(compiler), 0);
	page_drop(&t);
}

TAP_TEST(a_program_in_c11_is_built_and_runs)
{
	program_runs("-x c -std=c11");
}

TAP_TEST(a_program_in_cpp17_is_built_and_runs)
{
	program_runs("-x c++ -std=c++17");
}

int main(void)
{
	return tap_main();
}
