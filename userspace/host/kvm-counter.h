/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counter of a KVM guest, from what the host's kernel tells of each virtual
 * CPU in debugfs: ROOT/PID-FD/vcpuN/tsc-offset, and where the processor can scale
 * tsc-scaling-ratio and tsc-scaling-ratio-frac-bits.
 *
 * A guest may write its counter, or TSC_ADJUST, on one CPU only. Then there is no
 * counter of the machine any more, and so no answer here. An answer is that of
 * the moment: who uses it asks again.
 */
#ifndef HOST_KVM_COUNTER_H
#define HOST_KVM_COUNTER_H

#include <sys/types.h>

#include "guest-counter.h"

#define KVM_COUNTER_ROOT	"/sys/kernel/debug/kvm"

/**
 * kvm_counter_read() - how KVM shows the counter to a process's guest
 * @root: KVM_COUNTER_ROOT, but for tests
 * @pid: the process
 * @counter: filled in, if it can be told
 *
 * Return: 0; -ENOENT if KVM tells nothing of that process, or not of a counter;
 * -ENOTUNIQ if the process has two machines; -EDOM if its virtual CPUs differ;
 * -EPROTO if what it tells is no counter; or what opening said: -EACCES for
 * example, for debugfs is root's.
 */
int kvm_counter_read(const char *root, pid_t pid, struct guest_counter *counter);

/**
 * kvm_counter_is_known() - does KVM know the machine?
 * @root: see kvm_counter_read()
 * @pid: the process
 *
 * Return: true if it tells a counter, or of several that differ.
 */
bool kvm_counter_is_known(const char *root, pid_t pid);

/* What KVM says to what somebody else has told. */
enum kvm_counter_word {
	KVM_COUNTER_SILENT,	/* nothing: it can't be asked */
	KVM_COUNTER_AGREES,
	KVM_COUNTER_DENIES,	/* also if the virtual CPUs differ */
};

/**
 * kvm_counter_compare() - does KVM tell the same counter as somebody else?
 * @root: see kvm_counter_read()
 * @pid: the process; 0: it is not known, and nobody to be asked
 * @told: by somebody else
 * @error: how far its offset may be off
 */
enum kvm_counter_word kvm_counter_compare(const char *root, pid_t pid,
					  const struct guest_counter *told, uint64_t error);

#endif /* HOST_KVM_COUNTER_H */
