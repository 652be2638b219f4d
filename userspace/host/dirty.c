// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "dirty.h"
#include "shm.h"

/**
 * struct dirty_log - a front-end's log
 * @refs: one for whoever opened it, one for each window
 * @shm: the mapping
 * @bytes: the log
 * @size: how many
 */
struct dirty_log {
	unsigned int refs;
	struct shm shm;
	uint8_t *bytes;
	size_t size;
};

int dirty_log_open(struct dirty_log **log, int fd, uint64_t offset, uint64_t size)
{
	struct dirty_log *new;
	int err;

	if (size > DIRTY_LOG_MAX)
		return -EFBIG;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	err = shm_map_fd(&new->shm, fd, offset, size);
	if (err) {
		free(new);
		return err;
	}
	new->refs = 1;
	/* Just mapped, so this is not NULL; and never built, so it stays good. */
	new->bytes = shm_range(&new->shm, 0, size, 1);
	new->size = size;
	*log = new;
	return 0;
}

void dirty_log_put(struct dirty_log *log)
{
	if (!log || __atomic_fetch_sub(&log->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	shm_put(&log->shm);
	free(log);
}

bool dirty_log_is_broken(const struct dirty_log *log)
{
	return shm_is_broken(&log->shm);
}

int dirty_window_init(struct dirty_window *window, struct dirty_log *log,
		      uint64_t start, uint64_t len)
{
	uint64_t last;

	/* A length of 0 asks for the last address there is, or overflows. */
	if (__builtin_add_overflow(start, len - 1, &last) ||
	    last / DIRTY_PAGE_SIZE / 8 >= log->size)
		return -EINVAL;
	__atomic_fetch_add(&log->refs, 1, __ATOMIC_RELAXED);
	*window = (struct dirty_window){ log, start, last / DIRTY_PAGE_SIZE };
	return 0;
}

void dirty_window_put(struct dirty_window *window)
{
	dirty_log_put(window->log);
	*window = (struct dirty_window){ 0 };
}

/*
 * A front-end that swaps logs waits for us to answer, and marking goes on as
 * long as the guest runs: a lock that let markers pass might never be had.
 */
static int lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int err = pthread_rwlockattr_init(&attr);

	if (err)
		return -err;
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	err = pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -err;
}

int dirty_default(struct dirty *dirty)
{
	struct dirty_slot *slot = calloc(1, sizeof(*slot));
	int err;

	if (!slot)
		return -ENOMEM;
	err = lock_init(&slot->lock);
	if (err) {
		free(slot);
		return err;
	}
	slot->refs = 1;
	*dirty = (struct dirty){ slot, 0 };
	return 0;
}

int dirty_with_len(struct dirty *dirty, size_t len)
{
	(void)len;
	return dirty_default(dirty);
}

void dirty_clone(const struct dirty *from, struct dirty *to)
{
	__atomic_fetch_add(&from->slot->refs, 1, __ATOMIC_RELAXED);
	*to = *from;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

void dirty_slice_at(const struct dirty *from, uint64_t offset, struct dirty *slice)
{
	dirty_clone(from, slice);
	slice->base = add_saturating(from->base, offset);
}

void dirty_put(struct dirty *dirty)
{
	struct dirty_slot *slot = dirty->slot;

	*dirty = (struct dirty){ 0 };
	if (!slot || __atomic_fetch_sub(&slot->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	dirty_window_put(&slot->window);
	pthread_rwlock_destroy(&slot->lock);
	free(slot);
}

void dirty_replace(const struct dirty *dirty, struct dirty_window *window)
{
	struct dirty_slot *slot = dirty->slot;
	struct dirty_window old;

	pthread_rwlock_wrlock(&slot->lock);
	old = slot->window;
	slot->window = window ? *window : (struct dirty_window){ 0 };
	pthread_rwlock_unlock(&slot->lock);
	if (window)
		*window = (struct dirty_window){ 0 };
	dirty_window_put(&old);
}

/* The guest's address of a byte, or false if there is none so far away. */
static bool find_address(const struct dirty *dirty, uint64_t offset, uint64_t *address)
{
	return !__builtin_add_overflow(dirty->base, offset, address) &&
	       !__builtin_add_overflow(dirty->slot->window.start, *address, address);
}

static void mark_pages(const struct dirty_window *window, uint64_t first, uint64_t last)
{
	if (last > window->last_page)
		last = window->last_page;
	/*
	 * Release: the data comes before the bit. Pairs with the exchange by
	 * which the front-end takes the bits, before it copies the pages.
	 */
	for (uint64_t page = first; page <= last; page++)
		__atomic_fetch_or(&window->log->bytes[page / 8], 1 << page % 8,
				  __ATOMIC_RELEASE);
}

void dirty_mark(const struct dirty *dirty, uint64_t offset, uint64_t len)
{
	const struct dirty_window *window = &dirty->slot->window;
	uint64_t first;

	if (!len)
		return;
	pthread_rwlock_rdlock(&dirty->slot->lock);
	if (window->log && find_address(dirty, offset, &first))
		mark_pages(window, first / DIRTY_PAGE_SIZE,
			   add_saturating(first, len - 1) / DIRTY_PAGE_SIZE);
	pthread_rwlock_unlock(&dirty->slot->lock);
}

bool dirty_at(const struct dirty *dirty, uint64_t offset)
{
	const struct dirty_window *window = &dirty->slot->window;
	uint64_t address, page;
	bool is_dirty = false;

	pthread_rwlock_rdlock(&dirty->slot->lock);
	if (window->log && find_address(dirty, offset, &address)) {
		page = address / DIRTY_PAGE_SIZE;
		is_dirty = page <= window->last_page &&
			   __atomic_load_n(&window->log->bytes[page / 8],
					   __ATOMIC_RELAXED) >> page % 8 & 1;
	}
	pthread_rwlock_unlock(&dirty->slot->lock);
	return is_dirty;
}
