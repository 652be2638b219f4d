// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdbool.h>

#include "smooth.h"

#define LOAD(field)		__atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value)	__atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

/*
 * Relaxed: two calls of which one is over when the other begins are ordered by
 * whatever tells the caller so, and the latest value of one word is coherent.
 */
int64_t smooth_floor(const struct smooth *s)
{
	return LOAD(s->last);
}

/*
 * @since before @held, and the other way round when they are read: one of them
 * may then be newer than the other, but the line they make is never too high.
 */
static int64_t hold(struct smooth *s, int64_t value, int64_t monotonic)
{
	STORE(s->since, monotonic);
	__atomic_store_n(&s->held, value, __ATOMIC_RELEASE);	/* with still_held() */
	return value;
}

/* The line that runs at half speed from where the source stepped back. */
static int64_t still_held(struct smooth *s, int64_t now, int64_t (*monotonic)(void))
{
	int64_t held = __atomic_load_n(&s->held, __ATOMIC_ACQUIRE);	/* with hold() */
	int64_t line, elapsed;

	if (!held)
		return now;
	elapsed = monotonic() - LOAD(s->since);
	line = held + (elapsed > 0 ? elapsed / 2 : 0);
	if (line > now)
		return line;
	/* Not if another thread has found a new step back meanwhile. */
	__atomic_compare_exchange_n(&s->held, &held, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	return now;
}

static void raise_last(struct smooth *s, int64_t to)
{
	int64_t last = LOAD(s->last);

	while (last < to &&
	       !__atomic_compare_exchange_n(&s->last, &last, to, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/*
 * Threads may come here with readings from before and after a step, in any
 * order. The line is above everything told before the step, and what it adds to
 * a reading is only that it is not below the line.
 */
int64_t smooth_tell(struct smooth *s, int64_t floor, int64_t now,
		    int64_t (*monotonic)(void))
{
	int64_t told = still_held(s, now, monotonic);

	if (told < floor)
		told = hold(s, floor, monotonic());
	raise_last(s, told);
	return told;
}
