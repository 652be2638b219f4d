/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the library's files share. Names with two underscores stay inside.
 */
#ifndef VMCLK_INTERNAL_H
#define VMCLK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <linux/vmclock-page.h>

#include "vmclk.h"

/**
 * struct vmclk - an open page; nothing in it changes after vmclk_open()
 * @page: the mapped page, or NULL: then it is read through @fd
 * @map_len: bytes mapped
 * @page_id: which page this is
 * @fd: the open file
 * @counter_trusted: the kernel considers this machine's counter stable
 * @boot_unknown: a file that may be from before a reboot
 * @path: what was opened
 */
struct vmclk {
	const struct vmclock_page *page;
	size_t map_len;
	uint64_t page_id;
	int fd;
	bool counter_trusted;
	bool boot_unknown;
	char path[];
};

/* vmclk_stamp_at(), also of what is unusual; the same result where it is not. */
int vmclk__stamp_any(const struct vmclk_snapshot *snap, uint64_t counter,
		     struct vmclk_stamp *stamp);

/*
 * The sequence number as it is now, alone: for deciding whether to look. On a
 * handle that does not map its page, the errors of read(2).
 */
int vmclk__peek(const struct vmclk *clk, uint32_t *seq);

/*
 * A copy that somebody else made in one window, as vmclk_snapshot() would give it.
 * The counter is read now: later than the copy was made.
 */
int vmclk__decode(const struct vmclk *clk, const struct vmclock_page *copy,
		  struct vmclk_snapshot *snap);

/* What a read(2) of a page that failed with @errnum means. */
int vmclk__read_error(int errnum);

/* Is the copy of a header that of a page? 0 or a negative error. */
int vmclk__validate(const struct vmclock_page *copy);

/*
 * Is the page, which is not mapped, still the one @snap is a copy of? What is
 * read of it is read behind any counter that was read before.
 */
int vmclk__file_is_unchanged(const struct vmclk *clk, const struct vmclk_snapshot *snap,
			     bool *unchanged);

/* A field that the page is too short for is zero, whatever lies there. */
void vmclk__clear_absent(struct vmclk_snapshot *snap);

/* A number for the page behind @st, the same for all who open it in this boot. */
int vmclk__identify(const struct stat *st, uint64_t *page_id);

bool vmclk__is_earlier(const struct vmclk_time *a, const struct vmclk_time *b);

/* Are the times of @stamp an interval with its point inside? */
bool vmclk__is_sound(const struct vmclk_stamp *stamp);

/* -VMCLK_EPAGES, -VMCLK_ECLONED, -VMCLK_EDISRUPTED, or 0 for one page and epoch. */
int vmclk__check_epoch(const struct vmclk_stamp *now, const struct vmclk_stamp *then);

struct vmclk_policy;

/* Can this library read the policy, all of it? 0, -EINVAL or -E2BIG. */
int vmclk__check_policy(const struct vmclk_policy *policy);

/*
 * From times as the line of a page in UTC has them, which knows no leap second
 * but those before its reference point, to UTC. False if that can't be told:
 * the times are then of no use.
 */
bool vmclk__line_to_utc(struct vmclk_stamp *stamp);

#endif /* VMCLK_INTERNAL_H */
