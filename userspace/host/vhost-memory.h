/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's memory, as a vhost-user front-end hands it over: in slots, each
 * a guarded mapping that is dirty-logged.
 */
#ifndef HOST_VHOST_MEMORY_H
#define HOST_VHOST_MEMORY_H

#include "dirty-vm.h"
#include "shm.h"

/* What a machine with all its memory hot-plugged has. */
#define VHOST_SLOTS	256

/*
 * All regions together. That is more than any machine has, and leaves addresses to
 * other machines: a process has 128 TiB of them, and a file of that size costs its
 * owner nothing.
 */
#define VHOST_MEMORY_MAX	(1ULL << 45)

/**
 * struct vhost_region - a region, as it is in messages
 * @gpa: guest physical address
 * @size: bytes
 * @user: the front-end's address of it, by which rings are given
 * @offset: where in the file it starts
 */
struct vhost_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t user;
	uint64_t offset;
};

/**
 * struct vhost_slot - a region that is there
 * @region: with a size of 0, if it is not
 * @host: for access, while the lease is held
 * @guest: the lease
 * @dirty: its part of the log
 * @fd: the file, or -1; kept for the guest's clock page only
 */
struct vhost_slot {
	struct vhost_region region;
	struct shm host;
	struct shm guest;
	struct dirty_region dirty;
	int fd;
};

/**
 * struct vhost_memory - all of it; all zeroes is none
 * @slots: any of them may be free
 * @log: the dirty log
 * @is_leased: some ring is started
 */
struct vhost_memory {
	struct vhost_slot slots[VHOST_SLOTS];
	struct dirty_vm log;
	bool is_leased;
};

/* Where QEMU's vmclock device has its page, if its machine shares that. */
#define VHOST_PAGE_GPA	0xfeffb000ULL
#define VHOST_PAGE_SIZE	4096

/**
 * vhost_memory_add() - map a region
 * @mem: the memory
 * @region: as it came
 * @fd: the file; becomes the memory's
 *
 * Return: 0, -EINVAL if it is none, overlaps another one, or the log does not
 * reach it, -ENOSPC if there are too many or too much, or what shm_map_fd() gave.
 */
int vhost_memory_add(struct vhost_memory *mem, const struct vhost_region *region, int fd);

/**
 * vhost_memory_remove() - unmap a region; nobody may use a pointer into it
 * @mem: the memory
 * @region: as it came; the offset does not matter
 *
 * Return: 0, or -ENOENT if there is none like it.
 */
int vhost_memory_remove(struct vhost_memory *mem, const struct vhost_region *region);

/**
 * vhost_memory_clear() - unmap everything; nobody may use a pointer into it
 * @mem: the memory; its log stays
 */
void vhost_memory_clear(struct vhost_memory *mem);

/**
 * vhost_memory_lease() - a ring is started, or all are stopped
 * @mem: the memory
 * @on: which
 *
 * Return: 0, or -EIO if some of the memory was taken away.
 */
int vhost_memory_lease(struct vhost_memory *mem, bool on);

/**
 * vhost_memory_at() - guest memory by the guest's address
 * @mem: the memory, leased
 * @gpa: the address
 * @len: bytes
 *
 * Return: a pointer to it, or NULL if not all of it is in one slot.
 */
void *vhost_memory_at(const struct vhost_memory *mem, uint64_t gpa, size_t len);

/**
 * vhost_memory_at_user() - guest memory by the front-end's address
 * @mem: the memory, leased
 * @user: the address
 * @len: bytes
 * @align: a power of two that the pointer is a multiple of
 *
 * Return: as vhost_memory_at(); also NULL if it is not so aligned.
 */
void *vhost_memory_at_user(const struct vhost_memory *mem, uint64_t user, size_t len,
			   size_t align);

/**
 * vhost_memory_dirty() - guest memory was written
 * @mem: the memory
 * @gpa: where
 * @len: how much
 */
void vhost_memory_dirty(const struct vhost_memory *mem, uint64_t gpa, size_t len);

/**
 * vhost_memory_is_broken() - was any of it taken away?
 * @mem: the memory
 *
 * Return: true if so: the VM has failed.
 */
bool vhost_memory_is_broken(const struct vhost_memory *mem);

/**
 * vhost_memory_page() - the guest's clock page, if it was handed over
 * @mem: the memory
 *
 * Return: its slot, or NULL.
 */
const struct vhost_slot *vhost_memory_page(const struct vhost_memory *mem);

#endif /* HOST_VHOST_MEMORY_H */
