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
 * A line goes through what had been told by the time that its @monotonic was
 * read, so it is never too high, however late a thread comes to store it. One
 * word: nobody can put one thread's start and another one's time together.
 */
static int64_t hold(struct smooth *s, int64_t value, int64_t monotonic)
{
	int64_t line = value - monotonic / 2;

	STORE(s->line, line ? line : 1);
	return value;
}

/* The line that runs at half speed from where the source stepped back. */
static int64_t still_held(struct smooth *s, int64_t now, int64_t (*monotonic)(void))
{
	int64_t line = LOAD(s->line), held;

	if (!line)
		return now;
	held = line + monotonic() / 2;
	if (held > now)
		return held;
	/* Not if another thread has found a new step back meanwhile. */
	__atomic_compare_exchange_n(&s->line, &line, 0, false, __ATOMIC_RELAXED,
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
