// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl record: looks at a page, written down.
 */
#include <signal.h>
#include <stdio.h>

#include "capture.h"
#include "common.h"
#include "pace.h"

/*
 * With --updates a look is written if it is the first, or finds news, or is the
 * last before the news: the old line at its oldest.
 */
struct recorder {
	struct trace_look last;
	uint64_t n;
	bool last_is_written;
};

static void write_look(struct recorder *rec, const struct trace_look *look)
{
	bool with_page = !rec->n || trace_page_differs(look, &rec->last);

	trace_write(stdout, look, with_page);
}

static void take(struct recorder *rec, const struct trace_look *look, bool updates)
{
	bool is_news = !rec->n || trace_page_differs(look, &rec->last) ||
		       look->notified == TRACE_NOTIFIED;

	if (updates && is_news && rec->n && !rec->last_is_written)
		trace_write(stdout, &rec->last, false);
	if (!updates || is_news)
		write_look(rec, look);
	rec->last_is_written = !updates || is_news;
	rec->last = *look;
	rec->n++;
}

static int record(const struct capture *c, const struct options *opt)
{
	struct recorder rec = { .n = 0 };
	uint64_t written = 0;
	struct pace pace;
	int status = EXIT_OK;

	pace_start(&pace, opt->updates ? PACE_LOOK_NS : opt->interval_ns, opt->duration_ns);
	do {
		struct trace_look look;

		status = capture_look(c, &look);
		if (status)
			break;
		take(&rec, &look, opt->updates);
		written += rec.last_is_written;
		if (fflush(stdout))
			return EXIT_SYSTEM;	/* main() says why */
	} while ((!opt->count || written < opt->count) && pace_wait(&pace));
	if (rec.n && !rec.last_is_written)
		trace_write(stdout, &rec.last, false);
	return status;
}

int cmd_record(const struct options *opt)
{
	struct capture c;
	int status = capture_open(&c, opt->path);

	if (status)
		return status;
	trace_write_header(stdout, trace_this_counter());
	status = record(&c, opt);
	capture_close(&c);
	return status;
}
