// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The library on pages that stand still: what gives a time, and what does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "vectors.h"
#include "vmclk.h"

/* Take a snapshot of @page through the library. */
static int snapshot_of(const struct vmclock_page *page, struct vmclk_snapshot *snap)
{
	struct test_page t = page_make(page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk *clk;
	int err = vmclk_open(t.path, &clk);

	if (!err) {
		err = vmclk_snapshot(clk, snap);
		vmclk_close(clk);
	}
	page_drop(&t);
	return err;
}

/*
 * What the page says about @counter, on a machine that trusts its counter:
 * whether this one does is not what these tests are about.
 */
static int stamp_of(const struct vmclock_page *page, uint64_t counter,
		    struct vmclk_stamp *stamp)
{
	struct vmclk_snapshot snap;
	int err = snapshot_of(page, &snap);

	if (err)
		return err;
	snap.counter_valid |= page->counter_id == PAGE_COUNTER;
	return vmclk_stamp_at(&snap, counter, stamp);
}

static int open_of(const struct vmclock_page *page, off_t size)
{
	struct test_page t = page_make(page, size, 0);
	struct vmclk *clk = NULL;
	int err = vmclk_open(t.path, &clk);

	vmclk_close(clk);
	page_drop(&t);
	return err;
}

TAP_TEST(a_good_page_gives_a_time_with_its_bound)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp s;

	/* 10 s after the reference: 50 ppb of it are 501 ns, rounded up. */
	is_int(stamp_of(&page, 1024000000000, &s), 0);
	is_int(s.reason, VMCLK_OK);
	is_u64(s.counter, 1024000000000);
	is_int(s.point.sec, 1767225647);
	is_int(s.point.nsec, 500000000);
	is_int(s.earliest.sec, 1767225647);
	is_int(s.earliest.nsec, 500000000 - 1701);
	is_int(s.latest.sec, 1767225647);
	is_int(s.latest.nsec, 500000000 + 1701 + 1);
}

TAP_TEST(a_stamp_carries_markers_scale_status_and_tai_offset)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp s;

	is_int(stamp_of(&page, 0, &s), 0);
	is_u64(s.disruption_marker, 0x1111111111111111);
	is_u64(s.vm_generation_counter, 0x2222222222222222);
	is_int(s.tai_offset_sec, -37);
	is_int(s.time_type, VMCLOCK_PAGE_TIME_TAI);
	is_int(s.clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_int(s.valid, VMCLK_STAMP_TIME | VMCLK_STAMP_GENERATION | VMCLK_STAMP_TAI_OFFSET);
}

/* now() is a stamp at a counter between two others that surround it. */
TAP_TEST(now_reads_the_counter_and_converts_it)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_stamp now, same;
	uint64_t before, after;
	struct vmclk *clk;
	bool trusted;

	need(!vmclk_open(t.path, &clk));
	trusted = clk->counter_trusted;
	before = counter_read_ordered();
	is_int(vmclk_now(clk, &now), trusted ? 0 : -VMCLK_ECOUNTER);
	after = counter_read_ordered();
	is_int(vmclk_convert(clk, now.counter, &same), trusted ? 0 : -VMCLK_ECOUNTER);
	ok(!memcmp(&now, &same, sizeof(now)));
	vmclk_close(clk);
	page_drop(&t);
	if (!trusted)
		skip("the kernel does not trust this machine's counter");
	ok(before <= now.counter && now.counter <= after);
}

static void stamp_vector(const struct vector *v)
{
	const struct vmclk_snapshot snap = {
		.size = PAGE_BYTES, .counter_id = PAGE_COUNTER,
		.counter_valid = 1, .time_type = VMCLOCK_PAGE_TIME_TAI,
		.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING, .flags = PAGE_FLAGS,
		.counter_value = v->args[0], .time_sec = v->args[1],
		.time_frac_sec = v->args[2], .counter_period_frac_sec = v->args[3],
		.counter_period_shift = v->args[4],
		.counter_period_maxerror_rate_frac_sec = v->args[5],
		.time_maxerror_nanosec = v->args[6],
	};
	struct vmclk_stamp s;

	if (v->refused) {
		is_int(vmclk_stamp_at(&snap, v->args[7], &s), -VMCLK_ENOTIME);
		is_int(s.reason, VMCLK_OUT_OF_RANGE);
		return;
	}
	is_int(vmclk_stamp_at(&snap, v->args[7], &s), 0);
	is_int(s.point.sec, v->results[0]);
	is_int(s.point.nsec, v->results[1]);
	is_int(s.earliest.sec, v->results[2]);
	is_int(s.earliest.nsec, v->results[3]);
	is_int(s.latest.sec, v->results[4]);
	is_int(s.latest.nsec, v->results[5]);
}

TAP_TEST(stamps_match_big_integers)
{
	vectors_each("stamp", 3000, stamp_vector);
}

/* The page as changed gives no time, for @reason, but still its markers. */
static void no_time(const struct vmclock_page *page, enum vmclk_reason reason)
{
	struct vmclk_stamp s;

	is_int(stamp_of(page, 2000000000000, &s),
	       reason == VMCLK_WRONG_COUNTER ? -VMCLK_ECOUNTER : -VMCLK_ENOTIME);
	is_int(s.reason, reason);
	is_int(s.valid & VMCLK_STAMP_TIME, 0);
	is_int(s.point.sec | s.earliest.sec | s.latest.sec, 0);
	is_int(s.point.nsec | s.earliest.nsec | s.latest.nsec, 0);
	is_u64(s.disruption_marker, 0x1111111111111111);
}

#define NO_TIME_TEST(name, change, reason) \
	TAP_TEST(name) \
	{ \
		struct vmclock_page page = good_page(); \
		\
		page.change; \
		no_time(&page, reason); \
	}

NO_TIME_TEST(no_time_without_a_counter, counter_id = VMCLOCK_PAGE_COUNTER_NONE, VMCLK_NO_COUNTER)
NO_TIME_TEST(no_time_from_a_counter_of_no_machine, counter_id = 7, VMCLK_WRONG_COUNTER)
NO_TIME_TEST(no_time_while_the_status_is_unknown,
	     clock_status = VMCLOCK_PAGE_STATUS_UNKNOWN, VMCLK_BAD_STATUS)
NO_TIME_TEST(no_time_while_initializing,
	     clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING, VMCLK_BAD_STATUS)
NO_TIME_TEST(no_time_while_unreliable,
	     clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE, VMCLK_BAD_STATUS)
NO_TIME_TEST(no_time_with_a_status_nobody_knows, clock_status = 5, VMCLK_BAD_STATUS)
NO_TIME_TEST(no_time_on_a_smeared_scale, time_type = 3, VMCLK_BAD_SCALE)
NO_TIME_TEST(no_time_when_a_tick_has_no_length, counter_period_frac_sec = 0, VMCLK_BAD_PERIOD)
NO_TIME_TEST(no_time_with_a_shift_of_128, counter_period_shift = 128, VMCLK_BAD_PERIOD)
NO_TIME_TEST(no_time_without_the_bound_of_the_time,
	     flags = htole64(PAGE_FLAGS & ~VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID), VMCLK_NO_BOUND)
NO_TIME_TEST(no_time_without_the_growth_of_the_bound,
	     flags = htole64(PAGE_FLAGS & ~VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID), VMCLK_NO_BOUND)
NO_TIME_TEST(no_time_when_the_seconds_do_not_fit,
	     time_sec = htole64(UINT64_MAX), VMCLK_OUT_OF_RANGE)
NO_TIME_TEST(no_time_when_the_bound_saturates,
	     time_maxerror_nanosec = htole64(UINT64_MAX), VMCLK_OUT_OF_RANGE)
NO_TIME_TEST(no_time_on_a_page_that_ends_before_the_bound,
	     size = htole32(0x67), VMCLK_FIELDS_ABSENT)

TAP_TEST(no_time_from_the_counter_of_another_machine)
{
	struct vmclock_page page = good_page();

	page.counter_id ^= 1;	/* arm's for x86's, and the other way round */
	no_time(&page, VMCLK_WRONG_COUNTER);
}

TAP_TEST(no_time_from_a_counter_the_kernel_does_not_trust)
{
	struct vmclock_page page = good_page();
	struct vmclk_snapshot snap;
	struct vmclk_stamp s;

	need(!snapshot_of(&page, &snap));
	snap.counter_valid = 0;
	is_int(vmclk_stamp_at(&snap, 0, &s), -VMCLK_ECOUNTER);
	is_int(s.reason, VMCLK_WRONG_COUNTER);
}

TAP_TEST(at_the_reference_the_bound_needs_no_growth)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp s;

	page.flags = htole64(VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID);
	is_int(stamp_of(&page, 1000000000000, &s), 0);
	is_int(s.latest.nsec, 500001201);
}

TAP_TEST(fields_without_their_flag_are_not_valid_in_a_stamp)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp s;

	page.flags = htole64(PAGE_FLAGS & ~(VMCLOCK_PAGE_FLAG_GENERATION_PRESENT |
					    VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	is_int(stamp_of(&page, 0, &s), 0);
	is_int(s.valid, VMCLK_STAMP_TIME);
	is_u64(s.vm_generation_counter, 0);
	is_int(s.tai_offset_sec, 0);
}

TAP_TEST(what_lies_beyond_the_size_is_zero_and_absent)
{
	struct vmclock_page page = good_page();
	struct vmclk_snapshot snap;
	struct vmclk_stamp s;

	page.size = htole32(0x68);
	need(!snapshot_of(&page, &snap));
	is_u64(snap.vm_generation_counter, 0);
	is_u64(snap.time_maxerror_nanosec, 1200);
	is_int(stamp_of(&page, 0, &s), 0);
	is_int(s.valid & VMCLK_STAMP_GENERATION, 0);

	page.size = htole32(0x20);
	need(!snapshot_of(&page, &snap));
	is_u64(snap.flags, PAGE_FLAGS);
	is_u64(snap.clock_status | snap.tai_offset_sec | snap.time_sec, 0);
}

TAP_TEST(a_short_file_is_read_no_further_than_its_size)
{
	struct vmclock_page page = good_page();
	struct test_page t;
	struct vmclk_snapshot snap;
	struct vmclk *clk;

	page.size = htole32(0x68);
	t = page_make(&page, 0x68, 0);
	need(!vmclk_open(t.path, &clk));
	is_int(vmclk_snapshot(clk, &snap), 0);
	is_u64(snap.time_maxerror_nanosec, 1200);
	is_u64(snap.vm_generation_counter, 0);
	vmclk_close(clk);
	page_drop(&t);
}

#define REFUSED_TEST(name, change, file_size, error) \
	TAP_TEST(name) \
	{ \
		struct vmclock_page page = good_page(); \
		\
		page.change; \
		is_int(open_of(&page, file_size), error); \
	}

REFUSED_TEST(refuses_another_magic, magic = htole32(0x4b4c4357), PAGE_BYTES, -VMCLK_EMALFORMED)
REFUSED_TEST(refuses_version_0, version = 0, PAGE_BYTES, -VMCLK_ENOTINIT)
REFUSED_TEST(refuses_a_later_version, version = htole16(2), PAGE_BYTES, -VMCLK_EVERSION)
REFUSED_TEST(refuses_a_size_below_the_least, size = htole32(0x1f), PAGE_BYTES, -VMCLK_EMALFORMED)
REFUSED_TEST(refuses_a_size_beyond_the_file, size = htole32(0x1001), PAGE_BYTES, -VMCLK_EMALFORMED)
REFUSED_TEST(refuses_a_file_that_ends_in_the_header, size = htole32(0x1f), 0x1f, -VMCLK_EMALFORMED)
REFUSED_TEST(refuses_an_empty_file, size = htole32(PAGE_BYTES), 0, -VMCLK_ENOTINIT)

TAP_TEST(refuses_what_can_hold_no_page)
{
	struct vmclk *clk;

	is_int(vmclk_open("/proc/self/no-such-file", &clk), -ENOENT);
	is_int(vmclk_open("/proc/version/x", &clk), -ENOTDIR);
	is_int(vmclk_open("/proc", &clk), -EISDIR);
	is_int(vmclk_open("/dev/null", &clk), -VMCLK_ENOTINIT);
}

TAP_TEST(a_fifo_is_refused_without_waiting_for_its_writer)
{
	char dir[] = "/tmp/vmclk-test-XXXXXX", path[64];
	struct vmclk *clk;

	need(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ok(!mkfifo(path, 0600));
	is_int(vmclk_open(path, &clk), -VMCLK_EMALFORMED);
	unlink(path);
	rmdir(dir);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len && !bytes[len - 1])
		len--;
	return !len;
}

/* In a simple case and in one that needs the rare arithmetic. */
TAP_TEST(what_is_reserved_is_zero)
{
	static const uint8_t scales[] = { VMCLOCK_PAGE_TIME_TAI, VMCLOCK_PAGE_TIME_UTC };

	for (size_t i = 0; i < sizeof(scales); i++) {
		struct vmclock_page page = good_page();
		struct vmclk_snapshot snap;
		struct vmclk_stamp stamp;
		struct test_page t;
		struct vmclk *clk;

		page.time_type = scales[i];
		t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
		need(!vmclk_open(t.path, &clk));
		memset(&snap, 0xcc, sizeof(snap));
		is_int(vmclk_snapshot(clk, &snap), 0);
		ok(is_zero(snap.reserved, sizeof(snap.reserved)));
		memset(&stamp, 0xcc, sizeof(stamp));
		vmclk_stamp_at(&snap, snap.counter, &stamp);
		ok(is_zero(stamp.reserved, sizeof(stamp.reserved)));
		memset(&stamp, 0xcc, sizeof(stamp));
		vmclk_now(clk, &stamp);
		ok(is_zero(stamp.reserved, sizeof(stamp.reserved)));
		vmclk_close(clk);
		page_drop(&t);
	}
}

/*
 * A read that fails leaves the answers as they were, all of them. The failure
 * is made by @spoil after the page was opened.
 */
static void fails_with(void (*spoil)(struct test_page *t), unsigned int seals, int error)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, seals);
	struct vmclk_snapshot snap, snap0;
	struct vmclk_stamp stamp, stamp0;
	struct vmclk *clk;

	need(!vmclk_open(t.path, &clk));
	memset(&snap, 0xcc, sizeof(snap));
	memset(&stamp, 0xcc, sizeof(stamp));
	snap0 = snap;
	stamp0 = stamp;
	ok(!clk->page == !seals);

	spoil(&t);
	is_int(vmclk_snapshot(clk, &snap), error);
	is_int(vmclk_now(clk, &stamp), error);
	is_int(vmclk_convert(clk, 0, &stamp), error);
	ok(!memcmp(&snap, &snap0, sizeof(snap)));
	ok(!memcmp(&stamp, &stamp0, sizeof(stamp)));
	vmclk_close(clk);
	page_drop(&t);
}

static void make_odd(struct test_page *t)
{
	t->page->seq_count = htole32(3);
}

static void lose_magic(struct test_page *t)
{
	t->page->magic = 0;
}

static void bury(struct test_page *t)
{
	t->page->magic = htole32(VMCLOCK_PAGE_MAGIC_GONE);
}

static void change_version(struct test_page *t)
{
	t->page->version = htole16(2);
}

static void truncate_file(struct test_page *t)
{
	if (ftruncate(t->fd, 0x40))
		perror("ftruncate");
}

TAP_TEST(a_stuck_update_times_out_on_a_mapped_page)
{
	fails_with(make_odd, F_SEAL_SHRINK, -VMCLK_EBUSY);
}

TAP_TEST(a_stuck_update_times_out_on_a_file)
{
	fails_with(make_odd, 0, -VMCLK_EBUSY);
}

TAP_TEST(a_page_that_loses_its_magic_is_reported)
{
	fails_with(lose_magic, F_SEAL_SHRINK, -VMCLK_EMALFORMED);
	fails_with(lose_magic, 0, -VMCLK_EMALFORMED);
}

TAP_TEST(a_page_that_changes_its_version_is_reported)
{
	fails_with(change_version, F_SEAL_SHRINK, -VMCLK_EVERSION);
}

TAP_TEST(a_page_that_is_gone_says_so)
{
	fails_with(bury, F_SEAL_SHRINK, -VMCLK_EGONE);
	fails_with(bury, 0, -VMCLK_EGONE);
}

TAP_TEST(a_file_truncated_after_open_gives_an_error_and_no_signal)
{
	fails_with(truncate_file, 0, -VMCLK_EMALFORMED);
}

TAP_TEST(a_page_left_odd_can_be_opened)
{
	struct vmclock_page page = good_page();

	page.seq_count = htole32(0xffffffff);
	is_int(open_of(&page, PAGE_BYTES), 0);
}

TAP_TEST(every_field_is_decoded)
{
	struct vmclock_page page = good_page();
	struct vmclk_snapshot s;

	page.smear_hint = 2;
	page.leap_indicator = 4;
	page.counter_period_esterror_rate_frac_sec = htole64(0x0102030405060708);
	page.time_esterror_nanosec = htole64(0x1112131415161718);
	need(!snapshot_of(&page, &s));
	is_u64(s.counter_value, 1000000000000);
	is_u64(s.counter_period_frac_sec, 0xE5109EC205D7BEA7);
	is_u64(s.counter_period_esterror_rate_frac_sec, 0x0102030405060708);
	is_u64(s.counter_period_maxerror_rate_frac_sec, 0xC0275149A4);
	is_u64(s.time_sec, 1767225637);
	is_u64(s.time_frac_sec, 1ULL << 63);
	is_u64(s.time_esterror_nanosec, 0x1112131415161718);
	is_u64(s.seq_count, 2);
	is_u64(s.version, 1);
	is_int(s.counter_id, PAGE_COUNTER);
	is_int(s.smear_hint, 2);
	is_int(s.leap_indicator, 4);
	is_int(s.counter_period_shift, 31);
}

TAP_TEST(unknown_flags_are_ignored)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp s;

	page.flags = htole64(~VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	is_int(stamp_of(&page, 0, &s), 0);
}

TAP_TEST(names_of_unknown_values_are_invalid)
{
	ok(!strcmp(vmclk_status_str(5), "invalid"));
	ok(!strcmp(vmclk_scale_str(UINT32_MAX), "invalid"));
	ok(!strcmp(vmclk_counter_str(2), "invalid"));
	ok(!strcmp(vmclk_leap_str(6), "invalid"));
	ok(!strcmp(vmclk_smear_str(3), "invalid"));
	ok(!strcmp(vmclk_reason_str(UINT8_MAX), "invalid"));
	ok(!strcmp(vmclk_counter_str(0xff), "none"));
}

/* Two descriptors of one memfd are one page, another memfd is another. */
TAP_TEST(a_page_has_one_identity_for_all_who_open_it)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct test_page other = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_snapshot snap, again, foreign;
	struct vmclk *clk;

	need(!vmclk_open(t.path, &clk));
	is_int(vmclk_snapshot(clk, &snap), 0);
	vmclk_close(clk);
	is_int(snapshot_of(&page, &foreign), 0);
	need(!vmclk_open(t.path, &clk));
	is_int(vmclk_snapshot(clk, &again), 0);
	vmclk_close(clk);
	is_u64(snap.page_id, again.page_id);
	ok(snap.page_id != foreign.page_id);
	page_drop(&other);
	page_drop(&t);
}

/* The executable's directory is on a disk, /dev/shm is not. */
static int reason_of_file_in(const char *dir)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp stamp;
	struct vmclk_snapshot snap;
	struct vmclk *clk;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/vmclk-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0 || pwrite(fd, &page, sizeof(page), 0) != sizeof(page) ||
	    ftruncate(fd, PAGE_BYTES) || vmclk_open(path, &clk))
		return -1;
	unlink(path);
	close(fd);
	if (vmclk_snapshot(clk, &snap))
		return -1;
	vmclk_close(clk);
	snap.counter_valid = 1;
	vmclk_stamp_at(&snap, 1000000000000, &stamp);
	return stamp.reason;
}

TAP_TEST(a_file_in_memory_gives_time)
{
	is_int(reason_of_file_in("/dev/shm"), VMCLK_OK);
}

TAP_TEST(a_file_on_a_disk_may_be_from_before_a_reboot)
{
	char dir[4096];
	struct statfs fs;
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	need(n > 0);
	dir[n] = '\0';
	*strrchr(dir, '/') = '\0';
	need(!statfs(dir, &fs));
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		skip("everything is in memory here");
	is_int(reason_of_file_in(dir), VMCLK_BOOT_UNKNOWN);
}

TAP_TEST(every_error_has_one_errno_and_a_text_of_its_own)
{
	static const struct {
		int error, errnum;
	} table[] = {
		{ VMCLK_ENOTINIT, EPROTO }, { VMCLK_EMALFORMED, EPROTO },
		{ VMCLK_EVERSION, EPROTONOSUPPORT }, { VMCLK_EBUSY, ETIMEDOUT },
		{ VMCLK_EGONE, ENODEV }, { VMCLK_ECOUNTER, ENODATA },
		{ VMCLK_ENOTIME, ENODATA }, { VMCLK_EPAGES, EXDEV },
		{ VMCLK_EEPOCHS, ESTALE }, { VMCLK_ESCALES, EDOM }, { VMCLK_EUTC, ENODATA },
		{ VMCLK_EDISRUPTED, ESTALE }, { VMCLK_ECLONED, ESTALE },
		{ VMCLK_ESTATUS, ENODATA }, { VMCLK_EWIDE, ENODATA }, { VMCLK_EAGED, ENODATA },
		{ VMCLK_ELOCKED, EWOULDBLOCK }, { VMCLK_EREPLACED, ESTALE },
		{ ENOENT, ENOENT }, { EACCES, EACCES },
	};

	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		is_int(vmclk_errno(-table[i].error), table[i].errnum);
		for (unsigned int k = 0; k < i; k++)
			ok(strcmp(vmclk_strerror(-table[i].error),
				  vmclk_strerror(-table[k].error)));
	}
	is_int(vmclk_errno(0), 0);
}

int main(void)
{
	return tap_main();
}
