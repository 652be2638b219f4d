/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time from a PTP hardware clock. It does not tell how wrong it is: the operator
 * does.
 */
#ifndef HOST_SOURCE_PHC_H
#define HOST_SOURCE_PHC_H

#include "source.h"

/**
 * struct source_phc - the source's state; the first three are the caller's
 * @bound_ns: the clock is within so many ns of the truth
 * @is_utc: it tells UTC; else TAI, as PTP does
 * @tai_offset: TAI - UTC, or 0: the kernel's, which follows leap seconds
 * @fd: the device
 * @no_precise: it has no hardware to read both clocks at once
 */
struct source_phc {
	uint64_t bound_ns;
	bool is_utc;
	int tai_offset;
	int fd;
	bool no_precise;
};

/**
 * source_phc_open() - use a clock
 * @source: filled in
 * @phc: the state
 * @path: the device
 *
 * Return: 0, or what opening it gave; -ENOTTY if it is no such clock.
 */
int source_phc_open(struct source *source, struct source_phc *phc, const char *path);

#endif /* HOST_SOURCE_PHC_H */
