/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vmclock-hostd with a configuration file of very many pages, and what it costs while
 * the seconds go by.
 */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct daemon_plan - what is run
 * @program: vmclock-hostd
 * @dir: empty; where the pages are made
 * @pages: how many
 * @warm_sec: seconds from when all are synchronized to when it is looked at
 * @seconds: for which it is looked at then
 * @windows: a file for WINDOWS_PATH, or NULL
 */
struct daemon_plan {
	const char *program;
	const char *dir;
	size_t pages;
	unsigned int warm_sec, seconds;
	const char *windows;
};

/**
 * struct daemon_cost - what was seen
 * @start_cpu_ns: CPU until all pages were synchronized
 * @cpu_ns: CPU in @elapsed_ns
 * @elapsed_ns: the seconds that really went by
 * @updates: of all pages in that time
 * @fewest: of the page that had the fewest
 * @most: of the page that had the most
 */
struct daemon_cost {
	uint64_t start_cpu_ns, cpu_ns, elapsed_ns, updates;
	uint32_t fewest, most;
};

/**
 * daemon_run() - start it, look, end it, and take away what it made in @plan->dir
 * @plan: what is run
 * @cost: filled in
 *
 * Return: 0; or -1, and the reason has been printed.
 */
int daemon_run(const struct daemon_plan *plan, struct daemon_cost *cost);

#endif /* BENCH_DAEMON_H */
