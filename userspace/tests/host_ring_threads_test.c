// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host/ring.c with a driver in another thread. Each side waits to be woken, and
 * wakes the other only if that asked for it: a wake-up that is lost stops both,
 * and the time-out says so.
 *
 * tests/model/ring.pml searches all orders; this tries those of this machine.
 * To wait is to spin: what the processors do at the same time is not seen by
 * threads that the kernel puts to sleep and wakes one after the other.
 */
#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "fuzz/fuzz.h"
#include "host_fake_driver.h"

/* A request takes two descriptors, those of its slot. */
#define SLOTS		4
#define SIZE		(2 * SLOTS)
#define REQUESTS	200000
/* Of a machine that is busy with other things. */
#define PATIENCE_SEC	60

struct pair {
	struct driver d;
	struct vring_avail *avail;
	const struct vring_used *used;
	bool event_idx;
	bool kick;
	bool call;
	bool done;		/* the driver has all of its responses */
	bool lost;		/* somebody has waited too long */
	uint64_t wrong;		/* responses */
	uint64_t bad_pops;
	unsigned int sleeps;	/* of the driver */
	uint16_t added;
	uint16_t seen;
	uint64_t chance;	/* the driver's */
};

/* A spinning eventfd. */
static void sleep_on(struct pair *p, bool *woken)
{
	time_t end = time(NULL) + PATIENCE_SEC;

	for (unsigned int n = 1; !__atomic_exchange_n(woken, false, __ATOMIC_ACQUIRE); n++) {
		if (n % 1024)
			continue;
		sched_yield();
		if (time(NULL) > end)
			return __atomic_store_n(&p->lost, true, __ATOMIC_RELAXED);
	}
}

static void wake(bool *woken)
{
	__atomic_store_n(woken, true, __ATOMIC_RELEASE);
}

static bool is_lost(const struct pair *p)
{
	return __atomic_load_n(&p->lost, __ATOMIC_RELAXED);
}

static bool is_over(const struct pair *p)
{
	return __atomic_load_n(&p->done, __ATOMIC_ACQUIRE) || is_lost(p) || p->bad_pops;
}

static uint16_t load_le16(const __virtio16 *from)
{
	return le16toh(__atomic_load_n(from, __ATOMIC_RELAXED));
}

static void store_le16(__virtio16 *to, uint16_t value)
{
	__atomic_store_n(to, htole16(value), __ATOMIC_RELAXED);
}

/* Request and response of a slot: words next to each other. */
static uint64_t *slot(struct pair *p, unsigned int i)
{
	return (uint64_t *)p->d.mem + 2 * (i % SLOTS);
}

static uint64_t answer(uint64_t request)
{
	return request * 0x9e3779b97f4a7c15;
}

static void publish(struct pair *p)
{
	ring_publish(&p->d.ring);
	if (ring_should_notify(&p->d.ring))
		wake(&p->call);
}

/* The loop of ring.h; half of the time it publishes each chain for itself. */
static void serve(struct pair *p, bool at_once)
{
	struct ring *ring = &p->d.ring;
	struct ring_chain chain;
	uint64_t word;
	int got = 1;

	for (unsigned int n = 0; n < ring_size(ring) && got; n++) {
		got = ring_pop(ring, &chain);
		if (got <= 0)
			continue;
		if (ring_read(ring, &chain, &word, sizeof(word)) != sizeof(word))
			p->bad_pops++;
		word = answer(word);
		ring_write(ring, &chain, &word, sizeof(word));
		ring_insert(ring, &chain);
		if (at_once)
			publish(p);
	}
	p->bad_pops += got < 0;
	publish(p);
	if (!got)
		sleep_on(p, &p->kick);
}

static void *device(void *opaque)
{
	struct pair *p = opaque;

	for (unsigned int round = 0; !is_over(p); round++)
		serve(p, round % 2);
	return NULL;
}

/* Some of what there is room for: a request's number is its content. */
static void add(struct pair *p, uint64_t *next)
{
	const __virtio16 *avail_event = (const __virtio16 *)&p->used->ring[SIZE];
	uint16_t limit = p->seen + 1 + fuzz_random(&p->chance) % SLOTS;
	uint16_t old = p->added;

	while ((int16_t)(limit - p->added) > 0 && *next < REQUESTS) {
		__atomic_store_n(slot(p, p->added), ++*next, __ATOMIC_RELAXED);
		store_le16(&p->avail->ring[p->added % SIZE], 2 * (p->added % SLOTS));
		p->added++;
	}
	if (p->added == old)
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store_le16(&p->avail->idx, p->added);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!p->event_idx || vring_need_event(load_le16(avail_event), p->added, old))
		wake(&p->kick);
}

static void take(struct pair *p)
{
	uint16_t idx = load_le16(&p->used->idx);
	uint64_t *words;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (; p->seen != idx; p->seen++) {
		words = slot(p, p->seen);
		p->wrong += __atomic_load_n(&words[1], __ATOMIC_RELAXED) != answer(words[0]);
	}
}

static void wait_for_call(struct pair *p)
{
	p->sleeps++;
	store_le16(p->event_idx ? &p->avail->ring[SIZE] : &p->avail->flags,
		   p->event_idx ? p->seen : 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load_le16(&p->used->idx) == p->seen)
		sleep_on(p, &p->call);
	if (!p->event_idx)
		store_le16(&p->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

static void drive(struct pair *p)
{
	uint64_t next = 0;

	while (!is_lost(p)) {
		/* Not always at the same distance from what the device does. */
		for (unsigned int n = fuzz_random(&p->chance) % 256; n; n--)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		add(p, &next);
		take(p);
		if (p->added == p->seen && next == REQUESTS)
			break;
		if (p->added != p->seen && fuzz_random(&p->chance) % 2)
			wait_for_call(p);
	}
	__atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
	wake(&p->kick);
}

static const struct ring_ops silent = { .translate = driver_translate };

static int pair_init(struct pair *p, bool event_idx)
{
	struct ring_config config;

	*p = (struct pair){ .event_idx = event_idx, .chance = 1 };
	driver_init(&p->d, SIZE);
	p->avail = (struct vring_avail *)p->d.avail;
	p->used = (const struct vring_used *)p->d.used;
	for (unsigned int i = 0; i < SLOTS; i++) {
		driver_desc(&p->d, 2 * i, MEM_ADDR + 16 * i, 8, NEXT, 2 * i + 1);
		driver_desc(&p->d, 2 * i + 1, MEM_ADDR + 16 * i + 8, 8, WRITE, 0);
	}
	config = driver_config(&p->d);
	config.event_idx = event_idx;
	/* A log would take longer than a store waits to be seen. */
	config.ops = &silent;
	return ring_start(&p->d.ring, &config);
}

static void pass_requests(bool event_idx)
{
	pthread_t thread;
	struct pair p;

	need(!pair_init(&p, event_idx));
	need(!pthread_create(&thread, NULL, device, &p));
	drive(&p);
	pthread_join(thread, NULL);
	ok(!p.lost);
	is_u64(p.wrong, 0);
	is_u64(p.bad_pops, 0);
	is_u64(p.seen, REQUESTS % 65536);
	note("%d requests, the driver waited %u times", REQUESTS, p.sleeps);
	driver_free(&p.d);
}

TAP_TEST(no_wake_up_is_lost_with_event_index)
{
	pass_requests(true);
}

TAP_TEST(no_wake_up_is_lost_with_flags)
{
	pass_requests(false);
}

int main(void)
{
	return tap_main();
}
