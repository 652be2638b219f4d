/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty log: which pages of a guest's memory were written, for the
 * front-end that migrates it.
 *
 * The log is memory of the front-end's, one bit for each 4096 bytes of guest
 * physical address space, starting at address 0, lowest bit first. Others set
 * and clear bits in it at the same time, neighbouring regions share bytes and
 * its size is any number of bytes: so it is changed by atomic ORs of bytes.
 *
 * A region of guest memory has a struct dirty, whatever happens to the log. A
 * window, which is the region's part of a log, is put in and taken out of it
 * with dirty_replace(). A struct dirty is a reference: clones and slices share
 * what is put in. Copy one with dirty_clone() only.
 *
 * Any thread may mark and look; dirty_replace() waits for those who are in
 * between, and keeps new ones out while it waits.
 */
#ifndef HOST_DIRTY_H
#define HOST_DIRTY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRTY_PAGE_SIZE	4096

/* Of a log: a bit for each page of the 52 bits that a physical address can have. */
#define DIRTY_LOG_MAX	(1ULL << (52 - 12 - 3))

struct dirty_log;

/**
 * struct dirty_window - what of a log belongs to a region; owns a reference
 * @log: the log, or NULL: there is none
 * @start: the region's guest physical address
 * @last_page: number of the page that has the region's last byte
 */
struct dirty_window {
	struct dirty_log *log;
	uint64_t start;
	uint64_t last_page;
};

/**
 * struct dirty_slot - where a window is put, shared by clones and slices
 * @refs: how many they are
 * @lock: held shared to use @window, exclusively to replace it; prefers writers
 * @window: what is in force
 */
struct dirty_slot {
	unsigned int refs;
	pthread_rwlock_t lock;
	struct dirty_window window;
};

/**
 * struct dirty - the way to the log from a piece of guest memory
 * @slot: what it shares with others
 * @base: offset of the piece in its region
 */
struct dirty {
	struct dirty_slot *slot;
	uint64_t base;
};

/**
 * dirty_log_open() - map a log
 * @log: filled in
 * @fd: the front-end's memory; not needed afterwards
 * @offset: where the log starts in it
 * @size: bytes of the log
 *
 * Return: 0, -EFBIG for more than DIRTY_LOG_MAX, or what shm_map_fd() gave.
 */
int dirty_log_open(struct dirty_log **log, int fd, uint64_t offset, uint64_t size);

/**
 * dirty_log_put() - give up a reference; with the last one goes the mapping
 * @log: the log, or NULL
 */
void dirty_log_put(struct dirty_log *log);

/**
 * dirty_log_is_broken() - was the log's memory taken away?
 * @log: the log
 *
 * Return: true if so: what was marked is lost, the migration must fail.
 */
bool dirty_log_is_broken(const struct dirty_log *log);

/**
 * dirty_window_init() - a region's part of a log
 * @window: filled in; to be given to dirty_replace() or dirty_window_put()
 * @log: the log; the window has a reference of its own
 * @start: the region's guest physical address
 * @len: its length in bytes; a page of which it has a part is its own
 *
 * Return: 0, or -EINVAL if @len is 0, the region goes beyond the last address,
 * or the log does not reach its last page.
 */
int dirty_window_init(struct dirty_window *window, struct dirty_log *log,
		      uint64_t start, uint64_t len);

/**
 * dirty_window_put() - give up a window that was not used
 * @window: left empty
 */
void dirty_window_put(struct dirty_window *window);

/**
 * dirty_default() - logging that is off until a window is put in
 * @dirty: filled in: a slot of its own, offset 0
 *
 * Return: 0 or -ENOMEM.
 */
int dirty_default(struct dirty *dirty);

/**
 * dirty_with_len() - dirty_default() for a region whose length is known
 * @dirty: filled in
 * @len: makes no difference: it comes with the window
 *
 * Return: 0 or -ENOMEM.
 */
int dirty_with_len(struct dirty *dirty, size_t len);

/**
 * dirty_clone() - another reference to the same slot
 * @from: an initialised one
 * @to: filled in
 */
void dirty_clone(const struct dirty *from, struct dirty *to);

/**
 * dirty_slice_at() - the same for what starts further on
 * @from: an initialised one
 * @offset: from there; far too large means: outside
 * @slice: filled in
 */
void dirty_slice_at(const struct dirty *from, uint64_t offset, struct dirty *slice);

/**
 * dirty_put() - give up a reference
 * @dirty: left empty; may be empty already
 */
void dirty_put(struct dirty *dirty);

/**
 * dirty_replace() - put another window in
 * @dirty: the slot is that of all its clones and slices
 * @window: moved there and left empty; NULL switches logging off
 *
 * On return nobody touches the log of the window before any more: what it has
 * then is final.
 */
void dirty_replace(const struct dirty *dirty, struct dirty_window *window);

/**
 * dirty_mark() - mark_dirty: something was written
 * @dirty: the piece of memory
 * @offset: where in it
 * @len: how much; may go beyond the region, where there is nothing to mark
 *
 * What this thread wrote before is visible to whoever takes the bit from the
 * log. Does nothing while logging is off.
 */
void dirty_mark(const struct dirty *dirty, uint64_t offset, uint64_t len);

/**
 * dirty_at() - is a byte's page marked?
 * @dirty: the piece of memory
 * @offset: where in it
 *
 * Return: true if so; false outside the region, and while logging is off.
 */
bool dirty_at(const struct dirty *dirty, uint64_t offset);

#endif /* HOST_DIRTY_H */
