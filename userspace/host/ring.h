/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's side of a virtio split ring, in memory that a guest shares.
 *
 * What the user does, on every kick and once after ring_start(), as a kick may
 * have been missed before:
 *
 *	for (n = 0; n < ring_size(ring); n++) {
 *		got = ring_pop(ring, &chain);
 *		if (!got || got == -EPROTO)
 *			break;
 *		if (got < 0)
 *			continue;
 *		len = ring_read(ring, &chain, request, sizeof(request));
 *		...
 *		ring_write(ring, &chain, response, sizeof(response));
 *		ring_insert(ring, &chain);
 *	}
 *	ring_publish(ring);
 *	if (ring_should_notify(ring))
 *		signal the call eventfd;
 *
 * A driver can refill the ring for ever, so the loop has a bound. Where it ended
 * by its bound it must be entered again without a kick: one is due only for
 * what comes after ring_pop() has given 0.
 *
 * Who writes what memory, and when:
 *
 *	descriptor table	never written from here
 *	available ring		never written from here
 *	used ring		ring_start(): flags, and avail_event
 *				ring_pop(): avail_event, when it finds nothing
 *				ring_insert(), and ring_pop() for a chain with
 *				a fault: one element
 *				ring_publish(): the index
 *	writable buffers	ring_write(), between the ring_pop() and the
 *				ring_insert() of their chain
 *
 * avail_event is written with VIRTIO_RING_F_EVENT_IDX only. A stopped or
 * broken ring, and one that was never started, is neither read nor written.
 *
 * The guest may write all of it at any time. Each thing is read once, into a
 * copy that is then checked; of the used ring nothing is read but the index, by
 * ring_start(). What the guest does to its rings costs the guest its queue, and
 * the device nothing.
 *
 * Not for use by several threads at once; each ring is independent of others.
 */
#ifndef HOST_RING_H
#define HOST_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

/* The split format's largest queue. */
#define RING_SIZE_MAX	32768

/* Buffers of a chain that can be reached, of the readable and of the writable. */
#define RING_SEGMENTS	32

/**
 * struct ring_ops - what the ring needs from its user
 * @translate: the host's pointer to @len bytes of guest memory at guest address
 *	@addr, to be written if @write; or NULL if not all of them are memory of
 *	one piece. @addr + @len does not overflow and @len is not 0. The pointer
 *	is used until the chain is inserted or the ring stopped.
 * @used_dirty: @len bytes at @offset into the used ring have been written; or
 *	NULL. The log's bit must be set with release order: whoever takes it
 *	must see the bytes.
 * @buffer_dirty: the same for @len bytes of guest memory at guest address @addr
 */
struct ring_ops {
	void *(*translate)(void *opaque, uint64_t addr, size_t len, bool write);
	void (*used_dirty)(void *opaque, size_t offset, size_t len);
	void (*buffer_dirty)(void *opaque, uint64_t addr, size_t len);
};

/**
 * struct ring_range - a part of the ring, in the host's memory
 * @base: its first byte
 * @len: bytes
 */
struct ring_range {
	void *base;
	size_t len;
};

/**
 * struct ring_config - what a ring is started with
 * @desc: the descriptor table: ring_desc_size() bytes, aligned to 16
 * @avail: the available ring: ring_avail_size() bytes, aligned to 2
 * @used: the used ring: ring_used_size() bytes, aligned to 4; it tells the
 *	queue's size, which the other two must fit
 * @base: the first entry of the available ring that is not taken yet; what
 *	ring_stop() of the predecessor has given, 0 for a new ring
 * @event_idx: VIRTIO_RING_F_EVENT_IDX has been negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC has been negotiated
 * @ops: must outlive the ring
 * @opaque: handed to @ops
 */
struct ring_config {
	struct ring_range desc;
	struct ring_range avail;
	struct ring_range used;
	uint16_t base;
	bool event_idx;
	bool indirect;
	const struct ring_ops *ops;
	void *opaque;
};

enum ring_state {
	RING_STOPPED,	/* as memory full of zeros is */
	RING_RUNNING,
	RING_BROKEN,	/* the driver broke the ring's rules; until restarted */
};

/**
 * struct ring - a queue; its user reads @state and leaves the rest alone
 * @state: see above
 * @size: entries
 * @next_avail: the next entry to take
 * @next_used: the next element to fill in
 * @published: the used index that the driver sees
 * @unchecked: elements published since ring_should_notify() looked
 * @in_flight: chains that were taken and not inserted, a predecessor's too
 * @life: counts the starts; a chain of another life is a dead one
 * @desc: the descriptor table
 * @avail: the available ring
 * @used: the used ring
 * @config: as it was started
 */
struct ring {
	enum ring_state state;
	unsigned int size;
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t published;
	uint32_t unchecked;
	unsigned int in_flight;
	uint64_t life;
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	struct ring_config config;
};

/**
 * struct ring_segment - a buffer, or what is left of it
 * @host: the host's pointer
 * @addr: its guest address
 * @len: bytes, not 0
 */
struct ring_segment {
	uint8_t *host;
	uint64_t addr;
	uint32_t len;
};

/**
 * struct ring_part - the readable or the writable buffers of a chain
 * @len: bytes left
 * @first: the first segment with bytes left
 * @count: segments
 * @segments: the first that are not empty; those that have no room here are
 *	checked, not counted in @len, and out of reach. However a driver splits
 *	its buffers, their first RING_SEGMENTS bytes are here.
 */
struct ring_part {
	uint32_t len;
	unsigned int first;
	unsigned int count;
	struct ring_segment segments[RING_SEGMENTS];
};

/**
 * struct ring_chain - what the driver has made available at once
 * @life: of the ring, 0 if this chain is not held
 * @head: its name, the index of its first descriptor
 * @written: bytes written, what ring_insert() will tell the driver
 * @steps: descriptors that ring_pop() looked at, in a chain with a fault too: what
 *	the chain has cost
 * @readable: the request; readable.len is what ring_read() can still give
 * @writable: room for the response; writable.len is what still fits
 */
struct ring_chain {
	uint64_t life;
	uint16_t head;
	uint32_t written;
	unsigned int steps;
	struct ring_part readable;
	struct ring_part writable;
};

/**
 * ring_desc_size() - bytes of a descriptor table
 * @size: entries of the queue
 *
 * Return: the size.
 */
static inline size_t ring_desc_size(size_t size)
{
	return size * sizeof(struct vring_desc);
}

/**
 * ring_avail_size() - bytes of an available ring
 * @size: entries of the queue
 *
 * Return: the size; used_event is counted, negotiated or not.
 */
static inline size_t ring_avail_size(size_t size)
{
	return sizeof(struct vring_avail) + (size + 1) * sizeof(__virtio16);
}

/**
 * ring_used_size() - bytes of a used ring
 * @size: entries of the queue
 *
 * Return: the size; avail_event is counted, negotiated or not.
 */
static inline size_t ring_used_size(size_t size)
{
	return sizeof(struct vring_used) +
	       size * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

/**
 * ring_size() - entries of the queue
 * @ring: the ring, started
 *
 * Return: a power of two, at most RING_SIZE_MAX.
 */
static inline unsigned int ring_size(const struct ring *ring)
{
	return ring->size;
}

/**
 * ring_start() - begin to work on a ring
 * @ring: filled in; zeros, or stopped
 * @config: where it is and what was negotiated; copied
 *
 * Return: 0; -EINVAL: a range has a wrong size or alignment; -EPROTO: @base
 * and the used index found are further apart than the queue is long. The ring
 * stays stopped then.
 */
int ring_start(struct ring *ring, const struct ring_config *config);

/**
 * ring_stop() - let go of a ring
 * @ring: the ring, in any state
 *
 * The rings and all buffers may be unmapped afterwards: chains that are still
 * held can be passed to the functions here, which then do nothing. They are
 * lost to the driver, so insert and publish first.
 *
 * Return: the next entry to take, for the successor.
 */
uint16_t ring_stop(struct ring *ring);

/**
 * ring_pop() - take the next chain
 * @ring: the ring
 * @chain: filled in if 1 is returned; to be given to ring_insert() then, used
 *	or not, and before it is used for another
 *
 * A chain with a fault has been inserted with length 0 when this returns, so
 * that the driver gets its descriptors back from ring_publish(). The ring goes
 * on behind it.
 *
 * Return: 1: a chain; 0: there is none, and the next one brings a kick, or the
 * ring is stopped; -EPROTO: the driver's index or entry makes no sense, the
 * ring is broken and remains so;
 * chains with a fault: -EFAULT: not all of a buffer or table is memory; -ELOOP:
 * longer than the queue, a cycle as a rule; -EBADMSG: an index beyond the
 * table, a readable buffer after a writable one, a wrong use of an indirect
 * table, or more bytes than used.len can say.
 */
int ring_pop(struct ring *ring, struct ring_chain *chain);

/**
 * ring_read() - copy out of the chain's readable part
 * @ring: the ring
 * @chain: the chain, held
 * @buf: filled in
 * @len: bytes wanted
 *
 * Goes on where the last one ended; there is no way back: no byte is read
 * twice.
 *
 * Return: bytes copied, fewer than @len at the end of the part.
 */
size_t ring_read(struct ring *ring, struct ring_chain *chain, void *buf, size_t len);

/**
 * ring_write() - copy into the chain's writable part
 * @ring: the ring
 * @chain: the chain, held
 * @buf: what to write
 * @len: bytes
 *
 * Goes on where the last one ended.
 *
 * Return: bytes copied, fewer than @len at the end of the part.
 */
size_t ring_write(struct ring *ring, struct ring_chain *chain, const void *buf, size_t len);

/**
 * ring_insert() - put a chain into the used ring
 * @ring: the ring
 * @chain: the chain, held; not held afterwards. One that is not held is left
 *	alone.
 *
 * Chains may be inserted in any order. The driver sees none of them before
 * ring_publish().
 */
void ring_insert(struct ring *ring, struct ring_chain *chain);

/**
 * ring_publish() - let the driver see what was inserted
 * @ring: the ring
 */
void ring_publish(struct ring *ring);

/**
 * ring_should_notify() - does the driver want to be told?
 * @ring: the ring
 *
 * To be asked once after one or several ring_publish().
 *
 * Return: true if the driver may be waiting for something that was published
 * since the last time; and the first time after ring_start(), if the driver wants
 * anything at all, as a predecessor may have died before it could tell.
 */
bool ring_should_notify(struct ring *ring);

#endif /* HOST_RING_H */
