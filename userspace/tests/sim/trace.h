/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a simulation leaves behind for sim_checker.py, which has the format; or the
 * same as a trace of vmclockctl(1), to be drawn.
 */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include "daemon.h"
#include "reference.h"

/**
 * struct trace - where the trace goes
 * @out: the file
 * @is_text: as vmclockctl(1) has it
 * @start: true time at the start
 * @published: the page that was written last
 */
struct trace {
	FILE *out;
	bool is_text;
	vmclock_u128 start;
	struct vmclock_page published;
};

void trace_begin(struct trace *t, const struct world *w, const struct reference *r,
		 const struct daemon *d, uint64_t seed);

/* A reader's reading of its counter. */
void trace_sample(struct trace *t, const struct world *w, uint64_t counter);

/* Has the page changed? The update took place between two readings of the counter. */
void trace_update(struct trace *t, const struct world *w, const struct vmclock_page *page,
		  uint64_t before, uint64_t after);

/* @reading: NULL if there was none */
void trace_reading(struct trace *t, const struct world *w,
		   const struct source_reading *reading, int64_t error_ns);

/* The daemon was killed. */
void trace_kill(struct trace *t, const struct world *w);

/* And is started again. */
void trace_restart(struct trace *t, const struct world *w);

/* Everything is in the file. Return: false if not. */
bool trace_end(struct trace *t, const struct world *w);

#endif /* TESTS_SIM_TRACE_H */
