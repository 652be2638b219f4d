/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What clock-exchange and clock-peer say to each other, through a page of the
 * guest's RAM that its kernel does not use (see pages.py) and the host maps.
 *
 * The host stores a new number in @request. The guest sees it, reads its
 * counter, stores that in @counter, and then the number in @answer. LINK_GO
 * ends the conversation.
 */
#ifndef VM_CLOCK_LINK_H
#define VM_CLOCK_LINK_H

#include <stdint.h>

/* The offset in the file that is the guest's RAM, and guest-physical. */
#define LINK_OFFSET	0x1c00f000
#ifdef __aarch64__
#define LINK_ADDRESS	(0x40000000 + LINK_OFFSET)
#else
#define LINK_ADDRESS	LINK_OFFSET
#endif
#define LINK_SIZE	4096
#define LINK_GO		UINT64_MAX

/* Each in a cache line of its own. */
struct clock_link {
	_Alignas(64) _Atomic uint64_t request;
	_Alignas(64) _Atomic uint64_t answer;
	_Atomic uint64_t counter;
};

#endif /* VM_CLOCK_LINK_H */
