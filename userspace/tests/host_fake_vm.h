/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM, mostly without a page of its own, and the clock it is fed from, over a kernel
 * that does as told.
 */
#ifndef TESTS_HOST_FAKE_VM_H
#define TESTS_HOST_FAKE_VM_H

#include <stdlib.h>
#include <unistd.h>

#include "host_fake_kernel.h"
#include "tap.h"
#include "vm.h"

#define GUEST_TICKS	12345	/* added to the host's counter */

struct fed {
	struct clock clock;
	struct vm vm;
};

/* What every test begins with: a minute between calibrations. */
static inline struct fed *fed_new(const char *file, bool has_offset)
{
	struct fed *f = calloc(1, sizeof(*f));

	f->clock.options = (struct clock_options){
		.interval_ns = 60000000000,
		.drift_ppb = 15000,
		.holdover = { 0, 128000000 },
		.leap_list = "/nonexistent",
		.force_counter = true,
	};
	f->vm.options = (struct vm_options){
		.file = file,
		.vhost_fd = -1,
		.guest = { .ratio = 1, .frac_bits = 0, .offset = GUEST_TICKS },
		.has_tsc_offset = has_offset,
	};
	kernel.runs = true;
	return f;
}

static inline int fed_start(struct fed *f)
{
	int err = clock_start(&f->clock);

	return err ? err : vm_start(&f->vm, &f->clock);
}

/* @file: for the page, or NULL */
static inline struct fed *fed_make_for(const char *file, bool has_offset)
{
	struct fed *f = fed_new(file, has_offset);

	is_int(fed_start(f), 0);
	return f;
}

static inline struct fed *fed_make(bool has_offset)
{
	return fed_make_for(NULL, has_offset);
}

static inline int fed_tick(struct fed *f)
{
	int err = clock_tick(&f->clock);

	return err && err != -EAGAIN && err != -ENODATA ? err : vm_tick(&f->vm);
}

static inline uint64_t fed_delay_ns(const struct fed *f)
{
	return vm_is_warming(&f->vm) ? VM_WARM_NS : f->clock.options.interval_ns;
}

/* Until there is a line. */
static inline void fed_run(struct fed *f)
{
	for (int i = 0; i < 400 && !f->vm.cal.has_line; i++) {
		is_int(fed_tick(f), 0);
		usleep(1000);
	}
	ok(f->vm.cal.has_line);
}

static inline void fed_stop(struct fed *f)
{
	vm_stop(&f->vm);
	clock_stop(&f->clock);
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

#endif /* TESTS_HOST_FAKE_VM_H */
