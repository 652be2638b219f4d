// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a page or a file: the reader and the writer take them without a
 * fault, and what they make of them is well-formed.
 *
 * The first two bytes are the file's length, the third chooses whether it can be
 * mapped, the rest is its start.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "page_fuzz.h"
#include "../pages.h"
#include "vmclk-stamp.h"
#include "vmclk-writer.h"

#define HEAD		3
#define MAY_BE_MAPPED	1
/* Each of these is waited for in vain, so there are few. */
#define ODD_MAX		8

#define SEQ_COUNT	offsetof(struct vmclock_page, seq_count)

#define must fuzz_check

bool page_fuzz_seen[SEEN_MAX];

static void saw(enum page_seen what)
{
	page_fuzz_seen[what] = true;
}

static int is_time(const struct vmclk_time *t)
{
	return t->nsec < 1000000000;
}

static int is_not_after(const struct vmclk_time *a, const struct vmclk_time *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec <= b->nsec);
}

static void check_stamp(int err, const struct vmclk_stamp *s)
{
	must(!err == (s->reason == VMCLK_OK));
	must(!err == !!(s->valid & VMCLK_STAMP_TIME));
	saw(err ? SEEN_NO_TIME : SEEN_TIME);
	if (err)
		return;
	must(is_time(&s->point) && is_time(&s->earliest) && is_time(&s->latest));
	must(is_not_after(&s->earliest, &s->point) && is_not_after(&s->point, &s->latest));
}

static void check_conversions(const struct vmclk_stamp *stamp)
{
	struct vmclk_stamp utc, tai;

	if (!vmclk_to_utc(stamp, &utc)) {
		check_stamp(0, &utc);
		must(utc.time_type == VMCLOCK_PAGE_TIME_UTC);
		saw(SEEN_TO_UTC);
	}
	if (!vmclk_to_tai(stamp, &tai)) {
		check_stamp(0, &tai);
		must(tai.time_type == VMCLOCK_PAGE_TIME_TAI);
		saw(SEEN_TO_TAI);
	}
	vmclk_trusts(NULL, stamp);
}

static void check_snapshot(struct vmclk_snapshot *snap)
{
	const uint64_t counters[] = {
		snap->counter, snap->counter_value, snap->counter_value - 1,
		snap->counter_value + (1ULL << 63), 0, UINT64_MAX,
	};
	struct vmclk_stamp stamp;

	must(!(snap->seq_count & 1));
	must(snap->size >= VMCLOCK_PAGE_SIZE_MIN && snap->version == VMCLOCK_PAGE_VERSION);
	snap->counter_valid = 1;
	snap->boot_unknown = 0;
	for (unsigned int i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		check_stamp(vmclk_stamp_at(snap, counters[i], &stamp), &stamp);
		check_conversions(&stamp);
	}
}

static void read_as_page(const char *path)
{
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	struct vmclk *clk;

	if (vmclk_open(path, &clk)) {
		saw(SEEN_REFUSED);
		return;
	}
	if (!vmclk_snapshot(clk, &snap))
		check_snapshot(&snap);
	else
		saw(SEEN_BUSY);
	if (!vmclk_now(clk, &stamp))
		check_stamp(0, &stamp);
	vmclk_close(clk);
}

/* Whatever a writer accepts, what it then writes can be read. */
static void write_as_page(struct test_page *t, size_t room)
{
	struct vmclk_snapshot found, again;
	struct vmclk_writer *writer;
	struct vmclk *clk;

	if (vmclk_writer_attach(t->page, room, &writer)) {
		saw(SEEN_NOT_WRITTEN);
		return;
	}
	saw(SEEN_WRITTEN);
	must(!vmclk_writer_found(writer, &found));
	vmclk_writer_write(writer, &found);
	must(!vmclk_open(t->path, &clk));
	must(!vmclk_snapshot(clk, &again));
	must(again.time_sec == found.time_sec && again.flags == found.flags &&
	     again.disruption_marker == found.disruption_marker);
	vmclk_close(clk);
	vmclk_writer_close(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct test_page mapped, plain;
	static unsigned int odd;
	const struct vmclock_page nothing = { 0 };
	uint8_t bytes[PAGE_BYTES] = { 0 };
	size_t len;

	if (!mapped.page) {
		mapped = page_make(&nothing, PAGE_BYTES, F_SEAL_SHRINK);
		plain = page_make(&nothing, PAGE_BYTES, 0);
	}
	if (size < HEAD || size - HEAD > PAGE_BYTES)
		return 0;
	len = (data[0] | data[1] << 8) % (PAGE_BYTES + 1);
	memcpy(bytes, data + HEAD, size - HEAD);
	if ((bytes[SEQ_COUNT] & 1) && odd++ >= ODD_MAX)
		bytes[SEQ_COUNT] ^= 1;

	if (data[2] & MAY_BE_MAPPED) {
		saw(SEEN_MAPPED);
		memcpy(mapped.page, bytes, PAGE_BYTES);
		read_as_page(mapped.path);
		write_as_page(&mapped, len);
		return 0;
	}
	saw(SEEN_FILE);
	must(!ftruncate(plain.fd, 0) && !ftruncate(plain.fd, len));
	must(pwrite(plain.fd, bytes, len, 0) == (ssize_t)len);
	read_as_page(plain.path);
	return 0;
}
