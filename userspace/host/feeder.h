/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work between two waits: a reading, the line, the page.
 */
#ifndef HOST_FEEDER_H
#define HOST_FEEDER_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate.h"
#include "leap.h"
#include "options.h"
#include "publish.h"
#include "scale.h"
#include "source-kernel.h"
#include "target.h"

/* What the page offers, as far as the operator is told. */
enum feeder_state {
	FEEDER_STARTING,
	FEEDER_SYNCHRONIZED,
	FEEDER_UNKNOWN,
	FEEDER_STEPPED,
};

/**
 * struct feeder - everything that lives as long as the program
 * @options: the command line
 * @target: the page
 * @leaps: the leap second list, or an empty one
 * @source: where time comes from
 * @scale: the page's time scale
 * @cal: readings to line
 * @pub: line to page
 * @state: what was logged last
 * @needs_marker: the next line gets a new disruption marker
 * @has_published: a first line was published
 * @tries: readings in a row without a line
 */
struct feeder {
	struct options options;
	struct target target;
	struct leap_list leaps;
	struct source_kernel source;
	struct scale scale;
	struct calibrate cal;
	struct publish pub;
	enum feeder_state state;
	bool needs_marker;
	bool has_published;
	unsigned int tries;
};

/**
 * feeder_start() - open the page and announce that time is coming
 * @f: @options is filled in
 *
 * Return: 0, or a negative errno value; the reason has been logged, and
 * nothing is open or was changed.
 */
int feeder_start(struct feeder *f);

/**
 * feeder_tick() - take a reading and do what it asks for
 * @f: started
 *
 * Return: 0, or a negative errno value if the clock can't be kept; the reason
 * has been logged.
 */
int feeder_tick(struct feeder *f);

/**
 * feeder_delay_ns() - time until the next feeder_tick()
 * @f: started
 *
 * Return: ns.
 */
uint64_t feeder_delay_ns(const struct feeder *f);

/**
 * feeder_publish() - with --publish-us: re-base the line for about 1 ms
 * @f: started; does nothing while there is no line
 *
 * Return: 0, or a negative errno value as from feeder_tick().
 */
int feeder_publish(struct feeder *f);

/**
 * feeder_stop() - leave the page UNRELIABLE, and close it
 * @f: started
 */
void feeder_stop(struct feeder *f);

#endif /* HOST_FEEDER_H */
