/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is once, however many pages are fed: the source, what is known of
 * leap seconds, and one reading for everybody.
 */
#ifndef HOST_CLOCK_H
#define HOST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate-rate.h"
#include "holdover.h"
#include "leap.h"
#include "scale.h"
#include "source-chrony.h"
#include "source-kernel.h"
#include "source-phc.h"

/* --source */
enum clock_source {
	CLOCK_KERNEL,
	CLOCK_CHRONY,
	CLOCK_PHC,
};

/**
 * struct clock_options - what the operator asked for
 * @interval_ns: time between calibrations
 * @drift_ppb: tolerance of the oscillator
 * @source: where time comes from
 * @source_path: chronyd's socket or NULL, or the PTP hardware clock
 * @chronyc: chronyd's client
 * @phc_is_utc: the PTP hardware clock tells UTC
 * @holdover: what a page may claim without a reference
 * @assumed_ns: with --assume-synchronized the bound, else 0
 * @has_tai_offset: @tai_offset_sec is given
 * @tai_offset_sec: UTC - TAI
 * @leap_list: path of the leap second list
 * @leap_list_given: the operator named it: then it must be good
 * @force_counter: go on with a counter the kernel does not trust
 * @verbose: a line for each calibration
 */
struct clock_options {
	uint64_t interval_ns;
	uint64_t drift_ppb;
	enum clock_source source;
	const char *source_path;
	const char *chronyc;
	bool phc_is_utc;
	struct holdover holdover;
	uint64_t assumed_ns;
	bool has_tai_offset;
	int tai_offset_sec;
	const char *leap_list;
	bool leap_list_given;
	bool force_counter;
	bool verbose;
};

/**
 * struct clock - the source and its latest reading
 * @options: filled in by the caller; its strings stay the caller's
 * @counter_error: the host's counter is no good for any page: why; or 0
 * @leaps: the leap second list, or an empty one
 * @source: where time comes from, one of:
 * @kernel: the kernel's clock
 * @chrony: chronyd
 * @phc: a PTP hardware clock
 * @is_open: it is in use
 * @is_reading: a reading is on its way
 * @outcome: of the latest clock_tick(): what it returned, when there was none
 * @reading: the reading, if that was 0
 * @rate: of the host's counter, in CLOCK_REALTIME and the kernel's TAI - UTC: a scale
 *	without leap seconds
 * @wide: readings in a row that were no good for it
 * @lost: why there is no good reading now, or NULL
 * @was_bounded: once there was one with a bound
 * @has_warned: that a page will carry UTC
 */
struct clock {
	struct clock_options options;
	int counter_error;
	struct leap_list leaps;
	struct source source;
	struct source_kernel kernel;
	struct source_chrony chrony;
	struct source_phc phc;
	bool is_open;
	bool is_reading;
	int outcome;
	struct source_reading reading;
	struct calibrate_rate rate;
	unsigned int wide;
	const char *lost;
	bool was_bounded;
	bool has_warned;
};

/**
 * clock_start() - begin to use the source that was asked for
 * @clock: @options is filled in, the rest is zero
 *
 * A counter that is not to be trusted is no error yet: without a page nobody
 * needs it. Then @counter_error is set, and there are no readings.
 *
 * Return: 0, or a negative errno value; the reason has been logged, and nothing is
 * open.
 */
int clock_start(struct clock *clock);

/**
 * clock_tick() - take a reading, for everybody
 * @clock: started
 *
 * Return: 0; -EINPROGRESS if one is on its way, and @clock is as it was: again when
 * @clock->source.fd is readable, or at its deadline; -EAGAIN if there is none this
 * time; -ENODATA if the reference is lost, which may pass; any other negative errno
 * value if there will be no more, and then the reason has been logged.
 */
int clock_tick(struct clock *clock);

/**
 * clock_give_rate() - what is known of the host's counter, for a guest's
 * @clock: started
 * @guest: how the guest sees that
 * @scale: the page's scale, which has no line yet
 * @rate: as at the start; left so if too little is known
 */
void clock_give_rate(const struct clock *clock, const struct guest_counter *guest,
		     const struct scale *scale, struct calibrate_rate *rate);

/**
 * clock_choose_scale() - the time scale of a page
 * @clock: started
 * @wants_utc: publish UTC in any case
 * @scale: initialised here
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int clock_choose_scale(struct clock *clock, bool wants_utc, struct scale *scale);

/**
 * clock_stop() - end it
 * @clock: started, or not
 */
void clock_stop(struct clock *clock);

#endif /* HOST_CLOCK_H */
