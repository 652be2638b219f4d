/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The writer: the only code that changes a page.
 *
 * Internal to this project for now; the host side links it statically.
 * One writer at a time, one thread: the caller sees to that.
 */
#ifndef VMCLK_WRITE_H
#define VMCLK_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/vmclock-page.h>

/**
 * struct page_fields - what one update publishes, host byte order
 *
 * The meaning of each field is that of struct vmclock_page.
 */
struct page_fields {
	uint64_t disruption_marker;
	uint64_t flags;
	uint64_t counter_value;
	uint64_t counter_period_frac_sec;
	uint64_t counter_period_esterror_rate_frac_sec;
	uint64_t counter_period_maxerror_rate_frac_sec;
	uint64_t time_sec;
	uint64_t time_frac_sec;
	uint64_t time_esterror_nanosec;
	uint64_t time_maxerror_nanosec;
	uint64_t vm_generation_counter;
	int16_t tai_offset_sec;
	uint8_t counter_id;
	uint8_t time_type;
	uint8_t clock_status;
	uint8_t smear_hint;
	uint8_t leap_indicator;
	uint8_t counter_period_shift;
};

/**
 * struct page_writer - an open page; initialised by page_attach()
 * @page: the shared memory
 * @len: bytes of the page's structure that exist there
 * @seq: the last sequence number stored
 */
struct page_writer {
	struct vmclock_page *page;
	uint32_t len;
	uint32_t seq;
};

/**
 * page_format() - write the header and zero the structure of a fresh page
 * @page: memory no reader believes yet: its magic is not that of a page
 * @size: bytes of the region, at least sizeof(struct vmclock_page)
 *
 * The magic is stored last, after a barrier, so that whoever sees it sees the
 * header. The page says: no counter, status INITIALIZING, sequence 0.
 */
void page_format(struct vmclock_page *page, uint32_t size);

/**
 * page_attach() - take over a page, as it is found
 * @writer: initialised here
 * @page: the shared memory
 * @room: bytes of memory at @page
 * @found: what the page says, in host byte order; fields that do not exist are
 *	zero. Not sequence-checked: there is no other writer. May be used to
 *	continue from, but if @writer->seq is odd then the writer before died in
 *	the middle: each field is then either old or new, and only those that
 *	mean something by themselves (the two markers) may be used.
 *
 * Changes nothing. An odd sequence number, left by a writer that died, stays
 * until the first update, which makes it even.
 *
 * Return: 0, -EPROTO if this is no page or it claims more than @room or less
 * than the whole of struct vmclock_page up to time_maxerror_nanosec, or
 * -EPROTONOSUPPORT for another version.
 */
int page_attach(struct page_writer *writer, struct vmclock_page *page,
		size_t room, struct page_fields *found);

/**
 * page_begin() - open an update: readers wait from here on
 * @writer: the writer
 *
 * On return the odd sequence number is visible to every reader, before the
 * caller reads the counter and before any field changes: a reader whose
 * sequence check passes has read its counter before the caller does. Keep the
 * time until page_commit() short.
 */
void page_begin(struct page_writer *writer);

/**
 * page_commit() - store the fields and close the update
 * @writer: the writer, after page_begin()
 * @fields: what to publish
 */
void page_commit(struct page_writer *writer, const struct page_fields *fields);

#endif /* VMCLK_WRITE_H */
