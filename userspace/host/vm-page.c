// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which page is fed: the one that was asked for, one that the guest's hypervisor
 * lends, or one that nobody sees.
 */
#include <errno.h>
#include <unistd.h>

#include "log.h"
#include "vm-internal.h"

bool vm_names_page(const struct vm_options *o)
{
	return o->file || o->qemu_pid || o->ivshmem_socket;
}

uid_t vm_qemu_user(const struct vm_options *o)
{
	return o->has_qemu_user ? o->qemu_user : geteuid();
}

bool vm_needs_counter(const struct vm_options *o)
{
	return (o->qemu_pid || o->ivshmem_socket || o->is_guests) && !o->has_tsc_offset;
}

/* Of the page that is open, or of another one that takes its place. */
static int attach(struct vm *vm, struct publish *pub, const struct target *target)
{
	int err = publish_attach(pub, target->writer, &vm->target.shm, target->server,
				 &vm->guest, &vm->clock->options.holdover);

	/*
	 * Who reads a file may sleep on it. Not so a guest: and who lends us its memory
	 * could have very many sleep there. At full speed nobody falls asleep.
	 */
	pub->wakes = target->name && !vm->options.publishes;
	/* The next update, which follows soon, brings it. */
	if (!err && vm->options.generation &&
	    !(pub->fields.flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT))
		err = publish_new_generation(pub);
	return err;
}

int vm_open_page(struct vm *vm)
{
	const struct vm_options *o = &vm->options;
	int err;

	if (o->file)
		err = target_file_open(&vm->target, o->file, o->replace);
	else if (o->qemu_pid)
		err = target_qemu_open(&vm->target, o->qemu_pid, vm_qemu_user(o));
	else if (o->ivshmem_socket)
		err = target_ivshmem_open(&vm->target, o->ivshmem_socket);
	else
		err = target_memory_open(&vm->target, TARGET_SIZE);
	if (err)
		return err;
	err = attach(vm, &vm->pub, &vm->target);
	if (err) {
		if (!target_check(&vm->target))
			log_line("the page: %s", vmclk_strerror(err));
		target_close(&vm->target);
	}
	return err;
}

bool vm_page_is_fresh(const struct publish *pub)
{
	return pub->fields.counter_id == VMCLOCK_PAGE_COUNTER_NONE &&
	       pub->fields.disruption_marker && !pub->was_torn;
}

/* If somebody else wrote the page that was most likely QEMU, restoring a machine. */
int vm_check_page(const struct vm *vm)
{
	bool is_ours = publish_is_ours(&vm->pub);
	int err = target_check(&vm->target);

	if (err || is_ours)
		return err;
	log_line("the page was written by somebody else: if the machine was restored, its counter has another offset now");
	return -ESTALE;
}

/* QEMU writes it when it has loaded a machine. And a new machine has a new page. */
static int lose_counter(struct vm *vm)
{
	if (vm->has_guest)
		log_line("the guest's page is not as it was left: if the machine was restored or started again its counter has another offset now; see vmclockctl host set-counter");
	vm->disruptions += vm->has_guest;
	vm->has_guest = false;
	return -ESTALE;
}

int vm_reread_page(struct vm *vm)
{
	uint64_t notice = vm->pub.notice;
	int err = attach(vm, &vm->pub, &vm->target);

	vm->pub.notice = notice;
	return err;
}

/* If somebody else wrote, what they wrote stays, but not its status. */
static void leave_page(struct vm *vm)
{
	bool is_ours = publish_is_ours(&vm->pub);

	vm->pub.is_hushed = false;
	if (is_ours || !vm_reread_page(vm))
		publish_unreliable(&vm->pub);
	if (vm->is_lent) {
		vm->left = vm->pub.fields;
		vm->has_left = true;
		vm->left_holds = is_ours && vm->cal.has_line;
		if (!is_ours)
			lose_counter(vm);
	}
	target_close(&vm->target);
}

/* Nobody wrote since we did. */
static bool is_as_left(const struct vm *vm, const struct publish *pub)
{
	const struct vmclk_snapshot *now = &pub->fields, *then = &vm->left;

	return !pub->was_torn &&
	       now->disruption_marker == then->disruption_marker &&
	       now->vm_generation_counter == then->vm_generation_counter &&
	       now->counter_value == then->counter_value &&
	       now->time_sec == then->time_sec && now->time_frac_sec == then->time_frac_sec;
}

static void enter_page(struct vm *vm, const struct publish *before)
{
	bool is_same = vm->left_holds && is_as_left(vm, &vm->pub);
	bool needs_marker = !is_same && !vm_page_is_fresh(&vm->pub);

	/* What has expired is not taken anywhere: the next reading brings it back. */
	if (vm->cal.has_line && vm->state != VM_EXPIRED &&
	    (!needs_marker || !publish_new_marker(&vm->pub))) {
		publish_take_over(&vm->pub, before, &vm->cal.line, &vm->scale);
	} else {
		vm->needs_marker = needs_marker;
		publish_start(&vm->pub, scale_time_type(&vm->scale), false);
	}
	if (vm->pub.is_hushed)
		publish_hush(&vm->pub);
}

/* From one page to another, with the line there is. @target is ours on success. */
static int move(struct vm *vm, const struct target *target)
{
	struct publish before = vm->pub, pub;
	int err = attach(vm, &pub, target);

	if (err)
		return err;
	pub.is_hushed = vm->pub.is_hushed;
	/* Until we are told, what another daemon was told for this page holds. */
	pub.notice = vm->pub.notice | (vm->has_announced ? 0 : pub.notice);
	leave_page(vm);
	vm->target = *target;
	vm->pub = pub;
	enter_page(vm, &before);
	return 0;
}

/* A page that was lent before, and is another one, or says something else now? */
static int lend(struct vm *vm, const struct target *target)
{
	struct publish pub;
	int err = attach(vm, &pub, target);

	if (!err && vm->has_left && !is_as_left(vm, &pub))
		err = lose_counter(vm);
	return err ? err : move(vm, target);
}

/* Said once: the page is offered again and again. */
static void refuse(struct vm *vm, const char *why)
{
	if (vm->refused != why)
		log_line("the guest's page is not fed: %s", why);
	vm->refused = why;
}

bool vm_lend_page(struct vm *vm, int fd, uint64_t offset, const struct dirty *dirty)
{
	struct target target;

	if (!vm->has_page || vm->is_lent)
		return true;
	if (target_is_same(&vm->target, fd, offset)) {
		shm_log_writes(&vm->target.shm, dirty);
		return true;
	}
	if (vm_names_page(&vm->options)) {
		refuse(vm, "another one was asked for");
		return true;
	}
	if (!vm->has_guest) {
		refuse(vm, "its counter is not known; see --tsc-offset, or vmclockctl host set-counter");
		return false;
	}
	vm->refused = NULL;
	if (target_lent_open(&target, fd, offset))
		return true;
	shm_log_writes(&target.shm, dirty);
	if (lend(vm, &target)) {
		target_close(&target);
		return vm->has_guest;
	}
	vm->is_lent = true;
	log_line("feeding the guest's page");
	return true;
}

void vm_return_page(struct vm *vm)
{
	struct target target;

	if (!vm->is_lent)
		return;
	/* Without memory for a page of our own there is no line any more either. */
	if (target_memory_open(&target, TARGET_SIZE) || move(vm, &target))
		vm_stop(vm);
	vm->is_lent = false;
}

int vm_give_up_page(struct vm *vm, int err)
{
	if (!vm->is_lent)
		return err;
	vm_return_page(vm);
	vm->left_holds = false;
	return 0;
}

void vm_stop(struct vm *vm)
{
	if (!vm->has_page)
		return;
	vm->has_page = false;
	leave_page(vm);
	vm->cal.has_line = false;
}
