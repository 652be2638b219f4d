// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* memfd_create() */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost-inflight.h"

#define VERSION		1
#define ALIGNMENT	64

/* A queue's part of the area, in the host's byte order. */
struct header {
	uint64_t features;
	uint16_t version;
	uint16_t entries;
	uint16_t last_batch_head;
	uint16_t used_idx;
};

struct entry {
	uint8_t is_inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

static size_t queue_bytes(unsigned int entries)
{
	size_t bytes = sizeof(struct header) + entries * sizeof(struct entry);

	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_possible(const struct vhost_inflight_area *area)
{
	return area->queues && area->queues <= VHOST_QUEUES &&
	       area->queue_size && area->queue_size <= RING_SIZE_MAX;
}

static int format(const struct vhost_inflight_area *area, int fd)
{
	struct header header = { .version = VERSION, .entries = area->queue_size };

	if (ftruncate(fd, area->size))
		return -errno;
	for (unsigned int i = 0; i < area->queues; i++)
		if (pwrite(fd, &header, sizeof(header), i * queue_bytes(area->queue_size)) !=
		    sizeof(header))
			return -EIO;
	return 0;
}

int inflight_new(struct vhost_inflight_area *area)
{
	int fd, err;

	if (!is_possible(area))
		return -EINVAL;
	area->size = area->queues * queue_bytes(area->queue_size);
	area->offset = 0;
	fd = memfd_create("vhost-inflight", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = format(area, fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int inflight_set(struct vhost *v, const struct vhost_inflight_area *area, int fd)
{
	size_t bytes = queue_bytes(area->queue_size);
	int err;

	shm_put(&v->inflight.shm);
	v->inflight.queues = 0;
	if (!is_possible(area) || area->size < area->queues * bytes)
		return -EINVAL;
	err = shm_map_fd(&v->inflight.shm, fd, area->offset, area->queues * bytes);
	if (err)
		return err;
	v->inflight.queues = area->queues;
	v->inflight.queue_bytes = bytes;
	return 0;
}

void inflight_set_used(struct vhost *v, unsigned int queue, uint16_t used_idx)
{
	const struct vhost_inflight *inflight = &v->inflight;

	/* If it was taken away there is nobody left to tell. */
	if (queue < inflight->queues)
		shm_write(&inflight->shm, queue * inflight->queue_bytes +
			  offsetof(struct header, used_idx), &used_idx, sizeof(used_idx));
}
