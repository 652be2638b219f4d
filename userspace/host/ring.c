// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device's side of a virtio split ring. Barriers, with the driver's that
 * they pair with; tests/model/ring.pml tries what happens without each:
 *
 *	device					driver
 *	------					------
 *	load avail.idx				fill buffers, table, avail.ring
 *	    B1 acquire fence			    write barrier
 *	load avail.ring, table, buffers		store avail.idx
 *
 *	load buffers, store buffers, used.ring	load used.idx
 *	    B2 release fence			    read barrier
 *	store used.idx				load used.ring, buffers, reuse them
 *
 *	store used.idx				store used_event or avail.flags
 *	    B3 full fence			    full barrier
 *	load used_event or avail.flags		load used.idx, sleep if nothing new
 *
 *	store avail_event			store avail.idx
 *	    B4 full fence			    full barrier
 *	load avail.idx, sleep if nothing new	load avail_event, kick if wanted
 *
 * All that is shared is little-endian, and accessed by relaxed atomics: each
 * load in the source is one load.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "ring.h"

/* More than the event index can look back on, so the answer is to notify. */
#define UNCHECKED_TOO_MANY	0x10000

static uint16_t load16(const __virtio16 *from)
{
	return le16toh(__atomic_load_n(from, __ATOMIC_RELAXED));
}

static void store16(__virtio16 *to, uint16_t value)
{
	__atomic_store_n(to, htole16(value), __ATOMIC_RELAXED);
}

static void store32(__virtio32 *to, uint32_t value)
{
	__atomic_store_n(to, htole32(value), __ATOMIC_RELAXED);
}

/* By bytes: a guest's buffers and indirect tables are aligned to nothing. */
static void copy_in(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len--)
		*to++ = __atomic_load_n(from++, __ATOMIC_RELAXED);
}

static void copy_out(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len--)
		__atomic_store_n(to++, *from++, __ATOMIC_RELAXED);
}

static void used_dirty(const struct ring *ring, const void *at, size_t len)
{
	const struct ring_config *c = &ring->config;

	if (c->ops->used_dirty)
		c->ops->used_dirty(c->opaque, (const char *)at - (const char *)ring->used, len);
}

static const __virtio16 *used_event(const struct ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static void store_avail_event(struct ring *ring)
{
	__virtio16 *event = (__virtio16 *)&ring->used->ring[ring->size];

	if (!ring->config.event_idx)
		return;
	store16(event, ring->next_avail);
	used_dirty(ring, event, sizeof(*event));
}

static bool is_aligned(const struct ring_range *range, size_t size, uintptr_t align)
{
	return range->base && range->len == size && !((uintptr_t)range->base % align);
}

/* The queue's size, or 0 if the three ranges are not those of a queue. */
static unsigned int checked_size(const struct ring_config *c)
{
	size_t size;

	if (c->used.len < ring_used_size(1) || c->used.len > ring_used_size(RING_SIZE_MAX))
		return 0;
	size = (c->used.len - ring_used_size(0)) / sizeof(struct vring_used_elem);
	if (size & (size - 1) ||
	    !is_aligned(&c->desc, ring_desc_size(size), VRING_DESC_ALIGN_SIZE) ||
	    !is_aligned(&c->avail, ring_avail_size(size), VRING_AVAIL_ALIGN_SIZE) ||
	    !is_aligned(&c->used, ring_used_size(size), VRING_USED_ALIGN_SIZE))
		return 0;
	return size;
}

int ring_start(struct ring *ring, const struct ring_config *config)
{
	unsigned int size = checked_size(config);
	struct vring_used *used = config->used.base;
	uint16_t used_idx, lost;

	if (!size)
		return -EINVAL;
	used_idx = load16(&used->idx);
	lost = config->base - used_idx;
	if (lost > size)
		return -EPROTO;
	*ring = (struct ring){
		.state = RING_RUNNING,
		.size = size,
		.next_avail = config->base,
		.next_used = used_idx,
		.published = used_idx,
		.unchecked = UNCHECKED_TOO_MANY,
		.in_flight = lost,
		.life = ring->life + 1,
		.desc = config->desc.base,
		.avail = config->avail.base,
		.used = used,
		.config = *config,
	};
	/* Kicks are always welcome: VRING_USED_F_NO_NOTIFY is never set. */
	store16(&used->flags, 0);
	used_dirty(ring, &used->flags, sizeof(used->flags));
	store_avail_event(ring);
	return 0;
}

uint16_t ring_stop(struct ring *ring)
{
	ring->state = RING_STOPPED;
	ring->desc = NULL;
	ring->avail = NULL;
	ring->used = NULL;
	return ring->next_avail;
}

static int broken(struct ring *ring)
{
	ring->state = RING_BROKEN;
	return -EPROTO;
}

/* Entries that can be taken: 0 only if the driver will kick for the next one. */
static uint16_t count_available(struct ring *ring)
{
	uint16_t idx = load16(&ring->avail->idx);

	if (idx == ring->next_avail && ring->config.event_idx) {
		store_avail_event(ring);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* B4 */
		idx = load16(&ring->avail->idx);
	}
	return idx - ring->next_avail;
}

/* Gives what ring_pop() does; 1 is for a head in chain->head. */
static int take_head(struct ring *ring, struct ring_chain *chain)
{
	uint16_t available = count_available(ring);

	if (!available)
		return 0;
	/* A chain has a descriptor of its own, and the driver has no more. */
	if (available > ring->size - ring->in_flight)
		return broken(ring);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* B1 */
	chain->head = load16(&ring->avail->ring[ring->next_avail & (ring->size - 1)]);
	/* What the driver doesn't have can't be given back to it. */
	if (chain->head >= ring->size)
		return broken(ring);
	ring->next_avail++;
	ring->in_flight++;
	return 1;
}

/* A walk along a chain: the table it is in, and what it has met there. */
struct walk {
	const uint8_t *table;
	unsigned int entries;
	bool indirect;
	bool writable;
};

static void *translate(const struct ring *ring, uint64_t addr, uint32_t len, bool write)
{
	if (addr + len < addr)
		return NULL;
	return ring->config.ops->translate(ring->config.opaque, addr, len, write);
}

static int enter_table(const struct ring *ring, struct walk *walk,
		       const struct vring_desc *desc)
{
	if (!ring->config.indirect || walk->indirect || desc->flags & VRING_DESC_F_NEXT ||
	    !desc->len || desc->len % sizeof(*desc))
		return -EBADMSG;
	walk->table = translate(ring, desc->addr, desc->len, false);
	if (!walk->table)
		return -EFAULT;
	walk->entries = desc->len / sizeof(*desc);
	walk->indirect = true;
	return 0;
}

static int add_buffer(const struct ring *ring, struct walk *walk,
		      struct ring_chain *chain, const struct vring_desc *desc)
{
	bool write = desc->flags & VRING_DESC_F_WRITE;
	struct ring_part *part = write ? &chain->writable : &chain->readable;
	uint8_t *host;

	if (walk->writable && !write)
		return -EBADMSG;
	walk->writable = write;
	if (!desc->len)
		return 0;
	host = translate(ring, desc->addr, desc->len, write);
	if (!host)
		return -EFAULT;
	if (part->count == RING_SEGMENTS)
		return 0;
	if (__builtin_add_overflow(part->len, desc->len, &part->len))
		return -EBADMSG;
	part->segments[part->count++] = (struct ring_segment){ host, desc->addr, desc->len };
	return 0;
}

/* The only place that looks at a descriptor: once, in the host's byte order. */
static struct vring_desc read_desc(const struct walk *walk, unsigned int i)
{
	struct vring_desc desc;

	copy_in((uint8_t *)&desc, walk->table + i * sizeof(desc), sizeof(desc));
	return (struct vring_desc){
		.addr = le64toh(desc.addr),
		.len = le32toh(desc.len),
		.flags = le16toh(desc.flags),
		.next = le16toh(desc.next),
	};
}

static int walk_chain(const struct ring *ring, struct ring_chain *chain)
{
	struct walk walk = { .table = (const uint8_t *)ring->desc, .entries = ring->size };
	unsigned int i = chain->head;
	struct vring_desc desc;
	int err;

	for (;;) {
		if (i >= walk.entries)
			return -EBADMSG;
		desc = read_desc(&walk, i);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			err = enter_table(ring, &walk, &desc);
			if (err)
				return err;
			i = 0;
			continue;
		}
		/* In a table too, a chain is not longer than the queue. */
		if (chain->steps++ == ring->size)
			return -ELOOP;
		err = add_buffer(ring, &walk, chain, &desc);
		if (err || !(desc.flags & VRING_DESC_F_NEXT))
			return err;
		i = desc.next;
	}
}

int ring_pop(struct ring *ring, struct ring_chain *chain)
{
	int ret;

	chain->life = 0;
	if (ring->state != RING_RUNNING)
		return ring->state == RING_BROKEN ? -EPROTO : 0;
	ret = take_head(ring, chain);
	if (ret <= 0)
		return ret;

	chain->life = ring->life;
	chain->written = 0;
	chain->steps = 0;
	chain->readable.len = chain->readable.first = chain->readable.count = 0;
	chain->writable.len = chain->writable.first = chain->writable.count = 0;
	ret = walk_chain(ring, chain);
	if (!ret)
		return 1;
	ring_insert(ring, chain);
	return ret;
}

static bool is_held(const struct ring *ring, const struct ring_chain *chain)
{
	return ring->state == RING_RUNNING && chain->life == ring->life;
}

/* Cuts off the next piece, of at most @len bytes; false at the end. */
static bool next_piece(struct ring_part *part, size_t len, struct ring_segment *piece)
{
	struct ring_segment *first = &part->segments[part->first];

	if (!len || part->first == part->count)
		return false;
	*piece = *first;
	if (piece->len > len)
		piece->len = len;
	part->len -= piece->len;
	first->host += piece->len;
	first->addr += piece->len;
	first->len -= piece->len;
	if (!first->len)
		part->first++;
	return true;
}

size_t ring_read(struct ring *ring, struct ring_chain *chain, void *buf, size_t len)
{
	struct ring_segment piece;
	size_t done = 0;

	if (!is_held(ring, chain))
		return 0;
	while (next_piece(&chain->readable, len - done, &piece)) {
		copy_in((uint8_t *)buf + done, piece.host, piece.len);
		done += piece.len;
	}
	return done;
}

size_t ring_write(struct ring *ring, struct ring_chain *chain, const void *buf, size_t len)
{
	const struct ring_config *c = &ring->config;
	struct ring_segment piece;
	size_t done = 0;

	if (!is_held(ring, chain))
		return 0;
	while (next_piece(&chain->writable, len - done, &piece)) {
		copy_out(piece.host, (const uint8_t *)buf + done, piece.len);
		if (c->ops->buffer_dirty)
			c->ops->buffer_dirty(c->opaque, piece.addr, piece.len);
		done += piece.len;
	}
	chain->written += done;
	return done;
}

void ring_insert(struct ring *ring, struct ring_chain *chain)
{
	vring_used_elem_t *elem;

	if (!is_held(ring, chain))
		return;
	elem = &ring->used->ring[ring->next_used & (ring->size - 1)];
	store32(&elem->id, chain->head);
	store32(&elem->len, chain->written);
	used_dirty(ring, elem, sizeof(*elem));
	ring->next_used++;
	ring->in_flight--;
	chain->life = 0;
}

void ring_publish(struct ring *ring)
{
	uint16_t added = ring->next_used - ring->published;

	if (ring->state != RING_RUNNING || !added)
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);	/* B2 */
	store16(&ring->used->idx, ring->next_used);
	used_dirty(ring, &ring->used->idx, sizeof(ring->used->idx));
	ring->published = ring->next_used;
	if (ring->unchecked < UNCHECKED_TOO_MANY)
		ring->unchecked += added;
}

bool ring_should_notify(struct ring *ring)
{
	uint16_t published = ring->published;
	uint32_t unchecked = ring->unchecked;

	if (ring->state != RING_RUNNING || !unchecked)
		return false;
	ring->unchecked = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* B3 */
	if (!ring->config.event_idx)
		return !(load16(&ring->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return unchecked >= UNCHECKED_TOO_MANY ||
	       vring_need_event(load16(used_event(ring)), published, published - unchecked);
}
