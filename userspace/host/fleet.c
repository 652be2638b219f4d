// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"

/* VMs that get a reading in one go: some milliseconds' worth. */
#define BATCH	1024

static void member_free(struct member *m)
{
	config_vm_free(m->config);
	free(m);
}

static void member_start(struct fleet *f, struct member *m)
{
	if (!f->is_lone)
		m->log.name = m->config->name;
	log_about(&m->log);
	m->machine.takes_over = !f->is_lone;
	m->machine.vm.options = m->config->options;
	if (machine_open(&m->machine, f->clock))
		m->machine.state = MACHINE_FAILED;
	log_about(NULL);
}

static void member_end(struct member *m)
{
	log_about(&m->log);
	machine_close(&m->machine);
	log_about(NULL);
	member_free(m);
}

/* The new fleet, those that go on and those that are to be started. */
static struct member **choose(struct fleet *f, struct config *config)
{
	struct member **members = calloc(config->count + 1, sizeof(struct member *)), *old;

	for (size_t i = 0; members && i < config->count; i++) {
		old = fleet_find(f, config->vms[i]->name);
		if (old && old->machine.state == MACHINE_RUNNING &&
		    config_is_same_vm(old->config, config->vms[i])) {
			old->is_kept = true;
			members[i] = old;
			continue;
		}
		members[i] = calloc(1, sizeof(struct member));
		if (members[i])
			continue;
		while (i)
			if (!members[--i]->is_kept)
				free(members[i]);
		free(members);
		return NULL;
	}
	return members;
}

/*
 * A reading that is being handed on goes on with the first that has not had it: else
 * those behind many others would get none as long as the file is read again and again.
 */
static size_t find_place(const struct fleet *f, const struct config *config)
{
	size_t at = 0;

	if (f->at == f->count)
		return config->count;
	while (at < config->count &&
	       strcmp(config->vms[at]->name, f->members[f->at]->config->name) < 0)
		at++;
	return at;
}

int fleet_apply(struct fleet *f, struct config *config)
{
	struct member **members;
	size_t i, place;

	for (i = 0; i < f->count; i++)
		f->members[i]->is_kept = false;
	members = choose(f, config);
	if (!members)
		return -ENOMEM;
	place = find_place(f, config);
	/* In this order: who is started may want the page of one that ends. */
	for (i = 0; i < f->count; i++)
		if (!f->members[i]->is_kept)
			member_end(f->members[i]);
	for (i = 0; i < config->count; i++) {
		if (members[i]->is_kept)
			continue;
		members[i]->config = config->vms[i];
		config->vms[i] = NULL;
		member_start(f, members[i]);
	}
	free(f->members);
	f->members = members;
	f->count = config->count;
	f->at = place;
	f->next_ns = 0;
	f->next_full_ns = 0;
	return 0;
}

int fleet_start_lone(struct fleet *f, const struct vm_options *options)
{
	struct config_vm *vm = config_vm_new("vm");
	struct config config = { .vms = &vm, .count = 1 };
	int err = vm ? 0 : -ENOMEM;

	f->is_lone = true;
	if (!err) {
		vm->options = *options;
		err = fleet_apply(f, &config);
	}
	config_vm_free(vm);
	if (!err && f->members[0]->machine.state != MACHINE_RUNNING)
		err = -EIO;
	return err;
}

/* The first whose name is @name or behind it; only behind it if @is_after. */
static size_t search(const struct fleet *f, const char *name, bool is_after)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(f->members[middle]->config->name, name) < is_after)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct member *fleet_find(const struct fleet *f, const char *name)
{
	size_t at = search(f, name, false);

	return at < f->count && !strcmp(f->members[at]->config->name, name) ?
	       f->members[at] : NULL;
}

struct member *fleet_after(const struct fleet *f, const char *name)
{
	size_t at = search(f, name, true);

	return at < f->count ? f->members[at] : NULL;
}

int fleet_prepare(struct fleet *f, struct poll_set *set)
{
	size_t unused;
	int err = poll_set_add(set, f->clock->is_reading ? f->clock->source.fd : -1, &unused);

	for (size_t i = 0; i < f->count && !err; i++)
		err = machine_prepare(&f->members[i]->machine, set);
	f->has_monitors = false;
	for (size_t i = 0; i < f->count; i++)
		f->has_monitors |= monitor_is_busy(&f->members[i]->machine.monitor);
	set->has_work |= f->is_lone && f->members[0]->machine.vm.options.publishes &&
			 f->members[0]->machine.vm.cal.has_line;
	return err;
}

void fleet_work(struct fleet *f, const struct poll_set *set)
{
	for (size_t i = 0; i < f->count; i++) {
		struct machine *m = &f->members[i]->machine;

		log_about(&f->members[i]->log);
		machine_work(m, set);
		/* Its counter has become known: the next reading may be far away. */
		if (!f->is_warming && vm_is_warming(&m->vm))
			fleet_hurry(f);
	}
	log_about(NULL);
}

/* Clock devices go on by the kernel's clock; without one there is nothing to do. */
static void fail_all(struct fleet *f)
{
	f->is_dead = true;
	for (size_t i = 0; i < f->count; i++) {
		struct machine *m = &f->members[i]->machine;

		log_about(&f->members[i]->log);
		machine_fail(m);
		f->is_dead &= m->state != MACHINE_RUNNING;
	}
	log_about(NULL);
}

/* Returns false if the reading is not there yet. */
static bool begin(struct fleet *f, int64_t now_ns)
{
	int err = clock_tick(f->clock);

	if (err == -EINPROGRESS)
		return false;
	f->is_full = now_ns >= f->next_full_ns;
	if (f->is_full)
		f->next_full_ns = now_ns + f->clock->options.interval_ns;
	f->at = 0;
	f->is_warming = false;
	if (!err || err == -EAGAIN || err == -ENODATA)
		return true;
	clock_stop(f->clock);
	fail_all(f);
	return true;
}

static void hand_on(struct fleet *f)
{
	for (int left = BATCH; left && f->at < f->count; left--, f->at++) {
		struct member *m = f->members[f->at];

		log_about(&m->log);
		if (f->is_full || vm_is_warming(&m->machine.vm))
			machine_tick(&m->machine);
		f->is_warming |= vm_is_warming(&m->machine.vm);
	}
	log_about(NULL);
}

/* Monitors want to be asked, however long the interval is. */
static int64_t pause_ns(const struct fleet *f, int64_t now_ns)
{
	int64_t until_ns = (f->clock->is_reading ? f->clock->source.deadline : f->next_ns) -
			   now_ns;

	if (f->has_monitors && until_ns > MONITOR_INTERVAL_NS)
		until_ns = MONITOR_INTERVAL_NS;
	return until_ns > 0 ? until_ns : 0;
}

int64_t fleet_feed(struct fleet *f, int64_t now_ns)
{
	if (f->at == f->count) {
		if (now_ns < f->next_ns || !begin(f, now_ns)) {
			if (f->is_lone)
				machine_publish(&f->members[0]->machine);
			return pause_ns(f, now_ns);
		}
	}
	hand_on(f);
	if (f->at < f->count)
		return 0;
	f->next_ns = f->next_full_ns;
	if (f->is_warming && f->next_ns > now_ns + (int64_t)VM_WARM_NS)
		f->next_ns = now_ns + (int64_t)VM_WARM_NS;
	return pause_ns(f, now_ns);
}

void fleet_hurry(struct fleet *f)
{
	f->next_ns = 0;
}

void fleet_stop(struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++)
		member_end(f->members[i]);
	free(f->members);
	f->members = NULL;
	f->count = 0;
	f->at = 0;
}
