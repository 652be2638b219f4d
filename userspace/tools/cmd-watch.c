// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl watch: a stamp per second, or per update, and what changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common.h"

#define NSEC_PER_SEC	1000000000L
#define LOOK_NS		1000000L	/* --updates: look this often */

static unsigned int compare(const struct vmclk_stamp *old, const struct vmclk_stamp *new)
{
	unsigned int changed = 0;

	if (old->disruption_marker != new->disruption_marker)
		changed |= CHANGED_MARKER;
	if (old->vm_generation_counter != new->vm_generation_counter ||
	    (old->valid ^ new->valid) & VMCLK_STAMP_GENERATION)
		changed |= CHANGED_GENERATION;
	if (old->clock_status != new->clock_status)
		changed |= CHANGED_STATUS;
	if (old->reason != new->reason)
		changed |= CHANGED_REASON;
	if (old->time_type != new->time_type)
		changed |= CHANGED_SCALE;
	if (old->tai_offset_sec != new->tai_offset_sec ||
	    (old->valid ^ new->valid) & VMCLK_STAMP_TAI_OFFSET)
		changed |= CHANGED_TAI_OFFSET;
	return changed;
}

static void print_line(const struct vmclk_stamp *stamp, unsigned int changed)
{
	char when[TIME_TEXT_MAX], half[DURATION_TEXT_MAX];

	if (stamp->valid & VMCLK_STAMP_TIME)
		printf("%s +/- %s", format_time(when, &stamp->point, stamp->time_type),
		       format_duration(half, stamp_width(stamp) / 2));
	else
		printf("no time (%s)", vmclk_reason_str(stamp->reason));
	printf("  %s  marker 0x%" PRIx64, vmclk_status_str(stamp->clock_status),
	       stamp->disruption_marker);
	if (stamp->valid & VMCLK_STAMP_GENERATION)
		printf("  generation 0x%" PRIx64, stamp->vm_generation_counter);
	if (changed) {
		printf("  changed: ");
		changed_print(changed, "", "");
	}
	putchar('\n');
}

static void add_ns(struct timespec *t, uint64_t ns)
{
	t->tv_sec += ns / NSEC_PER_SEC;
	t->tv_nsec += ns % NSEC_PER_SEC;
	if (t->tv_nsec >= NSEC_PER_SEC) {
		t->tv_nsec -= NSEC_PER_SEC;
		t->tv_sec++;
	}
}

/* A stuck update is reported and waited out: it may end. */
static int next_snapshot(const struct vmclk *clk, const struct options *opt,
			 struct timespec *due, uint32_t *seq,
			 struct vmclk_snapshot *snap)
{
	bool reported = false;

	for (;;) {
		int err;

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
		add_ns(due, opt->updates ? LOOK_NS : opt->interval_ns);
		err = vmclk_snapshot(clk, snap);
		if (err == -VMCLK_EBUSY) {
			if (!reported)
				page_error(clk, err);
			reported = true;
		} else if (err) {
			return err;
		} else if (!opt->updates || snap->seq_count != *seq) {
			*seq = snap->seq_count;
			return 0;
		}
	}
}

static int watch(const struct vmclk *clk, const struct options *opt)
{
	uint32_t seq = 1;		/* no snapshot has an odd one */
	struct vmclk_stamp stamp, before;
	struct vmclk_snapshot snap;
	struct timespec due;
	int status = EXIT_OK;

	clock_gettime(CLOCK_MONOTONIC, &due);
	for (uint64_t n = 0; !opt->count || n < opt->count; n++) {
		unsigned int changed;
		int err = next_snapshot(clk, opt, &due, &seq, &snap);

		if (err)
			return page_error(clk, err);
		if (vmclk_stamp_at(&snap, snap.counter, &stamp))
			status = EXIT_UNUSABLE;
		changed = n ? compare(&before, &stamp) : 0;
		if (opt->json)
			stamp_json(&stamp, changed);
		else
			print_line(&stamp, changed);
		if (fflush(stdout))
			return EXIT_SYSTEM;	/* main() says why */
		before = stamp;
	}
	return status;
}

int cmd_watch(const struct options *opt)
{
	struct vmclk *clk;
	int status = page_open(opt->path, &clk);

	if (status)
		return status;
	status = watch(clk, opt);
	vmclk_close(clk);
	return status;
}
