// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plain ANSI: home, erase to the end of the line, erase below, eight colours. The
 * terminal's modes stay as they are, so whatever ends the program leaves a terminal
 * that works, with the last screen on it.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "vmclk-stamp.h"
#include "vmclock_math.h"
#include "watch-view.h"

#define LINE_MAX_CHARS	512
#define NSEC_PER_SEC	1000000000LL
#define NO_BOUND	UINT64_MAX

enum color { PLAIN, RED = 31, GREEN = 32, YELLOW = 33 };

/**
 * struct screen - what is left of the terminal
 * @width: columns
 * @rows: lines that may still be written
 * @has_color: colours are wanted
 */
struct screen {
	int width;
	int rows;
	bool has_color;
};

bool watch_view_is_possible(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

static void on_resize(int sig)
{
	(void)sig;
}

/* Only sleeps see a new size: it neither breaks off a write nor gets lost there. */
static void heed_resizes(void)
{
	struct sigaction action = { .sa_handler = on_resize };
	sigset_t resizes;

	sigemptyset(&resizes);
	sigaddset(&resizes, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resizes, NULL);
	sigemptyset(&action.sa_mask);
	sigaction(SIGWINCH, &action, NULL);
}

void watch_view_start(struct watch_view *v, const char *path)
{
	const char *no_color = getenv("NO_COLOR");

	*v = (struct watch_view){ .path = path, .has_color = !no_color || !*no_color };
	heed_resizes();
	fputs("\033[2J", stdout);
}

static struct screen measure(const struct watch_view *v)
{
	struct screen s = { 80, 24, v->has_color };
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		s.width = size.ws_col;
		s.rows = size.ws_row;
	}
	/* The last column makes some terminals begin a new line. */
	s.width = s.width > LINE_MAX_CHARS ? LINE_MAX_CHARS - 1 : s.width - 1;
	return s;
}

/* One line, cut at the terminal's edge. */
__attribute__((format(printf, 3, 4)))
static void put(struct screen *s, enum color ansi, const char *fmt, ...)
{
	char line[LINE_MAX_CHARS];
	va_list args;

	if (s->rows <= 0)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (s->has_color && ansi)
		printf("\033[%dm", ansi);
	printf("%.*s%s\033[K", s->width, line, s->has_color && ansi ? "\033[0m" : "");
	/* The cursor stays in the last line, so that nothing scrolls. */
	if (--s->rows)
		putchar('\n');
}

void watch_view_note(struct watch_view *v, const char *fmt, ...)
{
	char *text = v->event[v->events++ % VIEW_EVENTS];
	size_t room = sizeof(v->event[0]), len;
	time_t now = time(NULL);
	va_list args;
	struct tm tm;

	gmtime_r(&now, &tm);
	len = strftime(text, room, "%H:%M:%S  ", &tm);
	va_start(args, fmt);
	vsnprintf(text + len, room - len, fmt, args);
	va_end(args);
}

static void note_changes(struct watch_view *v, const struct vmclk_stamp *old,
			 const struct vmclk_stamp *new, unsigned int changed)
{
	if (changed & CHANGED_MARKER)
		watch_view_note(v, "disrupted: marker 0x%" PRIx64 " -> 0x%" PRIx64,
				old->disruption_marker, new->disruption_marker);
	if (changed & CHANGED_GENERATION)
		watch_view_note(v, "restored or cloned: generation 0x%" PRIx64 " -> 0x%" PRIx64,
				old->vm_generation_counter, new->vm_generation_counter);
	if (changed & CHANGED_STATUS)
		watch_view_note(v, "status %s -> %s", vmclk_status_str(old->clock_status),
				vmclk_status_str(new->clock_status));
	if (changed & CHANGED_REASON)
		watch_view_note(v, "%s", new->reason ? vmclk_reason_str(new->reason) :
				"there is time again");
	if (changed & CHANGED_SCALE)
		watch_view_note(v, "scale %s -> %s", vmclk_scale_str(old->time_type),
				vmclk_scale_str(new->time_type));
	if (changed & CHANGED_TAI_OFFSET)
		watch_view_note(v, "UTC - TAI %d -> %d", old->tai_offset_sec,
				new->tai_offset_sec);
}

static enum color status_color(const struct vmclk_stamp *stamp)
{
	if (!(stamp->valid & VMCLK_STAMP_TIME))
		return RED;
	return stamp->clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ? GREEN : YELLOW;
}

/* How far the page's time is from the kernel's. */
static void put_offset(struct screen *s, const struct watch_look *look)
{
	struct vmclk_stamp utc;
	char by[DURATION_TEXT_MAX], error[DURATION_TEXT_MAX];
	double ns;

	if (look->stamp.time_type == VMCLOCK_PAGE_TIME_MONOTONIC ||
	    vmclk_to_utc(&look->stamp, &utc)) {
		put(s, PLAIN, "offset      unknown");
		return;
	}
	ns = (double)(utc.point.sec - look->realtime_ns / NSEC_PER_SEC) * NSEC_PER_SEC +
	     ((int64_t)utc.point.nsec - look->realtime_ns % NSEC_PER_SEC);
	put(s, PLAIN, "offset      %s%s from CLOCK_REALTIME, read within %s",
	    ns < 0 ? "-" : "+", format_duration(by, ns < 0 ? -ns : ns),
	    format_duration(error, look->realtime_error_ns));
}

/* log2(n + 1) in 1/256, near enough for a picture. */
static unsigned int rough_log(uint64_t n)
{
	unsigned int top = 63 - __builtin_clzll(n + 1);

	return top * 256 + (((n + 1) << (63 - top) & INT64_MAX) >> 55);
}

/* The last bounds, from the least (.) to the largest (#), by their logarithms. */
static void put_history(struct screen *s, const struct watch_view *v)
{
	static const char level[] = ".:-=+*%#";
	char text[VIEW_HISTORY + 1], low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX];
	uint64_t n = s->width > 48 ? s->width - 48 : 0, i, min = NO_BOUND, max = 0;

	n = n > VIEW_HISTORY ? VIEW_HISTORY : n;
	n = n > v->looks ? v->looks : n;
	for (i = v->looks - n; i < v->looks; i++) {
		uint64_t ns = v->bound_ns[i % VIEW_HISTORY];

		min = ns < min ? ns : min;
		max = ns != NO_BOUND && ns > max ? ns : max;
	}
	for (i = 0; i < n; i++) {
		uint64_t ns = v->bound_ns[(v->looks - n + i) % VIEW_HISTORY];

		text[i] = ns == NO_BOUND ? '!' :
			  level[8 * (rough_log(ns) - rough_log(min)) /
				(rough_log(max) - rough_log(min) + 1)];
	}
	text[n] = '\0';
	if (min == NO_BOUND)
		put(s, PLAIN, "bounds      %s", text);
	else
		put(s, PLAIN, "bounds      %s  %s to %s", text, format_duration(low, min),
		    format_duration(high, max));
}

/* How long ago the page was written, or what it says re-based. */
static void put_age(struct screen *s, const struct vmclk_snapshot *snap)
{
	char text[DURATION_TEXT_MAX];
	_Bool before;
	uint64_t ticks = vmclock_math_distance(snap->counter, snap->counter_value, &before);
	uint64_t ns = vmclock_math_duration_ns(
		vmclock_math_mul_shift_up(ticks, snap->counter_period_frac_sec,
					  snap->counter_period_shift));

	put(s, PLAIN, "age         %s%s since the reference point", before ? "-" : "",
	    format_duration(text, ns));
}

static void put_time(struct screen *s, const struct watch_look *look)
{
	const struct vmclk_stamp *stamp = &look->stamp;
	char when[TIME_TEXT_MAX], half[DURATION_TEXT_MAX];

	put(s, status_color(stamp), "status      %s%s%s",
	    vmclk_status_str(stamp->clock_status), stamp->reason ? ": " : "",
	    stamp->reason ? vmclk_reason_str(stamp->reason) : "");
	if (!(stamp->valid & VMCLK_STAMP_TIME)) {
		put(s, PLAIN, "time        -");
		put(s, PLAIN, "bound       -");
		put(s, PLAIN, "offset      -");
		put(s, PLAIN, "age         -");
		return;
	}
	put(s, PLAIN, "time        %s", format_time(when, &stamp->point, stamp->time_type));
	put(s, PLAIN, "bound       +/- %s", format_duration(half, stamp_width(stamp) / 2));
	put_offset(s, look);
	put_age(s, &look->snap);
}

static uint64_t half_width(const struct vmclk_stamp *stamp)
{
	long double half = stamp_width(stamp) / 2;

	return half < 1e18L ? half : 1e18L;
}

static void put_events(struct screen *s, const struct watch_view *v)
{
	uint64_t n = v->events < VIEW_EVENTS ? v->events : VIEW_EVENTS;

	put(s, PLAIN, " ");
	put(s, PLAIN, v->events ? "events (UTC), the latest first" : "no events yet");
	for (uint64_t i = 1; i <= n; i++)
		put(s, PLAIN, "  %s", v->event[(v->events - i) % VIEW_EVENTS]);
}

void watch_view_show(struct watch_view *v, const struct watch_look *look,
		     const struct watch_look *before, unsigned int changed)
{
	const struct vmclk_stamp *stamp = &look->stamp;
	bool has_time = stamp->valid & VMCLK_STAMP_TIME;
	struct screen s = measure(v);

	if (before)
		note_changes(v, &before->stamp, stamp, changed);
	v->bound_ns[v->looks++ % VIEW_HISTORY] = has_time ? half_width(stamp) : NO_BOUND;
	fputs("\033[H", stdout);
	put(&s, PLAIN, "%s", v->path);
	put_time(&s, look);
	put(&s, PLAIN, "marker      0x%" PRIx64, stamp->disruption_marker);
	if (stamp->valid & VMCLK_STAMP_GENERATION)
		put(&s, PLAIN, "generation  0x%" PRIx64, stamp->vm_generation_counter);
	else
		put(&s, PLAIN, "generation  none");
	put_history(&s, v);
	put_events(&s, v);
	fputs("\033[J", stdout);
}
