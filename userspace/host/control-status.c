// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>

#include <linux/vmclock-page.h>

#include "control-status.h"

/* 64 bits do not fit what JSON calls a number. */
static json_t *number(uint64_t n)
{
	return json_sprintf("%" PRIu64, n);
}

static json_t *number_if(bool is_known, uint64_t n)
{
	return is_known ? number(n) : json_null();
}

json_t *control_text(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("not UTF-8");
}

static const char *state_name(const struct member *m)
{
	static const char *const names[] = {
		[MACHINE_RUNNING] = "running",
		[MACHINE_ENDED] = "ended",
		[MACHINE_FAILED] = "failed",
		[MACHINE_STOPPED] = "stopped",
	};

	return names[m->machine.state];
}

static json_t *target(const struct member *m)
{
	const struct vm_options *o = &m->config->options;

	if (o->file || o->ivshmem_socket)
		return control_text(o->file ?: o->ivshmem_socket);
	if (o->qmp_path)
		return json_sprintf("qmp:%s", o->qmp_path) ?: control_text("qmp");
	if (o->qemu_pid)
		return json_sprintf("qemu-pid:%d", (int)o->qemu_pid);
	return json_string(m->machine.vm.is_lent ? "vhost-user, lent" : "vhost-user");
}

static const char *page_status(const struct vm *vm)
{
	return vmclk_status_str(vm->pub.is_hushed ? VMCLOCK_PAGE_STATUS_INITIALIZING :
				vm->pub.fields.clock_status);
}

static const char *drain_name(uint64_t notice)
{
	if (notice & VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT)
		return "imminent";
	return notice ? "soon" : "none";
}

static json_t *counter(const struct vm *vm)
{
	return json_pack("{s:b, s:b, s:o, s:o, s:i, s:o}",
			 "known", vm->has_page && !vm->waits_for_counter,
			 "guest", vm->has_guest,
			 "offset", json_sprintf("%" PRId64, (int64_t)vm->guest.offset),
			 "ratio", number(vm->guest.ratio),
			 "frac_bits", (int)vm->guest.frac_bits,
			 "error_ticks", number(vm->offset_error));
}

/* What is known of its life; null if nobody tells. */
static json_t *life(const struct monitor *monitor)
{
	static const char *const runs[] = {
		[LIFE_UNSEEN] = "unknown",
		[LIFE_INCOMING] = "incoming",
		[LIFE_STOPPED] = "stopped",
		[LIFE_RUNNING] = "running",
	};
	const struct life *l = &monitor->life;

	if (!monitor->path)
		return json_null();
	return json_pack("{s:b, s:b, s:s, s:b, s:b}", "heard", l->is_heard,
			 "silent", l->is_silent, "run", runs[l->run], "migrating", l->is_leaving, "prepared", l->is_held);
}

/* Whether who opens the file finds the page; null if it is in none. */
static json_t *file(const struct target *target)
{
	static const char *const names[] = {
		[TARGET_NAMED] = "there",
		[TARGET_DELETED] = "deleted",
		[TARGET_REPLACED] = "replaced",
	};

	return target->name ? json_string(names[target->named]) : json_null();
}

/* The page, as it is now; null if there is none. */
static json_t *page(const struct vm *vm)
{
	const struct vmclk_snapshot *p = &vm->pub.fields;
	const struct calibrate_line *line = &vm->cal.line;
	uint64_t now = guest_counter_read(&vm->guest), age_ns = 0;
	bool has_time = vm->cal.has_line && !vm->pub.is_hushed && vm->state != VM_EXPIRED;
	bool has_generation = p->flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;

	if (!vm->has_page)
		return json_null();
	if (vm->cal.has_line)
		age_ns = (vmclock_u128)(now - p->counter_value) * VMCLOCK_NSEC_PER_SEC /
			 calibrate_hz(&vm->cal);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:b}",
			 "status", page_status(vm), "file", file(&vm->target),
			 "bound_ns", number_if(has_time && line->bounded,
					       vmclock_math_maxerror_ns(&line->max, now)),
			 "age_ns", number_if(vm->cal.has_line, age_ns),
			 "disruption_marker", number(p->disruption_marker),
			 "generation", number_if(has_generation, p->vm_generation_counter),
			 "drain", drain_name(vm->pub.notice),
			 "hushed", vm->pub.is_hushed);
}

json_t *control_vm_status(const struct member *m)
{
	const struct vm *vm = &m->machine.vm;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", m->config->name, "state", state_name(m), "target", target(m),
			 "page", page(vm), "counter", counter(vm),
			 "life", life(&m->machine.monitor),
			 "disruptions", number(vm->disruptions), "message", control_text(m->log.last));
}

json_t *control_clock_status(const struct clock *clock)
{
	static const char *const sources[] = {
		[CLOCK_KERNEL] = "kernel",
		[CLOCK_CHRONY] = "chrony",
		[CLOCK_PHC] = "phc",
	};
	const struct clock_options *o = &clock->options;

	return json_pack("{s:s, s:b, s:s?, s:o, s:o}",
			 "source", sources[o->source], "open", clock->is_open,
			 "lost", clock->lost, "interval_ns", number(o->interval_ns),
			 "assumed_ns", number_if(o->assumed_ns, o->assumed_ns));
}
