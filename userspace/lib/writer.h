/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The writer's inside.
 */
#ifndef VMCLK_WRITER_INTERNAL_H
#define VMCLK_WRITER_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include <linux/vmclock-page.h>

#include "vmclk-writer.h"

/* What a writer can't do without; older pages end right after it. */
#define PAGE_LEN_MIN (offsetof(struct vmclock_page, time_maxerror_nanosec) + \
		      sizeof(uint64_t))

/**
 * struct vmclk_writer - a page to write
 * @page: the shared memory
 * @len: bytes of the page's structure that exist there
 * @seq: the last sequence number stored
 */
struct vmclk_writer {
	struct vmclock_page *page;
	uint32_t len;
	uint32_t seq;
};

#endif /* VMCLK_WRITER_INTERNAL_H */
