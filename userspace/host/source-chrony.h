/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time from chronyd: the kernel's clock, plus what chronyd says is still wrong with
 * it, within chronyd's own error bound.
 *
 * chronyc is asked, and not chronyd's socket: its output for scripts is documented,
 * it fits the chronyd it came with, and whatever it does it does in a process that
 * can be killed. It costs about two milliseconds for each reading, in which others are
 * served.
 */
#ifndef HOST_SOURCE_CHRONY_H
#define HOST_SOURCE_CHRONY_H

#include <sys/timex.h>

#include "child.h"
#include "chrony-report.h"
#include "source.h"

#define SOURCE_CHRONYC_DEFAULT	"/usr/bin/chronyc"

/**
 * struct source_watch - the clock, and how it was treated, around a question to chronyd
 * @gap: was it set?
 * @tx: was its rate changed?
 * @ns: what it was
 */
struct source_watch {
	struct source_gap gap;
	struct timex tx;
	int64_t ns;
};

/**
 * struct source_chrony - the source's state
 * @chronyc: path of the program
 * @socket: of chronyd, or NULL: where chronyc looks for it
 * @timeout_ns: of chronyc, after which it is killed; 0: the default
 * @child: it runs; zero at first, as all that follows
 * @answer: what it says
 * @before: from before it was started
 */
struct source_chrony {
	const char *chronyc;
	const char *socket;
	uint64_t timeout_ns;
	struct child child;
	char answer[512];
	struct source_watch before;
};

/**
 * source_chrony_open() - use chronyd
 * @source: filled in
 * @chrony: filled in by the caller, whose it stays
 */
void source_chrony_open(struct source *source, struct source_chrony *chrony);

/* The parts that need no system call; for the source and for tests. */

/**
 * chrony_why_lost() - does the report name a reference?
 * @report: the report
 * @utc_ns: now
 *
 * Return: NULL if it does, else what is wrong.
 */
const char *chrony_why_lost(const struct chrony_report *report, int64_t utc_ns);

/**
 * chrony_error_ns() - how wrong the clock plus @offset_ns may be
 * @report: the report
 * @age_ns: time since it was made, at most
 * @is_steady: in this time nobody changed the rate of the kernel's clock
 * @est_ns: the same, estimated
 *
 * chronyc(1) bounds the error by root dispersion and half of the root delay. Since
 * the report was made, errors of the rate have added to it. And if the clock is
 * being slewed, less of the offset is left: with a steady rate none is undone and
 * no other was begun, so that the error is the whole offset at most, else only the
 * rate of Linux's clock limits it.
 *
 * Return: ns.
 */
uint64_t chrony_error_ns(const struct chrony_report *report, uint64_t age_ns,
			 bool is_steady, uint64_t *est_ns);

#endif /* HOST_SOURCE_CHRONY_H */
