// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/timex.h>
#include <time.h>

#include <linux/vmclock-page.h>

#include "steer.h"

#define DAY		86400
/* Seconds around a leap second in which the kernel may not have made it yet. */
#define LEAP_MARGIN	2

/* Parts of the offset, as right shifts; KI = KP^2 / 4 damps critically. */
#define KP_SHIFT	2
#define KI_SHIFT	6

static int64_t clamp(__int128 value, int64_t limit)
{
	return value > limit ? limit : value < -limit ? -limit : (int64_t)value;
}

/* The frequency that makes up for @offset_ns within @interval_ns. */
static __int128 as_freq(int64_t offset_ns, int64_t interval_ns)
{
	return ((__int128)offset_ns * 1000000 * 65536) / interval_ns;
}

int64_t steer_round(struct steer *s, int64_t offset_ns, int64_t interval_ns)
{
	__int128 whole = as_freq(offset_ns, interval_ns);
	__int128 freq = s->base + whole / (1 << KP_SHIFT);

	if (freq != clamp(freq, STEER_FREQ_MAX))
		return clamp(freq, STEER_FREQ_MAX);
	s->base = clamp(s->base + whole / (1 << KI_SHIFT), STEER_FREQ_MAX);
	return freq;
}

static bool is_same_month(time_t a, time_t b)
{
	struct tm first, second;

	return gmtime_r(&a, &first) && gmtime_r(&b, &second) &&
	       first.tm_mon == second.tm_mon && first.tm_year == second.tm_year;
}

int steer_leap(uint8_t leap_indicator, int64_t reference_sec, int64_t utc_sec)
{
	if (!is_same_month(reference_sec, utc_sec) || is_same_month(utc_sec, utc_sec + DAY))
		return 0;
	if (leap_indicator == VMCLOCK_PAGE_LEAP_PRE_POS)
		return STA_INS;
	return leap_indicator == VMCLOCK_PAGE_LEAP_PRE_NEG ? STA_DEL : 0;
}

bool steer_is_ambiguous(uint8_t leap_indicator, int64_t utc_sec)
{
	return leap_indicator != VMCLOCK_PAGE_LEAP_NONE &&
	       (utc_sec + LEAP_MARGIN) % DAY < 2 * LEAP_MARGIN;
}

int64_t steer_error_us(int64_t ns)
{
	int64_t limit = STEER_ERROR_MAX_US * 1000LL;

	if (ns < 0)
		ns = ns < -limit ? limit : -ns;
	return (ns < limit ? ns + 999 : limit) / 1000;
}
