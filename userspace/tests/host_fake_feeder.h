/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A feeder, mostly without a page of its own, over a kernel that does as told.
 */
#ifndef TESTS_HOST_FAKE_FEEDER_H
#define TESTS_HOST_FAKE_FEEDER_H

#include <stdlib.h>
#include <unistd.h>

#include "feeder.h"
#include "host_fake_kernel.h"
#include "tap.h"

#define GUEST_TICKS	12345	/* added to the host's counter */

/* @file: for the page, or NULL */
static inline struct feeder *feeder_make_for(const char *file, bool has_offset)
{
	struct feeder *f = calloc(1, sizeof(*f));

	f->options = (struct options){
		.file = file,
		.vhost_fd = -1,
		.guest = { .ratio = 1, .frac_bits = 0, .offset = GUEST_TICKS },
		.has_tsc_offset = has_offset,
		.interval_ns = 60000000000,
		.drift_ppb = 15000,
		.leap_list = "/nonexistent",
		.force_counter = true,
	};
	kernel.runs = true;
	is_int(feeder_start(f), 0);
	return f;
}

static inline struct feeder *feeder_make(bool has_offset)
{
	return feeder_make_for(NULL, has_offset);
}

/* Until there is a line. */
static inline void feeder_run(struct feeder *f)
{
	for (int i = 0; i < 400 && !f->cal.has_line; i++) {
		is_int(feeder_tick(f), 0);
		usleep(1000);
	}
	ok(f->cal.has_line);
}

/* What a page says, decoded by the function that writers use. */
static inline struct vmclk_snapshot page_fields(void *page)
{
	struct vmclk_snapshot fields = { 0 };
	struct vmclk_writer *unused = NULL;

	if (is_int(vmclk_writer_attach(page, TARGET_SIZE, &unused), 0))
		is_int(vmclk_writer_found(unused, &fields), 0);
	is_u64(fields.seq_count & 1, 0);
	vmclk_writer_close(unused);
	fields.size = TARGET_SIZE;
	fields.counter_valid = 1;
	return fields;
}

#endif /* TESTS_HOST_FAKE_FEEDER_H */
