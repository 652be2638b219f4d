/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the simulator's files share.
 */
#ifndef VMCLOCK_SIM_H
#define VMCLOCK_SIM_H

#include "vmclock.h"

/* Two points that are nearer to each other make no slope. */
#define SIM_SLOPE_MIN_MS	100

/* A point that the system's clock went through. */
struct sim_point {
	u64 counter;
	s64 real_ns;
	s64 raw_ns;
	unsigned int was_set;
};

/**
 * struct sim_line - the line of the system's clock
 * @last: the last point, if @begun
 * @begun: there is one
 * @period: of the counter, in the page's unit; 0: not known (any more)
 */
struct sim_line {
	struct sim_point last;
	bool begun;
	u64 period;
};

bool sim_line_bound_is_sane(void);
bool sim_line_start(struct sim_line *line);
void sim_line_forget(struct sim_line *line, struct vmclock_page *image);
bool sim_line_refresh(struct sim_line *line, struct vmclock_page *image);

#endif /* VMCLOCK_SIM_H */
