// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Smeared UTC: the leap second spread over some time, so that the count neither
 * repeats nor skips. The page and stamps never carry it; who needs it to talk
 * to neighbours that smear asks for it by name.
 */
#include "utc.h"
#include "vmclock_math.h"

/*
 * From the even second @start on, @takes seconds pass while the smeared clock
 * counts @shows. Before that it agrees with UTC, and behind it again.
 */
struct smear {
	int64_t start;
	int64_t takes;
	int64_t shows;
};

/* Rounded down to ns, or up if @up. */
static struct vmclk_time smeared(struct vmclk_time even, const struct smear *s, bool up)
{
	uint64_t ns;

	if (even.sec < s->start)
		return even;
	if (even.sec >= s->start + s->takes) {
		even.sec += s->shows - s->takes;
		return even;
	}
	/* A day in ns, times a day in seconds, is below 2^63. */
	ns = (uint64_t)(even.sec - s->start) * VMCLOCK_NSEC_PER_SEC + even.nsec;
	ns = (ns * s->shows + (up ? s->takes - 1 : 0)) / s->takes;
	return (struct vmclk_time){
		.sec = s->start + (int64_t)(ns / VMCLOCK_NSEC_PER_SEC),
		.nsec = ns % VMCLOCK_NSEC_PER_SEC,
	};
}

static int smear(const struct vmclk_stamp *in, struct smear (*of)(const struct leap *),
		 struct vmclk_smeared *out)
{
	struct vmclk_stamp even = *in;
	struct leap leap;
	struct smear s;
	int err = vmclk__check_times(in);

	if (!err)
		err = vmclk__make_even(&even, &leap);
	if (err)
		return err;
	s = of(&leap);
	*out = (struct vmclk_smeared){
		.point = smeared(even.point, &s, false),
		.earliest = smeared(even.earliest, &s, false),
		.latest = smeared(even.latest, &s, true),
	};
	return 0;
}

/* From noon to noon UTC, which is a day and the leap second. */
static struct smear noon_linear(const struct leap *leap)
{
	const int64_t half = 43200;

	return (struct smear){ leap->at - half, 2 * half + leap->kind, 2 * half };
}

/* The last 1000 seconds of the day, the leap second among them. */
static struct smear utc_sls(const struct leap *leap)
{
	return (struct smear){ leap->at + leap->kind - 1000, 1000, 1000 - leap->kind };
}

int vmclk_smear_noon_linear(const struct vmclk_stamp *stamp, struct vmclk_smeared *out)
{
	return smear(stamp, noon_linear, out);
}

int vmclk_smear_utc_sls(const struct vmclk_stamp *stamp, struct vmclk_smeared *out)
{
	return smear(stamp, utc_sls, out);
}
