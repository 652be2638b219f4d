// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl now: one stamp.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <linux/vmclock-page.h>

#include "common.h"
#include "vmclk-stamp.h"

static void print_time(const char *name, const struct vmclk_time *time,
		       unsigned int time_type, const char *remark)
{
	char text[TIME_TEXT_MAX], seconds[SECONDS_TEXT_MAX];

	printf("%-12s %s  (%s)%s\n", name, format_time(text, time, time_type),
	       format_seconds(seconds, time), remark);
}

/* The numbers of an inserted second are those of the one before: say which. */
static void print_utc(const struct vmclk_stamp *stamp)
{
	struct vmclk_stamp utc;
	int err;

	if (stamp->time_type != VMCLOCK_PAGE_TIME_TAI)
		return;
	err = vmclk_to_utc(stamp, &utc);
	if (err)
		printf("%-12s none: %s\n", "utc", vmclk_strerror(err));
	else
		print_time("utc", &utc.point, VMCLOCK_PAGE_TIME_UTC,
			   utc.valid & VMCLK_STAMP_POINT_IS_60 ? "; in 23:59:60" : "");
}

static void print_times(const struct vmclk_stamp *stamp)
{
	char text[DURATION_TEXT_MAX];

	if (!(stamp->valid & VMCLK_STAMP_TIME)) {
		printf("%-12s none: %s\n", "point", vmclk_reason_str(stamp->reason));
		return;
	}
	print_time("point", &stamp->point, stamp->time_type,
		   stamp->valid & VMCLK_STAMP_POINT_IS_60 ? "; in 23:59:60" : "");
	print_time("earliest", &stamp->earliest, stamp->time_type, "");
	print_time("latest", &stamp->latest, stamp->time_type, "");
	printf("%-12s %s\n", "width", format_duration(text, stamp_width(stamp)));
	print_utc(stamp);
}

static void print_stamp(const struct vmclk_stamp *stamp)
{
	print_times(stamp);
	printf("%-12s %s\n", "scale", vmclk_scale_str(stamp->time_type));
	printf("%-12s %s\n", "status", vmclk_status_str(stamp->clock_status));
	printf("%-12s 0x%" PRIx64 "\n", "marker", stamp->disruption_marker);
	if (stamp->valid & VMCLK_STAMP_GENERATION)
		printf("%-12s 0x%" PRIx64 "\n", "generation",
		       stamp->vm_generation_counter);
	printf("%-12s %" PRIu64 "\n", "counter", stamp->counter);
}

int cmd_now(const struct options *opt)
{
	struct vmclk_stamp stamp;
	struct vmclk *clk;
	int err, status = page_open(opt->path, &clk);

	if (status)
		return status;

	err = vmclk_now(clk, &stamp);
	if (err && vmclk_errno(err) != ENODATA) {
		status = page_error(clk, err);
	} else {
		if (opt->json)
			stamp_json(&stamp, 0);
		else
			print_stamp(&stamp);
		if (err) {
			const char *advice = reason_advice(stamp.reason);

			status = EXIT_UNUSABLE;
			complain(vmclk_path(clk), "no time: %s%s%s",
				 vmclk_reason_str(stamp.reason),
				 advice ? ": " : "", advice ? advice : "");
		}
	}

	vmclk_close(clk);
	return status;
}
