// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "dirty-vm.h"

/* Every region fits the log, if there is one: that was seen to before. */
static void install(struct dirty_vm *vm, struct dirty_region *region)
{
	struct dirty_window window = { 0 };

	if (vm->log && vm->is_enabled)
		dirty_window_init(&window, vm->log, region->start, region->len);
	dirty_replace(&region->dirty, &window);
}

static void install_all(struct dirty_vm *vm)
{
	for (struct dirty_region *r = vm->regions; r; r = r->next)
		install(vm, r);
}

static int check_fit(struct dirty_log *log, uint64_t start, uint64_t len)
{
	struct dirty_window window;
	int err = dirty_window_init(&window, log, start, len);

	if (!err)
		dirty_window_put(&window);
	return err;
}

int dirty_vm_add(struct dirty_vm *vm, struct dirty_region *region,
		 uint64_t start, uint64_t len)
{
	int err = !len || len - 1 > UINT64_MAX - start ? -EINVAL : 0;

	if (!err && vm->log)
		err = check_fit(vm->log, start, len);
	*region = (struct dirty_region){ .start = start, .len = len };
	if (!err)
		err = dirty_with_len(&region->dirty, len);
	if (err)
		return err;
	region->next = vm->regions;
	vm->regions = region;
	install(vm, region);
	return 0;
}

void dirty_vm_remove(struct dirty_vm *vm, struct dirty_region *region)
{
	struct dirty_region **at = &vm->regions;

	while (*at && *at != region)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = region->next;
	dirty_replace(&region->dirty, NULL);
	dirty_put(&region->dirty);
}

int dirty_vm_set_log(struct dirty_vm *vm, struct dirty_log *log)
{
	struct dirty_log *old = vm->log;
	int err;

	for (struct dirty_region *r = vm->regions; log && r; r = r->next) {
		err = check_fit(log, r->start, r->len);
		if (err) {
			dirty_log_put(log);
			return err;
		}
	}
	vm->log = log;
	install_all(vm);
	dirty_log_put(old);
	return 0;
}

int dirty_vm_enable(struct dirty_vm *vm, bool on)
{
	vm->is_enabled = on;
	if (!on)
		return dirty_vm_set_log(vm, NULL);
	install_all(vm);
	return vm->log ? 0 : -ENODATA;
}

void dirty_vm_end(struct dirty_vm *vm)
{
	while (vm->regions)
		dirty_vm_remove(vm, vm->regions);
	dirty_log_put(vm->log);
	*vm = (struct dirty_vm){ 0 };
}
