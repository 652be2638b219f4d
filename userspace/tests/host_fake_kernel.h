/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's clock as a test wants it: these functions stand before the C
 * library's.
 */
#ifndef TESTS_HOST_FAKE_KERNEL_H
#define TESTS_HOST_FAKE_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>
#include <time.h>

#include "counter.h"

/*
 * @tx: what adjtimex() answers, @state and @error with it
 * @adjtime_us: what is left of an adjtime()
 * @flickers: adjtimex() gives another status each time
 * @real_ns: CLOCK_REALTIME
 * @monotonic_ns: CLOCK_MONOTONIC
 * @steps_ns: adjtimex() sets CLOCK_REALTIME forward by so much each time
 * @turns: adjtimex() gives another frequency each time
 * @runs: both clocks go on by 1 ns with each tick of the counter from @since
 */
static struct fake_kernel {
	struct timex tx;
	int state;
	int error;
	long adjtime_us;
	bool flickers;
	int64_t steps_ns;
	bool turns;
	int64_t real_ns;
	int64_t monotonic_ns;
	bool runs;
	uint64_t since;
} kernel;

#define FAKE_NOW_NS	1800000000123456789LL	/* in January 2027 */

/* Synchronized within 1 ms, TAI known. */
static inline void fake_reset(void)
{
	kernel = (struct fake_kernel){
		.tx = { .status = STA_PLL | STA_NANO, .maxerror = 1000, .esterror = 10,
			.constant = 2, .tai = 37 },
		.state = TIME_OK,
		.real_ns = FAKE_NOW_NS,
		.monotonic_ns = 1000000000000,
		.since = counter_read_ordered(),
	};
}

int adjtimex(struct timex *tx)
{
	unsigned int modes = tx->modes;

	if (kernel.error) {
		errno = kernel.error;
		return -1;
	}
	if (kernel.flickers)
		kernel.tx.status ^= STA_FREQHOLD;
	kernel.real_ns += kernel.steps_ns;
	kernel.tx.freq += kernel.turns;
	*tx = kernel.tx;
	if (modes == ADJ_OFFSET_SS_READ)
		tx->offset = kernel.adjtime_us;
	return kernel.state;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t ns = clock == CLOCK_REALTIME ? kernel.real_ns : kernel.monotonic_ns;

	if (kernel.runs)
		ns += counter_read_ordered() - kernel.since;
	ts->tv_sec = ns / 1000000000 - (ns % 1000000000 < 0);
	ts->tv_nsec = (ns % 1000000000 + 1000000000) % 1000000000;
	return 0;
}

#endif /* TESTS_HOST_FAKE_KERNEL_H */
