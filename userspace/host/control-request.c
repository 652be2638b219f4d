// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/vmclock-page.h>

#include "control-request.h"
#include "control-status.h"
#include "log.h"

/* A request while it is done. */
struct request {
	const struct control_host *host;
	json_t *object;
	struct control_listing *listing;
};

json_t *control_error(const char *why)
{
	return json_pack("{s:b, s:o}", "ok", 0, "error", control_text(why));
}

static json_t *done(size_t count)
{
	return json_pack("{s:b, s:I}", "ok", 1, "count", (json_int_t)count);
}

static const char *get(const struct request *r, const char *key)
{
	return json_string_value(json_object_get(r->object, key));
}

static json_t *do_status(struct request *r)
{
	const char *name = get(r, "vm");
	struct member *m = name ? fleet_find(r->host->fleet, name) : NULL;

	if (m)
		return json_pack("{s:b, s:o}", "ok", 1, "vm", control_vm_status(m));
	if (name)
		return control_error("no VM of this name");
	*r->listing = (struct control_listing){ .is_on = true };
	return control_list(r->host, r->listing);
}

json_t *control_list(const struct control_host *host, struct control_listing *listing)
{
	struct member *m = fleet_after(host->fleet, listing->last);

	if (!m) {
		listing->is_on = false;
		return json_pack("{s:b, s:I, s:o}", "ok", 1,
				 "count", (json_int_t)listing->count,
				 "clock", control_clock_status(host->fleet->clock));
	}
	listing->count++;
	strcpy(listing->last, m->config->name);
	return json_pack("{s:o}", "vm", control_vm_status(m));
}

/* What a command does to a VM. Returns NULL, or what is wrong. */
typedef const char *(*act_fn)(struct request *r, struct member *m);

static const char *act_on(struct request *r, struct member *m, act_fn act)
{
	const char *wrong = "it is not running";

	log_about(&m->log);
	if (m->machine.state == MACHINE_RUNNING)
		wrong = act(r, m);
	log_about(NULL);
	return wrong;
}

/* The VM of that name; or, if "all" says so, all that are running. */
static json_t *act(struct request *r, act_fn act_one)
{
	bool is_all = json_is_true(json_object_get(r->object, "all"));
	const char *name = get(r, "vm"), *wrong = NULL;
	struct fleet *fleet = r->host->fleet;
	struct member *m;
	size_t count = 0;

	if (!name == !is_all)
		return control_error("say which VM, or all");
	if (name) {
		m = fleet_find(fleet, name);
		wrong = m ? act_on(r, m, act_one) : "no VM of this name";
		return wrong ? control_error(wrong) : done(1);
	}
	for (m = fleet_after(fleet, ""); m; m = fleet_after(fleet, m->config->name))
		count += !act_on(r, m, act_one);
	return done(count);
}

static const char *check_page(struct member *m, int err)
{
	if (err)
		machine_fail(&m->machine);
	return err ? m->log.last : NULL;
}

static const char *disrupt_one(struct request *r, struct member *m)
{
	(void)r;
	return check_page(m, monitor_disrupt(&m->machine.monitor));
}

static json_t *do_disrupt(struct request *r)
{
	json_t *answer = act(r, disrupt_one);

	fleet_hurry(r->host->fleet);
	return answer;
}

static const char *prepare_one(struct request *r, struct member *m)
{
	(void)r;
	return check_page(m, monitor_prepare(&m->machine.monitor));
}

/* When it is answered the page is quiet: the save or the migration may begin. */
static json_t *do_prepare(struct request *r)
{
	return act(r, prepare_one);
}

static const char *resume_one(struct request *r, struct member *m)
{
	(void)r;
	return check_page(m, monitor_resume(&m->machine.monitor));
}

static json_t *do_resume(struct request *r)
{
	return act(r, resume_one);
}

static const char *stop_one(struct request *r, struct member *m)
{
	(void)r;
	log_line("stopped by a command");
	machine_stop(&m->machine);
	return NULL;
}

static json_t *do_stop(struct request *r)
{
	return act(r, stop_one);
}

static bool notice_of(const char *when, uint64_t *notice)
{
	/* Within an hour is within a day as well. */
	*notice = VMCLOCK_PAGE_FLAG_DISRUPTION_SOON;
	if (!strcmp(when, "none"))
		*notice = 0;
	else if (!strcmp(when, "imminent"))
		*notice |= VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT;
	else
		return !strcmp(when, "soon");
	return true;
}

static const char *drain_one(struct request *r, struct member *m)
{
	uint64_t notice;

	if (!m->machine.vm.has_page)
		return "it has no page now";
	notice_of(get(r, "when"), &notice);
	vm_announce(&m->machine.vm, notice);
	return NULL;
}

static json_t *do_drain(struct request *r)
{
	const char *when = get(r, "when");
	uint64_t unused;

	if (!when || !notice_of(when, &unused))
		return control_error("when? \"soon\", \"imminent\" or \"none\"");
	return act(r, drain_one);
}

/* Keys as in the configuration file; the ratio that is not given stays. */
static const char *read_counter(const struct request *r, struct options *o)
{
	static const char *const keys[] = {
		"tsc-frac-bits", "tsc-ratio", "tsc-offset", "tsc-offset-error",
	};
	const char *wrong = NULL;

	if (!get(r, "tsc-offset"))
		return "tsc-offset is missing";
	if (get(r, "tsc-frac-bits") && !get(r, "tsc-ratio"))
		return "tsc-frac-bits needs tsc-ratio";
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !wrong; i++)
		if (get(r, keys[i]))
			wrong = options_set(o, true, keys[i], get(r, keys[i]));
	return wrong;
}

/*
 * The marker that there was when measuring began is the one there is now, or what was
 * measured may be that of a counter that has become another one since. It is compared
 * as status tells it.
 */
static const char *check_marker(const struct request *r, const struct vm *vm)
{
	const char *named = get(r, "marker");
	char now[24];

	if (!named)
		return "marker is missing: that of the page, when measuring began";
	snprintf(now, sizeof(now), "%" PRIu64, vm->pub.fields.disruption_marker);
	if (vm->has_page && publish_is_ours(&vm->pub) && !strcmp(named, now))
		return NULL;
	return "the page has not that disruption marker now: measure again";
}

static const char *set_counter_of(struct request *r, struct member *m)
{
	struct options o = { .vm.guest = m->machine.vm.guest };
	const char *wrong = read_counter(r, &o) ?: check_marker(r, &m->machine.vm);
	int err;

	if (wrong)
		return wrong;
	err = monitor_set_counter(&m->machine.monitor, &o.vm.guest, o.vm.offset_error);
	if (err == -EINVAL)
		return "that is no counter";
	if (err == -EDOM)
		return "KVM tells another counter: see the log";
	if (err == -EBUSY)
		return "its counter does not run now, or is measured, or its monitor is not heard";
	return check_page(m, err);
}

static json_t *do_set_counter(struct request *r)
{
	json_t *answer = act(r, set_counter_of);

	fleet_hurry(r->host->fleet);
	return answer;
}

/* The file was good, whatever became of its VMs: that is told beside it. */
static json_t *reloaded(const struct fleet *fleet)
{
	size_t failed = 0;

	for (size_t i = 0; i < fleet->count; i++)
		failed += fleet->members[i]->machine.state == MACHINE_FAILED;
	return json_pack("{s:b, s:I, s:I}", "ok", 1, "count", (json_int_t)fleet->count,
			 "failed", (json_int_t)failed);
}

static json_t *do_reload(struct request *r)
{
	struct log_subject why = { 0 };
	int err;

	log_about(&why);
	err = r->host->reload(r->host->context);
	log_about(NULL);
	return err ? control_error(why.last) : reloaded(r->host->fleet);
}

/* @takes: keys it may have beside "command" */
static const struct command {
	const char *name;
	json_t *(*run)(struct request *r);
	const char *takes;
} commands[] = {
	{ "status", do_status, " vm " },
	{ "disrupt", do_disrupt, " vm all " },
	{ "prepare", do_prepare, " vm all " },
	{ "resume", do_resume, " vm all " },
	{ "drain", do_drain, " vm all when " },
	{ "stop", do_stop, " vm all " },
	{ "set-counter", do_set_counter,
	  " vm marker tsc-offset tsc-ratio tsc-frac-bits tsc-offset-error " },
	{ "reload", do_reload, " " },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; name && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* All are strings, but for "all". */
static bool has_only(json_t *object, const char *takes)
{
	const char *key;
	json_t *value;
	char word[32];

	json_object_foreach(object, key, value) {
		if (!strcmp(key, "command"))
			continue;
		snprintf(word, sizeof(word), " %s ", key);
		if (strchr(key, ' ') || !strstr(takes, word) ||
		    !(strcmp(key, "all") ? json_is_string(value) : json_is_boolean(value)))
			return false;
	}
	return true;
}

json_t *control_request(const struct control_host *host, const char *text, size_t len,
			struct control_listing *listing)
{
	json_error_t unused;
	struct request r = { .host = host, .listing = listing };
	const struct command *command;
	json_t *answer;

	r.object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &unused);
	command = find_command(get(&r, "command"));
	if (!json_is_object(r.object))
		answer = control_error("not a JSON object");
	else if (!command)
		answer = control_error("no such command");
	else if (!has_only(r.object, command->takes))
		answer = control_error("it has something that this command does not take");
	else
		answer = command->run(&r);
	json_decref(r.object);
	return answer;
}
