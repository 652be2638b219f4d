// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The time now, and of a counter reading: the hot path, and what it does when
 * it is not that simple.
 */
#include "stamp.h"
#include "window.h"

/* Everything inline: then the copy of the page never is in memory. */
#define HOT __attribute__((flatten))

/* Out of the way, so that the hot path has nothing to save for it. */
static __attribute__((noinline, cold)) int stamp_of_copy(const struct vmclk *clk,
						   const uint64_t *counter,
						   struct vmclk_stamp *stamp)
{
	struct vmclk_snapshot snap;
	int err = vmclk_snapshot(clk, &snap);

	return err ? err : vmclk__stamp_any(&snap, counter ? *counter : snap.counter, stamp);
}

HOT int vmclk_now(const struct vmclk *clk, struct vmclk_stamp *stamp)
{
	struct vmclk_snapshot snap;
	uint64_t counter;

	if (clk->page && glimpse(clk, &counter, &snap) && stamp_simple(&snap, counter, stamp))
		return 0;
	return stamp_of_copy(clk, NULL, stamp);
}

HOT int vmclk_convert(const struct vmclk *clk, uint64_t counter, struct vmclk_stamp *stamp)
{
	struct vmclk_snapshot snap;

	if (clk->page && glimpse(clk, NULL, &snap) && stamp_simple(&snap, counter, stamp))
		return 0;
	return stamp_of_copy(clk, &counter, stamp);
}

HOT int vmclk_now_from(const struct vmclk *clk, struct vmclk_snapshot *snap,
		   struct vmclk_stamp *stamp)
{
	bool unchanged = false;
	uint64_t counter;
	int err = 0;

	/* No copy: and the branch that the counter needs, wherever @snap is from. */
	if (__builtin_expect(snap->seq_count & 1, 0))
		goto refill;
	counter = counter_read_ordered();
	if (clk->page)
		unchanged = is_unchanged(clk, clk->page, counter_dependent(clk->page, counter),
					 snap);
	else
		err = vmclk__file_is_unchanged(clk, snap, &unchanged);
	if (err)
		return err;
	if (unchanged && stamp_simple(snap, counter, stamp))
		return 0;
refill:
	err = vmclk_snapshot(clk, snap);
	return err ? err : vmclk_stamp_at(snap, snap->counter, stamp);
}
