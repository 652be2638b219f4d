// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page as a PTP clock, for the programs that know those.
 *
 * A time is told exactly when SNAPSHOT would tell one, and it can be had on the
 * clock's scale: ENODATA otherwise, never a guess. The PTP interface has no room
 * for the error bound.
 *
 * The clock is there whenever this kernel can use the counter, also if the page
 * offers no time now: its writer may come later.
 *
 * Lifetime: every operation takes the page through vmclock_line_take(), so under
 * SRCU, and finds out there that the device is gone. ptp_clock_unregister()
 * waits for the operations under way, and none begins after it, however long
 * the clock's own files stay open. They hold neither device nor module.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/string.h>

#include "vmclock.h"

static char *ptp_timescale = VMCLOCK_PTP_TIMESCALE_DEFAULT;
module_param(ptp_timescale, charp, 0444);
MODULE_PARM_DESC(ptp_timescale, "scale of the PTP clock, tai or utc (default "
		 VMCLOCK_PTP_TIMESCALE_DEFAULT ", as the kernel's own driver)");

static u8 scale;	/* VMCLOCK_PAGE_TIME_TAI or _UTC */

static int read_time(struct ptp_clock_info *info, struct vmclock_clocks *clocks,
		     struct timespec64 *ts)
{
	struct vmclock_device *vd = container_of(info, struct vmclock_device, ptp_info);
	struct vmclock_line_time time;
	struct vmclock_page page;
	int size = vmclock_line_take(vd, &page, clocks, false);

	if (size < 0)
		return size;
	if (!vmclock_line_has_counter(&page, clocks) ||
	    !vmclock_line_time(&page, size, clocks->counter, &time) ||
	    !vmclock_line_to_scale(&page, &time, scale) || time.sec >= KTIME_SEC_MAX)
		return -ENODATA;

	ts->tv_sec = time.sec;
	ts->tv_nsec = time.nsec;
	return 0;
}

static int ptp_gettimex64(struct ptp_clock_info *info, struct timespec64 *ts,
			  struct ptp_system_timestamp *stamps)
{
	struct vmclock_clocks clocks = { .counter_only = true, .stamps = stamps };

	return read_time(info, &clocks, ts);
}

/* Both times belong to one counter value, or there is no answer. */
static int ptp_getcrosststamp(struct ptp_clock_info *info,
			      struct system_device_crosststamp *cts)
{
	struct vmclock_clocks clocks = { };
	struct timespec64 ts;
	int err = read_time(info, &clocks, &ts);

	if (err)
		return err;
	if (!clocks.correlated ||
	    !vmclock_crosststamp_set(cts, timespec64_to_ktime(ts), clocks.counter,
				     ns_to_ktime(clocks.before.realtime_ns),
				     ns_to_ktime(clocks.before.monotonic_raw_ns)))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Without this the kernel would take our time for a free-running counter, and
 * make virtual clocks of it: those take a refused reading for zero.
 */
static int ptp_getcyclesx64(struct ptp_clock_info *info, struct timespec64 *ts,
			    struct ptp_system_timestamp *stamps)
{
	return -EOPNOTSUPP;
}

/* The clock is the hypervisor's: nothing can be set. The class wants these. */
static int ptp_adjfine(struct ptp_clock_info *info, long scaled_ppm)
{
	return -EOPNOTSUPP;
}

static int ptp_adjtime(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int ptp_settime64(struct ptp_clock_info *info, const struct timespec64 *ts)
{
	return -EOPNOTSUPP;
}

static int ptp_enable(struct ptp_clock_info *info, struct ptp_clock_request *request,
		      int on)
{
	return -EOPNOTSUPP;
}

static const struct ptp_clock_info operations = {
	.owner = THIS_MODULE,
	.gettimex64 = ptp_gettimex64,
	.getcrosststamp = ptp_getcrosststamp,
	.adjfine = ptp_adjfine,
	.adjtime = ptp_adjtime,
	.settime64 = ptp_settime64,
	.enable = ptp_enable,
};

/**
 * vmclock_ptp_init() - understand the module's parameter
 *
 * Return: 0 or -EINVAL.
 */
int vmclock_ptp_init(void)
{
	if (!strcmp(ptp_timescale, "tai")) {
		scale = VMCLOCK_PAGE_TIME_TAI;
	} else if (!strcmp(ptp_timescale, "utc")) {
		scale = VMCLOCK_PAGE_TIME_UTC;
	} else {
		pr_err("ptp_timescale is neither tai nor utc\n");
		return -EINVAL;
	}
	return 0;
}

/**
 * vmclock_ptp_timescale() - VMCLOCK_PTP_* of a device
 * @vd: the device
 */
u8 vmclock_ptp_timescale(const struct vmclock_device *vd)
{
	if (vd->ptp_index < 0)
		return VMCLOCK_PTP_NONE;
	return scale == VMCLOCK_PAGE_TIME_TAI ? VMCLOCK_PTP_TAI : VMCLOCK_PTP_UTC;
}

/**
 * vmclock_ptp_add() - make a PTP clock, where there can be one
 * @vd: the device, its page mapped
 * @dev: what it is bound to
 *
 * A device without its PTP clock is still of use: no error.
 *
 * Context: probe.
 */
void vmclock_ptp_add(struct vmclock_device *vd, struct device *dev)
{
	struct ptp_clock *ptp;

	vd->ptp_index = -1;
	if (!vmclock_counter_usable())
		return;

	vd->ptp_info = operations;
	vmclock_ptp_set_cycles(&vd->ptp_info, ptp_getcyclesx64);
	snprintf(vd->ptp_info.name, sizeof(vd->ptp_info.name), "vmclock %s",
		 scale == VMCLOCK_PAGE_TIME_TAI ? "TAI" : "UTC");

	/* NULL: this kernel has no PTP clocks. */
	ptp = ptp_clock_register(&vd->ptp_info, dev);
	if (IS_ERR(ptp))
		dev_warn(dev, "no PTP clock: error %ld\n", PTR_ERR(ptp));
	if (IS_ERR_OR_NULL(ptp))
		return;
	vd->ptp = ptp;
	vd->ptp_index = ptp_clock_index(ptp);
}

/**
 * vmclock_ptp_remove() - take the PTP clock away
 * @vd: the device. If it is gone already, nobody waits for the page any more.
 *
 * No operation runs when this returns, and none will.
 */
void vmclock_ptp_remove(struct vmclock_device *vd)
{
	if (vd->ptp)
		ptp_clock_unregister(vd->ptp);
}
