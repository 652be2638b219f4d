/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FUZZ_RING_FUZZ_H
#define TESTS_FUZZ_RING_FUZZ_H

/* What the inputs have got the ring to do: all of it, or they are poor. */
enum ring_fuzz_event {
	SEEN_START_REFUSED,
	SEEN_NO_CHAIN,
	SEEN_CHAIN,
	SEEN_INDIRECT,
	SEEN_READ,
	SEEN_WRITE,
	SEEN_EFAULT,
	SEEN_ELOOP,
	SEEN_EBADMSG,
	SEEN_BROKEN,
	SEEN_RESTART,
	SEEN_DEAD_CHAIN,
	SEEN_PUBLISHED,
	SEEN_NOTIFIED,
	SEEN_SUPPRESSED,
	SEEN_CHANGED_MEANWHILE,
	SEEN_MAX,
};

extern unsigned long ring_fuzz_seen[SEEN_MAX];

#endif /* TESTS_FUZZ_RING_FUZZ_H */
