/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmclockctl watch on a terminal: one screen, drawn again with each look.
 */
#ifndef VMCLOCKCTL_WATCH_VIEW_H
#define VMCLOCKCTL_WATCH_VIEW_H

#include "common.h"

#define VIEW_EVENTS	64
#define VIEW_HISTORY	512

/**
 * struct watch_view - what the screen shows
 * @path: the page
 * @has_color: colours are wanted
 * @event: the last events, a ring
 * @events: how many there were
 * @bound_ns: half widths of the last looks, a ring
 * @looks: how many there were
 */
struct watch_view {
	const char *path;
	bool has_color;
	char event[VIEW_EVENTS][128];
	uint64_t events;
	uint64_t bound_ns[VIEW_HISTORY];
	uint64_t looks;
};

/**
 * struct watch_look - one look
 * @snap: the page
 * @stamp: made of it
 * @realtime_ns: CLOCK_REALTIME meanwhile, +/- @realtime_error_ns
 */
struct watch_look {
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	int64_t realtime_ns;
	int64_t realtime_error_ns;
};

/* Is the standard output a terminal that can show it? */
bool watch_view_is_possible(void);

/* SIGWINCH interrupts pace_sleep() from here on, and nothing else. */
void watch_view_start(struct watch_view *v, const char *path);

/* Something to be listed, with the present time. */
void watch_view_note(struct watch_view *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * watch_view_show() - take in a look, and draw
 * @v: the view
 * @look: the look
 * @before: the one before, or NULL
 * @changed: CHANGED_* between the two
 */
void watch_view_show(struct watch_view *v, const struct watch_look *look,
		     const struct watch_look *before, unsigned int changed);

#endif /* VMCLOCKCTL_WATCH_VIEW_H */
