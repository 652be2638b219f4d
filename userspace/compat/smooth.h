/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A clock that never goes backwards within a process, made from one that may.
 *
 * What would be a step back is absorbed by letting the clock run at half speed
 * until it agrees with its source again. Steps forward are passed on.
 *
 * No lock, so that signal handlers and forked children may call it at any time.
 */
#ifndef COMPAT_SMOOTH_H
#define COMPAT_SMOOTH_H

#include <stdint.h>

/**
 * struct smooth - what was told so far; all zero at the start
 * @last: the latest time told, ns
 * @line: what was told when the source stepped back, less half of the monotonic
 *	clock then, ns; 0: the source has caught up
 */
struct smooth {
	int64_t last;
	int64_t line;
};

/**
 * smooth_floor() - what must not be gone below; ask before the source is read
 * @s: the state, shared by all threads
 *
 * Return: the latest time told by a call that was over when this one began.
 */
int64_t smooth_floor(const struct smooth *s);

/**
 * smooth_tell() - the time to tell for what the source said
 * @s: the state
 * @floor: from smooth_floor(), before the source was read
 * @now: what the source said, ns
 * @monotonic: reads a clock that is never set, ns; called only while the source
 *	is behind what was told
 *
 * Return: a time of at least @floor.
 */
int64_t smooth_tell(struct smooth *s, int64_t floor, int64_t now,
		    int64_t (*monotonic)(void));

#endif /* COMPAT_SMOOTH_H */
