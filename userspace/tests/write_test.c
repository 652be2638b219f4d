// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/write.c on a page nobody else writes: what it stores, and what it leaves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include "pages.h"
#include "tap.h"
#include "vmclk-writer.h"

union raw_page {
	struct vmclock_page page;
	uint8_t bytes[PAGE_BYTES];
};

/* Another value in every field, and in every byte of it. */
static struct vmclk_snapshot all_fields(void)
{
	return (struct vmclk_snapshot){
		.disruption_marker = 0x1011121314151617,
		.flags = 0x2021222324252627,
		.counter_value = 0x3031323334353637,
		.counter_period_frac_sec = 0x4041424344454647,
		.counter_period_esterror_rate_frac_sec = 0x5051525354555657,
		.counter_period_maxerror_rate_frac_sec = 0x6061626364656667,
		.time_sec = 0x7071727374757677,
		.time_frac_sec = 0x8081828384858687,
		.time_esterror_nanosec = 0x9091929394959697,
		.time_maxerror_nanosec = 0xa0a1a2a3a4a5a6a7,
		.vm_generation_counter = 0xb0b1b2b3b4b5b6b7,
		.tai_offset_sec = -12345,
		.counter_id = 0xc1, .time_type = 0xc2, .clock_status = 0xc3,
		.smear_hint = 0xc4, .leap_indicator = 0xc5,
		.counter_period_shift = 0xc6,
	};
}

static uint32_t seq_of(const union raw_page *raw)
{
	return le32toh(raw->page.seq_count);
}

/* A page whose sequence number is @seq, taken over by @w. */
static bool attached(struct vmclk_writer **w, union raw_page *raw, uint32_t seq)
{
	memset(raw, 0, sizeof(*raw));
	raw->page = good_page();
	raw->page.seq_count = htole32(seq);
	return !vmclk_writer_attach(&raw->page, sizeof(*raw), w);
}

static void seq_goes(uint32_t from, uint32_t during, uint32_t after)
{
	struct vmclk_snapshot fields = all_fields();
	struct vmclk_writer *w;
	union raw_page raw;

	need(attached(&w, &raw, from));
	is_u64(seq_of(&raw), from);
	vmclk_writer_begin(w);
	is_u64(seq_of(&raw), during);
	vmclk_writer_commit(w, &fields);
	is_u64(seq_of(&raw), after);
	vmclk_writer_close(w);
}

TAP_TEST(the_sequence_is_odd_while_writing_and_even_after)
{
	seq_goes(2, 3, 4);
}

TAP_TEST(an_odd_sequence_that_was_left_is_repaired)
{
	seq_goes(7, 7, 8);
}

TAP_TEST(the_sequence_wraps)
{
	seq_goes(0xfffffffe, 0xffffffff, 0);
	seq_goes(0xffffffff, 0xffffffff, 0);
}

TAP_TEST(begin_changes_nothing_but_the_sequence)
{
	union raw_page raw, before;
	struct vmclk_writer *w;

	need(attached(&w, &raw, 2));
	before = raw;
	before.page.seq_count = htole32(3);
	vmclk_writer_begin(w);
	ok(!memcmp(&raw, &before, sizeof(raw)));
	vmclk_writer_close(w);
}

TAP_TEST(attach_found_and_close_change_nothing)
{
	union raw_page raw, before;
	struct vmclk_snapshot found;
	struct vmclk_writer *w;

	need(attached(&w, &raw, 7));
	before = raw;
	vmclk_writer_close(w);
	need(!vmclk_writer_attach(&raw, sizeof(raw), &w));
	is_int(vmclk_writer_found(w, &found), 0);
	is_u64(found.seq_count, 7);
	vmclk_writer_close(w);
	ok(!memcmp(&raw, &before, sizeof(raw)));
}

/* Field by field, and by its offset: what the C structure says is not asked. */
TAP_TEST(commit_stores_every_field_little_endian)
{
	static const struct {
		unsigned int offset, first, len;
	} words[] = {
		{ 0x10, 0x10, 8 }, { 0x18, 0x20, 8 }, { 0x28, 0x30, 8 },
		{ 0x30, 0x40, 8 }, { 0x38, 0x50, 8 }, { 0x40, 0x60, 8 },
		{ 0x48, 0x70, 8 }, { 0x50, 0x80, 8 }, { 0x58, 0x90, 8 },
		{ 0x60, 0xa0, 8 }, { 0x68, 0xb0, 8 }, { 0x0a, 0xc1, 1 },
		{ 0x0b, 0xc2, 1 }, { 0x22, 0xc3, 1 }, { 0x23, 0xc4, 1 },
		{ 0x26, 0xc5, 1 }, { 0x27, 0xc6, 1 },
	};
	struct vmclk_snapshot fields = all_fields();
	struct vmclk_writer *w;
	union raw_page raw;

	need(attached(&w, &raw, 2));
	vmclk_writer_write(w, &fields);
	vmclk_writer_close(w);
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (unsigned int b = 0; b < words[i].len; b++)
			is_u64(raw.bytes[words[i].offset + words[i].len - 1 - b],
			       words[i].first + b);
	is_u64(raw.bytes[0x24], 0xc7);	/* -12345 is 0xcfc7 */
	is_u64(raw.bytes[0x25], 0xcf);
}

TAP_TEST(commit_leaves_the_header_and_what_lies_behind_alone)
{
	struct vmclk_snapshot fields = all_fields();
	struct vmclk_writer *w;
	union raw_page raw;

	need(attached(&w, &raw, 2));
	memset(raw.bytes + 0x70, 0xee, PAGE_BYTES - 0x70);
	vmclk_writer_write(w, &fields);
	vmclk_writer_close(w);
	is_u64(le32toh(raw.page.magic), VMCLOCK_PAGE_MAGIC);
	is_u64(le32toh(raw.page.size), PAGE_BYTES);
	is_u64(le16toh(raw.page.version), 1);
	for (unsigned int i = 0x70; i < PAGE_BYTES; i++)
		if (!is_u64(raw.bytes[i], 0xee))
			break;
}

TAP_TEST(a_page_without_a_generation_counter_does_not_get_one)
{
	struct vmclk_snapshot fields = all_fields(), found;
	struct vmclk_writer *w;
	union raw_page raw;

	memset(&raw, 0xee, sizeof(raw));
	raw.page = good_page();
	raw.page.size = htole32(0x68);
	need(!vmclk_writer_attach(&raw, 0x68, &w));
	is_int(vmclk_writer_found(w, &found), 0);
	is_u64(found.vm_generation_counter, 0);
	vmclk_writer_write(w, &fields);
	vmclk_writer_close(w);
	is_u64(le64toh(raw.page.time_maxerror_nanosec), 0xa0a1a2a3a4a5a6a7);
	is_u64(le64toh(raw.page.vm_generation_counter), 0x2222222222222222);
}

TAP_TEST(found_is_what_was_stored)
{
	struct vmclk_snapshot fields = all_fields(), found;
	struct vmclk_writer *w;
	union raw_page raw;

	need(attached(&w, &raw, 2));
	vmclk_writer_write(w, &fields);
	memset(&found, 0xee, sizeof(found));
	is_int(vmclk_writer_found(w, &found), 0);
	vmclk_writer_close(w);
	is_u64(found.seq_count, 4);
	is_u64(found.version, 1);
	is_u64(found.size, PAGE_BYTES);
	is_u64(found.page_id, 0);
	is_u64(found.counter, 0);
	is_int(found.counter_valid, 0);
	is_int(found.boot_unknown, 0);
	is_u64(found.disruption_marker, fields.disruption_marker);
	is_u64(found.flags, fields.flags);
	is_u64(found.counter_value, fields.counter_value);
	is_u64(found.counter_period_frac_sec, fields.counter_period_frac_sec);
	is_u64(found.counter_period_esterror_rate_frac_sec,
	       fields.counter_period_esterror_rate_frac_sec);
	is_u64(found.counter_period_maxerror_rate_frac_sec,
	       fields.counter_period_maxerror_rate_frac_sec);
	is_u64(found.time_sec, fields.time_sec);
	is_u64(found.time_frac_sec, fields.time_frac_sec);
	is_u64(found.time_esterror_nanosec, fields.time_esterror_nanosec);
	is_u64(found.time_maxerror_nanosec, fields.time_maxerror_nanosec);
	is_u64(found.vm_generation_counter, fields.vm_generation_counter);
	is_int(found.tai_offset_sec, -12345);
	is_int(found.counter_id, 0xc1);
	is_int(found.time_type, 0xc2);
	is_int(found.clock_status, 0xc3);
	is_int(found.smear_hint, 0xc4);
	is_int(found.leap_indicator, 0xc5);
	is_int(found.counter_period_shift, 0xc6);
}

#define NO_PAGE_TEST(name, change, room, error) \
	TAP_TEST(name) \
	{ \
		union raw_page raw = { .page = good_page() }; \
		struct vmclk_writer *w; \
		\
		raw.page.change; \
		is_int(vmclk_writer_attach(&raw, room, &w), error); \
	}

NO_PAGE_TEST(attach_refuses_another_magic, magic = 0, PAGE_BYTES, -VMCLK_EMALFORMED)
NO_PAGE_TEST(attach_refuses_a_tombstone, magic = htole32(VMCLOCK_PAGE_MAGIC_GONE), PAGE_BYTES,
	     -VMCLK_EGONE)
NO_PAGE_TEST(attach_refuses_a_later_version, version = htole16(2), PAGE_BYTES, -VMCLK_EVERSION)
NO_PAGE_TEST(attach_refuses_a_size_beyond_the_room, size = htole32(0x1001), PAGE_BYTES,
	     -VMCLK_EMALFORMED)
NO_PAGE_TEST(attach_refuses_a_size_without_a_bound, size = htole32(0x67), PAGE_BYTES,
	     -VMCLK_EMALFORMED)
NO_PAGE_TEST(attach_refuses_version_0_without_a_size, version = raw.page.size = 0, PAGE_BYTES,
	     -VMCLK_EMALFORMED)
NO_PAGE_TEST(attach_refuses_a_room_without_a_bound, size = htole32(0x67), 0x67,
	     -VMCLK_EMALFORMED)

TAP_TEST(memory_out_of_alignment_or_range_is_refused)
{
	union raw_page raw = { .page = good_page() };
	struct vmclk_writer *w;

	is_int(vmclk_writer_attach(raw.bytes + 4, 0x100, &w), -EINVAL);
	is_int(vmclk_writer_format(raw.bytes + 4, 0x100), -EINVAL);
	is_int(vmclk_writer_format(&raw, 0x67), -EINVAL);
	is_int(vmclk_writer_format(&raw, 1ULL << 32), -EINVAL);
	is_u64(le32toh(raw.page.magic), VMCLOCK_PAGE_MAGIC);
}

TAP_TEST(a_formatted_page_is_not_initialised_until_the_first_update)
{
	struct vmclk_snapshot fields = all_fields(), found;
	struct vmclock_page dirt;
	struct vmclk_writer *w;
	struct test_page t;
	struct vmclk *clk;

	memset(&dirt, 0xee, sizeof(dirt));
	t = page_make(&dirt, PAGE_BYTES, F_SEAL_SHRINK);
	is_int(vmclk_writer_format(t.page, PAGE_BYTES), 0);
	is_int(vmclk_open(t.path, &clk), -VMCLK_ENOTINIT);
	need(!vmclk_writer_attach(t.page, PAGE_BYTES, &w));
	is_int(vmclk_writer_found(w, &found), 0);
	is_int(found.version, 0);
	is_int(found.counter_id, VMCLOCK_PAGE_COUNTER_NONE);
	is_int(found.clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	is_u64(found.disruption_marker, 0);
	vmclk_writer_begin(w);
	is_int(vmclk_open(t.path, &clk), -VMCLK_ENOTINIT);
	vmclk_writer_commit(w, &fields);
	vmclk_writer_close(w);
	need(!vmclk_open(t.path, &clk));
	is_int(vmclk_snapshot(clk, &found), 0);
	is_u64(found.seq_count, 2);
	is_u64(found.disruption_marker, fields.disruption_marker);
	vmclk_close(clk);
	page_drop(&t);
}

TAP_TEST(who_else_writes_is_noticed_and_come_after)
{
	struct vmclk_snapshot fields = all_fields(), found;
	struct vmclk_writer *w;
	union raw_page raw;

	need(attached(&w, &raw, 2));
	ok(vmclk_writer_is_alone(w));
	vmclk_writer_write(w, &fields);
	ok(vmclk_writer_is_alone(w));
	raw.page.seq_count = htole32(1000);
	ok(!vmclk_writer_is_alone(w));
	is_int(vmclk_writer_found(w, &found), 0);
	ok(vmclk_writer_is_alone(w));
	vmclk_writer_write(w, &fields);
	is_u64(seq_of(&raw), 1002);
	vmclk_writer_close(w);
}

TAP_TEST(what_is_no_page_any_more_is_not_found)
{
	union raw_page raw = { .page = good_page() };
	struct vmclk_snapshot found;
	struct vmclk_writer *w;

	raw.page.size = htole32(0x68);
	need(!vmclk_writer_attach(&raw, 0x68, &w));
	raw.page.size = htole32(0x70);
	is_int(vmclk_writer_found(w, &found), -VMCLK_EMALFORMED);
	raw.page.size = htole32(0x68);
	raw.page.magic = 0;
	is_int(vmclk_writer_found(w, &found), -VMCLK_EMALFORMED);
	vmclk_writer_close(w);
}

/* Sleeps on the page's sequence number, read-only, as a reader would. */
static int sleep_on(const struct test_page *t)
{
	const struct timespec limit = { .tv_sec = 60 };
	const struct vmclock_page *page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, t->fd, 0);
	uint32_t seq = 0;

	if (page == MAP_FAILED)
		return 1;
	do {
		memcpy(&seq, (const void *)&page->seq_count, sizeof(seq));
		if (le32toh(seq) != 2)
			return 0;
	} while (!syscall(SYS_futex, &page->seq_count, FUTEX_WAIT, seq, &limit, NULL, 0) ||
		 errno == EINTR || errno == EAGAIN);
	return 2;
}

TAP_TEST(who_sleeps_on_the_sequence_is_woken)
{
	struct vmclk_snapshot fields = all_fields();
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_writer *w;
	int status = -1, woken = 0;
	pid_t pid;

	need(!vmclk_writer_attach(t.page, PAGE_BYTES, &w));
	errno = 0;
	is_int(vmclk_writer_wake(w), 0);
	pid = fork();
	if (!pid)
		_exit(sleep_on(&t));
	/* Woken too early it sleeps on: what it waits for has not happened. */
	for (unsigned int i = 0; i < 60000 && !woken; i++) {
		usleep(1000);
		woken = vmclk_writer_wake(w);
	}
	is_int(woken, 1);
	vmclk_writer_write(w, &fields);
	while (!waitpid(pid, &status, WNOHANG)) {
		vmclk_writer_wake(w);
		usleep(1000);
	}
	is_int(status, 0);
	is_int(errno, 0);
	vmclk_writer_close(w);
	page_drop(&t);
}

TAP_TEST(closing_nothing_is_fine)
{
	vmclk_writer_close(NULL);
}

/* For comparison with what another machine's writer makes of the same. */
static int write_page(const char *path)
{
	struct vmclk_snapshot fields = all_fields();
	struct vmclk_writer *w;

	if (vmclk_writer_open(path, 0, 0, &w))
		return 1;
	vmclk_writer_write(w, &fields);
	vmclk_writer_close(w);
	return 0;
}

int main(int argc, char **argv)
{
	return argc == 2 ? write_page(argv[1]) : tap_main();
}
