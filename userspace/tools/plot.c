// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "plot.h"
#include "vmclk-stamp.h"

#define NSEC_PER_SEC	1000000000LL
#define STATUS_SHOWN	5	/* what has no meaning is drawn above the known ones */

/* Nanoseconds from @ns to @time: what is far apart may be rounded. */
static double ahead_ns(const struct vmclk_time *time, int64_t ns)
{
	return (double)(time->sec - ns / NSEC_PER_SEC) * NSEC_PER_SEC +
	       ((int64_t)time->nsec - ns % NSEC_PER_SEC);
}

/* Against the middle of the two readings of CLOCK_REALTIME. */
static void put_time(struct plot *plot, const struct trace_look *look,
		     const struct vmclk_snapshot *snap, struct plot_point *p)
{
	int64_t middle = look->realtime_ns + (look->realtime_after_ns - look->realtime_ns) / 2;
	struct vmclk_stamp stamp;

	p->offset_us = NAN;
	p->bound_us = NAN;
	if (vmclk_stamp_at(snap, look->counter, &stamp))
		return;
	if (stamp.time_type != VMCLOCK_PAGE_TIME_MONOTONIC && vmclk_to_utc(&stamp, &stamp))
		return;
	p->bound_us = stamp_width(&stamp) / 2e3;
	p->offset_us = ahead_ns(&stamp.point, middle) / 1e3;
	if (stamp.time_type != VMCLOCK_PAGE_TIME_MONOTONIC)
		return;
	if (!plot->has_base)
		plot->base_us = p->offset_us;
	plot->has_base = true;
	p->offset_us -= plot->base_us;
}

static int make_room(struct plot *plot)
{
	size_t room = plot->room ? 2 * plot->room : 1024;
	struct plot_point *points;

	if (plot->n < plot->room)
		return 0;
	points = reallocarray(plot->points, room, sizeof(*points));
	if (!points)
		return -ENOMEM;
	plot->points = points;
	plot->room = room;
	return 0;
}

int plot_add(struct plot *plot, const struct trace_look *look, int counter_id)
{
	struct vmclk_snapshot snap, *last = &plot->last;
	struct plot_point *p;
	int err = make_room(plot);

	if (err)
		return err;
	trace_decode(look, counter_id, &snap);
	if (!plot->n) {
		plot->first_ns = look->raw_ns;
		*last = snap;
	}
	p = &plot->points[plot->n++];
	p->sec = (double)(look->raw_ns - plot->first_ns) / NSEC_PER_SEC;
	p->status = snap.clock_status < STATUS_SHOWN ? snap.clock_status : STATUS_SHOWN;
	p->is_update = snap.seq_count != last->seq_count;
	p->is_disrupted = snap.disruption_marker != last->disruption_marker;
	p->is_cloned = snap.vm_generation_counter != last->vm_generation_counter;
	if (snap.seq_count & 1) {
		p->offset_us = NAN;
		p->bound_us = NAN;
	} else {
		put_time(plot, look, &snap, p);
	}
	*last = snap;
	return 0;
}

static void write_number(FILE *f, double value)
{
	if (isfinite(value))
		fprintf(f, " %.6f", value);
	else
		fputs(" NaN", f);
}

static void write_data(const struct plot *plot, FILE *f)
{
	fputs("$looks << END\n", f);
	for (size_t i = 0; i < plot->n; i++) {
		const struct plot_point *p = &plot->points[i];

		fprintf(f, "%.9f", p->sec);
		write_number(f, p->offset_us);
		write_number(f, p->bound_us);
		fprintf(f, " %u %s\n", p->status, p->is_update ? "0" : "NaN");
	}
	fputs("END\n", f);
}

/* Through all panels, where the clock or the machine began anew. */
static void write_breaks(const struct plot *plot, FILE *f)
{
	for (size_t i = 0; i < plot->n; i++) {
		const struct plot_point *p = &plot->points[i];

		if (p->is_disrupted || p->is_cloned)
			fprintf(f, "set arrow from first %.9f, graph 0 to first %.9f, graph 1 nohead lc rgb '%s' dt 2\n",
				p->sec, p->sec, p->is_cloned ? "#9467bd" : "#d62728");
	}
}

static const char layout[] =
	"set multiplot layout 3,1 title 'VMClock page'\n"
	"set lmargin 14\n"
	"set rmargin 4\n"
	"set grid\n"
	"set key outside top center horizontal\n";

static const char time_panels[] =
	"set ylabel 'page - CLOCK_REALTIME (us)'\n"
	"plot $looks using 1:($2-$3):($2+$3) with filledcurves lc rgb '#c6dbef' title 'within the bound', \\\n"
	"'' using 1:2 with linespoints pt 7 ps 0.3 lc rgb '#08519c' title 'offset'\n"
	"set ylabel 'bound (us)'\n"
	"set logscale y\n"
	"plot $looks using 1:3 with linespoints pt 7 ps 0.3 lc rgb '#e6550d' title 'worst-case error'\n"
	"unset logscale y\n";

/* gnuplot complains of data without a valid point. */
static const char empty_panels[] =
	"set label 'no time' at graph 0.45, graph 0.5\n"
	"set yrange [0:1]\n"
	"plot -1 notitle\n"
	"plot -1 notitle\n"
	"unset label\n";

static const char status_panel[] =
	"set ylabel 'status'\n"
	"set xlabel 'seconds since the first look (red: disrupted, violet: restored or cloned)'\n"
	"set yrange [-0.7:5.5]\n"
	"set ytics ('unknown' 0, 'initializing' 1, 'synchronized' 2, 'freerunning' 3, 'unreliable' 4, 'invalid' 5)\n"
	"plot $looks using 1:4 with steps lw 2 lc rgb '#31a354' title 'status'";

static const char updates[] =
	", '' using 1:($5-0.4) with points pt 2 ps 0.4 lc rgb '#636363' title 'updates'";

void plot_script(const struct plot *plot, bool as_png, FILE *f)
{
	double end = plot->points[plot->n - 1].sec;
	bool has_time = false, has_updates = false;

	for (size_t i = 0; i < plot->n; i++) {
		has_time |= isfinite(plot->points[i].offset_us);
		has_updates |= plot->points[i].is_update;
	}
	fputs(as_png ? "set terminal pngcairo size 1000,800 noenhanced\n" :
	      "set terminal svg size 1000,800 dynamic noenhanced background rgb 'white'\n", f);
	write_data(plot, f);
	write_breaks(plot, f);
	fprintf(f, "set xrange [0:%.9f]\n", end > 0 ? end : 1);
	fputs(layout, f);
	fputs(has_time ? time_panels : empty_panels, f);
	fputs(status_panel, f);
	fputs(has_updates ? updates : "", f);
	fputs("\nunset multiplot\nset output\n", f);
}

void plot_free(struct plot *plot)
{
	free(plot->points);
}
