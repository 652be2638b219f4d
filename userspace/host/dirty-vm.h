/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty logging of one VM: which log, whether it is on, and all that is to
 * be logged there. Used by the one thread that takes the front-end's messages;
 * others mark, see dirty.h.
 */
#ifndef HOST_DIRTY_VM_H
#define HOST_DIRTY_VM_H

#include "dirty.h"

/**
 * struct dirty_region - something that is logged; embedded by its owner
 * @dirty: what marks it: give clones away
 * @start: guest physical address; for a used ring, its log address
 * @len: bytes
 * @next: the VM's list
 */
struct dirty_region {
	struct dirty dirty;
	uint64_t start;
	uint64_t len;
	struct dirty_region *next;
};

/**
 * struct dirty_vm - a VM's logging; all zeroes is the start
 * @log: the log, or NULL
 * @is_enabled: the feature LOG_ALL is acknowledged
 * @regions: all that was added
 */
struct dirty_vm {
	struct dirty_log *log;
	bool is_enabled;
	struct dirty_region *regions;
};

/**
 * dirty_vm_add() - log something from now on, also under logs that come later
 * @vm: the VM
 * @region: filled in; stays where it is until dirty_vm_remove()
 * @start: guest physical address
 * @len: bytes
 *
 * Return: 0, -EINVAL if the region is none or the log does not reach it, or
 * -ENOMEM.
 */
int dirty_vm_add(struct dirty_vm *vm, struct dirty_region *region,
		 uint64_t start, uint64_t len);

/**
 * dirty_vm_remove() - no longer log something
 * @vm: the VM
 * @region: its clones mark nothing any more; one that was not added, or was
 *	removed already, stays as it is
 */
void dirty_vm_remove(struct dirty_vm *vm, struct dirty_region *region);

/**
 * dirty_vm_set_log() - SET_LOG_BASE: another log, for everything or nothing
 * @vm: the VM
 * @log: the new one, whose reference goes to the VM; or NULL
 *
 * On success nobody touches the old log any more: it may be answered.
 *
 * Return: 0, or -EINVAL if some region does not fit: then @log is given up and
 * all stays as it was.
 */
int dirty_vm_set_log(struct dirty_vm *vm, struct dirty_log *log);

/**
 * dirty_vm_enable() - SET_FEATURES: LOG_ALL is acknowledged, or not
 * @vm: the VM
 * @on: which
 *
 * Switching off gives the log up: the front-end is free to take its memory
 * away, and sends a log again before it wants one.
 *
 * Return: 0, or -ENODATA if it is on now but there is no log: nothing is
 * recorded until one comes.
 */
int dirty_vm_enable(struct dirty_vm *vm, bool on);

/**
 * dirty_vm_end() - remove everything
 * @vm: all zeroes again
 */
void dirty_vm_end(struct dirty_vm *vm);

#endif /* HOST_DIRTY_VM_H */
