/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readings for the guest's clocks: from the line that is on the page, so that
 * who reads the page at the same counter gets the same time; where the page
 * gives none, from the kernel's clock.
 */
#ifndef HOST_RTC_CLOCKS_H
#define HOST_RTC_CLOCKS_H

#include "rtc.h"
#include "vm.h"

/**
 * struct rtc_source - where readings come from
 * @vm: the line and the page
 * @has_last: something was read from the monotonic clock
 * @last_ns: what it said last
 * @last_boot_ns: the kernel's monotonic clock then
 * @on_line: it follows the line; else the kernel's monotonic clock
 * @marker: which line: another one is a new start
 * @from_ns: where it took up that line or clock
 * @start_ns: and what it said there
 */
struct rtc_source {
	const struct vm *vm;
	bool has_last;
	uint64_t last_ns;
	uint64_t last_boot_ns;
	bool on_line;
	uint64_t marker;
	uint64_t from_ns;
	uint64_t start_ns;
};

/**
 * rtc_clocks_init() - the clocks of a device
 * @source: initialised here
 * @vm: started
 * @clocks: filled in, for rtc_init()
 *
 * UTC and TAI agree with the page. The monotonic clock runs at the rate of the
 * line and starts at what the kernel's says; whatever happens to the line, it
 * goes on from where it was. All of them always answer. The counter of a reading
 * is the guest's at that instant, or within the shortest bracket to be had.
 */
void rtc_clocks_init(struct rtc_source *source, const struct vm *vm,
		     struct rtc_clocks *clocks);

#endif /* HOST_RTC_CLOCKS_H */
