/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be wrong with a page, alone and from one update to the next.
 */
#ifndef VMCLOCKCTL_LINT_H
#define VMCLOCKCTL_LINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

enum lint_severity {
	LINT_NOTE,	/* worth knowing; the page is as it may be */
	LINT_WARNING,	/* not forbidden, but readers are likely to suffer */
	LINT_ERROR,	/* the specification says otherwise */
};

/* Each finding: its name, severity, the specification's section, what is wrong. */
#define LINT_FINDINGS(X)							\
	X(SHORT, "short", ERROR, 2, "the file ends before the page's flags")	\
	X(MAGIC, "magic", ERROR, 2, "the magic is not that of a page")		\
	X(VERSION, "version", ERROR, 2, "the version is not 1")			\
	X(SIZE, "size", ERROR, 13, "the size is below 0x20, or above that of the file") \
	X(FIELDS, "fields", WARNING, 13, "the size leaves out fields of version 1") \
	X(COUNTER, "counter", ERROR, 3, "a counter that does not exist")	\
	X(SCALE, "scale", ERROR, 3, "a time scale that a page can't have")	\
	X(UTC, "utc", NOTE, 3, "UTC is ambiguous at leap seconds; TAI with the offset is not") \
	X(RESERVED, "reserved", WARNING, 2, "reserved bytes are not zero")	\
	X(FLAGS, "flags", WARNING, 4, "flags that have no meaning yet")		\
	X(FLAG_ALONE, "flag-alone", ERROR, 13, "a flag vouches for a field that the size leaves out") \
	X(NO_TAI, "no-tai", WARNING, 4, "the TAI offset is not given")		\
	X(TAI_SIGN, "tai-sign", ERROR, 14, "the TAI offset is positive; it is UTC - TAI, so -37 and not 37") \
	X(TAI_VALUE, "tai-value", WARNING, 6, "the TAI offset is none that UTC has had since 1972") \
	X(STATUS, "status", ERROR, 5, "a clock status that does not exist")	\
	X(NO_BOUND, "no-bound", WARNING, 9, "trusted time without a worst-case error, or without its growth") \
	X(ZERO_BOUND, "zero-bound", WARNING, 9, "a worst-case error of zero: no clock is that good") \
	X(ESTIMATE, "estimate", WARNING, 9, "an estimated error is above the worst case") \
	X(LEAP, "leap", ERROR, 6, "a leap indicator that does not exist")	\
	X(LEAP_SCALE, "leap-scale", WARNING, 6, "inside 23:59:60, which only UTC has") \
	X(SMEAR, "smear", WARNING, 6, "a smearing hint that does not exist")	\
	X(SHIFT, "shift", ERROR, 8, "a period shift above 127")			\
	X(SHIFT_WIDE, "shift-wide", WARNING, 8, "a period shift above 63 is pointless") \
	X(PERIOD, "period", ERROR, 13, "the length of a tick is zero")		\
	X(PERIOD_COARSE, "period-coarse", NOTE, 8, "bit 63 of the period is clear: its rounding could be less") \
	X(GENERATION, "generation", WARNING, 4, "a generation counter without its flag") \
	X(ODD, "odd", ERROR, 7, "an update does not end")			\
	X(TORN, "torn", ERROR, 10, "fields changed, and the sequence number did not") \
	X(SEQ_BACK, "seq-back", WARNING, 10, "the sequence number went back")	\
	X(CONSTANT, "constant", WARNING, 2, "a field that is constant has changed") \
	X(MARKER_AGAIN, "marker-again", ERROR, 10, "the disruption marker has a value that it had before") \
	X(GENERATION_AGAIN, "generation-again", ERROR, 10, "the generation counter has a value that it had before") \
	X(BACKWARDS, "backwards", ERROR, 4, "time went back, and TIME_MONOTONIC says that it does not") \
	X(NESTING, "nesting", ERROR, 9, "a later line leaves the bracket of an earlier one") \
	X(NESTING_OLD, "nesting-old", NOTE, 9, "so too, but of one more than 64 updates before") \
	X(SILENT, "silent", WARNING, 11, "no notification came within a second of an update")

#define LINT_ENUM(id, ...) LINT_##id,
enum lint_finding { LINT_FINDINGS(LINT_ENUM) LINT_COUNT };
#undef LINT_ENUM

#define LINT_DETAIL_MAX	64

/* What was found of one kind: how often, and where first. */
struct lint_hit {
	uint64_t count;
	uint64_t look;
	char detail[LINT_DETAIL_MAX];
};

/**
 * struct lint - what was found
 * @hits: by kind
 * @looks: how many looks there were, this one included
 * @updates: how many updates were seen
 * @missed: how many went by unseen
 * @compared: how often a line was held against a bracket
 * @series: what was before
 */
struct lint {
	struct lint_hit hits[LINT_COUNT];
	uint64_t looks;
	uint64_t updates;
	uint64_t missed;
	uint64_t compared;
	struct lint_series *series;
};

/* Note a finding; what is printed is that of the first one of its kind. */
void lint_report(struct lint *lint, enum lint_finding finding, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is the magic, version and size that of a page, so that the rest means anything? */
bool lint_page(struct lint *lint, const struct trace_look *look,
	       const struct vmclk_snapshot *snap);

/* Return: memory for lint_series(), or NULL. */
struct lint_series *lint_series_new(void);

/* Against the looks before: once for each, in their order. */
void lint_series(struct lint *lint, const struct trace_look *look,
		 const struct vmclk_snapshot *snap);

/* Return: the worst severity that was found, or -1. */
int lint_print(const struct lint *lint, const char *path, bool json);

#endif /* VMCLOCKCTL_LINT_H */
