/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the verbs of vmclockctl share.
 */
#ifndef VMCLOCKCTL_COMMON_H
#define VMCLOCKCTL_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmclk.h"

/* Exit codes. */
#define EXIT_OK		0
#define EXIT_UNUSABLE	1	/* the answer is bad: no time can be had */
#define EXIT_SYSTEM	2	/* wrong usage, or the system said no */

/**
 * struct options - the command line behind the verb
 * @json: --json
 * @updates: --updates (watch, record)
 * @step: --step (steer)
 * @interval_ns: --interval (watch, record, feed-chrony, steer)
 * @duration_ns: --for (lint, record, feed-chrony, steer); 0 if not given
 * @count: --count (watch, record, feed-chrony, steer); 0 means no end
 * @path: the page or the trace, or NULL for the default; --page (exec)
 * @output: --output (plot, acpi-table), or NULL
 * @socket: --socket (feed-chrony), or NULL
 * @slot: --slot (acpi-table); 0 if not given
 * @command: the program and its arguments (exec); the command line (host)
 */
struct options {
	bool json;
	bool updates;
	bool step;
	uint64_t interval_ns;
	uint64_t duration_ns;
	uint64_t count;
	const char *path;
	const char *output;
	const char *socket;
	uint64_t slot;
	char **command;
};

int cmd_show(const struct options *opt);
int cmd_now(const struct options *opt);
int cmd_watch(const struct options *opt);
int cmd_check(const struct options *opt);
int cmd_exec(const struct options *opt);
int cmd_lint(const struct options *opt);
int cmd_record(const struct options *opt);
int cmd_plot(const struct options *opt);
int cmd_steer(const struct options *opt);
int cmd_host(const struct options *opt);
int cmd_feed_chrony(const struct options *opt);
int cmd_acpi_table(const struct options *opt);

/* Print "vmclockctl: object: reason" to stderr. */
void complain(const char *object, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * page_open() - open the page, or say why not and what to do about it
 * @path: as for vmclk_open()
 * @clk: where the handle goes
 *
 * Return: EXIT_OK or the code to exit with.
 */
int page_open(const char *path, struct vmclk **clk);

/**
 * page_open_error() - report what vmclk_open() answered, and what to do
 * @path: what it was given
 * @err: its negative errno
 *
 * Return: the code to exit with.
 */
int page_open_error(const char *path, int err);

/**
 * page_error() - report what vmclk_snapshot() answered
 * @clk: the page
 * @err: its negative errno
 *
 * Return: the code to exit with.
 */
int page_error(const struct vmclk *clk, int err);

/* Is @err about the page itself? Else it is an answer of the system. */
static inline bool is_page_error(int err)
{
	return -err > 0xffff;
}

/* What to do when the page gives no time for @reason, or NULL. */
const char *reason_advice(unsigned int reason);

/* The longest text of format_seconds(). */
#define SECONDS_TEXT_MAX	32

/* "1767225637.500000000", "-0.200000000". */
const char *format_seconds(char text[SECONDS_TEXT_MAX], const struct vmclk_time *time);

/* The longest text of format_time(). */
#define TIME_TEXT_MAX	96

/* "2026-01-01 00:00:37.500000000 TAI", or seconds if the scale has no calendar. */
const char *format_time(char text[TIME_TEXT_MAX], const struct vmclk_time *time,
			unsigned int time_type);

/* The longest text of format_duration(). */
#define DURATION_TEXT_MAX	32

/* "1.701 us": four digits or so, for people. */
const char *format_duration(char text[DURATION_TEXT_MAX], long double ns);

/* The width of a stamp's interval in ns. */
long double stamp_width(const struct vmclk_stamp *stamp);

/* struct vmclk_stamp as a JSON object; @changed is what to put into that key. */
void stamp_json(const struct vmclk_stamp *stamp, unsigned int changed);

/* Bits of @changed: what is not as it was a line ago. */
#define CHANGED_MARKER		(1U << 0)
#define CHANGED_GENERATION	(1U << 1)
#define CHANGED_STATUS		(1U << 2)
#define CHANGED_REASON		(1U << 3)
#define CHANGED_SCALE		(1U << 4)
#define CHANGED_TAI_OFFSET	(1U << 5)

/* The JSON keys of the set bits, each after @before and followed by @after. */
void changed_print(unsigned int changed, const char *before, const char *after);

/* A JSON string, quotes and all. */
void print_json_string(const char *s);

#endif /* VMCLOCKCTL_COMMON_H */
