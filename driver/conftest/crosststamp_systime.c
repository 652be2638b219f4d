// SPDX-License-Identifier: GPL-2.0-only
/* 7.2: a cross timestamp says which clock it wants, and tells the counter. */
#include <linux/timekeeping.h>

void conftest(struct system_device_crosststamp *cts);
void conftest(struct system_device_crosststamp *cts)
{
	cts->sys_systime = cts->clock_id == CLOCK_REALTIME ? cts->sys_monoraw : 0;
	cts->sys_counter.cycles = 0;
	cts->sys_counter.cs_id = CSID_GENERIC;
	cts->sys_counter.use_nsecs = false;
}
