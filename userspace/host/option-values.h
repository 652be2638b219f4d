/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For options.c only: what an option is, and its value.
 */
#ifndef HOST_OPTION_VALUES_H
#define HOST_OPTION_VALUES_H

#include "options.h"

#define LEAP_LIST_DEFAULT	"/usr/share/zoneinfo/leap-seconds.list"

/* Where an option may be given; its number tells. */
#define OPT_SCOPE(opt)	((opt) & 0xf00)
#define OPT_OF_VM	0x100	/* each VM has its own */
#define OPT_OF_LONE_VM	0x200	/* the same, but on the command line only */
#define OPT_OF_CLOCK	0x300	/* there is one */
#define OPT_OF_DAEMON	0x400	/* the same, beside the clock's */
#define OPT_OF_COMMAND	0x500	/* on the command line only */

enum {
	OPT_QEMU_PID = OPT_OF_VM, OPT_QEMU_USER, OPT_QMP, OPT_QMP_CONTINUE, OPT_GENERATION,
	OPT_FILE, OPT_REPLACE, OPT_IVSHMEM,
	OPT_GUEST, OPT_VHOST_SOCKET, OPT_TSC_OFFSET, OPT_TSC_RATIO, OPT_TSC_FRAC_BITS,
	OPT_TSC_OFFSET_ERROR, OPT_TIME_SCALE,
	OPT_VHOST_FD = OPT_OF_LONE_VM, OPT_PUBLISH_US,
	OPT_INTERVAL = OPT_OF_CLOCK, OPT_DRIFT, OPT_ASSUME, OPT_TAI_OFFSET, OPT_LEAP_LIST,
	OPT_SOURCE, OPT_CHRONYC, OPT_PHC_SCALE, OPT_HOLDOVER_AFTER, OPT_HOLDOVER_MAX,
	OPT_FORCE_COUNTER, OPT_VERBOSE,
	OPT_CONTROL = OPT_OF_DAEMON,
	OPT_CONFIG = OPT_OF_COMMAND, OPT_HELP, OPT_VERSION,
};

/**
 * options_parse_value() - take in an option
 * @options: where it goes
 * @opt: OPT_*, not one that has no place in @options
 * @arg: its value, which stays the caller's and is used as long as @options; NULL
 *	where the option has none
 *
 * Return: true, or false if the value makes no sense.
 */
bool options_parse_value(struct options *options, int opt, const char *arg);

#endif /* HOST_OPTION_VALUES_H */
