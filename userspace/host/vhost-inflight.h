/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The area in which a back-end notes what it has taken and not given back, for
 * the one that comes after a crash. Here nothing is held from one wake-up to
 * the next, so no entry is ever in flight: what is noted is how far the used
 * ring is. Who starts at that index takes again what was not finished.
 */
#ifndef HOST_VHOST_INFLIGHT_H
#define HOST_VHOST_INFLIGHT_H

#include "vhost.h"

/* The payload of GET_INFLIGHT_FD and SET_INFLIGHT_FD; its end may be padded. */
struct vhost_inflight_area {
	uint64_t size;
	uint64_t offset;
	uint16_t queues;
	uint16_t queue_size;
};

#define VHOST_INFLIGHT_AREA_MIN	20

/**
 * inflight_new() - make an area for the front-end to keep
 * @area: the number of queues and their size; the rest is filled in
 *
 * Return: its descriptor, or a negative errno value.
 */
int inflight_new(struct vhost_inflight_area *area);

/**
 * inflight_set() - use an area
 * @v: the device
 * @area: where it is in the file
 * @fd: the file; stays the caller's
 *
 * Return: 0, or a negative errno value and there is none.
 */
int inflight_set(struct vhost *v, const struct vhost_inflight_area *area, int fd);

/**
 * inflight_set_used() - note how far a queue is
 * @v: the device, with an area or without
 * @queue: its number
 * @used_idx: the used ring's index
 */
void inflight_set_used(struct vhost *v, unsigned int queue, uint16_t used_idx);

#endif /* HOST_VHOST_INFLIGHT_H */
