// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The dirty logging of a VM, by the messages of its front-end.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "dirty-vm.h"
#include "host_front.h"

static int set_log(struct dirty_vm *vm, const struct front *f)
{
	return dirty_vm_set_log(vm, front_log(f));
}

/* How many mappings of memfds of these tests there are in this process. */
static unsigned int count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		count += !!strstr(line, "memfd:shm-test");
	if (file)
		fclose(file);
	return count;
}

TAP_TEST(logging_is_on_with_a_log_and_the_feature)
{
	struct front f = front_new(8);
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &region, 0, 64 * PAGE));
	dirty_mark(&region.dirty, 0, 1);
	is_int(set_log(&vm, &f), 0);
	dirty_mark(&region.dirty, PAGE, 1);
	is_u64(front_take(&f, 0), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	dirty_mark(&region.dirty, 2 * PAGE, 1);
	is_u64(front_take(&f, 0), 4);
	is_int(dirty_vm_enable(&vm, false), 0);
	dirty_mark(&region.dirty, 3 * PAGE, 1);
	is_u64(front_take(&f, 0), 0);
	dirty_vm_end(&vm);
	front_end(&f);
}

TAP_TEST(the_feature_may_come_before_the_log)
{
	struct front f = front_new(8);
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &region, 0, 64 * PAGE));
	is_int(dirty_vm_enable(&vm, true), -ENODATA);
	dirty_mark(&region.dirty, 0, 1);
	is_int(set_log(&vm, &f), 0);
	is_u64(f.bytes[0], 0);
	dirty_mark(&region.dirty, 0, 1);
	is_u64(front_take(&f, 0), 1);
	dirty_vm_end(&vm);
	front_end(&f);
}

TAP_TEST(starting_and_stopping_goes_on_and_on)
{
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &region, 8 * PAGE, 8 * PAGE));
	for (int i = 0; i < 20; i++) {
		struct front f = front_new(2);

		is_int(set_log(&vm, &f), 0);
		is_int(dirty_vm_enable(&vm, true), 0);
		dirty_mark(&region.dirty, i % 8 * PAGE, 1);
		is_u64(front_take(&f, 1), 1 << i % 8);
		is_int(dirty_vm_enable(&vm, false), 0);
		dirty_mark(&region.dirty, 0, 8 * PAGE);
		is_u64(front_take(&f, 1), 0);
		/* The front-end's own mapping is the only one left. */
		is_u64(count_mappings(), 1);
		front_end(&f);
	}
	dirty_vm_end(&vm);
}

TAP_TEST(every_harvest_may_be_another_log)
{
	struct front f = front_new(2), next;
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &region, 0, 16 * PAGE));
	is_int(set_log(&vm, &f), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	for (int i = 0; i < 50; i++) {
		dirty_mark(&region.dirty, i % 16 * PAGE, 1);
		next = front_new(2);
		is_int(set_log(&vm, &next), 0);
		dirty_mark(&region.dirty, 0, 16 * PAGE);
		is_u64(front_take(&f, i % 16 / 8), 1 << i % 8);
		is_u64(front_take(&next, 0), 0xff);
		is_u64(front_take(&next, 1), 0xff);
		front_end(&f);
		f = next;
		is_u64(count_mappings(), 2);
	}
	dirty_vm_end(&vm);
	front_end(&f);
}

TAP_TEST(a_log_that_is_too_small_for_one_is_installed_for_none)
{
	struct front f = front_new(4), small = front_new(2);
	struct dirty_region regions[3];
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &regions[0], 0, 8 * PAGE));
	need(!dirty_vm_add(&vm, &regions[1], 16 * PAGE, 8 * PAGE));
	need(!dirty_vm_add(&vm, &regions[2], 8 * PAGE, 8 * PAGE));
	is_int(set_log(&vm, &f), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	is_int(set_log(&vm, &small), -EINVAL);
	for (int i = 0; i < 3; i++)
		dirty_mark(&regions[i].dirty, 0, 1);
	is_u64(front_take(&f, 0), 1);
	is_u64(front_take(&f, 1), 1);
	is_u64(front_take(&f, 2), 1);
	is_u64(front_take(&small, 0) | front_take(&small, 1), 0);
	/* And it was let go. */
	is_u64(count_mappings(), 3);
	dirty_vm_end(&vm);
	is_u64(count_mappings(), 2);
	front_end(&f);
	front_end(&small);
}

TAP_TEST(a_region_that_comes_later_is_logged_too)
{
	struct front f = front_new(2), larger = front_new(4);
	struct dirty_region first, second, third;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &first, 0, 8 * PAGE));
	is_int(set_log(&vm, &f), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	is_int(dirty_vm_add(&vm, &second, 8 * PAGE, 8 * PAGE), 0);
	dirty_mark(&second.dirty, 7 * PAGE, 1);
	is_u64(front_take(&f, 1), 0x80);
	/* For one further up the front-end has to send a larger log first. */
	is_int(dirty_vm_add(&vm, &third, 24 * PAGE, PAGE), -EINVAL);
	ok(!third.dirty.slot);
	is_int(set_log(&vm, &larger), 0);
	is_int(dirty_vm_add(&vm, &third, 24 * PAGE, PAGE), 0);
	dirty_mark(&third.dirty, 0, 1);
	dirty_mark(&first.dirty, 0, 1);
	is_u64(front_take(&larger, 3), 1);
	is_u64(front_take(&larger, 0), 1);
	is_u64(front_take(&f, 0), 0);
	dirty_vm_end(&vm);
	front_end(&f);
	front_end(&larger);
}

TAP_TEST(what_is_no_region_is_not_added)
{
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	is_int(dirty_vm_add(&vm, &region, 0, 0), -EINVAL);
	is_int(dirty_vm_add(&vm, &region, UINT64_MAX, 2), -EINVAL);
	ok(!vm.regions);
	is_int(dirty_vm_add(&vm, &region, UINT64_MAX, 1), 0);
	dirty_vm_end(&vm);
}

TAP_TEST(a_region_that_went_is_not_logged)
{
	struct front f = front_new(2);
	struct dirty_region first, second;
	struct dirty_vm vm = { 0 };
	struct dirty clone;

	need(!dirty_vm_add(&vm, &first, 0, 8 * PAGE));
	need(!dirty_vm_add(&vm, &second, 8 * PAGE, 8 * PAGE));
	is_int(set_log(&vm, &f), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	dirty_clone(&first.dirty, &clone);
	dirty_vm_remove(&vm, &first);
	dirty_vm_remove(&vm, &first);
	dirty_mark(&clone, 0, 1);
	is_u64(front_take(&f, 0), 0);
	dirty_mark(&second.dirty, 0, 1);
	is_u64(front_take(&f, 1), 1);
	dirty_put(&clone);
	dirty_vm_end(&vm);
	front_end(&f);
}

/* 16 elements: flags and index, then 8 bytes each, then the event index. */
#define USED_BYTES	(4 + 16 * 8 + 2)

TAP_TEST(a_used_ring_is_logged_at_its_own_address)
{
	struct front f = front_new(4);
	struct dirty_region memory, used;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &memory, 0, 8 * PAGE));
	is_int(set_log(&vm, &f), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	/* Outside of all regions, from one page into the next. */
	is_int(dirty_vm_add(&vm, &used, 18 * PAGE - 100, USED_BYTES), 0);
	dirty_mark(&used.dirty, 2, 2);
	is_u64(front_take(&f, 2), 2);
	dirty_mark(&used.dirty, 4 + 12 * 8, 8);
	is_u64(front_take(&f, 2), 4);
	is_u64(front_take(&f, 0), 0);
	/* The flag is taken away at run time, and set again with another address. */
	dirty_vm_remove(&vm, &used);
	is_int(dirty_vm_add(&vm, &used, 32 * PAGE - USED_BYTES + 1, USED_BYTES), -EINVAL);
	is_int(dirty_vm_add(&vm, &used, 32 * PAGE - USED_BYTES, USED_BYTES), 0);
	dirty_mark(&used.dirty, USED_BYTES - 2, 2);
	is_u64(front_take(&f, 3), 0x80);
	dirty_vm_end(&vm);
	front_end(&f);
}

/* A write into the guest's memory, from the handle to the front-end's bit. */
TAP_TEST(what_a_handle_writes_reaches_the_log_of_the_moment)
{
	int fd = memfd_new(4 * page_bytes());
	struct front a = front_new(2), b = front_new(2);
	struct shm shm, host, guest;
	struct dirty_region region;
	struct dirty_vm vm = { 0 };

	need(!dirty_vm_add(&vm, &region, 4 * PAGE, 4 * page_bytes()));
	need(!shm_map_fd(&shm, fd, 0, 4 * page_bytes()));
	need(!shm_log_writes(&shm, &region.dirty) && !shm_build(&shm, &host, &guest));
	is_int(shm_write(&host, PAGE, "x", 1), 0);
	is_int(set_log(&vm, &a), 0);
	is_int(dirty_vm_enable(&vm, true), 0);
	is_int(shm_write(&host, PAGE, "x", 1), 0);
	is_u64(front_take(&a, 0), 1 << 5);
	is_int(set_log(&vm, &b), 0);
	is_int(shm_fill(&host, 0, 1, PAGE), 0);
	is_u64(front_take(&b, 0), 1 << 4);
	/* The region goes; the memory may still be written. */
	dirty_vm_remove(&vm, &region);
	is_int(shm_write(&host, PAGE, "x", 1), 0);
	is_u64(front_take(&a, 0) | front_take(&b, 0), 0);
	shm_put(&host);
	shm_put(&guest);
	dirty_vm_end(&vm);
	front_end(&a);
	front_end(&b);
	close(fd);
}

int main(void)
{
	return tap_main();
}
