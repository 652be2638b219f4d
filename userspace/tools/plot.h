/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a trace to what gnuplot is told.
 */
#ifndef VMCLOCKCTL_PLOT_H
#define VMCLOCKCTL_PLOT_H

#include "trace.h"

/* One look, as it is drawn. */
struct plot_point {
	double sec;		/* since the first look */
	double offset_us;	/* the page's time - CLOCK_REALTIME; NAN: no time */
	double bound_us;
	uint8_t status;
	bool is_update;
	bool is_disrupted;
	bool is_cloned;
};

/**
 * struct plot - the looks of a trace
 * @points: by time
 * @n: how many
 * @room: for how many there is memory
 * @first_ns: CLOCK_MONOTONIC_RAW of the first
 * @base_us: of a monotonic scale: the first offset, which is 0 in the picture
 * @has_base: there is one
 * @last: the last look's page, decoded
 */
struct plot {
	struct plot_point *points;
	size_t n;
	size_t room;
	uint64_t first_ns;
	double base_us;
	bool has_base;
	struct vmclk_snapshot last;
};

/* Return: 0 or -ENOMEM. */
int plot_add(struct plot *plot, const struct trace_look *look, int counter_id);

/* The whole script, data included. */
void plot_script(const struct plot *plot, bool as_png, FILE *f);

void plot_free(struct plot *plot);

#endif /* VMCLOCKCTL_PLOT_H */
