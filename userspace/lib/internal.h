/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the library's files share. Names with two underscores stay inside.
 */
#ifndef VMCLK_INTERNAL_H
#define VMCLK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/vmclock-page.h>

#include "vmclk.h"

/**
 * struct vmclk - an open page; nothing in it changes after vmclk_open()
 * @page: the mapped page, or NULL: then it is read through @fd
 * @map_len: bytes mapped
 * @fd: the open file, or -1 once it is mapped
 * @counter_trusted: the kernel considers this machine's counter stable
 * @path: what was opened
 */
struct vmclk {
	const struct vmclock_page *page;
	size_t map_len;
	int fd;
	bool counter_trusted;
	char path[];
};

/* vmclk_snapshot() but for one thing: on error, @snap holds nothing of use. */
int vmclk__read(const struct vmclk *clk, struct vmclk_snapshot *snap);

/*
 * Is the copy a page at all? 0, -EPROTO or -EPROTONOSUPPORT.
 */
int vmclk__validate(const struct vmclock_page *copy);

#endif /* VMCLK_INTERNAL_H */
