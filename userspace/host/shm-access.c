// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What handles are good for: the lock, exclusivity, leases, and data.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "shm-internal.h"

/*
 * The lock. Taking it acquires what was done by those who released it, so that
 * plain accesses under the exclusive one do not race with anything.
 */
static bool try_shared(struct shm_map *map)
{
	int n = __atomic_load_n(&map->lock, __ATOMIC_RELAXED);

	do {
		if (n == SHM_LOCK_EXCLUSIVE || n == INT_MAX)
			return false;
	} while (!__atomic_compare_exchange_n(&map->lock, &n, n + 1, true,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

static void unlock_shared(struct shm_map *map)
{
	__atomic_fetch_sub(&map->lock, 1, __ATOMIC_RELEASE);
}

static bool try_exclusive(struct shm_map *map)
{
	int n = 0;

	return __atomic_compare_exchange_n(&map->lock, &n, SHM_LOCK_EXCLUSIVE, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void unlock_exclusive(struct shm_map *map)
{
	__atomic_store_n(&map->lock, 0, __ATOMIC_RELEASE);
}

int shm_with_exclusivity(const struct shm *shm,
			 int (*body)(const struct shm *exclusive, void *arg), void *arg)
{
	const struct shm exclusive = { shm->map, SHM_EXCLUSIVE };
	int ret;

	if (shm->kind == SHM_NONE)
		return -EPERM;
	if (shm->kind == SHM_READONLY)
		return -EROFS;
	if (shm_is_broken(shm))
		return -EIO;
	if (shm->kind != SHM_EXCLUSIVE && !try_exclusive(shm->map))
		return -EBUSY;
	ret = body(&exclusive, arg);
	if (shm->kind != SHM_EXCLUSIVE)
		unlock_exclusive(shm->map);
	return ret || !shm_is_broken(shm) ? ret : -EIO;
}

/* What shm_with_contents() was given, on its way through an exclusive call. */
struct contents_call {
	int (*body)(const void *bytes, size_t len, void *arg);
	void *arg;
};

static int call_with_contents(const struct shm *shm, void *arg)
{
	const struct contents_call *call = arg;

	return call->body(shm->map->base, shm->map->size, call->arg);
}

int shm_with_contents(const struct shm *shm,
		      int (*body)(const void *bytes, size_t len, void *arg), void *arg)
{
	struct contents_call call = { body, arg };
	int ret;

	if (shm->kind != SHM_READONLY)
		return shm_with_exclusivity(shm, call_with_contents, &call);
	if (shm_is_broken(shm))
		return -EIO;
	ret = call_with_contents(shm, &call);
	return ret || !shm_is_broken(shm) ? ret : -EIO;
}

/*
 * Private memory is zeroed by giving its pages back. Of shared memory that only
 * drops our view of pages that stay as they are; and where somebody has pinned
 * pages he would keep the old ones. That has to be written.
 */
static int zero(const struct shm *exclusive, void *unused)
{
	struct shm_map *map = exclusive->map;

	(void)unused;
	if (map->fault || madvise(map->raw, map->raw_size, MADV_DONTNEED))
		return shm_fill(exclusive, 0, 0, map->size);
	shm_mark_dirty(exclusive, 0, map->size);
	return 0;
}

int shm_zero(const struct shm *shm)
{
	return shm_with_exclusivity(shm, zero, NULL);
}

int shm_lease(const struct shm *guest)
{
	if (guest->kind != SHM_GUEST)
		return -EPERM;
	if (shm_is_broken(guest))
		return -EIO;
	if (!try_shared(guest->map))
		return -EBUSY;
	__atomic_fetch_add(&guest->map->leases, 1, __ATOMIC_RELAXED);
	return 0;
}

void shm_unlease(const struct shm *guest)
{
	unsigned int n;

	if (guest->kind != SHM_GUEST)
		return;
	n = __atomic_load_n(&guest->map->leases, __ATOMIC_RELAXED);
	do {
		if (!n)
			return;
	} while (!__atomic_compare_exchange_n(&guest->map->leases, &n, n - 1, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	unlock_shared(guest->map);
}

static bool is_inside(const struct shm_map *map, size_t offset, size_t len)
{
	return offset <= map->size && len <= map->size - offset;
}

/* The checks of all accesses. On success end() has to follow. */
static int begin(const struct shm *shm, size_t offset, size_t len, bool writes)
{
	if (shm->kind == SHM_NONE || shm->kind == SHM_GUEST)
		return -EPERM;
	if (writes && shm->kind == SHM_READONLY)
		return -EROFS;
	if (!is_inside(shm->map, offset, len))
		return -ERANGE;
	return shm->kind != SHM_HOST || try_shared(shm->map) ? 0 : -EBUSY;
}

/* The one look that counts is the one after: broken once is broken for ever. */
static int end(const struct shm *shm)
{
	int err = shm_is_broken(shm) ? -EIO : 0;

	if (shm->kind == SHM_HOST)
		unlock_shared(shm->map);
	return err;
}

/*
 * One access to the memory. The other side may change it at the same time, so
 * it is atomic; its order does not matter, so it is relaxed.
 */
typedef uint8_t __attribute__((may_alias)) shared_u8;
typedef uint16_t __attribute__((may_alias)) shared_u16;
typedef uint32_t __attribute__((may_alias)) shared_u32;
typedef uint64_t __attribute__((may_alias)) shared_u64;

union unit {
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;
};

#define UNIT_MAX	sizeof(union unit)

static size_t unit_len(const char *at, size_t left)
{
	size_t len = UNIT_MAX;

	while (len > left || (uintptr_t)at % len)
		len /= 2;
	return len;
}

static void load(const char *from, char *to, size_t len)
{
	union unit unit;

	switch (len) {
	case 8:
		unit.u64 = __atomic_load_n((const shared_u64 *)from, __ATOMIC_RELAXED);
		break;
	case 4:
		unit.u32 = __atomic_load_n((const shared_u32 *)from, __ATOMIC_RELAXED);
		break;
	case 2:
		unit.u16 = __atomic_load_n((const shared_u16 *)from, __ATOMIC_RELAXED);
		break;
	default:
		unit.u8 = __atomic_load_n((const shared_u8 *)from, __ATOMIC_RELAXED);
	}
	memcpy(to, &unit, len);
}

static void store(char *to, const char *from, size_t len)
{
	union unit unit;

	memcpy(&unit, from, len);
	switch (len) {
	case 8:
		__atomic_store_n((shared_u64 *)to, unit.u64, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((shared_u32 *)to, unit.u32, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((shared_u16 *)to, unit.u16, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((shared_u8 *)to, unit.u8, __ATOMIC_RELAXED);
	}
}

int shm_read(const struct shm *shm, size_t offset, void *dst, size_t len)
{
	int err = begin(shm, offset, len, false);
	const char *from;
	char *to = dst;
	size_t n;

	if (err)
		return err;
	from = shm->map->base + offset;
	for (; len; from += n, to += n, len -= n) {
		n = unit_len(from, len);
		load(from, to, n);
	}
	return end(shm);
}

int shm_write(const struct shm *shm, size_t offset, const void *src, size_t len)
{
	int err = begin(shm, offset, len, true);
	const char *from = src;
	size_t n, left;
	char *to;

	if (err)
		return err;
	to = shm->map->base + offset;
	for (left = len; left; from += n, to += n, left -= n) {
		n = unit_len(to, left);
		store(to, from, n);
	}
	shm_mark_dirty(shm, offset, len);
	return end(shm);
}

int shm_fill(const struct shm *shm, size_t offset, uint8_t value, size_t len)
{
	int err = begin(shm, offset, len, true);
	char same[UNIT_MAX];
	size_t n, left;
	char *to;

	if (err)
		return err;
	memset(same, value, sizeof(same));
	to = shm->map->base + offset;
	for (left = len; left; to += n, left -= n) {
		n = unit_len(to, left);
		store(to, same, n);
	}
	shm_mark_dirty(shm, offset, len);
	return end(shm);
}

#define le8toh(value) (value)
#define htole8(value) (value)

#define SHM_DEFINE_TYPED(name, type_t, bits)					\
	int shm_read_##name(const struct shm *shm, size_t offset, type_t *value)\
	{									\
		uint##bits##_t le;						\
		int err = shm_read(shm, offset, &le, sizeof(le));		\
										\
		if (!err)							\
			*value = (type_t)le##bits##toh(le);			\
		return err;							\
	}									\
										\
	int shm_write_##name(const struct shm *shm, size_t offset, type_t value)\
	{									\
		uint##bits##_t le = htole##bits((uint##bits##_t)value);		\
										\
		return shm_write(shm, offset, &le, sizeof(le));			\
	}

SHM_DEFINE_TYPED(u8, uint8_t, 8)
SHM_DEFINE_TYPED(u16, uint16_t, 16)
SHM_DEFINE_TYPED(u32, uint32_t, 32)
SHM_DEFINE_TYPED(u64, uint64_t, 64)
SHM_DEFINE_TYPED(s8, int8_t, 8)
SHM_DEFINE_TYPED(s16, int16_t, 16)
SHM_DEFINE_TYPED(s32, int32_t, 32)
SHM_DEFINE_TYPED(s64, int64_t, 64)
SHM_DEFINE_TYPED(size, size_t, 64)

void *shm_range(const struct shm *shm, size_t offset, size_t len, size_t align)
{
	struct shm_map *map = shm->map;

	if (shm->kind != SHM_EXCLUSIVE &&
	    !(shm->kind == SHM_HOST && __atomic_load_n(&map->leases, __ATOMIC_RELAXED)))
		return NULL;
	if (!is_inside(map, offset, len) || !align || align & (align - 1) ||
	    (uintptr_t)(map->base + offset) & (align - 1) || shm_is_broken(shm))
		return NULL;
	return map->base + offset;
}

void shm_mark_dirty(const struct shm *shm, size_t offset, size_t len)
{
	if (shm->kind != SHM_EXCLUSIVE && shm->kind != SHM_HOST)
		return;
	if (shm->map->dirty.slot && is_inside(shm->map, offset, len))
		dirty_mark(&shm->map->dirty, offset, len);
}
