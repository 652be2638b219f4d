/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM with all that belongs to it: its page, its clock device, and its end. What
 * goes wrong with one of them is its own affair.
 */
#ifndef HOST_MACHINE_H
#define HOST_MACHINE_H

#include "monitor.h"
#include "poll-set.h"
#include "rtc-clocks.h"
#include "vhost-server.h"
#include "vm.h"

enum machine_state {
	MACHINE_RUNNING,
	MACHINE_ENDED,	/* it has ended, or no front-end can come any more */
	MACHINE_FAILED,	/* its page can't be kept */
	MACHINE_STOPPED,	/* by machine_stop() */
};

/**
 * struct machine - a VM
 * @vm: the page
 * @monitor: who tells of its life
 * @server: the vhost-user device, or NULL
 * @rtc: its clocks
 * @takes_over: a page of QEMU's that somebody else wrote is kept, with a new marker,
 *	and waits for the guest's counter; else that ends the machine
 * @state: as it says
 * @first_fd: in the poll set: the machine's end, the monitor, then those of @server; or
 *	MACHINE_NO_FDS
 * @doorbell_fd: those of the page's ivshmem server, or MACHINE_NO_FDS
 * @arrivals: of clients there that are known here
 */
struct machine {
	struct vm vm;
	struct monitor monitor;
	struct vhost_server *server;
	struct rtc_source rtc;
	bool takes_over;
	enum machine_state state;
	size_t first_fd;
	size_t doorbell_fd;
	uint64_t arrivals;
};

#define MACHINE_NO_FDS	SIZE_MAX

/**
 * machine_open() - begin to feed a VM
 * @machine: @vm.options and @takes_over are filled in, the rest is zero; not to be moved from here on
 * @clock: started; has to outlive the machine
 *
 * Return: 0, or a negative errno value; the reason has been logged, and nothing is
 * open: machine_close() does nothing then.
 */
int machine_open(struct machine *machine, struct clock *clock);

/**
 * machine_prepare() - say what to wait for
 * @machine: opened
 * @set: gets its descriptors
 *
 * Return: 0 or -ENOMEM.
 */
int machine_prepare(struct machine *machine, struct poll_set *set);

/**
 * machine_work() - do what there is to do
 * @machine: after machine_prepare()
 * @set: after poll_set_wait()
 */
void machine_work(struct machine *machine, const struct poll_set *set);

/**
 * machine_tick() - take the clock's latest reading
 * @machine: opened
 *
 * A machine may not survive that its device goes away: whatever happens to the
 * page, that one goes on, with the kernel's clock.
 */
void machine_tick(struct machine *machine);

/**
 * machine_publish() - what --publish-us wants, between two readings
 * @machine: opened
 */
void machine_publish(struct machine *machine);

/**
 * machine_fail() - go on without a page, or not at all
 * @machine: opened
 */
void machine_fail(struct machine *machine);

/**
 * machine_stop() - leave the page UNRELIABLE, and feed it no more
 * @machine: opened
 */
void machine_stop(struct machine *machine);

/**
 * machine_close() - leave the page UNRELIABLE, and give everything back
 * @machine: opened
 */
void machine_close(struct machine *machine);

#endif /* HOST_MACHINE_H */
