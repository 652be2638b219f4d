/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where time comes from: the clock of the host's kernel, as the host's NTP or
 * PTP daemon disciplines it.
 */
#ifndef HOST_SOURCE_KERNEL_H
#define HOST_SOURCE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "source.h"

/**
 * struct source_kernel - the kernel's clock as a source; zero except for
 * @assumed_ns before the first reading
 * @assumed_ns: the operator's word: the clock is within so many ns of the
 *	truth, whatever the kernel says; 0: believe the kernel
 * @is_told_nothing: at the latest reading, what the kernel says of its error was
 *	likely never told to it
 * @adjtime_until: CLOCK_MONOTONIC second until which the last piece of an
 *	adjtime() may still be under way
 */
struct source_kernel {
	uint64_t assumed_ns;
	bool is_told_nothing;
	int64_t adjtime_until;
};

/**
 * source_kernel_read() - take a reading
 * @source: the source
 * @reading: the result
 *
 * Return: 0, -EAGAIN if the clock was being changed all the time (try later),
 * -ERANGE if it stands before 1970, or what adjtimex(2) or clock_gettime(2)
 * answered.
 */
int source_kernel_read(struct source_kernel *source, struct source_reading *reading);

/**
 * source_kernel_open() - the same as a source
 * @source: filled in
 * @kernel: its state; stays the caller's
 */
void source_kernel_open(struct source *source, struct source_kernel *kernel);

/* The parts that need no system call; for source_kernel_read() and tests. */
struct timex;

/**
 * source_slew_ns() - what the kernel's PLL has still to add to CLOCK_REALTIME
 * @tx: adjtimex()'s answer
 * @error_ns: the error of the result, ns, +/-
 *
 * Return: ns.
 */
int64_t source_slew_ns(const struct timex *tx, uint64_t *error_ns);

/**
 * source_leap_indicator() - the kernel's leap second state in the page's terms
 * @state: adjtimex()'s return value
 * @status: STA_*
 * @utc: POSIX time
 *
 * Return: VMCLOCK_PAGE_LEAP_*.
 */
uint8_t source_leap_indicator(int state, int status, int64_t utc);

#endif /* HOST_SOURCE_KERNEL_H */
