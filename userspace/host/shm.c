// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings and their handles; shm-access.c has what can be done with them.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shm-internal.h"

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

void shm_limits(struct shm_limits *limits)
{
	size_t page = page_size();

	*limits = (struct shm_limits){
		.min = page,
		.max = PTRDIFF_MAX / page * page - 2 * page,
		.alignment = page,
	};
}

/*
 * Addresses that nobody can access: room for @len bytes at a multiple of
 * @align, both multiples of the page size, and a page on either side.
 */
static int reserve(struct shm_map *map, size_t len, size_t align)
{
	size_t page = page_size(), total = len + page + align, spare;
	char *raw = mmap(NULL, total, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw == MAP_FAILED)
		return -errno;
	/* Give back what was there for the alignment only. */
	spare = round_up((uintptr_t)raw + page, align) - page - (uintptr_t)raw;
	if (spare)
		munmap(raw, spare);
	map->raw = raw + spare;
	map->raw_size = len + 2 * page;
	if (spare + map->raw_size < total)
		munmap(map->raw + map->raw_size, total - spare - map->raw_size);
	return 0;
}

static void map_free(struct shm_map *map)
{
	/* In this order: others may get the addresses at once. */
	if (map->fault)
		shm_fault_unwatch(map->fault);
	munmap(map->raw, map->raw_size);
	dirty_put(&map->dirty);
	free(map);
}

/* The memory is all that is between the guard pages. */
static struct shm_map *map_new(size_t len, size_t align, int *err)
{
	struct shm_map *map = calloc(1, sizeof(*map));

	*err = map ? reserve(map, len, align) : -ENOMEM;
	if (*err) {
		free(map);
		return NULL;
	}
	map->refs = 1;
	map->base = map->raw + page_size();
	map->size = len;
	map->guest_size = len;
	return map;
}

/* The last step of making one: @err is what came of those before. */
static int hand_over(struct shm *shm, struct shm_map *map, int err)
{
	if (err) {
		map_free(map);
		return err;
	}
	*shm = (struct shm){ map, map->is_writable ? SHM_EXCLUSIVE : SHM_READONLY };
	return 0;
}

int shm_new(struct shm *shm, size_t size)
{
	struct shm_limits limits;
	struct shm_map *map;
	int err;

	shm_limits(&limits);
	if (size < limits.min || size > limits.max || size % limits.alignment)
		return -EINVAL;
	map = map_new(size, limits.alignment, &err);
	if (!map)
		return err;
	map->is_writable = true;
	if (mprotect(map->base, size, PROT_READ | PROT_WRITE))
		err = -errno;
	return hand_over(shm, map, err);
}

/* A regular file's size, and in units of what it is mapped. */
static int ask_file(int fd, uint64_t *size, size_t *granule)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*size = st.st_size;
	*granule = fs.f_type == HUGETLBFS_MAGIC ? (size_t)fs.f_bsize : page_size();
	return 0;
}

/*
 * Puts the file where the reservation was: all between the guard pages.
 * NORESERVE: the memory is the owner's, who has seen to its being there.
 */
static int place_file(struct shm_map *map, int fd, uint64_t offset, int prot, int flags)
{
	size_t len = map->raw_size - 2 * page_size();

	if (mmap(map->base, len, prot, flags | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)offset) == MAP_FAILED)
		return -errno;
	return shm_fault_watch(&map->fault, map->base, len, prot);
}

int shm_map_fd(struct shm *shm, int fd, uint64_t offset, uint64_t size)
{
	uint64_t file_size, lead, len;
	struct shm_limits limits;
	struct shm_map *map;
	size_t granule;
	int err = ask_file(fd, &file_size, &granule);

	if (err)
		return err;
	if (!size)
		return -EINVAL;
	if (offset > file_size || size > file_size - offset)
		return -ERANGE;
	shm_limits(&limits);
	lead = offset % granule;
	/* No overflow: a file's size is a signed number. */
	len = round_up(lead + size, granule);
	if (len > limits.max)
		return -EFBIG;
	map = map_new(len, granule, &err);
	if (!map)
		return err;
	map->is_writable = true;
	err = place_file(map, fd, offset - lead, PROT_READ | PROT_WRITE, MAP_SHARED);
	map->base += lead;
	map->size = size;
	map->guest_size = size;
	return hand_over(shm, map, err);
}

static int set_guest_len(struct shm_map *map, size_t guest_len)
{
	if (guest_len == SHM_WHOLE)
		return 0;
	if (!guest_len || guest_len % page_size() || guest_len > map->size)
		return -EINVAL;
	map->guest_size = guest_len;
	return 0;
}

int shm_from_bytes(struct shm *shm, const void *bytes, size_t len, size_t guest_len)
{
	struct shm_limits limits;
	struct shm_map *map;
	int err;

	shm_limits(&limits);
	if (!len || len > limits.max)
		return -EINVAL;
	map = map_new(round_up(len, limits.alignment), limits.alignment, &err);
	if (!map)
		return err;
	err = set_guest_len(map, guest_len);
	if (!err && mprotect(map->base, map->size, PROT_READ | PROT_WRITE))
		err = -errno;
	if (!err) {
		memcpy(map->base, bytes, len);
		if (mprotect(map->base, map->size, PROT_READ))
			err = -errno;
	}
	return hand_over(shm, map, err);
}

int shm_from_file(struct shm *shm, int fd, size_t guest_len)
{
	struct shm_limits limits;
	struct shm_map *map;
	uint64_t size;
	size_t granule;
	int err = ask_file(fd, &size, &granule);

	if (err)
		return err;
	shm_limits(&limits);
	if (!size || size % granule)
		return -EINVAL;
	if (size > limits.max)
		return -EFBIG;
	map = map_new(size, granule, &err);
	if (!map)
		return err;
	err = set_guest_len(map, guest_len);
	if (!err)
		err = place_file(map, fd, 0, PROT_READ, MAP_PRIVATE);
	return hand_over(shm, map, err);
}

int shm_log_writes(struct shm *shm, const struct dirty *dirty)
{
	if (shm->kind != SHM_EXCLUSIVE)
		return -EPERM;
	dirty_put(&shm->map->dirty);
	dirty_clone(dirty, &shm->map->dirty);
	return 0;
}

static struct shm handle_new(struct shm_map *map, enum shm_kind kind)
{
	/* Relaxed: the handle it is made from keeps the mapping. */
	__atomic_fetch_add(&map->refs, 1, __ATOMIC_RELAXED);
	return (struct shm){ map, kind };
}

int shm_build(struct shm *from, struct shm *host, struct shm *guest)
{
	struct shm_map *map = from->map;

	if (from->kind != SHM_EXCLUSIVE && from->kind != SHM_READONLY)
		return -EPERM;
	if (from->kind == SHM_READONLY) {
		*host = handle_new(map, SHM_READONLY);
		*guest = handle_new(map, SHM_READONLY);
		return 0;
	}
	*host = handle_new(map, SHM_HOST);
	*guest = handle_new(map, SHM_GUEST);
	shm_put(from);
	return 0;
}

int shm_clone(const struct shm *from, struct shm *to)
{
	if (from->kind != SHM_HOST && from->kind != SHM_READONLY)
		return -EPERM;
	*to = handle_new(from->map, from->kind);
	return 0;
}

void shm_put(struct shm *shm)
{
	struct shm_map *map = shm->map;

	if (!map)
		return;
	while (shm->kind == SHM_GUEST && __atomic_load_n(&map->leases, __ATOMIC_RELAXED))
		shm_unlease(shm);
	*shm = (struct shm){ 0 };
	/* Release: our accesses are over; acquire: so are all the others'. */
	if (__atomic_fetch_sub(&map->refs, 1, __ATOMIC_ACQ_REL) == 1)
		map_free(map);
}

bool shm_is_same(const struct shm *a, const struct shm *b)
{
	return a->map == b->map;
}

bool shm_is_broken(const struct shm *shm)
{
	return shm->map && shm->map->fault && shm_fault_happened(shm->map->fault);
}

void *shm_base_ptr(const struct shm *shm)
{
	return shm->map ? shm->map->base : NULL;
}

uintptr_t shm_base_addr(const struct shm *shm)
{
	return (uintptr_t)shm_base_ptr(shm);
}

size_t shm_mem_size(const struct shm *shm)
{
	return shm->map ? shm->map->size : 0;
}

void *shm_raw_ptr(const struct shm *shm)
{
	return shm->map ? shm->map->raw : NULL;
}

size_t shm_raw_mem_size(const struct shm *shm)
{
	return shm->map ? shm->map->raw_size : 0;
}

uintptr_t shm_host_region_base(const struct shm *shm)
{
	return shm_base_addr(shm);
}

uintptr_t shm_host_region_end(const struct shm *shm)
{
	return shm->map ? shm_base_addr(shm) + shm->map->guest_size : 0;
}

int shm_region(const struct shm *shm, uint64_t guest_start, struct shm_region *region)
{
	const struct shm_map *map = shm->map;

	if (!map)
		return -EPERM;
	/* An end that is one too much for 64 bits is none either. */
	if (map->guest_size > UINT64_MAX - guest_start)
		return -ERANGE;
	*region = (struct shm_region){
		.guest_start = guest_start,
		.guest_end = guest_start + map->guest_size,
		.host_start = shm_host_region_base(shm),
		.host_end = shm_host_region_end(shm),
		.is_writable = map->is_writable,
	};
	return 0;
}
