// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What vmclk_fast_now() does when its copy is of no use: vmclk_now(), and a new
 * copy if the page lends itself to one.
 */
#include "stamp.h"
#include "window.h"

#define IS_WORD(field, n) \
	_Static_assert(offsetof(struct vmclock_page, field) / 8 == (n), #field)

IS_WORD(magic, VMCLK__MAGIC_SIZE);
IS_WORD(size, VMCLK__MAGIC_SIZE);
IS_WORD(version, VMCLK__VERSION_SEQ);
IS_WORD(counter_id, VMCLK__VERSION_SEQ);
IS_WORD(time_type, VMCLK__VERSION_SEQ);
IS_WORD(seq_count, VMCLK__VERSION_SEQ);
IS_WORD(disruption_marker, VMCLK__MARKER);
IS_WORD(counter_value, VMCLK__COUNTER_VALUE);

/* The words as they are in memory, from what was read of them in one window. */
static void keep_words(struct vmclk_fast *fast, const struct vmclk_snapshot *snap)
{
	fast->magic_size = htole64(VMCLOCK_PAGE_MAGIC | (uint64_t)snap->size << 32);
	fast->version_seq = htole64(snap->version | (uint64_t)snap->counter_id << 16 |
				    (uint64_t)snap->time_type << 24 |
				    (uint64_t)snap->seq_count << 32);
	fast->marker = htole64(snap->disruption_marker);
	fast->counter_value = htole64(snap->counter_value);
}

int vmclk_fast_fill(struct vmclk_fast *fast, struct vmclk_stamp *stamp)
{
	const struct vmclk *clk = fast->clk;
	struct vmclk_snapshot snap;
	int err = vmclk_snapshot(clk, &snap);

	fast->page = NULL;
	if (err)
		return err;
	if (clk->page && is_simple(&snap)) {
		fast->line = simple_line(&snap);
		memset(&fast->base, 0, sizeof(fast->base));
		fill_markers(&fast->base, &snap, 0);
		keep_words(fast, &snap);
		fast->page = (const void *)clk->page;
	}
	return vmclk_stamp_at(&snap, snap.counter, stamp);
}
