// SPDX-License-Identifier: GPL-2.0-or-later
#include "holdover.h"

enum holdover_verdict holdover_judge(const struct holdover *limits, uint64_t silence_ns,
				     bool bounded, uint64_t bound_ns)
{
	if (bounded && bound_ns > limits->max_bound_ns)
		return HOLDOVER_UNRELIABLE;
	if (silence_ns < limits->after_ns)
		return HOLDOVER_WAIT;
	return bounded ? HOLDOVER_FREERUNNING : HOLDOVER_UNRELIABLE;
}

bool holdover_is_lost(const struct holdover *limits, uint64_t maxerror_ns)
{
	return maxerror_ns > limits->max_bound_ns / 2;
}
