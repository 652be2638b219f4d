/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of the dirty log: a front-end's log, 8 pages to each byte.
 */
#ifndef TESTS_HOST_FRONT_H
#define TESTS_HOST_FRONT_H

#include "dirty.h"
#include "host_shm.h"

#define PAGE	((uint64_t)DIRTY_PAGE_SIZE)

/**
 * struct front - the log as the front-end has it
 * @fd: what it sends us
 * @bytes: its own mapping
 * @size: how many
 */
struct front {
	int fd;
	uint8_t *bytes;
	size_t size;
};

static inline struct front front_new(size_t size)
{
	struct front f = { memfd_new(size), NULL, size };

	f.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
	return f;
}

static inline void front_end(struct front *f)
{
	munmap(f->bytes, f->size);
	close(f->fd);
}

static inline struct dirty_log *front_log(const struct front *f)
{
	struct dirty_log *log = NULL;

	ok(!dirty_log_open(&log, f->fd, 0, f->size));
	return log;
}

/* What a front-end does before it copies pages. */
static inline uint8_t front_take(const struct front *f, size_t at)
{
	return __atomic_exchange_n(&f->bytes[at], 0, __ATOMIC_ACQUIRE);
}

#endif /* TESTS_HOST_FRONT_H */
