// SPDX-License-Identifier: GPL-2.0-only
/* 7.2: ktime_get_snapshot_id() replaces ktime_get_snapshot(). */
#include <linux/timekeeping.h>

void conftest(struct system_time_snapshot *snap);
void conftest(struct system_time_snapshot *snap)
{
	ktime_get_snapshot_id(CLOCK_REALTIME, snap);
	snap->systime = snap->valid ? snap->monoraw : 0;
	snap->cycles = snap->hw_csid ? snap->hw_cycles : 0;
}
