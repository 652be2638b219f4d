/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the guest's stamps lie for the host to read: in guest RAM that the guest's
 * kernel does not use, and the host maps. Both may read while a VM is stopped, and
 * what is there is saved and restored with it.
 *
 * The guest fills a record and then counts it in @count. The host stores anything
 * but 0 in @go to end the program. judge.py knows the layout as well.
 */
#ifndef VM_STAMP_RING_H
#define VM_STAMP_RING_H

#include <stdint.h>

/* Guest-physical, and the offset in the file that is the guest's RAM. */
#define RING_ADDRESS	0x1c010000
#define RING_SIZE	0xf0000

/* A copy of the page, the counter at that moment, and what the library made of it. */
struct stamp_record {
	uint64_t number;
	uint64_t counter;
	uint64_t marker, generation, flags;
	uint64_t counter_value, period, period_maxerror;
	uint64_t time_sec, time_frac, time_maxerror;
	int64_t earliest_ns, latest_ns;
	uint32_t seq, reason;
	int16_t tai_offset;
	uint8_t status, time_type, shift, counter_id, has_time, counter_valid;
	uint8_t pad[8];
};

#define RING_RECORDS	((RING_SIZE - 128) / sizeof(struct stamp_record))

struct stamp_ring {
	_Alignas(64) _Atomic uint64_t count;
	_Alignas(64) _Atomic uint64_t go;
	_Alignas(64) struct stamp_record records[RING_RECORDS];
};

_Static_assert(sizeof(struct stamp_record) == 128, "judge.py reads it");
_Static_assert(sizeof(struct stamp_ring) <= RING_SIZE, "it fits the room");

#endif /* VM_STAMP_RING_H */
