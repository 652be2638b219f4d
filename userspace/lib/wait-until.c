// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waiting for the page's time. Nothing tells when a page says what is wanted:
 * it is looked at again and again, between sleeps of the kernel's clock.
 */
#include <time.h>

#include "counter.h"
#include "internal.h"
#include "vmclk-stamp.h"
#include "vmclock_math.h"

#define POLL_NS		10000000	/* how soon a disruption is noticed */

/*
 * A sleep ends up to some 60 us late: the kernel gathers timers. What is left
 * then is spun through, but only as many looks as that takes: a line that stands
 * still must not keep the CPU busy.
 */
#define LATE_NS		60000
#define SPINS_MAX	4096

/* Nanoseconds, which last for 584 years of uptime. */
static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * VMCLOCK_NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t deadline_in(uint64_t timeout_ns)
{
	uint64_t now = monotonic_ns();

	return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}

/* -ETIMEDOUT if there is nothing left until @deadline, -EINTR, or 0. */
static int nap(uint64_t ns, uint64_t deadline)
{
	uint64_t now = monotonic_ns();
	struct timespec t = { 0 };

	if (now >= deadline)
		return -ETIMEDOUT;
	if (ns > deadline - now)
		ns = deadline - now;
	t.tv_sec = (time_t)(ns / VMCLOCK_NSEC_PER_SEC);
	t.tv_nsec = (long)(ns % VMCLOCK_NSEC_PER_SEC);
	return -clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* From @a to @b, 0 if that is past; cut where no sleep is that long. */
static uint64_t ns_until(const struct vmclk_time *a, const struct vmclk_time *b)
{
	if (vmclk__is_earlier(b, a))
		return 0;
	if ((uint64_t)b->sec - (uint64_t)a->sec > 1)
		return POLL_NS;
	return (uint64_t)(b->sec - a->sec) * VMCLOCK_NSEC_PER_SEC + b->nsec - a->nsec;
}

/* Some of the @missing ns. */
static int pass_time(uint64_t missing, uint64_t deadline, unsigned int *spins)
{
	if (missing > LATE_NS)
		return nap(missing - LATE_NS < POLL_NS ? missing - LATE_NS : POLL_NS, deadline);
	if (*spins == SPINS_MAX || monotonic_ns() >= deadline)
		return nap(LATE_NS, deadline);
	(*spins)++;
	counter_relax();
	return 0;
}

/* A look at the page: 0 with @now, or why there is no use in waiting. */
static int look(const struct vmclk *clk, const struct vmclk_stamp *stamp,
		struct vmclk_stamp *now)
{
	int err = vmclk_now(clk, now);
	int broken;

	if (err && err != -VMCLK_ENOTIME && err != -VMCLK_ECOUNTER)
		return err;
	broken = vmclk__check_epoch(now, stamp);
	if (broken)
		return broken;
	if (err)
		return err;
	return now->time_type == stamp->time_type ? 0 : -VMCLK_ESCALES;
}

int vmclk_wait_until_after(const struct vmclk *clk, const struct vmclk_stamp *stamp,
			   const struct vmclk_policy *policy, uint64_t timeout_ns)
{
	uint64_t deadline = deadline_in(timeout_ns);
	unsigned int spins = 0;
	int err = vmclk__check_policy(policy);

	if (!(stamp->valid & VMCLK_STAMP_TIME))
		return -VMCLK_ENOTIME;
	if (!err && !vmclk__is_sound(stamp))
		err = -EINVAL;
	while (!err) {
		struct vmclk_stamp now;
		uint64_t missing;

		err = look(clk, stamp, &now);
		if (err)
			break;
		missing = ns_until(&now.earliest, &stamp->latest);
		if (vmclk_trusts(policy, &now))
			missing = POLL_NS;
		else if (vmclk__is_earlier(&stamp->latest, &now.earliest))
			break;

		err = pass_time(missing, deadline, &spins);
	}
	return err;
}

/* Does time alone mend what vmclk_now() says? */
static bool may_pass(int err, const struct vmclk_stamp *stamp)
{
	if (err == -VMCLK_ENOTIME)
		return stamp->reason != VMCLK_BOOT_UNKNOWN;
	return !err || err == -VMCLK_EBUSY || err == -VMCLK_ENOTINIT;
}

int vmclk_wait_trusted(const struct vmclk *clk, const struct vmclk_policy *policy,
		       uint64_t timeout_ns, struct vmclk_stamp *stamp)
{
	uint64_t deadline = deadline_in(timeout_ns);
	int err = vmclk__check_policy(policy);

	while (!err) {
		err = vmclk_now(clk, stamp);
		if (!may_pass(err, stamp))
			break;
		if (!err && !vmclk_trusts(policy, stamp))
			break;
		err = nap(POLL_NS, deadline);
	}
	return err;
}
