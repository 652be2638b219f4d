/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of a split ring, with no rules that it must keep. Each part
 * is an allocation of its own, so that ASan sees an access beyond its end, and
 * is written by bytes: what is tested against it can't share its byte order.
 */
#ifndef TESTS_HOST_FAKE_DRIVER_H
#define TESTS_HOST_FAKE_DRIVER_H

#include <errno.h>
#include <stdlib.h>

#include "ring.h"
#include "tap.h"

/* Guest memory: what descriptors may point to. */
#define MEM_ADDR	0x40000000ULL
#define MEM_BYTES	0x2000
/* The last of it can't be written. */
#define ROM_BYTES	0x100
#define ROM_ADDR	(MEM_ADDR + MEM_BYTES - ROM_BYTES)
/* Not memory. */
#define HOLE_ADDR	(MEM_ADDR + MEM_BYTES)

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

#define DIRTY_MAX	64

struct driver {
	unsigned int size;
	uint8_t *desc;
	uint8_t *avail;
	uint8_t *used;
	uint8_t *mem;
	uint16_t avail_idx;
	struct ring ring;
	/* What was said to be written; a used ring has addresses below 1 MiB. */
	unsigned int dirty_count;
	struct {
		uint64_t at;
		size_t len;
	} dirty[DIRTY_MAX];
	/* Everything is memory, but for nobody to access. */
	bool all_is_memory;
	/* Called in the middle of the ring's work. */
	void (*on_translate)(struct driver *d);
	void (*on_used_dirty)(struct driver *d);
};

static inline void put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = value >> 8 * i;
}

static inline uint64_t get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

static inline void *driver_translate(void *opaque, uint64_t addr, size_t len, bool write)
{
	struct driver *d = opaque;

	ok(len > 0);
	ok(addr + len > addr);
	if (d->on_translate)
		d->on_translate(d);
	if (d->all_is_memory)
		return d->mem;
	if (addr < MEM_ADDR || len > MEM_BYTES || addr - MEM_ADDR > MEM_BYTES - len)
		return NULL;
	if (write && addr + len > ROM_ADDR)
		return NULL;
	return d->mem + (addr - MEM_ADDR);
}

static inline void driver_buffer_dirty(void *opaque, uint64_t addr, size_t len)
{
	struct driver *d = opaque;

	if (d->dirty_count < DIRTY_MAX) {
		d->dirty[d->dirty_count].at = addr;
		d->dirty[d->dirty_count].len = len;
	}
	d->dirty_count++;
}

static inline void driver_used_dirty(void *opaque, size_t offset, size_t len)
{
	struct driver *d = opaque;

	driver_buffer_dirty(opaque, offset, len);
	if (d->on_used_dirty)
		d->on_used_dirty(d);
}

static const struct ring_ops driver_ops = {
	.translate = driver_translate,
	.used_dirty = driver_used_dirty,
	.buffer_dirty = driver_buffer_dirty,
};

static inline void *driver_alloc(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, 16, bytes))
		abort();
	return memset(memory, 0, bytes);
}

static inline void driver_init(struct driver *d, unsigned int size)
{
	*d = (struct driver){
		.size = size,
		.desc = driver_alloc(16 * size),
		.avail = driver_alloc(4 + 2 * (size + 1)),
		.used = driver_alloc(4 + 8 * size + 2),
		.mem = driver_alloc(MEM_BYTES),
	};
}

static inline void driver_free(struct driver *d)
{
	free(d->desc);
	free(d->avail);
	free(d->used);
	free(d->mem);
}

static inline struct ring_config driver_config(struct driver *d)
{
	return (struct ring_config){
		.desc = { d->desc, 16 * d->size },
		.avail = { d->avail, 4 + 2 * (d->size + 1) },
		.used = { d->used, 4 + 8 * d->size + 2 },
		.event_idx = true,
		.indirect = true,
		.ops = &driver_ops,
		.opaque = d,
	};
}

static inline int driver_start(struct driver *d)
{
	struct ring_config config = driver_config(d);

	return ring_start(&d->ring, &config);
}

/* A descriptor, in the ring's table or in an indirect one. */
static inline void desc_put(uint8_t *table, unsigned int i, uint64_t addr,
			    uint32_t len, uint16_t flags, uint16_t next)
{
	put(table + 16 * i, addr, 8);
	put(table + 16 * i + 8, len, 4);
	put(table + 16 * i + 12, flags, 2);
	put(table + 16 * i + 14, next, 2);
}

static inline void driver_desc(struct driver *d, unsigned int i, uint64_t addr,
			       uint32_t len, uint16_t flags, uint16_t next)
{
	desc_put(d->desc, i, addr, len, flags, next);
}

static inline void driver_set_avail_idx(struct driver *d, uint16_t idx)
{
	d->avail_idx = idx;
	put(d->avail + 2, idx, 2);
}

static inline void driver_offer(struct driver *d, uint16_t head)
{
	put(d->avail + 4 + 2 * (d->avail_idx % d->size), head, 2);
	driver_set_avail_idx(d, d->avail_idx + 1);
}

static inline void driver_set_used_event(struct driver *d, uint16_t event)
{
	put(d->avail + 4 + 2 * d->size, event, 2);
}

static inline uint16_t driver_avail_event(const struct driver *d)
{
	return get(d->used + 4 + 8 * d->size, 2);
}

static inline uint16_t driver_used_idx(const struct driver *d)
{
	return get(d->used + 2, 2);
}

static inline uint32_t driver_used_id(const struct driver *d, uint16_t i)
{
	return get(d->used + 4 + 8 * (i % d->size), 4);
}

static inline uint32_t driver_used_len(const struct driver *d, uint16_t i)
{
	return get(d->used + 4 + 8 * (i % d->size) + 4, 4);
}

/* A started ring of @size entries, in the variable d, until the block ends. */
#define RING(size) \
	struct driver d __attribute__((cleanup(driver_free))); \
	struct ring_chain chain __attribute__((unused)) = { 0 }; \
	\
	driver_init(&d, size); \
	need(!driver_start(&d)); \
	d.dirty_count = 0

#endif /* TESTS_HOST_FAKE_DRIVER_H */
