/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How VMs and the clock are, as JSON.
 */
#ifndef HOST_CONTROL_STATUS_H
#define HOST_CONTROL_STATUS_H

#include <jansson.h>

#include "fleet.h"

/**
 * control_vm_status() - a VM
 * @member: the VM
 *
 * Return: an object; NULL without memory.
 */
json_t *control_vm_status(const struct member *member);

/**
 * control_clock_status() - the clock
 * @clock: the clock
 *
 * Return: an object; NULL without memory.
 */
json_t *control_clock_status(const struct clock *clock);

/**
 * control_text() - text from anywhere
 * @text: any bytes
 *
 * Return: a string: them, if they are UTF-8; NULL without memory.
 */
json_t *control_text(const char *text);

#endif /* HOST_CONTROL_STATUS_H */
