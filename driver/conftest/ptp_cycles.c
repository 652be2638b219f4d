// SPDX-License-Identifier: GPL-2.0-only
/* 5.19: a PTP clock may have a free-running counter of its own. */
#include <linux/ptp_clock_kernel.h>

void conftest(struct ptp_clock_info *info);
void conftest(struct ptp_clock_info *info)
{
	info->getcyclesx64 = NULL;
}
