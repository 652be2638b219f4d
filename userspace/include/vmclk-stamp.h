/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk: what can be done with stamps. Which of two was first, whether one
 * is still true, whether to trust it, waiting until it is certainly past, and
 * the same moment in UTC, TAI and smeared UTC.
 *
 * What is said of functions and errors in <vmclk.h> holds here too; none of
 * these allocates. libvmclk(7) says what a stamp promises.
 */
#ifndef VMCLK_STAMP_H
#define VMCLK_STAMP_H

#include <stdbool.h>

#include "vmclk.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Order. Stamps are intervals, and an interval lies before another one only if
 * all of it does: those that overlap, or touch, have no order. -1, 0 and 1 as
 * comparison functions return them.
 */
enum vmclk_order {
	VMCLK_BEFORE = -1,
	VMCLK_OVERLAPS = 0,
	VMCLK_AFTER = 1,
};

/**
 * vmclk_compare() - which of two moments was first?
 * @a: a stamp
 * @b: another one
 * @order: where the answer goes: @a is VMCLK_BEFORE @b, VMCLK_AFTER it, or
 *	VMCLK_OVERLAPS it; unchanged on error
 *
 * Return: 0, or the first that applies of
 * -VMCLK_EPAGES - they are of two pages
 * -VMCLK_EEPOCHS - the clock was disrupted, or the machine restored or cloned,
 *	between them: the disruption markers or the generation counters differ,
 *	or only one has a generation counter
 * -VMCLK_ENOTIME - one has no time
 * -VMCLK_ESCALES - they are in two time scales
 * -EINVAL - one is no interval
 */
int vmclk_compare(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
		  enum vmclk_order *order);

/**
 * vmclk_compare_across() - which of two moments was first, by two clocks?
 * @a: a stamp
 * @b: another one; may be of another page, machine or epoch
 * @order: as vmclk_compare()
 *
 * For stamps in UTC or TAI whose reader decides to believe both clocks. It has
 * to know that both were honest when they were made: markers are not looked at.
 *
 * Return: 0, or the first that applies of
 * -VMCLK_ENOTIME - one has no time
 * -VMCLK_ESCALES - they are in two time scales, or in a monotonic one, whose
 *	epoch each page has for itself
 * -EINVAL - one is no interval
 */
int vmclk_compare_across(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
			 enum vmclk_order *order);

/*
 * Was @a certainly before @b, or certainly after it? Do the intervals overlap,
 * or touch? None of the three holds if vmclk_compare() gives an error.
 */
bool vmclk_before(const struct vmclk_stamp *a, const struct vmclk_stamp *b);
bool vmclk_after(const struct vmclk_stamp *a, const struct vmclk_stamp *b);
bool vmclk_overlaps(const struct vmclk_stamp *a, const struct vmclk_stamp *b);

/**
 * vmclk_still_valid() - is it still the same clock and the same machine?
 * @clk: the page
 * @stamp: a stamp of it, with a time or without
 *
 * Return: 0, or an error of vmclk_snapshot(), or the first that applies of
 * -VMCLK_EPAGES - @stamp is of another page
 * -VMCLK_ECLONED - the generation counter is another one, or was not there, or
 *	is not there any more
 * -VMCLK_EDISRUPTED - the disruption marker is another one
 */
int vmclk_still_valid(const struct vmclk *clk, const struct vmclk_stamp *stamp);

/**
 * struct vmclk_policy - which stamps to trust
 * @size: sizeof(struct vmclk_policy), as the program was compiled
 * @statuses: bit mask; bit n stands for the clock status n (VMCLOCK_PAGE_STATUS_*
 *	in <linux/vmclock-page.h>)
 * @bound_max_ns: half the width of the interval, rounded down to ns, is at most
 *	this
 * @age_max_sec: the time lies at most this far from the page's reference point,
 *	to either side
 *
 * Members will be added at the end, with 0 for no further rule. A library older
 * than the program refuses those it does not know unless they are 0.
 */
struct vmclk_policy {
	uint32_t size;
	uint32_t statuses;
	uint64_t bound_max_ns;
	uint64_t age_max_sec;
};

/*
 * What NULL stands for, to start from.
 *
 * - Both statuses that vouch for the time: one that lost its reference grows
 *   its bound, and the next rule then ends it.
 * - 100 ms: machines that are synchronised over a network stay far below it,
 *   while the clocks of two machines that are not, set by hand or by a firmware,
 *   are rarely as close.
 * - 60 s: writers renew the line every second or so. One that has not for a
 *   minute is gone, and could not announce a disruption or a leap second either,
 *   whatever status it left behind.
 */
#define VMCLK_POLICY_DEFAULT \
	{ sizeof(struct vmclk_policy), 1U << 2 | 1U << 3, 100000000, 60 }

/**
 * vmclk_trusts() - does a stamp keep to a policy?
 * @policy: the policy, or NULL for VMCLK_POLICY_DEFAULT of the library
 * @stamp: the stamp
 *
 * In UTC, the interval of a stamp that touches an inserted second is never
 * narrower than a second: for that long, little will be trusted.
 *
 * Return: 0, or the first that applies of
 * -VMCLK_ENOTIME - @stamp has no time
 * -VMCLK_ESTATUS, -VMCLK_EWIDE, -VMCLK_EAGED - the rule it does not keep
 * -EINVAL - @policy has no @size, or @stamp is no interval
 * -E2BIG - @policy has rules that this library does not know
 */
int vmclk_trusts(const struct vmclk_policy *policy, const struct vmclk_stamp *stamp);

#define VMCLK_WAIT_FOREVER	UINT64_MAX

/**
 * vmclk_wait_until_after() - wait until a moment is certainly past
 * @clk: the page
 * @stamp: a stamp of it
 * @policy: which stamps to trust, or NULL for the defaults
 * @timeout_ns: wait at most so long, by CLOCK_MONOTONIC
 *
 * Commit-wait: what begins after this returned 0 began after @stamp, in true
 * time. It sleeps about as long as is missing, but never long without a look at
 * the page. A stamp that @policy does not trust does not end the wait.
 *
 * Context: may sleep. A cancellation point.
 *
 * Return: 0 only if a stamp taken meanwhile, of the same page, epoch and time
 * scale, and trusted by @policy, has its @earliest after @stamp's @latest. Else
 * -ETIMEDOUT - the time is up
 * -EINTR - a signal came
 * -VMCLK_EPAGES, -VMCLK_ECLONED, -VMCLK_EDISRUPTED - as vmclk_still_valid()
 * -VMCLK_ESCALES - the page is in another time scale than @stamp
 * -VMCLK_ENOTIME, -VMCLK_ECOUNTER - @stamp has no time, or the page gives none
 * -EINVAL, -E2BIG - as vmclk_trusts()
 * or an error of vmclk_snapshot().
 */
int vmclk_wait_until_after(const struct vmclk *clk, const struct vmclk_stamp *stamp,
			   const struct vmclk_policy *policy, uint64_t timeout_ns);

/**
 * vmclk_wait_trusted() - wait until there is a time to trust
 * @clk: the page
 * @policy: which stamps to trust, or NULL for the defaults
 * @timeout_ns: wait at most so long, by CLOCK_MONOTONIC
 * @stamp: where the stamp goes. On -ETIMEDOUT, the latest answer: its @reason
 *	and vmclk_trusts() tell what is missing. Unchanged if there was none.
 *
 * It looks every 10 ms.
 *
 * Context: may sleep. A cancellation point.
 *
 * Return: 0 with a stamp that @policy trusts; -ETIMEDOUT; -EINTR if a signal
 * came; -EINVAL, -E2BIG as vmclk_trusts(); or what waiting does not mend:
 * -VMCLK_ECOUNTER, -VMCLK_ENOTIME for VMCLK_BOOT_UNKNOWN, and the errors of
 * vmclk_snapshot() but for -VMCLK_EBUSY and -VMCLK_ENOTINIT.
 */
int vmclk_wait_trusted(const struct vmclk *clk, const struct vmclk_policy *policy,
		       uint64_t timeout_ns, struct vmclk_stamp *stamp);

/**
 * vmclk_to_utc() - the same moment in UTC
 * @in: a stamp in TAI, or one in UTC, which is only copied
 * @out: where it goes; may be @in; unchanged on error
 *
 * Exact, also across the end of the month of the page's reference point and,
 * where a leap second was there, across its beginning. UTC is written as POSIX
 * counts it:
 *
 * - An inserted second, 23:59:60, has the numbers of 23:59:59. If the interval
 *   touches it, @out has VMCLK_STAMP_LEAP_SECOND, and @earliest and @latest are
 *   moved out to the ends of the repeated second, since numbers in there tell
 *   nothing about order. VMCLK_STAMP_POINT_IS_60 tells which of the two seconds
 *   @point is in.
 * - A removed second, 23:59:59, has no numbers: they go on at 00:00:00.
 *
 * @reference_sec is converted too; @tai_offset_sec and @leap_indicator remain
 * those of the reference point.
 *
 * Return: 0, or
 * -VMCLK_ENOTIME - @in has no time
 * -VMCLK_ESCALES - @in is neither in TAI nor in UTC
 * -VMCLK_EUTC - the page does not say how far UTC is from TAI there: it has no
 *	offset, or one above 0, or a leap indicator that can't be true, or the
 *	interval leaves the months it speaks of (27 days before and after the
 *	month of the reference point)
 * -EINVAL - @in is no interval
 */
int vmclk_to_utc(const struct vmclk_stamp *in, struct vmclk_stamp *out);

/**
 * vmclk_to_tai() - the same moment in TAI
 * @in: a stamp in UTC, or one in TAI, which is only copied
 * @out: where it goes; may be @in; unchanged on error
 *
 * The reverse of vmclk_to_utc(). An interval that was moved out around an
 * inserted second becomes one that has both seconds in it.
 *
 * Return: as vmclk_to_utc(); -VMCLK_EUTC also if @in lies in a second that was
 * removed.
 */
int vmclk_to_tai(const struct vmclk_stamp *in, struct vmclk_stamp *out);

/**
 * struct vmclk_smeared - a moment in smeared UTC
 * @point: the time, rounded down to ns
 * @earliest: no earlier than this
 * @latest: no later than this
 *
 * Not a stamp on purpose: next to a leap second it is up to a second away from
 * UTC, and must not be compared with it, nor with another smear.
 */
struct vmclk_smeared {
	struct vmclk_time point;
	struct vmclk_time earliest;
	struct vmclk_time latest;
};

/**
 * vmclk_smear_noon_linear() - UTC with leap seconds smeared from noon to noon
 * @stamp: a stamp in TAI or UTC
 * @smeared: where the result goes; unchanged on error
 *
 * From 12:00:00 UTC before the leap second to 12:00:00 after it the smeared
 * clock runs evenly, and shows 86400 s of the 86401 or 86399 that pass. Edges
 * are rounded outwards. Around other months' ends it is UTC.
 *
 * Return: 0, or an error of vmclk_to_utc().
 */
int vmclk_smear_noon_linear(const struct vmclk_stamp *stamp,
			    struct vmclk_smeared *smeared);

/**
 * vmclk_smear_utc_sls() - UTC with smoothed leap seconds (UTC-SLS)
 * @stamp: a stamp in TAI or UTC
 * @smeared: where the result goes; unchanged on error
 *
 * In the last 1000 s of the day, the leap second among them, the smeared clock
 * shows 999 s, or 1001 if a second is removed. Otherwise as
 * vmclk_smear_noon_linear().
 *
 * Return: 0, or an error of vmclk_to_utc().
 */
int vmclk_smear_utc_sls(const struct vmclk_stamp *stamp, struct vmclk_smeared *smeared);

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_STAMP_H */
