// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <unistd.h>

#include "vhost-memory.h"

static bool is_range(uint64_t start, uint64_t len)
{
	return len && len - 1 <= UINT64_MAX - start;
}

/* Both are ranges, so their last addresses do not overflow. */
static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a <= b + (b_len - 1) && b <= a + (a_len - 1);
}

static bool is_inside(uint64_t at, uint64_t len, uint64_t start, uint64_t size)
{
	return at >= start && len <= size && at - start <= size - len;
}

/* A free slot for the region, or why there is none. */
static int find_free(struct vhost_memory *mem, const struct vhost_region *r,
		     struct vhost_slot **slot)
{
	uint64_t left = VHOST_MEMORY_MAX;

	*slot = NULL;
	for (unsigned int i = 0; i < VHOST_SLOTS; i++) {
		const struct vhost_region *have = &mem->slots[i].region;

		if (!have->size) {
			if (!*slot)
				*slot = &mem->slots[i];
			continue;
		}
		if (overlaps(r->gpa, r->size, have->gpa, have->size) ||
		    overlaps(r->user, r->size, have->user, have->size))
			return -EINVAL;
		left -= have->size;
	}
	return *slot && r->size <= left ? 0 : -ENOSPC;
}

/* The slot is in the log already: what is written has been marked from the start. */
static int map(struct vhost_slot *slot, const struct vhost_region *r, int fd, bool leased)
{
	struct shm all;
	int err = shm_map_fd(&all, fd, r->offset, r->size);

	if (err)
		return err;
	shm_log_writes(&all, &slot->dirty.dirty);
	shm_build(&all, &slot->host, &slot->guest);
	return leased ? shm_lease(&slot->guest) : 0;
}

static bool is_page(const struct vhost_region *r)
{
	return r->gpa == VHOST_PAGE_GPA && r->size == VHOST_PAGE_SIZE;
}

static void drop(struct vhost_memory *mem, struct vhost_slot *slot)
{
	shm_put(&slot->host);
	shm_put(&slot->guest);
	dirty_vm_remove(&mem->log, &slot->dirty);
	if (slot->fd >= 0)
		close(slot->fd);
	*slot = (struct vhost_slot){ .fd = -1 };
}

int vhost_memory_add(struct vhost_memory *mem, const struct vhost_region *region, int fd)
{
	struct vhost_slot *slot;
	int err = -EINVAL;

	if (is_range(region->gpa, region->size) && is_range(region->user, region->size))
		err = find_free(mem, region, &slot);
	if (!err)
		err = dirty_vm_add(&mem->log, &slot->dirty, region->gpa, region->size);
	if (err) {
		close(fd);
		return err;
	}
	slot->fd = fd;
	err = map(slot, region, fd, mem->is_leased);
	if (err) {
		drop(mem, slot);
		return err;
	}
	slot->region = *region;
	if (!is_page(region)) {
		close(fd);
		slot->fd = -1;
	}
	return 0;
}

int vhost_memory_remove(struct vhost_memory *mem, const struct vhost_region *region)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++) {
		const struct vhost_region *have = &mem->slots[i].region;

		if (!have->size || have->gpa != region->gpa || have->size != region->size ||
		    have->user != region->user)
			continue;
		drop(mem, &mem->slots[i]);
		return 0;
	}
	return -ENOENT;
}

void vhost_memory_clear(struct vhost_memory *mem)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++)
		if (mem->slots[i].region.size)
			drop(mem, &mem->slots[i]);
}

int vhost_memory_lease(struct vhost_memory *mem, bool on)
{
	int err = 0;

	if (mem->is_leased == on)
		return 0;
	for (unsigned int i = 0; i < VHOST_SLOTS && !err; i++) {
		if (!mem->slots[i].region.size)
			continue;
		if (on)
			err = shm_lease(&mem->slots[i].guest);
		else
			shm_unlease(&mem->slots[i].guest);
	}
	mem->is_leased = on;
	if (err)
		vhost_memory_lease(mem, false);
	return err;
}

static const struct vhost_slot *find(const struct vhost_memory *mem, uint64_t gpa, size_t len)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++) {
		const struct vhost_slot *s = &mem->slots[i];

		if (s->region.size && is_inside(gpa, len, s->region.gpa, s->region.size))
			return s;
	}
	return NULL;
}

void *vhost_memory_at(const struct vhost_memory *mem, uint64_t gpa, size_t len)
{
	const struct vhost_slot *s = find(mem, gpa, len);

	return s ? shm_range(&s->host, gpa - s->region.gpa, len, 1) : NULL;
}

void *vhost_memory_at_user(const struct vhost_memory *mem, uint64_t user, size_t len,
			   size_t align)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++) {
		const struct vhost_slot *s = &mem->slots[i];

		if (s->region.size && is_inside(user, len, s->region.user, s->region.size))
			return shm_range(&s->host, user - s->region.user, len, align);
	}
	return NULL;
}

void vhost_memory_dirty(const struct vhost_memory *mem, uint64_t gpa, size_t len)
{
	const struct vhost_slot *s = find(mem, gpa, len);

	if (s)
		shm_mark_dirty(&s->host, gpa - s->region.gpa, len);
}

bool vhost_memory_is_broken(const struct vhost_memory *mem)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++)
		if (mem->slots[i].region.size && shm_is_broken(&mem->slots[i].host))
			return true;
	return false;
}

const struct vhost_slot *vhost_memory_page(const struct vhost_memory *mem)
{
	for (unsigned int i = 0; i < VHOST_SLOTS; i++)
		if (mem->slots[i].region.size && is_page(&mem->slots[i].region))
			return &mem->slots[i];
	return NULL;
}
