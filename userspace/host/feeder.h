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
#include "source-chrony.h"
#include "source-kernel.h"
#include "source-phc.h"
#include "target.h"

/* What the page offers, as far as the operator is told. */
enum feeder_state {
	FEEDER_STARTING,
	FEEDER_SYNCHRONIZED,
	FEEDER_UNKNOWN,
	FEEDER_STEPPED,
	FEEDER_FREERUNNING,
	FEEDER_EXPIRED,
};

/**
 * struct feeder - everything that lives as long as the program
 * @options: the command line
 * @target: the page
 * @leaps: the leap second list, or an empty one
 * @source: where time comes from, one of:
 * @kernel: the kernel's clock
 * @chrony: chronyd
 * @phc: a PTP hardware clock
 * @scale: the page's time scale
 * @cal: readings to line
 * @pub: line to page
 * @state: what was logged last
 * @needs_marker: the next line gets a new disruption marker
 * @has_published: a first line was published
 * @tries: readings in a row without a line
 * @has_page: there is something to feed: not so after feeder_stop()
 * @is_lent: the page is the guest's, from feeder_lend_page()
 * @left: what the lent page said when it was given back, if @left_holds
 * @left_holds: the line that it had has not been broken since
 * @last_reading: the guest's counter at the latest reading
 * @lost: why there is no reading now, or NULL
 */
struct feeder {
	struct options options;
	struct target target;
	struct leap_list leaps;
	struct source source;
	struct source_kernel kernel;
	struct source_chrony chrony;
	struct source_phc phc;
	struct scale scale;
	struct calibrate cal;
	struct publish pub;
	enum feeder_state state;
	bool needs_marker;
	bool has_published;
	unsigned int tries;
	bool has_page;
	bool is_lent;
	struct vmclk_snapshot left;
	bool left_holds;
	uint64_t last_reading;
	const char *lost;
};

/**
 * feeder_start() - open the page and announce that time is coming
 * @f: @options is filled in. If they name no page, it is one that nobody sees;
 *	and if the counter is not to be trusted either, there is none and no line.
 *
 * Return: 0, or a negative errno value; the reason has been logged, and
 * nothing is open or was changed.
 */
int feeder_start(struct feeder *f);

/**
 * feeder_open_source() - begin to use the source that was asked for
 * @f: @options and @scale are filled in; for feeder_start()
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int feeder_open_source(struct feeder *f);

/**
 * feeder_close_source() - end it
 * @f: after feeder_open_source()
 */
void feeder_close_source(struct feeder *f);

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
 * feeder_lend_page() - the guest's page may be written from now on
 * @f: started
 * @fd: the memory that it is in; stays the caller's
 * @offset: where it is
 * @dirty: where it is marked what was written
 *
 * It is fed if no other page was asked for and the guest's counter is known; if
 * it is the page that is fed already, its updates are logged from now on.
 */
void feeder_lend_page(struct feeder *f, int fd, uint64_t offset, const struct dirty *dirty);

/**
 * feeder_return_page() - leave the guest's page UNRELIABLE, and give it back
 * @f: started. It goes on without a page, and what is measured stays good.
 */
void feeder_return_page(struct feeder *f);

/**
 * feeder_stop() - leave the page UNRELIABLE, and close it
 * @f: started; there is no line any more
 */
void feeder_stop(struct feeder *f);

#endif /* HOST_FEEDER_H */
