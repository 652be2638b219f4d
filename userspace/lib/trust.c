// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Policies: which stamps to trust.
 */
#include <linux/vmclock-page.h>

#include "internal.h"
#include "vmclk-stamp.h"
#include "vmclock_math.h"

/* The first release had everything up to here. */
#define SIZE_MIN	(offsetof(struct vmclk_policy, age_max_sec) + sizeof(uint64_t))
/* No page of memory holds a policy that long: what is read stays bounded. */
#define SIZE_MAX_BYTES	4096

static const struct vmclk_policy policy_default = VMCLK_POLICY_DEFAULT;

_Static_assert(VMCLOCK_PAGE_STATUS_SYNCHRONIZED == 2 &&
	       VMCLOCK_PAGE_STATUS_FREERUNNING == 3, "VMCLK_POLICY_DEFAULT names them");

int vmclk__check_policy(const struct vmclk_policy *policy)
{
	const unsigned char *bytes = (const unsigned char *)policy;

	if (!policy)
		return 0;
	if (policy->size < SIZE_MIN || policy->size > SIZE_MAX_BYTES)
		return -EINVAL;
	for (size_t i = sizeof(*policy); i < policy->size; i++)
		if (bytes[i])
			return -E2BIG;
	return 0;
}

static uint64_t half_width_ns(const struct vmclk_stamp *s)
{
	vmclock_u128 sec = (uint64_t)s->latest.sec - (uint64_t)s->earliest.sec;
	vmclock_u128 ns = sec * VMCLOCK_NSEC_PER_SEC + s->latest.nsec - s->earliest.nsec;

	return ns >> 65 ? UINT64_MAX : (uint64_t)(ns / 2);
}

static uint64_t distance(int64_t a, int64_t b)
{
	return a < b ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b;
}

static bool status_is_among(uint32_t statuses, uint8_t status)
{
	return status < 32 && statuses >> status & 1;
}

int vmclk_trusts(const struct vmclk_policy *policy, const struct vmclk_stamp *stamp)
{
	int err = vmclk__check_policy(policy);

	if (err)
		return err;
	if (!policy)
		policy = &policy_default;

	if (!(stamp->valid & VMCLK_STAMP_TIME))
		return -VMCLK_ENOTIME;
	if (!vmclk__is_sound(stamp))
		return -EINVAL;
	if (!status_is_among(policy->statuses, stamp->clock_status))
		return -VMCLK_ESTATUS;
	if (half_width_ns(stamp) > policy->bound_max_ns)
		return -VMCLK_EWIDE;
	if (distance(stamp->point.sec, stamp->reference_sec) > policy->age_max_sec)
		return -VMCLK_EAGED;
	return 0;
}
