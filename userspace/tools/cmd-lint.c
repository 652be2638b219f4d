// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl lint: is a page, or are the pages of a trace, as the specification
 * has them?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "common.h"
#include "lint.h"
#include "pace.h"

#define DURATION_NS	2000000000ULL

static void judge(struct lint *lint, const struct trace_look *look, int counter_id)
{
	struct vmclk_snapshot snap;

	lint->looks++;
	trace_decode(look, counter_id, &snap);
	if (lint_page(lint, look, &snap))
		lint_series(lint, look, &snap);
}

static int lint_live(struct lint *lint, const struct options *opt, const char **path)
{
	struct capture c;
	struct pace pace;
	int status = capture_open(&c, opt->path);

	if (status)
		return status;
	*path = c.path;
	pace_start(&pace, PACE_LOOK_NS, opt->duration_ns ? opt->duration_ns : DURATION_NS);
	do {
		struct trace_look look;

		status = capture_look(&c, &look);
		if (!status)
			judge(lint, &look, trace_this_counter());
	} while (!status && pace_wait(&pace));
	capture_close(&c);
	return status;
}

static int lint_trace(struct lint *lint, const char *path)
{
	struct trace_reader r;
	int ret;

	if (trace_open(&r, path))
		return EXIT_SYSTEM;
	while ((ret = trace_next(&r)) > 0)
		judge(lint, &r.look, r.counter_id);
	trace_close(&r);
	if (!ret && !lint->looks) {
		complain(path, "a trace without a look");
		return EXIT_SYSTEM;
	}
	return ret ? EXIT_SYSTEM : EXIT_OK;
}

int cmd_lint(const struct options *opt)
{
	struct lint lint = { .series = lint_series_new() };
	const char *path = opt->path;
	int status;

	if (!lint.series) {
		complain("lint", "%s", strerror(ENOMEM));
		return EXIT_SYSTEM;
	}
	if (path && (!strcmp(path, "-") || trace_is_one(path)))
		status = lint_trace(&lint, path);
	else
		status = lint_live(&lint, opt, &path);
	if (!status && lint_print(&lint, path, opt->json) > LINT_NOTE)
		status = EXIT_UNUSABLE;
	free(lint.series);
	return status;
}
