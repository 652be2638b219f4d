// SPDX-License-Identifier: GPL-2.0-or-later
#include "calibrate-line.h"

vmclock_u128 calibrate_line_time(const struct calibrate_line *line, uint64_t counter)
{
	struct vmclock_time t = line->max.time;

	/* Lines that leave the range of time are never taken in. */
	vmclock_math_time(&line->max, counter, &t);
	return (vmclock_u128)t.sec << 64 | t.frac;
}

vmclock_u128 calibrate_line_error(const struct calibrate_line *line, uint64_t counter)
{
	return calibrate_from_ns(vmclock_math_maxerror_ns(&line->max, counter));
}

bool calibrate_rebase(const struct calibrate_line *line, uint64_t counter,
		      struct calibrate_line *at)
{
	struct vmclock_line est = line->max;

	*at = *line;
	est.period_maxerror = line->est_rate;
	est.maxerror_ns = line->est_ns;
	at->est_ns = vmclock_math_maxerror_ns(&est, counter);
	at->max.maxerror_ns = vmclock_math_maxerror_ns(&line->max, counter);
	at->max.counter = counter;
	return vmclock_math_time(&line->max, counter, &at->max.time);
}

/* An error that does not fit any more is as large as can be. */
static uint64_t shift_up(uint64_t error, int up)
{
	return up && error >> (64 - up) ? UINT64_MAX : error << up;
}

void calibrate_normalise(struct calibrate_line *line)
{
	int up = line->max.period ? __builtin_clzll(line->max.period) : 0;

	if (line->max.shift + up > VMCLOCK_MATH_SHIFT_MAX)
		up = VMCLOCK_MATH_SHIFT_MAX - line->max.shift;
	line->max.period <<= up;
	line->max.period_maxerror = shift_up(line->max.period_maxerror, up);
	line->est_rate = shift_up(line->est_rate, up);
	line->max.shift += up;
}
