/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapping; for shm.c and shm-access.c only.
 */
#ifndef HOST_SHM_INTERNAL_H
#define HOST_SHM_INTERNAL_H

#include "dirty.h"
#include "shm-fault.h"
#include "shm.h"

/**
 * struct shm_map - what the handles of a mapping share
 * @refs: how many they are
 * @lock: number of those who have it shared, or SHM_LOCK_EXCLUSIVE
 * @leases: how many of those are the guest's
 * @raw: the mapping, guard pages included
 * @raw_size: its size
 * @base: the memory
 * @size: its size
 * @guest_size: how much of it the guest is given
 * @is_writable: it is not READONLY
 * @fault: NULL for private memory, which nobody else has or can take away
 * @dirty: where what is written is marked, or an empty one
 *
 * @refs, @lock and @leases are atomic; all else is constant once shm_build()
 * was called.
 */
struct shm_map {
	unsigned int refs;
	int lock;
	unsigned int leases;
	char *raw;
	size_t raw_size;
	char *base;
	size_t size;
	size_t guest_size;
	bool is_writable;
	struct shm_fault *fault;
	struct dirty dirty;
};

#define SHM_LOCK_EXCLUSIVE	(-1)

#endif /* HOST_SHM_INTERNAL_H */
