// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Names of values. A value from a page is looked up, never trusted as an index.
 */
#include <stddef.h>

#include <linux/vmclock-page.h>

#include "vmclk.h"

#define LOOK_UP(table, value) look_up(table, sizeof(table) / sizeof((table)[0]), value)

static const char *look_up(const char *const *table, size_t n, unsigned int value)
{
	if (value < n && table[value])
		return table[value];
	return "invalid";
}

const char *vmclk_status_str(unsigned int clock_status)
{
	static const char *const names[] = {
		[VMCLOCK_PAGE_STATUS_UNKNOWN] = "unknown",
		[VMCLOCK_PAGE_STATUS_INITIALIZING] = "initializing",
		[VMCLOCK_PAGE_STATUS_SYNCHRONIZED] = "synchronized",
		[VMCLOCK_PAGE_STATUS_FREERUNNING] = "freerunning",
		[VMCLOCK_PAGE_STATUS_UNRELIABLE] = "unreliable",
	};

	return LOOK_UP(names, clock_status);
}

const char *vmclk_scale_str(unsigned int time_type)
{
	static const char *const names[] = {
		[VMCLOCK_PAGE_TIME_UTC] = "UTC",
		[VMCLOCK_PAGE_TIME_TAI] = "TAI",
		[VMCLOCK_PAGE_TIME_MONOTONIC] = "monotonic",
	};

	return LOOK_UP(names, time_type);
}

const char *vmclk_counter_str(unsigned int counter_id)
{
	static const char *const names[] = {
		[VMCLOCK_PAGE_COUNTER_ARM_VCT] = "arm virtual count",
		[VMCLOCK_PAGE_COUNTER_X86_TSC] = "x86 TSC",
	};

	if (counter_id == VMCLOCK_PAGE_COUNTER_NONE)
		return "none";
	return LOOK_UP(names, counter_id);
}

const char *vmclk_leap_str(unsigned int leap_indicator)
{
	static const char *const names[] = {
		[VMCLOCK_PAGE_LEAP_NONE] = "none",
		[VMCLOCK_PAGE_LEAP_PRE_POS] = "inserted at end of month",
		[VMCLOCK_PAGE_LEAP_PRE_NEG] = "removed at end of month",
		[VMCLOCK_PAGE_LEAP_POS] = "now",
		[VMCLOCK_PAGE_LEAP_POST_POS] = "inserted at end of last month",
		[VMCLOCK_PAGE_LEAP_POST_NEG] = "removed at end of last month",
	};

	return LOOK_UP(names, leap_indicator);
}

const char *vmclk_smear_str(unsigned int smear_hint)
{
	static const char *const names[] = {
		[VMCLOCK_PAGE_SMEAR_STRICT] = "strict",
		[VMCLOCK_PAGE_SMEAR_NOON_LINEAR] = "noon linear",
		[VMCLOCK_PAGE_SMEAR_UTC_SLS] = "UTC-SLS",
	};

	return LOOK_UP(names, smear_hint);
}

const char *vmclk_reason_str(unsigned int reason)
{
	static const char *const names[] = {
		[VMCLK_OK] = "ok",
		[VMCLK_NO_COUNTER] = "the page offers no time, only its markers",
		[VMCLK_WRONG_COUNTER] = "the page's counter is not one this machine can trust",
		[VMCLK_BAD_SCALE] = "the page's time scale is not valid",
		[VMCLK_BAD_STATUS] = "the clock's status does not vouch for its time",
		[VMCLK_BAD_PERIOD] = "the length of a tick is not valid",
		[VMCLK_NO_BOUND] = "the worst-case error is not known",
		[VMCLK_OUT_OF_RANGE] = "the time or its bound is out of range",
		[VMCLK_LEAP_SECOND] = "whether a leap second lies between the page's reference point and now can't be told",
		[VMCLK_BOOT_UNKNOWN] = "the page is a file on a disk and may be from before a reboot",
		[VMCLK_FIELDS_ABSENT] = "the page is too short to hold a time",
	};

	return LOOK_UP(names, reason);
}
