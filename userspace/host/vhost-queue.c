// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* preadv2() */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bell.h"
#include "log.h"
#include "vhost-inflight.h"
#include "vhost-queue.h"

static void *translate(void *opaque, uint64_t addr, size_t len, bool write)
{
	const struct vhost_queue *q = opaque;

	(void)write;	/* all that a front-end hands over may be written */
	return vhost_memory_at(&q->vhost->memory, addr, len);
}

static void used_dirty(void *opaque, size_t offset, size_t len)
{
	const struct vhost_queue *q = opaque;

	if (q->is_logged)
		dirty_mark(&q->used_log.dirty, offset, len);
}

static void buffer_dirty(void *opaque, uint64_t addr, size_t len)
{
	const struct vhost_queue *q = opaque;

	vhost_memory_dirty(&q->vhost->memory, addr, len);
}

static const struct ring_ops ops = {
	.translate = translate,
	.used_dirty = used_dirty,
	.buffer_dirty = buffer_dirty,
};

static struct ring_range range_at(const struct vhost_queue *q, uint64_t user, size_t len,
				  size_t align)
{
	return (struct ring_range){
		vhost_memory_at_user(&q->vhost->memory, user, len, align), len,
	};
}

/* The other side is asked to look; it may be gone, or never have told us how. */
static void signal_fd(int fd)
{
	if (fd >= 0)
		bell_ring(fd);
}

bool queues_run(const struct vhost *v)
{
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		if (v->queues[i].ring.state != RING_STOPPED)
			return true;
	return false;
}

static void take_page(struct vhost *v)
{
	if (!v->is_page_lent)
		return;
	v->is_page_lent = false;
	v->page_user.take(v->page_user.context);
}

static void lend_page(struct vhost *v)
{
	const struct vhost_slot *slot = vhost_memory_page(&v->memory);

	if (v->is_page_lent || !slot)
		return;
	v->is_page_lent = v->page_user.lend(v->page_user.context, slot->fd,
					    slot->region.offset, &slot->dirty.dirty);
}

void queues_offer_page(struct vhost *v)
{
	if (queues_run(v))
		lend_page(v);
}

/* Starts the ring if everything is there; which may come later. */
static void run_ring(struct vhost_queue *q)
{
	struct vhost *v = q->vhost;
	struct ring_config config = {
		.base = q->base,
		.event_idx = v->features & VHOST_F_EVENT_IDX,
		.indirect = v->features & VHOST_F_INDIRECT,
		.ops = &ops,
		.opaque = q,
	};

	if (!q->is_started || q->ring.state != RING_STOPPED || !q->num || !q->has_addresses ||
	    vhost_memory_lease(&v->memory, true))
		return;
	config.desc = range_at(q, q->desc, ring_desc_size(q->num), VRING_DESC_ALIGN_SIZE);
	config.avail = range_at(q, q->avail, ring_avail_size(q->num), VRING_AVAIL_ALIGN_SIZE);
	config.used = range_at(q, q->used, ring_used_size(q->num), VRING_USED_ALIGN_SIZE);
	if (ring_start(&q->ring, &config)) {
		signal_fd(q->error);
		if (!queues_run(v))
			vhost_memory_lease(&v->memory, false);
		return;
	}
	inflight_set_used(v, q - v->queues, q->ring.published);
	lend_page(v);
}

/* The page goes first: while it is written there is a lease. */
static void halt_ring(struct vhost_queue *q, bool is_last)
{
	struct vhost *v = q->vhost;

	if (q->ring.state == RING_STOPPED)
		return;
	if (is_last)
		take_page(v);
	q->base = ring_stop(&q->ring);
	if (!queues_run(v))
		vhost_memory_lease(&v->memory, false);
}

static bool is_last(const struct vhost_queue *q)
{
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		if (&q->vhost->queues[i] != q &&
		    q->vhost->queues[i].ring.state != RING_STOPPED)
			return false;
	return true;
}

void queue_start(struct vhost_queue *q)
{
	q->is_started = true;
	run_ring(q);
}

void queue_stop(struct vhost_queue *q)
{
	halt_ring(q, is_last(q));
	q->is_started = false;
	queue_set_fd(&q->kick, -1);
}

void queues_pause(struct vhost *v)
{
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		halt_ring(&v->queues[i], is_last(&v->queues[i]));
}

void queues_resume(struct vhost *v)
{
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		run_ring(&v->queues[i]);
	queues_offer_page(v);
}

void queues_stop(struct vhost *v)
{
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		queue_stop(&v->queues[i]);
}

void queue_reset(struct vhost_queue *q)
{
	queue_stop(q);
	queue_set_fd(&q->call, -1);
	queue_set_fd(&q->error, -1);
	queue_set_log(q, false, 0);
	*q = (struct vhost_queue){
		.vhost = q->vhost, .kick = -1, .call = -1, .error = -1,
		.ring.life = q->ring.life,
	};
}

void queue_set_fd(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

int queue_set_log(struct vhost_queue *q, bool is_logged, uint64_t address)
{
	struct dirty_vm *log = &q->vhost->memory.log;
	int err;

	if (q->is_logged)
		dirty_vm_remove(log, &q->used_log);
	q->is_logged = false;
	if (!is_logged)
		return 0;
	err = dirty_vm_add(log, &q->used_log, address, ring_used_size(q->num));
	q->is_logged = !err;
	return err;
}

static void publish(struct vhost_queue *q)
{
	ring_publish(&q->ring);
	inflight_set_used(q->vhost, q - q->vhost->queues, q->ring.published);
	if (ring_should_notify(&q->ring))
		signal_fd(q->call);
}

/* Told once: in this state there is nothing more to take. */
static bool is_broken(struct vhost_queue *q, int got)
{
	if (got != -EPROTO)
		return false;
	signal_fd(q->error);
	return true;
}

static void answer(struct vhost_queue *q, struct ring_chain *chain)
{
	uint8_t request[RTC_REQUEST_MAX], response[RTC_RESPONSE_MAX];
	size_t len = ring_read(&q->ring, chain, request, sizeof(request));
	size_t size = rtc_respond(&q->vhost->rtc, request, len, response, chain->writable.len);

	ring_write(&q->ring, chain, response, size);
	ring_insert(&q->ring, chain);
}

/*
 * A driver could keep it busy for ever, and others waiting: hence the bounds. A chain
 * may be as long as the queue, so chains alone are no measure of work.
 */
struct budget {
	unsigned int chains;
	unsigned int steps;
};

#define STEPS_MAX	4096

static struct budget new_budget(const struct vhost_queue *q)
{
	return (struct budget){ ring_size(&q->ring), STEPS_MAX };
}

static bool is_left(const struct budget *b)
{
	return b->chains && b->steps;
}

static void spend(struct budget *b, const struct ring_chain *chain)
{
	b->chains--;
	b->steps -= chain->steps < b->steps ? chain->steps : b->steps;
}

static void work_on_requests(struct vhost_queue *q)
{
	struct budget budget = new_budget(q);
	struct ring_chain chain;
	int got = 1;

	for (; is_left(&budget); spend(&budget, &chain)) {
		got = ring_pop(&q->ring, &chain);
		if (!got || is_broken(q, got))
			break;
		if (got > 0)
			answer(q, &chain);
	}
	publish(q);
	if (!is_left(&budget))
		q->vhost->has_more = true;
}

/* Buffers stay in the ring until there is something for them. */
static void send_notifications(struct vhost_queue *q)
{
	struct rtc *rtc = &q->vhost->rtc;
	uint8_t notification[RTC_NOTIFICATION_SIZE];
	struct budget budget = new_budget(q);
	struct ring_chain chain;
	int got;

	for (; is_left(&budget) && rtc_has_notification(rtc); spend(&budget, &chain)) {
		got = ring_pop(&q->ring, &chain);
		if (!got || is_broken(q, got))
			break;
		if (got > 0 && chain.writable.len >= sizeof(notification)) {
			rtc_take_notification(rtc, notification);
			ring_write(&q->ring, &chain, notification, sizeof(notification));
		}
		if (got > 0)
			ring_insert(&q->ring, &chain);
	}
	publish(q);
	if (!is_left(&budget) && rtc_has_notification(rtc))
		q->vhost->has_more = true;
}

/*
 * Not to wait is asked of each read: O_NONBLOCK would be the front-end's as well.
 * One that gives no eventfd's 8 bytes would wake us up for ever.
 */
static void drain_kick(struct vhost_queue *q)
{
	uint64_t count;
	struct iovec data = { &count, sizeof(count) };
	ssize_t got;

	if (q->kick < 0)
		return;
	got = preadv2(q->kick, &data, 1, -1, RWF_NOWAIT);
	if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
		queue_set_fd(&q->kick, -1);
}

/* What others share with us they can also take away: that costs them the VM. */
static void check_memory(struct vhost *v)
{
	if (v->memory.log.log && dirty_log_is_broken(v->memory.log.log)) {
		log_line("the dirty log was taken away: nothing is recorded any more");
		dirty_vm_set_log(&v->memory.log, NULL);
	}
	if (!queues_run(v) || !vhost_memory_is_broken(&v->memory))
		return;
	log_line("the guest's memory was taken away: its queues are stopped");
	queues_pause(v);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		signal_fd(v->queues[i].error);
}

void queues_work(struct vhost *v)
{
	v->has_more = false;
	for (unsigned int i = 0; i < VHOST_QUEUES; i++) {
		struct vhost_queue *q = &v->queues[i];

		drain_kick(q);
		if (!q->is_enabled || q->ring.state != RING_RUNNING)
			continue;
		if (i == VHOST_REQUESTQ)
			work_on_requests(q);
		else
			send_notifications(q);
	}
	check_memory(v);
}
