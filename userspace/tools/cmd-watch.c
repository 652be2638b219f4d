// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl watch: a stamp per second, or per update, and what changed. On a
 * terminal one screen, elsewhere a line for each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common.h"
#include "pace.h"
#include "watch-view.h"

#define NSEC_PER_SEC	1000000000L

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

static int64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static int look(const struct vmclk *clk, struct watch_look *look)
{
	int64_t before = realtime_ns(), after;
	int err = vmclk_snapshot(clk, &look->snap);

	after = realtime_ns();
	look->realtime_error_ns = (after - before + 1) / 2;
	look->realtime_ns = before + (after - before) / 2;
	return err;
}

/**
 * struct watcher - a page that is being watched
 * @clk: the page
 * @opt: how
 * @view: the screen, or NULL for lines
 * @due_ns: when to look next, of CLOCK_MONOTONIC
 * @seq: sequence number of the last look; odd, as no look has it, before that
 * @is_stuck: an update that does not end was reported
 */
struct watcher {
	const struct vmclk *clk;
	const struct options *opt;
	struct watch_view *view;
	uint64_t due_ns;
	uint32_t seq;
	bool is_stuck;
};

/* A stuck update is reported and waited out: it may end. */
static void report_stuck(struct watcher *w)
{
	if (w->is_stuck)
		return;
	w->is_stuck = true;
	if (w->view)
		watch_view_note(w->view, "%s", vmclk_strerror(-VMCLK_EBUSY));
	else
		page_error(w->clk, -VMCLK_EBUSY);
}

/* A terminal of another size is a reason to look, too. */
static int next_look(struct watcher *w, struct watch_look *next)
{
	for (;;) {
		bool is_resized = !pace_sleep(w->due_ns);
		int err;

		if (!is_resized)
			w->due_ns = pace_next(w->due_ns, w->opt->updates ? PACE_LOOK_NS :
					      w->opt->interval_ns);
		err = look(w->clk, next);
		if (err == -VMCLK_EBUSY) {
			report_stuck(w);
		} else if (err) {
			return err;
		} else if (!w->opt->updates || is_resized || next->snap.seq_count != w->seq) {
			w->seq = next->snap.seq_count;
			w->is_stuck = false;
			return 0;
		}
	}
}

static void show(struct watcher *w, const struct watch_look *now,
		 const struct watch_look *before)
{
	unsigned int changed = before ? compare(&before->stamp, &now->stamp) : 0;

	if (w->view)
		watch_view_show(w->view, now, before, changed);
	else if (w->opt->json)
		stamp_json(&now->stamp, changed);
	else
		print_line(&now->stamp, changed);
}

static int watch(struct watcher *w)
{
	struct watch_look now, before;
	int status = EXIT_OK;

	w->due_ns = pace_now_ns();
	for (uint64_t n = 0; !w->opt->count || n < w->opt->count; n++) {
		int err = next_look(w, &now);

		if (err)
			return page_error(w->clk, err);
		if (vmclk_stamp_at(&now.snap, now.snap.counter, &now.stamp))
			status = EXIT_UNUSABLE;
		show(w, &now, n ? &before : NULL);
		if (fflush(stdout))
			return EXIT_SYSTEM;	/* main() says why */
		before = now;
	}
	return status;
}

int cmd_watch(const struct options *opt)
{
	struct watcher w = { .opt = opt, .seq = 1 };
	static struct watch_view view;
	struct vmclk *clk;
	int status = page_open(opt->path, &clk);

	if (status)
		return status;
	w.clk = clk;
	if (!opt->json && watch_view_is_possible()) {
		w.view = &view;
		watch_view_start(&view, vmclk_path(clk));
	}
	status = watch(&w);
	if (w.view)
		putchar('\n');
	vmclk_close(clk);
	return status;
}
