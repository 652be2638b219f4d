/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queues of the device: when their rings run, and the work on them. For
 * vhost*.c only; the device is that of vhost.h.
 */
#ifndef HOST_VHOST_QUEUE_H
#define HOST_VHOST_QUEUE_H

#include "vhost.h"

/**
 * queue_start() - the front-end wants it to run, if it was said how
 * @q: the queue
 */
void queue_start(struct vhost_queue *q);

/**
 * queue_stop() - the queue's memory is not accessed any more
 * @q: the queue; goes on at @q->base when it is started again
 */
void queue_stop(struct vhost_queue *q);

/**
 * queue_reset() - as it was before any message
 * @q: the queue
 */
void queue_reset(struct vhost_queue *q);

/**
 * queues_run() - does a ring run?
 * @vhost: the device
 *
 * Return: true if so.
 */
bool queues_run(const struct vhost *vhost);

/**
 * queues_pause() - let go of all rings: what they stand on is to change
 * @vhost: the device; its queues stay started
 */
void queues_pause(struct vhost *vhost);

/**
 * queues_resume() - let the rings run again, those that still can
 * @vhost: the device
 */
void queues_resume(struct vhost *vhost);

/**
 * queues_offer_page() - the guest's clock page may be fed, if a queue runs
 * @vhost: the device; does nothing if that is done
 */
void queues_offer_page(struct vhost *vhost);

/**
 * queues_stop() - stop all
 * @vhost: the device
 */
void queues_stop(struct vhost *vhost);

/**
 * queue_set_fd() - replace one of the queue's descriptors
 * @at: where it is
 * @fd: the new one, or -1; becomes the queue's
 */
void queue_set_fd(int *at, int fd);

/**
 * queue_set_log() - where what is written to the used ring is logged
 * @q: the queue, paused; @num is known
 * @is_logged: it is
 * @address: there
 *
 * Return: 0, or what dirty_vm_add() gave: then it is not.
 */
int queue_set_log(struct vhost_queue *q, bool is_logged, uint64_t address);

/**
 * queues_work() - answer requests, send notifications
 * @vhost: the device
 */
void queues_work(struct vhost *vhost);

#endif /* HOST_VHOST_QUEUE_H */
