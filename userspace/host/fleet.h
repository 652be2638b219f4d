/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All VMs that one daemon feeds, by name. What goes wrong with one disturbs no other:
 * it is told, and that one stands still.
 */
#ifndef HOST_FLEET_H
#define HOST_FLEET_H

#include "config.h"
#include "log.h"
#include "machine.h"

/**
 * struct member - a VM and where it is from
 * @config: its section, with its name
 * @log: what was said about it
 * @machine: the VM
 * @is_kept: it goes on after a change; private
 */
struct member {
	struct config_vm *config;
	struct log_subject log;
	struct machine machine;
	bool is_kept;
};

/**
 * struct fleet - all of them
 * @clock: feeds them
 * @is_lone: there is one, from the command line
 * @members: @count of them, sorted by name
 * @count: how many
 * @at: the first that has not had this reading yet
 * @is_full: the reading is for all; else for those only that have no line yet
 * @is_warming: there is one of those
 * @is_dead: the clock has failed, and nobody goes on without it
 * @has_monitors: some follow a QEMU, by its monitor or what KVM tells of it
 * @next_ns: when the next reading is due
 * @next_full_ns: when the next one for all is due
 */
struct fleet {
	struct clock *clock;
	bool is_lone;
	struct member **members;
	size_t count;
	size_t at;
	bool is_full;
	bool is_warming;
	bool is_dead;
	bool has_monitors;
	int64_t next_ns;
	int64_t next_full_ns;
};

/**
 * fleet_start_lone() - begin to feed a single VM
 * @fleet: zero but for @clock, which is started
 * @options: the VM; its strings stay the caller's
 *
 * Return: 0, or a negative errno value: it can't be fed, and the reason has been
 * logged. To be stopped in any case.
 */
int fleet_start_lone(struct fleet *fleet, const struct vm_options *options);

/**
 * fleet_apply() - feed these VMs from now on
 * @fleet: zero but for @clock, which is started; or fed already
 * @config: the VMs. One that runs and has the same options goes on untouched; one that
 *	is not there any more is left UNRELIABLE; all others are started, and taken
 *	from here. That one of them fails to start is its own affair.
 *
 * Return: 0, or -ENOMEM: then all is as it was.
 */
int fleet_apply(struct fleet *fleet, struct config *config);

/**
 * fleet_find() - a VM by its name
 * @fleet: started
 * @name: the name
 *
 * Return: the VM, or NULL.
 */
struct member *fleet_find(const struct fleet *fleet, const char *name);

/**
 * fleet_after() - go through all of them, whatever happens in between
 * @fleet: started
 * @name: of the last one, or "" at first
 *
 * Return: the next by name, or NULL.
 */
struct member *fleet_after(const struct fleet *fleet, const char *name);

/**
 * fleet_prepare() - say what to wait for
 * @fleet: started
 * @set: gets it
 *
 * Return: 0 or -ENOMEM.
 */
int fleet_prepare(struct fleet *fleet, struct poll_set *set);

/**
 * fleet_work() - do what there is to do
 * @fleet: after fleet_prepare()
 * @set: after poll_set_wait()
 */
void fleet_work(struct fleet *fleet, const struct poll_set *set);

/**
 * fleet_feed() - take a reading, if it is time, and hand it on to some VMs
 * @fleet: started
 * @now_ns: the time, of a clock that is never set
 *
 * Return: how long until it is to be called again, ns: 0 as long as there are VMs
 * that have not had the reading, so that others are not kept waiting by many.
 */
int64_t fleet_feed(struct fleet *fleet, int64_t now_ns);

/**
 * fleet_hurry() - some VM could have a line at once
 * @fleet: started; the next reading is due now, for those without a line
 */
void fleet_hurry(struct fleet *fleet);

/**
 * fleet_stop() - leave all pages UNRELIABLE, and give everything back
 * @fleet: started
 */
void fleet_stop(struct fleet *fleet);

#endif /* HOST_FLEET_H */
