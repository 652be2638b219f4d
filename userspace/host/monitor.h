/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the life of a QEMU by its monitor, finds its page by the monitor's socket,
 * and keeps that page as life.h says: what is between qmp.h, life.h and vm.h. Where KVM
 * tells the counter of the process it is asked for that, with a monitor or without one.
 */
#ifndef HOST_MONITOR_H
#define HOST_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm-counter.h"
#include "life.h"
#include "qmp.h"
#include "vm.h"

#define MONITOR_INTERVAL_NS	1000000000LL
/* It is asked each second, and one or two late answers are no news. */
#define MONITOR_SILENCE_NS	3000000000LL

/**
 * struct monitor_asked - answers that are still to come
 * @count: all of them, in the order in which they were asked for
 * @outdated: the first of them: asked for before something that they don't tell of
 */
struct monitor_asked {
	unsigned int count;
	unsigned int outdated;
};

/**
 * struct monitor - a VM and who tells of its life
 * @vm: its page; not started before the VM is known to run, or to be there
 * @clock: for that
 * @path: the monitor's socket, or NULL: nobody tells
 * @continues: a VM that came in is continued by us
 * @kvm_root: KVM_COUNTER_ROOT, but for tests
 * @qmp: the connection
 * @life: what is known
 * @pid: whose socket it is
 * @status: query-status; outdated by a reset
 * @migration: query-migrate; outdated by monitor_prepare()
 * @counter: the guest's counter as it was told or measured last
 * @counter_error: ticks by which that may be wrong
 * @is_told: it was told, and by somebody else than KVM
 * @was_denied: and then KVM said something else
 * @trouble: what was logged last, or NULL
 * @next: when to ask, or to connect, again; CLOCK_MONOTONIC in ns
 * @now: the same clock, at the latest monitor_work()
 * @error: the page can't be kept
 */
struct monitor {
	struct vm *vm;
	struct clock *clock;
	const char *path;
	bool continues;
	const char *kvm_root;
	struct qmp qmp;
	struct life life;
	pid_t pid;
	struct monitor_asked status;
	struct monitor_asked migration;
	struct guest_counter counter;
	uint64_t counter_error;
	bool is_told;
	bool was_denied;
	const char *trouble;
	int64_t next;
	int64_t now;
	int error;
};

/**
 * monitor_open() - begin
 * @m: all zero but for @kvm_root, if it is not the usual one; not to be moved from here on
 * @vm: @options is filled in, the rest is zero; stays the caller's
 * @clock: started
 *
 * Without a monitor to hear the page is opened, and the VM taken to run.
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int monitor_open(struct monitor *m, struct vm *vm, struct clock *clock);

/**
 * monitor_work() - hear and speak, and if it is time ask for the state of things
 * @m: opened
 * @revents: what poll(2) said of @m->qmp.fd, for qmp_events()
 *
 * To be called every MONITOR_INTERVAL_NS at the latest, if monitor_is_busy().
 *
 * Return: 0, or a negative errno value: the page can't be kept; the reason has been
 * logged.
 */
int monitor_work(struct monitor *m, short revents);

/**
 * monitor_is_busy() - is there somebody to be asked, QEMU or KVM?
 * @m: opened
 */
bool monitor_is_busy(const struct monitor *m);

/**
 * monitor_tick() - vm_tick(), if that is of use now
 * @m: opened
 *
 * Return: as vm_tick().
 */
int monitor_tick(struct monitor *m);

/**
 * monitor_overwritten() - somebody else has written the page, most likely QEMU
 * @m: opened
 *
 * Return: as monitor_work(): the page has a new marker, and waits for the counter.
 */
int monitor_overwritten(struct monitor *m);

/**
 * monitor_prepare() - the operator will save or migrate the VM
 * @m: opened
 *
 * Return: 0: the page says INITIALIZING, until monitor_resume(), or until what is
 * begun now is cancelled or fails; or as monitor_work().
 */
int monitor_prepare(struct monitor *m);

/**
 * monitor_resume() - the operator has saved it, or has not begun anything
 * @m: opened
 *
 * Return: as monitor_work().
 */
int monitor_resume(struct monitor *m);

/**
 * monitor_disrupt() - the operator knows that the counter changed
 * @m: opened
 *
 * Return: as monitor_work().
 */
int monitor_disrupt(struct monitor *m);

/**
 * monitor_set_counter() - the operator tells the guest's counter
 * @m: opened
 * @guest: from the host's counter to the guest's
 * @offset_error: ticks of the guest's counter by which it may be wrong
 *
 * Return: 0; -EINVAL if that is no counter; -EDOM if KVM tells another one; -EBUSY if
 * the VM does not run now, or is not heard, or has a counter that is measured; or as
 * monitor_work().
 */
int monitor_set_counter(struct monitor *m, const struct guest_counter *guest,
			uint64_t offset_error);

/**
 * monitor_close() - end the connection
 * @m: opened; the page is the caller's to stop
 */
void monitor_close(struct monitor *m);

#endif /* HOST_MONITOR_H */
