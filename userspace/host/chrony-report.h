/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What chronyd knows about the time: its tracking report, as chronyc -c prints it.
 */
#ifndef HOST_CHRONY_REPORT_H
#define HOST_CHRONY_REPORT_H

#include <stddef.h>
#include <stdint.h>

enum chrony_leap {
	CHRONY_LEAP_NORMAL,
	CHRONY_LEAP_INSERT,
	CHRONY_LEAP_DELETE,
	CHRONY_LEAP_UNSYNCHRONISED,
};

/* The reference ID of a chronyd that tells its own clock's time (local). */
#define CHRONY_REFID_LOCAL	0x7f7f0101

/**
 * struct chrony_report - the report
 * @refid: the reference; 0: none
 * @stratum: 0 to 16
 * @leap: what is to happen at the end of the day
 * @ref_time_ns: when the last measurement was processed, UTC
 * @offset_ns: still to be added to the system's clock
 * @frequency_ppb: how wrong the clock would be if it were not controlled, either way
 * @residual_ppb: what is known to be wrong with that, either way
 * @skew_ppb: the error bound of that
 * @root_delay_ns: round trip to the stratum-1 server
 * @root_dispersion_ns: errors on the way, and since the last measurement
 * @interval_ns: between the last two measurements
 */
struct chrony_report {
	uint32_t refid;
	uint32_t stratum;
	enum chrony_leap leap;
	int64_t ref_time_ns;
	int64_t offset_ns;
	uint64_t frequency_ppb;
	uint64_t residual_ppb;
	uint64_t skew_ppb;
	uint64_t root_delay_ns;
	uint64_t root_dispersion_ns;
	uint64_t interval_ns;
};

/**
 * chrony_report_parse() - read the answer of chronyc -c tracking
 * @text: zero-terminated
 * @length: without the zero
 * @report: the result
 *
 * One line of 14 fields, each of its own form and in its range, or nothing: a
 * report that is understood in part gives a wrong bound.
 *
 * Return: 0 or -EPROTO.
 */
int chrony_report_parse(const char *text, size_t length, struct chrony_report *report);

#endif /* HOST_CHRONY_REPORT_H */
