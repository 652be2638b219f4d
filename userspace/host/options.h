/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of vmclock-hostd.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-counter.h"
#include "holdover.h"

/* --source */
enum options_source {
	OPTIONS_KERNEL,
	OPTIONS_CHRONY,
	OPTIONS_PHC,
};

/**
 * struct options - what the operator asked for
 * @qemu_pid: the QEMU process whose page is written, or 0
 * @file: the file that holds the page, or NULL
 * @replace: put a page where the file holds something else
 * @vhost_socket: where the vhost-user device listens, or NULL
 * @vhost_fd: a socket for it, or -1; at most one of the two, and of the two above;
 *	at least one of all
 * @guest: from the host's counter to the guest's
 * @offset_error: ticks of the guest's counter by which @guest may be wrong
 * @interval_ns: time between calibrations
 * @drift_ppb: tolerance of the oscillator
 * @source: where time comes from
 * @source_path: chronyd's socket or NULL, or the PTP hardware clock
 * @chronyc: chronyd's client
 * @phc_is_utc: the PTP hardware clock tells UTC
 * @holdover: what the page may claim without a reference
 * @assumed_ns: with --assume-synchronized the bound, else 0
 * @wants_utc: publish UTC in any case
 * @has_tai_offset: @tai_offset_sec is given
 * @has_tsc_offset: @guest.offset is given
 * @tai_offset_sec: UTC - TAI
 * @leap_list: path of the leap second list
 * @leap_list_given: the operator named it: then it must be good
 * @publishes: re-base the line all the time, @publish_us apart
 * @publish_us: pause between two updates, 0 for none
 * @force_counter: go on with a counter the kernel does not trust
 * @verbose: a line for each calibration
 */
struct options {
	pid_t qemu_pid;
	const char *file;
	bool replace;
	const char *vhost_socket;
	int vhost_fd;
	struct guest_counter guest;
	uint64_t offset_error;
	uint64_t interval_ns;
	uint64_t drift_ppb;
	enum options_source source;
	const char *source_path;
	const char *chronyc;
	bool phc_is_utc;
	struct holdover holdover;
	uint64_t assumed_ns;
	bool wants_utc;
	bool has_tai_offset;
	bool has_tsc_offset;
	int tai_offset_sec;
	const char *leap_list;
	bool leap_list_given;
	bool publishes;
	uint32_t publish_us;
	bool force_counter;
	bool verbose;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,	/* --help or --version: it is printed */
	OPTIONS_BAD,	/* the error is printed */
};

/**
 * options_parse() - read the command line
 * @options: filled in, defaults included
 * @argc: as main() got it
 * @argv: as main() got it
 *
 * Return: what to do.
 */
enum options_result options_parse(struct options *options, int argc, char **argv);

/**
 * options_parse_duration() - read a time with its unit, such as "100us"
 * @text: a whole number and one of ns, us, ms, s, nothing else
 * @ns: the result
 *
 * Return: true, or false if it is no such thing or does not fit 64 bits.
 */
bool options_parse_duration(const char *text, uint64_t *ns);

#endif /* HOST_OPTIONS_H */
