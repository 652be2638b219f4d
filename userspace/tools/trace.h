/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recorded page: what was seen, and when. vmclockctl(1) has the format.
 */
#ifndef VMCLOCKCTL_TRACE_H
#define VMCLOCKCTL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/vmclock-page.h>

#include "vmclk.h"

#define TRACE_MAGIC	"vmclock-trace 1\n"

/* Could a notification be seen, and had one come since the look before? */
enum trace_notified {
	TRACE_UNSEEN,
	TRACE_SILENT,
	TRACE_NOTIFIED,
};

/**
 * struct trace_look - one look at a page
 * @page: its bytes, zero behind @len; a consistent copy if the sequence number
 *	in it is even
 * @len: how many bytes there were
 * @counter: read while the page said so; 0 on a machine without a counter
 * @realtime_ns: CLOCK_REALTIME just before the counter
 * @realtime_after_ns: the same just after it
 * @raw_ns: CLOCK_MONOTONIC_RAW
 * @notified: the device's notifications
 */
struct trace_look {
	struct vmclock_page page;
	size_t len;
	uint64_t counter;
	int64_t realtime_ns;
	int64_t realtime_after_ns;
	uint64_t raw_ns;
	enum trace_notified notified;
};

/* Which counter the recording machine has: VMCLOCK_PAGE_COUNTER_*. */
int trace_this_counter(void);

/* Is this page another one than that? */
bool trace_page_differs(const struct trace_look *a, const struct trace_look *b);

/**
 * trace_decode() - the page of a look, as the library has it
 * @look: the look
 * @counter_id: the counter that its reading is of
 * @snap: where it goes; the header is not judged, absent fields are zero
 *
 * The page's copy counts as one of this boot, and its counter as one that can
 * be trusted if it is the one that was read.
 */
void trace_decode(const struct trace_look *look, int counter_id,
		  struct vmclk_snapshot *snap);

void trace_write_header(FILE *f, int counter_id);

/* @with_page: the page is not that of the look written before. */
void trace_write(FILE *f, const struct trace_look *look, bool with_page);

/**
 * struct trace_reader - a trace that is being read
 * @file: the trace
 * @path: its name, for messages
 * @line: number of the line read last
 * @counter_id: the counter of the machine that recorded it
 * @look: the look read last
 * @has_page: @look has a page
 * @has_look: there was a look
 */
struct trace_reader {
	FILE *file;
	const char *path;
	unsigned long line;
	int counter_id;
	struct trace_look look;
	bool has_page;
	bool has_look;
};

/* Is it a trace, and not a page? A file that can't be read is none. */
bool trace_is_one(const char *path);

/**
 * trace_open() - begin to read
 * @r: initialised here
 * @path: the trace; "-" is the standard input
 *
 * Return: 0, or -1, and it was said why.
 */
int trace_open(struct trace_reader *r, const char *path);

/**
 * trace_next() - the next look
 * @r: the trace
 *
 * Return: 1 with @r->look complete; 0 at the end; -1 if this is not as a trace
 * must be, and it was said where and why.
 */
int trace_next(struct trace_reader *r);

void trace_close(struct trace_reader *r);

#endif /* VMCLOCKCTL_TRACE_H */
