// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page in guest memory that is lent and taken back.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "dirty-vm.h"
#include "host_fake_vm.h"
#include "host_front.h"
#include "log.h"

#define OFFSET	0x2000	/* of the page in its file */
#define GPA	0x7000

/* A guest's page as QEMU makes it: a marker and nothing else. */
static struct {
	int fd;
	uint8_t *bytes;
	struct dirty_vm vm;
	struct dirty_region region;
	struct front log;
} guest;

static void guest_new(void)
{
	struct vmclock_page page = {
		.magic = htole32(VMCLOCK_PAGE_MAGIC), .size = htole32(TARGET_SIZE),
		.version = htole16(1), .counter_id = VMCLOCK_PAGE_COUNTER_NONE,
		.seq_count = htole32(2), .disruption_marker = htole64(7),
		.flags = htole64(VMCLOCK_PAGE_FLAG_GENERATION_PRESENT),
		.vm_generation_counter = htole64(99),
	};

	guest.fd = memfd_new(OFFSET + TARGET_SIZE);
	guest.bytes = mmap(NULL, TARGET_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest.fd,
			   OFFSET);
	memcpy(guest.bytes, &page, sizeof(page));
	guest.log = front_new(8);
	ok(!dirty_vm_add(&guest.vm, &guest.region, GPA, TARGET_SIZE));
	dirty_vm_set_log(&guest.vm, front_log(&guest.log));
	dirty_vm_enable(&guest.vm, true);
}

static void guest_end(struct fed *f)
{
	fed_stop(f);
	free(f);
	dirty_vm_end(&guest.vm);
	front_end(&guest.log);
	munmap(guest.bytes, TARGET_SIZE);
	close(guest.fd);
}

static bool lend(struct fed *f)
{
	return vm_lend_page(&f->vm, guest.fd, OFFSET, &guest.region.dirty);
}

TAP_TEST(a_lent_page_gets_the_line_at_once_and_every_update_is_logged)
{
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	ok(f->vm.is_lent);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(page_fields(guest.bytes).disruption_marker, 7);
	is_u64(page_fields(guest.bytes).vm_generation_counter, 99);
	ok(page_fields(guest.bytes).flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	is_int(front_take(&guest.log, 0), 1 << GPA / PAGE);
	is_int(fed_tick(f), 0);
	is_int(front_take(&guest.log, 0), 1 << GPA / PAGE);
	guest_end(f);
}

TAP_TEST(taken_back_it_is_unreliable_and_not_touched_any_more)
{
	uint8_t before[TARGET_SIZE];
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	front_take(&guest.log, 0);
	vm_return_page(&f->vm);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	is_int(front_take(&guest.log, 0), 1 << GPA / PAGE);
	memcpy(before, guest.bytes, TARGET_SIZE);
	is_int(fed_tick(f), 0);
	ok(f->vm.cal.has_line && !f->vm.is_lent);
	ok(!memcmp(before, guest.bytes, TARGET_SIZE));
	is_int(front_take(&guest.log, 0), 0);
	guest_end(f);
}

/* Another daemon was told of it, before this one was started. */
TAP_TEST(what_a_lent_page_says_of_a_coming_disruption_holds_until_we_are_told)
{
	const uint64_t soon = VMCLOCK_PAGE_FLAG_DISRUPTION_SOON;
	struct vmclock_page *page;
	struct fed *f;

	fake_reset();
	guest_new();
	page = (struct vmclock_page *)guest.bytes;
	page->flags |= htole64(soon);
	f = fed_make(true);
	fed_run(f);
	for (int i = 0; i < 2; i++) {
		lend(f);
		is_u64(page_fields(guest.bytes).flags & soon, soon);
		vm_return_page(&f->vm);
	}
	vm_announce(&f->vm, 0);
	lend(f);
	is_u64(page_fields(guest.bytes).flags & soon, 0);
	guest_end(f);
}

TAP_TEST(lent_again_it_keeps_its_marker_if_the_line_is_the_same)
{
	struct fed *f;
	uint64_t marker;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	for (int i = 0; i < 3; i++) {
		vm_return_page(&f->vm);
		is_int(fed_tick(f), 0);
		lend(f);
		is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
		is_u64(page_fields(guest.bytes).disruption_marker, 7);
	}

	/* The clock was set meanwhile. */
	vm_return_page(&f->vm);
	marker = page_fields(guest.bytes).disruption_marker;
	kernel.real_ns += 3600000000000;
	is_int(fed_tick(f), 0);
	fed_run(f);
	lend(f);
	ok(page_fields(guest.bytes).disruption_marker != marker);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	guest_end(f);
}

static void tell_counter(struct fed *f)
{
	const struct guest_counter guest_counter = f->vm.options.guest;

	is_int(vm_set_counter(&f->vm, &guest_counter, 0), 0);
	fed_run(f);
}

/* As QEMU does it when it has loaded a machine, whose counter is another one then. */
TAP_TEST(lent_again_after_somebody_wrote_it_is_left_alone_until_the_counter_is_told)
{
	uint8_t *marker, before[TARGET_SIZE];
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	vm_return_page(&f->vm);
	marker = guest.bytes + offsetof(struct vmclock_page, disruption_marker);
	*marker = 8;
	memcpy(before, guest.bytes, TARGET_SIZE);
	for (int i = 0; i < 2; i++) {
		lend(f);
		is_int(fed_tick(f), 0);
		ok(!f->vm.is_lent && !f->vm.has_guest);
		is_u64(f->vm.disruptions, 1);
		ok(!memcmp(before, guest.bytes, TARGET_SIZE));
	}
	tell_counter(f);
	lend(f);
	ok(f->vm.is_lent);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	ok(page_fields(guest.bytes).disruption_marker > 8);
	guest_end(f);
}

/* A page of its own, that nobody has fed: the machine was started again. */
TAP_TEST(another_machines_page_is_left_alone_until_its_counter_is_told)
{
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	vm_return_page(&f->vm);
	munmap(guest.bytes, TARGET_SIZE);
	close(guest.fd);
	dirty_vm_end(&guest.vm);
	front_end(&guest.log);
	guest_new();
	lend(f);
	ok(!f->vm.is_lent);
	is_int(page_fields(guest.bytes).counter_id, VMCLOCK_PAGE_COUNTER_NONE);
	tell_counter(f);
	lend(f);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	guest_end(f);
}

TAP_TEST(without_a_line_the_page_is_initializing)
{
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	lend(f);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	fed_run(f);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	guest_end(f);
}

TAP_TEST(a_page_whose_counter_is_not_known_is_left_alone)
{
	struct log_subject log = { 0 };
	uint8_t before[TARGET_SIZE];
	struct fed *f;

	fake_reset();
	guest_new();
	memcpy(before, guest.bytes, TARGET_SIZE);
	f = fed_make(false);
	fed_run(f);
	ok(!lend(f));
	ok(!f->vm.is_lent);
	ok(!memcmp(before, guest.bytes, TARGET_SIZE));
	/* The same is not said again and again. */
	log_about(&log);
	ok(!lend(f) && !log.last[0]);
	log_about(NULL);
	/* It may become known. */
	tell_counter(f);
	ok(lend(f) && f->vm.is_lent);
	guest_end(f);
}

TAP_TEST(what_is_no_page_is_left_alone)
{
	struct fed *f;

	fake_reset();
	guest_new();
	memset(guest.bytes, 0, TARGET_SIZE);
	f = fed_make(true);
	fed_run(f);
	/* Nothing will become of it: it need not be offered again. */
	ok(lend(f));
	ok(!f->vm.is_lent);
	vm_lend_page(&f->vm, guest.fd, OFFSET + 4, &guest.region.dirty);
	ok(!f->vm.is_lent);
	is_int(fed_tick(f), 0);
	ok(f->vm.cal.has_line && !guest.bytes[0] && !guest.bytes[4]);
	guest_end(f);
}

TAP_TEST(a_lent_page_that_somebody_else_writes_or_takes_away_is_given_up)
{
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make(true);
	fed_run(f);
	lend(f);
	guest.bytes[offsetof(struct vmclock_page, seq_count)] ^= 4;
	is_int(fed_tick(f), 0);
	ok(!f->vm.is_lent && f->vm.cal.has_line);
	is_int(page_fields(guest.bytes).clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	lend(f);
	ok(!f->vm.is_lent);
	tell_counter(f);
	lend(f);
	ok(f->vm.is_lent);
	ok(!ftruncate(guest.fd, 0));
	is_int(fed_tick(f), 0);
	ok(!f->vm.is_lent && f->vm.cal.has_line);
	is_int(fed_tick(f), 0);
	guest_end(f);
}

TAP_TEST(the_page_that_is_fed_already_is_logged_from_then_on)
{
	char path[] = "/tmp/vmclock-lend-XXXXXX";
	int fd = mkstemp(path);
	struct fed *f;

	fake_reset();
	guest_new();
	f = fed_make_for(path, true);
	fed_run(f);
	is_int(front_take(&guest.log, 0), 0);
	vm_lend_page(&f->vm, fd, 0, &guest.region.dirty);
	is_int(fed_tick(f), 0);
	is_int(front_take(&guest.log, 0), 1 << GPA / PAGE);
	/* Another one is not fed beside it. */
	lend(f);
	ok(!f->vm.is_lent);
	vm_return_page(&f->vm);
	is_int(page_fields(f->vm.target.map).clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	/* Its region is gone: nothing is marked, and it is still fed. */
	dirty_vm_remove(&guest.vm, &guest.region);
	is_int(fed_tick(f), 0);
	is_int(front_take(&guest.log, 0), 0);
	guest_end(f);
	close(fd);
	unlink(path);
}

int main(void)
{
	return tap_main();
}
