/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guarded shared memory: every mapping of the host side is one of these.
 *
 *	raw_ptr      base_ptr                 host_region_end
 *	   | guard page | memory ... | (rest of page) | guard page |
 *
 * A guard page is inaccessible, so that running off either end is a fault and
 * not somebody else's data. In between, bounds are exact to the byte.
 *
 * A mapping begins as one EXCLUSIVE handle. shm_build() makes of it a HOST
 * handle, for access while others have the memory too, and a GUEST handle,
 * which stands for those others. All handles of a mapping share one lock that
 * nobody ever waits for: what can't have it fails with -EBUSY. It is held
 * shared during each access by a HOST handle and as long as the guest has its
 * lease, which is while any of its rings is started, and exclusively during
 * shm_with_exclusivity().
 *
 * What another process shares with us it can also truncate. That does not end
 * the program: see shm-fault.h. Everything done with the mapping from then on
 * fails with -EIO.
 *
 * Errors, if no more is said: -EINVAL a size or an alignment that can't be had
 * (shm_limits() has those that can), -ERANGE outside the bounds, -EBUSY the
 * lock is not to be had now, -EROFS a READONLY handle, -EPERM not offered by
 * this kind of handle, or an empty one, -EIO the memory was taken away, -EFBIG
 * a file too large; else what the system call gave, or -ENOMEM.
 *
 * Handles of one mapping may be used by several threads at once, but one
 * handle is built, cloned from and put by one thread at a time.
 */
#ifndef HOST_SHM_H
#define HOST_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dirty;
struct shm_map;

/**
 * enum shm_kind - what a handle entitles to
 * @SHM_NONE: an empty handle: nothing
 * @SHM_EXCLUSIVE: its user is the only one: everything, at any time
 * @SHM_HOST: copying and filling, while others have the memory as well
 * @SHM_GUEST: the lease, and the description of the mapping; no data
 * @SHM_READONLY: reading what never changes
 */
enum shm_kind {
	SHM_NONE,
	SHM_EXCLUSIVE,
	SHM_HOST,
	SHM_GUEST,
	SHM_READONLY,
};

/**
 * struct shm - a handle; all zeroes is an empty one
 * @map: the mapping, which lives as long as it has handles
 * @kind: what this one entitles to
 */
struct shm {
	struct shm_map *map;
	enum shm_kind kind;
};

/**
 * struct shm_limits - the sizes that shm_new() can make
 * @min: smallest size, bytes
 * @max: largest size, bytes
 * @alignment: what a size is a multiple of: a page
 */
struct shm_limits {
	size_t min;
	size_t max;
	size_t alignment;
};

/**
 * struct shm_region - a mapping, as whoever runs a VM is told of it
 * @guest_start: the guest's address of its first byte
 * @guest_end: the guest's address behind its last byte
 * @host_start: our address of its first byte
 * @host_end: our address behind the last byte that the guest is given
 * @is_writable: the guest may write
 */
struct shm_region {
	uint64_t guest_start;
	uint64_t guest_end;
	uintptr_t host_start;
	uintptr_t host_end;
	bool is_writable;
};

/* For @guest_len: the guest is given all there is. */
#define SHM_WHOLE	SIZE_MAX

/**
 * shm_limits() - what sizes there are
 * @limits: filled in
 */
void shm_limits(struct shm_limits *limits);

/**
 * shm_new() - private zeroed memory
 * @shm: becomes an EXCLUSIVE handle
 * @size: bytes, see shm_limits(); not rounded
 *
 * Return: 0 or an error.
 */
int shm_new(struct shm *shm, size_t size);

/**
 * shm_map_fd() - memory that others share with us through a file
 * @shm: becomes an EXCLUSIVE handle, which keeps nobody else's process away
 * @fd: a regular file, a memfd for example, open for reading and writing; the
 *	mapping does not need it to stay open. Where its pages are huge ones the
 *	mapping is aligned to them.
 * @offset: where in the file; any, also within a page
 * @size: bytes, all of them inside the file, not 0; also any
 *
 * Return: 0, -ERANGE if the file does not reach that far, or another error.
 */
int shm_map_fd(struct shm *shm, int fd, uint64_t offset, uint64_t size);

/**
 * shm_from_bytes() - a copy that never changes
 * @shm: becomes a READONLY handle, the size of which is @len rounded up to pages
 * @bytes: what to copy
 * @len: its length, not 0
 * @guest_len: how much of it a guest is given: whole pages, or SHM_WHOLE
 *
 * Return: 0 or an error.
 */
int shm_from_bytes(struct shm *shm, const void *bytes, size_t len, size_t guest_len);

/**
 * shm_from_file() - a file's contents that we never change
 * @shm: becomes a READONLY handle
 * @fd: a regular file whose length is a multiple of the page size, not 0
 * @guest_len: how much of it a guest is given: whole pages, or SHM_WHOLE
 *
 * Return: 0 or an error.
 */
int shm_from_file(struct shm *shm, int fd, size_t guest_len);

/**
 * shm_log_writes() - from now on mark what is written
 * @shm: EXCLUSIVE
 * @dirty: where offset 0 of the memory is; cloned, so that a log can be put in
 *	and taken away later
 *
 * shm_write(), shm_fill(), shm_zero() and the typed writes of every handle mark
 * what they wrote; who writes through shm_range() calls shm_mark_dirty().
 *
 * Return: 0 or -EPERM.
 */
int shm_log_writes(struct shm *shm, const struct dirty *dirty);

/**
 * shm_build() - end the exclusive time
 * @from: EXCLUSIVE, left empty; or READONLY, which stays as it is
 * @host: becomes a HOST handle; or a second READONLY one
 * @guest: becomes a GUEST handle; or a third READONLY one
 *
 * There is no way back but, for a moment, shm_with_exclusivity().
 *
 * Return: 0 or -EPERM.
 */
int shm_build(struct shm *from, struct shm *host, struct shm *guest);

/**
 * shm_clone() - one more handle
 * @from: HOST or READONLY
 * @to: becomes one like it
 *
 * Return: 0 or -EPERM.
 */
int shm_clone(const struct shm *from, struct shm *to);

/**
 * shm_put() - give a handle up; the last one takes the mapping with it
 * @shm: left empty; may be empty already. A GUEST handle's leases go with it.
 */
void shm_put(struct shm *shm);

/**
 * shm_is_same() - do two handles belong to one mapping?
 * @a: a handle
 * @b: another
 *
 * Return: true if so, whatever their contents.
 */
bool shm_is_same(const struct shm *a, const struct shm *b);

/**
 * shm_is_broken() - was the memory taken away?
 * @shm: any handle
 *
 * For those who use shm_range(): if this says no after they looked, what they
 * saw was the memory.
 *
 * Return: true if so, and then for ever.
 */
bool shm_is_broken(const struct shm *shm);

/*
 * What a mapping is. An empty handle has address and size 0. No address given
 * out here may be used to get at what others have as well: see shm_range().
 */

/**
 * shm_base_ptr() - the first byte of the memory
 * @shm: any handle
 *
 * Return: its address.
 */
void *shm_base_ptr(const struct shm *shm);

/**
 * shm_base_addr() - shm_base_ptr() as a number
 * @shm: any handle
 *
 * Return: the address.
 */
uintptr_t shm_base_addr(const struct shm *shm);

/**
 * shm_mem_size() - the size of the memory
 * @shm: any handle
 *
 * Return: bytes, exactly.
 */
size_t shm_mem_size(const struct shm *shm);

/**
 * shm_raw_ptr() - the first byte of the mapping, which is in a guard page
 * @shm: any handle
 *
 * Return: its address.
 */
void *shm_raw_ptr(const struct shm *shm);

/**
 * shm_raw_mem_size() - the size of the mapping, guard pages included
 * @shm: any handle
 *
 * Return: bytes.
 */
size_t shm_raw_mem_size(const struct shm *shm);

/**
 * shm_host_region_base() - where what the guest is given starts
 * @shm: any handle
 *
 * Return: our address, for whoever maps it into a VM.
 */
uintptr_t shm_host_region_base(const struct shm *shm);

/**
 * shm_host_region_end() - where what the guest is given ends
 * @shm: any handle
 *
 * Return: our address of the byte behind the last one. Never in a guard page
 * but its first byte.
 */
uintptr_t shm_host_region_end(const struct shm *shm);

/**
 * shm_region() - the mapping as a VM sees it
 * @shm: any handle
 * @guest_start: where it is in the guest
 * @region: filled in
 *
 * Return: 0, -ERANGE if it would end behind the last address, or -EPERM.
 */
int shm_region(const struct shm *shm, uint64_t guest_start, struct shm_region *region);

/*
 * Exclusivity.
 */

/**
 * shm_with_exclusivity() - do something while nobody else does anything
 * @shm: EXCLUSIVE, HOST or GUEST
 * @body: is given an EXCLUSIVE handle that is good until it returns
 * @arg: for @body
 *
 * Never waits. Fails while an access is on its way, while the guest has its
 * lease and inside of another such call; accesses of others fail meanwhile.
 *
 * Return: what @body gave; if that is 0, -EIO if the memory went away; or
 * -EBUSY, -EROFS, -EPERM or -EIO and @body was not called.
 */
int shm_with_exclusivity(const struct shm *shm,
			 int (*body)(const struct shm *exclusive, void *arg), void *arg);

/**
 * shm_with_contents() - look at everything while nobody changes it
 * @shm: EXCLUSIVE, HOST, GUEST or READONLY
 * @body: is given all the bytes, as plain memory
 * @arg: for @body
 *
 * Return: as shm_with_exclusivity(), but READONLY is right.
 */
int shm_with_contents(const struct shm *shm,
		      int (*body)(const void *bytes, size_t len, void *arg), void *arg);

/**
 * shm_zero() - zero everything, exclusively
 * @shm: EXCLUSIVE, HOST or GUEST
 *
 * Return: 0 or an error, as shm_with_exclusivity().
 */
int shm_zero(const struct shm *shm);

/**
 * shm_lease() - the guest runs: somebody, say a ring, is started
 * @guest: GUEST. Leases are counted. They are what makes shm_range() possible.
 *
 * Return: 0, -EBUSY, -EPERM or -EIO.
 */
int shm_lease(const struct shm *guest);

/**
 * shm_unlease() - that one is stopped
 * @guest: GUEST, leased; else nothing happens
 */
void shm_unlease(const struct shm *guest);

/*
 * Data. Each byte of the memory is accessed once, in units as large as its
 * alignment allows, so that an aligned number of 2, 4 or 8 bytes is not torn.
 * There is no order among the units: who waits for an index orders what
 * follows by a fence. Nothing of the memory is changed or read unless all of
 * it is inside; a length of 0 is right up to and at the end.
 */

/**
 * shm_read() - copy out
 * @shm: EXCLUSIVE, HOST or READONLY
 * @offset: from where
 * @dst: to where; after an error what is there means nothing
 * @len: how much
 *
 * Return: 0 or an error.
 */
int shm_read(const struct shm *shm, size_t offset, void *dst, size_t len);

/**
 * shm_write() - copy in
 * @shm: EXCLUSIVE or HOST
 * @offset: to where
 * @src: from where
 * @len: how much
 *
 * Return: 0 or an error.
 */
int shm_write(const struct shm *shm, size_t offset, const void *src, size_t len);

/**
 * shm_fill() - make all bytes the same
 * @shm: EXCLUSIVE or HOST
 * @offset: from where
 * @value: the byte
 * @len: how many
 *
 * Return: 0 or an error.
 */
int shm_fill(const struct shm *shm, size_t offset, uint8_t value, size_t len);

/* Numbers: shm_read() and shm_write() of what is little-endian in the memory. */
int shm_read_u8(const struct shm *shm, size_t offset, uint8_t *value);
int shm_read_u16(const struct shm *shm, size_t offset, uint16_t *value);
int shm_read_u32(const struct shm *shm, size_t offset, uint32_t *value);
int shm_read_u64(const struct shm *shm, size_t offset, uint64_t *value);
int shm_read_s8(const struct shm *shm, size_t offset, int8_t *value);
int shm_read_s16(const struct shm *shm, size_t offset, int16_t *value);
int shm_read_s32(const struct shm *shm, size_t offset, int32_t *value);
int shm_read_s64(const struct shm *shm, size_t offset, int64_t *value);
int shm_read_size(const struct shm *shm, size_t offset, size_t *value);
int shm_write_u8(const struct shm *shm, size_t offset, uint8_t value);
int shm_write_u16(const struct shm *shm, size_t offset, uint16_t value);
int shm_write_u32(const struct shm *shm, size_t offset, uint32_t value);
int shm_write_u64(const struct shm *shm, size_t offset, uint64_t value);
int shm_write_s8(const struct shm *shm, size_t offset, int8_t value);
int shm_write_s16(const struct shm *shm, size_t offset, int16_t value);
int shm_write_s32(const struct shm *shm, size_t offset, int32_t value);
int shm_write_s64(const struct shm *shm, size_t offset, int64_t value);
int shm_write_size(const struct shm *shm, size_t offset, size_t value);

/**
 * shm_range() - a part of the memory itself
 * @shm: EXCLUSIVE, or HOST while the guest has its lease
 * @offset: where it starts
 * @len: its length
 * @align: a power of two that its address is a multiple of
 *
 * For rings and pages. The pointer is good as long as the mapping, but to be
 * used only as long as the handle is EXCLUSIVE or the lease is held. Atomic
 * accesses only where others have the memory as well; shm_mark_dirty() after
 * writing, shm_is_broken() after each piece of work.
 *
 * Return: the address, or NULL if it is not inside, not aligned, not to be had
 * from this handle now, or broken.
 */
void *shm_range(const struct shm *shm, size_t offset, size_t len, size_t align);

/**
 * shm_mark_dirty() - say what was written through shm_range()
 * @shm: EXCLUSIVE or HOST
 * @offset: where
 * @len: how much
 *
 * The writes of this thread so far are visible before the mark. Does nothing
 * without shm_log_writes(), or outside the bounds.
 */
void shm_mark_dirty(const struct shm *shm, size_t offset, size_t len);

#endif /* HOST_SHM_H */
