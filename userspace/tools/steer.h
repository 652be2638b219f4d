/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a clock is steered: arithmetic only, no clock is touched here.
 *
 * Frequencies are in the unit of adjtimex(2), 2^-16 ppm.
 */
#ifndef VMCLOCKCTL_STEER_H
#define VMCLOCKCTL_STEER_H

#include <stdbool.h>
#include <stdint.h>

/* 500 ppm: what the kernel takes. */
#define STEER_FREQ_MAX	(500LL << 16)

/**
 * struct steer - the loop's state
 * @base: the frequency that keeps a clock that is right
 */
struct steer {
	int64_t base;
};

/**
 * steer_round() - what the frequency should be until the next round
 * @s: the state
 * @offset_ns: what has to be added to the clock
 * @interval_ns: from this round to the next, above 0
 *
 * A proportional and an integral part, critically damped: a step of the offset
 * dies out as (a + b k) (7/8)^k after k rounds. While the frequency is at its
 * limit nothing is learned from the offset.
 */
int64_t steer_round(struct steer *s, int64_t offset_ns, int64_t interval_ns);

/**
 * steer_leap() - STA_INS, STA_DEL or 0
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*
 * @reference_sec: UTC of the line's reference point, whose month the indicator
 *	speaks of
 * @utc_sec: UTC now
 *
 * The kernel acts on these at the next midnight, so not before the last day.
 */
int steer_leap(uint8_t leap_indicator, int64_t reference_sec, int64_t utc_sec);

/**
 * steer_is_ambiguous() - is the kernel's time no measure now?
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*
 * @utc_sec: UTC now
 *
 * It makes a leap second with the next tick after it has begun.
 */
bool steer_is_ambiguous(uint8_t leap_indicator, int64_t utc_sec);

/* Nanoseconds as microseconds, away from zero; 16 s, "not known", at most. */
#define STEER_ERROR_MAX_US	16000000
int64_t steer_error_us(int64_t ns);

#endif /* VMCLOCKCTL_STEER_H */
