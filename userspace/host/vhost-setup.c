// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "vhost-queue.h"
#include "vhost-setup.h"

/* Memory. A message has regions from its byte 8 on. */
static struct vhost_region region_of(const struct vhost_message *m, unsigned int i)
{
	struct vhost_region region;
	uint64_t words[4];

	memcpy(words, m->payload + 8 + i * sizeof(words), sizeof(words));
	region = (struct vhost_region){
		.gpa = words[0], .size = words[1], .user = words[2], .offset = words[3],
	};
	return region;
}

int setup_mem_table(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_region region;
	uint32_t count;
	int err = 0;

	(void)r;
	memcpy(&count, m->payload, sizeof(count));
	if (count > VHOST_FDS_MAX || count != m->fd_count || m->size != 8 + count * 32)
		return -EINVAL;
	queues_pause(v);
	vhost_memory_clear(&v->memory);
	for (unsigned int i = 0; i < count && !err; i++) {
		region = region_of(m, i);
		err = vhost_memory_add(&v->memory, &region, vhost_message_take_fd(m, i));
	}
	if (err)
		vhost_memory_clear(&v->memory);
	queues_resume(v);
	return err;
}

int setup_add_memory(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_region region = region_of(m, 0);
	int err;

	(void)r;
	err = vhost_memory_add(&v->memory, &region, vhost_message_take_fd(m, 0));
	if (!err)
		queues_resume(v);
	return err;
}

int setup_remove_memory(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_region region = region_of(m, 0);
	int err;

	(void)r;
	queues_pause(v);
	err = vhost_memory_remove(&v->memory, &region);
	queues_resume(v);
	return err;
}

int setup_log(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	uint64_t where[2];
	struct dirty_log *log;
	int fd, err;

	if (!(v->protocol & VHOST_P_LOG_SHMFD))
		return -EOPNOTSUPP;
	memcpy(where, m->payload, sizeof(where));
	fd = vhost_message_take_fd(m, 0);
	err = dirty_log_open(&log, fd, where[1], where[0]);
	queue_set_fd(&fd, -1);
	if (!err)
		err = dirty_vm_set_log(&v->memory.log, log);
	if (err)
		return err;
	/*
	 * As long as the question: rust-vmm's front-ends want it so, QEMU takes any.
	 * (rust-vmm's vhost up to 0.13 takes none, whatever the length.)
	 */
	r->size = sizeof(where);
	memcpy(r->payload, where, sizeof(where));
	return 0;
}

/* Queues. Messages begin with the index; those with a descriptor have a flag. */
#define NO_FD		0x100U
#define INDEX_MASK	0xffU

static struct vhost_queue *find(struct vhost *v, uint64_t index)
{
	return index < VHOST_QUEUES ? &v->queues[index] : NULL;
}

int setup_num(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_queue *q = find(v, m->vring.index);
	uint32_t num = m->vring.num;

	(void)r;
	if (!q || !num || num > RING_SIZE_MAX || num & (num - 1))
		return -EINVAL;
	if (q->ring.state != RING_STOPPED)
		return -EBUSY;
	/* The log's window was made for the other size. */
	if (num != q->num)
		queue_set_log(q, false, 0);
	q->num = num;
	return 0;
}

int setup_addr(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a;
	struct vhost_queue *q;

	(void)r;
	memcpy(&a, m->payload, sizeof(a));
	q = find(v, a.index);
	if (!q || !q->num || a.desc % VRING_DESC_ALIGN_SIZE || a.used % VRING_USED_ALIGN_SIZE ||
	    a.avail % VRING_AVAIL_ALIGN_SIZE)
		return -EINVAL;
	if (a.desc != q->desc || a.used != q->used || a.avail != q->avail) {
		if (q->ring.state != RING_STOPPED)
			return -EBUSY;
		q->desc = a.desc;
		q->used = a.used;
		q->avail = a.avail;
	}
	q->has_addresses = true;
	/* Comes for a running queue too, to switch this on and off. */
	return queue_set_log(q, a.flags & 1, a.log);
}

int setup_base(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_queue *q = find(v, m->vring.index);

	(void)r;
	if (!q || m->vring.num > UINT16_MAX)
		return -EINVAL;
	if (q->ring.state != RING_STOPPED)
		return -EBUSY;
	q->base = m->vring.num;
	return 0;
}

int setup_get_base(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_queue *q = find(v, m->vring.index);

	if (!q)
		return -EINVAL;
	queue_stop(q);
	r->size = sizeof(r->vring);
	r->vring.index = m->vring.index;
	r->vring.num = q->base;
	return 0;
}

/* The queue, and the descriptor, or -1 if the message says that it has none. */
static struct vhost_queue *find_with_fd(struct vhost *v, struct vhost_message *m, int *fd)
{
	struct vhost_queue *q = find(v, m->u64 & INDEX_MASK);

	if (!q || m->u64 & ~(uint64_t)(INDEX_MASK | NO_FD) ||
	    m->fd_count != !(m->u64 & NO_FD))
		return NULL;
	*fd = vhost_message_take_fd(m, 0);
	return q;
}

int setup_kick(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_queue *q;
	int fd;

	(void)r;
	/* Without one we would have to poll. */
	if (m->u64 & NO_FD)
		return -EOPNOTSUPP;
	q = find_with_fd(v, m, &fd);
	if (!q)
		return -EINVAL;
	queue_set_fd(&q->kick, fd);
	queue_start(q);
	return 0;
}

int setup_call(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	int fd;
	struct vhost_queue *q = find_with_fd(v, m, &fd);

	(void)r;
	if (!q)
		return -EINVAL;
	queue_set_fd(&q->call, fd);
	return 0;
}

int setup_error(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	int fd;
	struct vhost_queue *q = find_with_fd(v, m, &fd);

	(void)r;
	if (!q)
		return -EINVAL;
	queue_set_fd(&q->error, fd);
	return 0;
}

int setup_enable(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_queue *q = find(v, m->vring.index);

	(void)r;
	if (!q || m->vring.num > 1)
		return -EINVAL;
	q->is_enabled = m->vring.num;
	/* If something was missing at the kick, it may be there now. */
	queues_resume(v);
	return 0;
}
