/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking again and again, until it has been long enough or somebody says stop.
 */
#ifndef VMCLOCKCTL_PACE_H
#define VMCLOCKCTL_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* How often to look for updates. */
#define PACE_LOOK_NS	1000000ULL

/**
 * struct pace - when to look
 * @due_ns: the next time, of CLOCK_MONOTONIC
 * @end_ns: not after this
 * @interval_ns: from one to the next
 */
struct pace {
	uint64_t due_ns;
	uint64_t end_ns;
	uint64_t interval_ns;
};

/* @duration_ns: 0 for ever. SIGINT, SIGTERM and SIGHUP end it from here on. */
void pace_start(struct pace *p, uint64_t interval_ns, uint64_t duration_ns);

/* CLOCK_MONOTONIC. */
uint64_t pace_now_ns(void);

/*
 * The time that follows @due_ns. Who was held up for longer than that, as by a
 * pause of the whole machine, does what was missed once, now, and goes on from
 * there.
 */
uint64_t pace_next(uint64_t due_ns, uint64_t interval_ns);

/*
 * Sleep until @due_ns of CLOCK_MONOTONIC. Return: false if a signal came before;
 * SIGWINCH may be one that is blocked elsewhere.
 */
bool pace_sleep(uint64_t due_ns);

/* Wait for the next time. Return: false if there is none. */
bool pace_wait(struct pace *p);

#endif /* VMCLOCKCTL_PACE_H */
