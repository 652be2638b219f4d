// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done when something happens to the guest's counter.
 */
#include <errno.h>

#include "log.h"
#include "vm-internal.h"

/*
 * QEMU writes a marker of its own when it has loaded a machine, and at no other time.
 * @marker: what was ours; the page has been looked at since then.
 */
static int begin_generation(struct vm *vm, uint64_t marker)
{
	bool is_loaded = vm->is_restored || vm->pub.fields.disruption_marker != marker;

	vm->is_restored = false;
	return is_loaded && vm->options.generation ? publish_new_generation(&vm->pub) : 0;
}

/* The page as it is now, whoever wrote it, with another marker and no line. */
static int start_page_again(struct vm *vm)
{
	uint64_t marker = vm->pub.fields.disruption_marker;
	int err = vm_reread_page(vm);

	if (err)
		return target_check(&vm->target) ?: log_error("the page", -EPROTO);
	err = begin_generation(vm, marker) ?: publish_new_marker(&vm->pub);
	if (err)
		return log_error("getrandom", err);
	publish_start(&vm->pub, scale_time_type(&vm->scale), false);
	return target_check(&vm->target);
}

int vm_disrupt(struct vm *vm)
{
	int err;

	vm->disruptions++;
	vm->waits_for_counter |= vm->has_guest;
	vm->has_guest = false;
	if (!vm->has_page)
		return 0;
	vm_restart_line(vm);
	vm->needs_marker = false;
	err = start_page_again(vm);
	if (err)
		return vm_give_up_page(vm, err);
	vm_take_rate(vm);
	vm_log_state(vm, vm->waits_for_counter ? VM_WAITING : VM_STARTING);
	return 0;
}

int vm_disown(struct vm *vm)
{
	int err = vm->waits_for_counter && vm->needs_marker ? vm_disrupt(vm) : 0;

	if (err)
		vm_stop(vm);
	return err;
}

/* A page that somebody else has written has a number that is not ours to go on from. */
int vm_hush(struct vm *vm)
{
	if (!vm->has_page)
		return 0;
	if (!publish_is_ours(&vm->pub))
		return vm_disrupt(vm);
	publish_hush(&vm->pub);
	return target_check(&vm->target);
}

void vm_resume_feed(struct vm *vm)
{
	if (vm->has_page && vm->pub.is_hushed && publish_is_ours(&vm->pub))
		publish_speak(&vm->pub);
}

void vm_announce(struct vm *vm, uint64_t notice)
{
	if (!vm->has_page)
		return;
	vm->has_announced = true;
	publish_notice(&vm->pub, notice);
}

static bool is_same(const struct guest_counter *a, const struct guest_counter *b)
{
	return a->ratio == b->ratio && a->frac_bits == b->frac_bits && a->offset == b->offset;
}

int vm_set_counter(struct vm *vm, const struct guest_counter *guest, uint64_t offset_error)
{
	/* What is known better only makes the next bound smaller. */
	bool is_known = vm->has_guest && is_same(guest, &vm->guest) &&
			offset_error <= vm->offset_error;
	int err = 0;

	if (!guest->ratio || guest->frac_bits > 63)
		return -EINVAL;
	if (!is_known && !vm->waits_for_counter) {
		vm->has_guest = true;	/* and so it is waited for what that is */
		err = vm_disrupt(vm);
	}
	if (!is_known)
		vm->has_left = false;
	vm->guest = *guest;
	vm->offset_error = offset_error;
	vm->has_guest = true;
	vm->waits_for_counter = false;
	vm_take_rate(vm);
	return err;
}
