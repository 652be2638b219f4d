/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kvmclock's arithmetic, forwards and backwards: the only arithmetic here that
 * cannot run where the tests do, since kvmclock needs KVM. So it stands alone,
 * for a unit test to include.
 */
#ifndef VMCLOCK_KVMCLOCK_H
#define VMCLOCK_KVMCLOCK_H

#include "vmclock_math.h"

#define VMCLOCK_KVMCLOCK_SHIFT_MAX 31

/**
 * struct vmclock_kvmclock - kvmclock's line from the TSC to nanoseconds
 * @tsc: TSC at the reference point
 * @ns: nanoseconds there
 * @mul: nanoseconds per tick of the shifted TSC, 2^-32
 * @shift: what the TSC is shifted by before, to the left; negative: right
 */
struct vmclock_kvmclock {
	__u64 tsc;
	__u64 ns;
	__u32 mul;
	__s8 shift;
};

/* As the kernel and the hypervisor compute it. */
static inline __u64 vmclock_kvmclock_at(const struct vmclock_kvmclock *k, __u64 tsc)
{
	__u64 delta = tsc - k->tsc;

	delta = k->shift < 0 ? delta >> -k->shift : delta << k->shift;
	return k->ns + (__u64)((vmclock_u128)delta * k->mul >> 32);
}

/* The first TSC value at which kvmclock shows @ns, if any value makes it do so. */
static inline __u64 vmclock_kvmclock_first(const struct vmclock_kvmclock *k, __u64 ns)
{
	__u64 d = ns - k->ns;
	/* d * 2^32 / mul, rounded up, in two steps of 64 bits. */
	__u64 high = d / k->mul, rest = (d % k->mul) << 32;
	__u64 shifted = (high << 32) + rest / k->mul + !!(rest % k->mul);

	if (k->shift < 0)
		return k->tsc + (shifted << -k->shift);
	return k->tsc + (shifted >> k->shift) + !!(shifted & ((1ULL << k->shift) - 1));
}

/**
 * vmclock_kvmclock_find() - a TSC value for a reading of kvmclock
 * @k: the line, from the hypervisor: it may be anything
 * @ns: the reading
 * @first: the TSC before the reading was taken
 * @last: the TSC after it
 * @tsc: the result: the first value from @first on at which kvmclock shows @ns
 *
 * Return: 1, or 0 if no value from @first to @last makes kvmclock show @ns.
 */
static inline int vmclock_kvmclock_find(const struct vmclock_kvmclock *k, __u64 ns,
					__u64 first, __u64 last, __u64 *tsc)
{
	__u64 t;

	if (!k->mul || k->shift < -VMCLOCK_KVMCLOCK_SHIFT_MAX ||
	    k->shift > VMCLOCK_KVMCLOCK_SHIFT_MAX ||
	    ns < k->ns || first < k->tsc || last < first)
		return 0;

	t = vmclock_kvmclock_first(k, ns);
	if (t < first)
		t = first;
	/* An overflow on the way shows here. */
	if (t > last || vmclock_kvmclock_at(k, t) != ns)
		return 0;
	*tsc = t;
	return 1;
}

#endif /* VMCLOCK_KVMCLOCK_H */
