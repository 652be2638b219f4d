/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's state on its way from one back-end to another, through pipes
 * that the front-end gives.
 */
#ifndef HOST_VHOST_STATE_H
#define HOST_VHOST_STATE_H

#include "vhost.h"

/**
 * state_save() - write it
 * @v: the device, all rings stopped
 * @fd: to where; becomes ours. What does not take it at once never gets it.
 *
 * Return: 0, or a negative errno value.
 */
int state_save(const struct vhost *v, int fd);

/**
 * state_load() - begin to read one
 * @v: the device, all rings stopped
 * @fd: from where, up to its end; becomes ours
 */
void state_load(struct vhost *v, int fd);

/**
 * state_read() - read what has come
 * @v: the device, whose state changes when all is there
 */
void state_read(struct vhost *v);

/**
 * state_check() - how did it end?
 * @v: the device
 *
 * Return: 0, or a negative errno value; both only once.
 */
int state_check(struct vhost *v);

/**
 * state_drop() - stop reading
 * @v: the device
 */
void state_drop(struct vhost *v);

#endif /* HOST_VHOST_STATE_H */
