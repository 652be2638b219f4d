/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For vm.c, vm-page.c and vm-counter.c only.
 */
#ifndef HOST_VM_INTERNAL_H
#define HOST_VM_INTERNAL_H

#include "vm.h"

/**
 * vm_open_page() - open the page that the options name, and look at what it says
 * @vm: @options and @guest are filled in
 *
 * Return: 0, or a negative error; the reason has been logged, and nothing is open.
 */
int vm_open_page(struct vm *vm);

/**
 * vm_reread_page() - what the page says now, whoever wrote it
 * @vm: has a page
 *
 * But of a coming disruption the guest is told what it was.
 *
 * Return: 0, or as publish_attach().
 */
int vm_reread_page(struct vm *vm);

/**
 * vm_check_page() - is the page there, and did nobody else write it?
 * @vm: has a page
 *
 * Return: 0, -EIO or -ESTALE; the reason has been logged.
 */
int vm_check_page(const struct vm *vm);

/**
 * vm_give_up_page() - what is wrong with a page that was lent ends nothing else
 * @vm: has a page
 * @err: what is wrong
 *
 * Return: 0 if the VM goes on without that page, else @err.
 */
int vm_give_up_page(struct vm *vm, int err);

/**
 * vm_page_is_fresh() - a page that never had a line has nothing to be disrupted
 * @pub: the page
 */
bool vm_page_is_fresh(const struct publish *pub);

/**
 * vm_log_state() - tell the operator, if it is news
 * @vm: the VM
 * @state: the state
 */
void vm_log_state(struct vm *vm, enum vm_state state);

/**
 * vm_restart_line() - calibrate from nothing
 * @vm: has a page
 */
void vm_restart_line(struct vm *vm);

/**
 * vm_take_rate() - know the counter's rate from all readings that there were
 * @vm: calibrates from nothing; does nothing without a page or a counter
 *
 * All of them were of the host's counter, whoever they were for. So the next reading
 * brings a line. Not for a clock that was set: its readings were of another one.
 */
void vm_take_rate(struct vm *vm);

#endif /* HOST_VM_INTERNAL_H */
