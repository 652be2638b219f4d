// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens to the guest's counter, and what its page says meanwhile: never old
 * parameters with a good status.
 */
#include <endian.h>
#include <sys/mman.h>

#include "host_fake_vm.h"
#include "vmclk-stamp.h"

static struct {
	char path[40];
	uint8_t *page;
	int fd;
} file;

static struct vmclk_snapshot page(void)
{
	return page_fields(file.page);
}

/* A VM whose counter is the host's and GUEST_TICKS; @has_offset: it is known. */
static struct fed *start_with(bool has_offset, enum vm_generation generation)
{
	struct fed *f;

	fake_reset();
	strcpy(file.path, "/tmp/vmclock-counter-XXXXXX");
	file.fd = mkstemp(file.path);
	f = fed_new(file.path, has_offset);
	f->vm.options.generation = generation;
	is_int(fed_start(f), 0);
	file.page = mmap(NULL, TARGET_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	if (!ok(file.page != MAP_FAILED))
		exit(1);
	return f;
}

static struct fed *start(bool has_offset)
{
	return start_with(has_offset, VM_GENERATION_FOREIGN);
}

static void stop(struct fed *f)
{
	fed_stop(f);
	is_u64(page().clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	munmap(file.page, TARGET_SIZE);
	close(file.fd);
	unlink(file.path);
	free(f);
}

static bool has_no_line(void)
{
	struct vmclk_snapshot p = page();

	return p.clock_status == VMCLOCK_PAGE_STATUS_INITIALIZING &&
	       !p.counter_period_frac_sec && !p.counter_value && !p.time_sec &&
	       !p.time_maxerror_nanosec &&
	       !(p.flags & (VMCLOCK_PAGE_FLAG_TIME_MONOTONIC |
			    VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID));
}

static bool is_synchronized(void)
{
	return page().clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
}

/* The kernel's time for a counter that is @ticks ahead is in the page's bracket. */
static bool holds_time(uint64_t ticks)
{
	struct vmclk_snapshot p = page();
	uint64_t host = counter_read_ordered();
	int64_t real = kernel.real_ns + host - kernel.since + 37000000000, off;
	struct vmclk_stamp stamp;

	if (vmclk_stamp_at(&p, host + ticks, &stamp))
		return false;
	off = stamp.point.sec * 1000000000 + stamp.point.nsec - real;
	return llabs(off) <= (int64_t)p.time_maxerror_nanosec + 100000;
}

static const struct guest_counter twice = { 2, 0, 99 };
static const struct guest_counter other = { 1, 0, GUEST_TICKS + (1ULL << 60) };

TAP_TEST(hushed_the_page_has_no_line_whatever_goes_on)
{
	struct fed *f = start(true);
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	ok(is_synchronized());
	is_int(vm_hush(&f->vm), 0);
	ok(has_no_line());
	is_u64(page().disruption_marker, marker);
	for (int i = 0; i < 5; i++) {
		is_int(fed_tick(f), 0);
		is_int(vm_publish(&f->vm), 0);
		ok(has_no_line());
	}
	kernel.tx.status |= STA_UNSYNC;
	is_int(fed_tick(f), 0);
	ok(has_no_line());
	stop(f);
}

TAP_TEST(a_feed_that_is_resumed_has_the_old_marker_and_the_time)
{
	struct fed *f = start(true);
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	is_int(vm_hush(&f->vm), 0);
	vm_resume_feed(&f->vm);
	ok(is_synchronized() && holds_time(GUEST_TICKS));
	is_int(vm_hush(&f->vm), 0);
	is_int(fed_tick(f), 0);
	vm_resume_feed(&f->vm);
	ok(is_synchronized() && holds_time(GUEST_TICKS));
	is_u64(page().disruption_marker, marker);
	ok(page().flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	stop(f);
}

TAP_TEST(a_step_while_hushed_is_a_new_marker_when_resumed)
{
	struct fed *f = start(true);
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	is_int(vm_hush(&f->vm), 0);
	kernel.real_ns += 10000000000;
	is_int(fed_tick(f), 0);
	fed_run(f);
	ok(has_no_line());
	vm_resume_feed(&f->vm);
	ok(is_synchronized() && page().disruption_marker != marker);
	ok(holds_time(GUEST_TICKS));
	stop(f);
}

TAP_TEST(a_lost_reference_while_hushed_is_freerunning_when_resumed)
{
	struct fed *f = start(true);

	fed_run(f);
	is_int(vm_hush(&f->vm), 0);
	kernel.tx.status |= STA_UNSYNC;
	is_int(fed_tick(f), 0);
	vm_resume_feed(&f->vm);
	is_u64(page().clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
	stop(f);
}

TAP_TEST(resuming_what_was_not_hushed_changes_nothing)
{
	struct fed *f = start(true);
	uint32_t seq;

	fed_run(f);
	seq = page().seq_count;
	vm_resume_feed(&f->vm);
	is_u64(page().seq_count, seq);
	stop(f);
}

TAP_TEST(disrupted_it_waits_for_the_counter_and_then_has_its_time)
{
	struct fed *f = start(true);
	uint64_t marker, second;

	fed_run(f);
	marker = page().disruption_marker;
	is_int(vm_disrupt(&f->vm), 0);
	ok(has_no_line());
	second = page().disruption_marker;
	ok(second && second != marker);
	for (int i = 0; i < 2000; i++)
		is_int(fed_tick(f), 0);
	ok(has_no_line() && !f->vm.cal.has_line && !vm_is_warming(&f->vm));
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	ok(has_no_line());
	fed_run(f);
	ok(is_synchronized() && holds_time(other.offset) && !holds_time(GUEST_TICKS));
	is_u64(page().disruption_marker, second);
	stop(f);
}

/* No more readings than are dropped if they are bad ones. */
static void get_line_at_once(struct fed *f)
{
	for (int i = 0; i < 4 && !f->vm.cal.has_line; i++)
		is_int(fed_tick(f), 0);
	ok(is_synchronized());
}

TAP_TEST(a_counter_that_is_told_has_a_line_with_the_next_reading)
{
	struct fed *f = start(true);

	fed_run(f);
	for (int i = 0; i < 2; i++) {
		is_int(vm_disrupt(&f->vm), 0);
		is_int(vm_set_counter(&f->vm, i ? &twice : &other, 0), 0);
		get_line_at_once(f);
		is_u64(f->vm.cal.rate.shift, f->vm.clock->rate.shift + i);
		ok(i || holds_time(other.offset));
		/* It is one window with what it reads itself. */
		usleep(20000);
		is_int(fed_tick(f), 0);
		ok(f->vm.cal.rate.count > 3);
	}
	/* And without a disruption that was ordered. */
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	get_line_at_once(f);
	ok(holds_time(other.offset));
	stop(f);
}

TAP_TEST(a_page_in_the_hosts_own_counter_that_is_told_another_has_its_rate)
{
	struct fed *f = start(false);

	fed_run(f);
	is_int(vm_disrupt(&f->vm), 0);
	get_line_at_once(f);
	is_int(vm_set_counter(&f->vm, &twice, 0), 0);
	get_line_at_once(f);
	is_u64(f->vm.cal.rate.shift, f->vm.clock->rate.shift + 1);
	stop(f);
}

TAP_TEST(a_clock_that_was_set_is_measured_anew)
{
	struct fed *f = start(true);

	fed_run(f);
	kernel.real_ns += 10000000000;
	is_int(fed_tick(f), 0);
	ok(!f->vm.cal.has_line && !f->vm.cal.rate.count);
	fed_run(f);
	ok(is_synchronized() && holds_time(GUEST_TICKS));
	stop(f);
}

TAP_TEST(disrupted_twice_is_two_markers)
{
	struct fed *f = start(true);
	uint64_t first;

	fed_run(f);
	is_int(vm_disrupt(&f->vm), 0);
	first = page().disruption_marker;
	is_int(vm_disrupt(&f->vm), 0);
	ok(page().disruption_marker != first && f->vm.waits_for_counter);
	stop(f);
}

TAP_TEST(disrupted_while_hushed_it_speaks_again_once_the_counter_is_known)
{
	struct fed *f = start(true);

	fed_run(f);
	is_int(vm_hush(&f->vm), 0);
	is_int(vm_disrupt(&f->vm), 0);
	vm_resume_feed(&f->vm);
	ok(has_no_line());
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	fed_run(f);
	ok(is_synchronized());
	stop(f);
}

TAP_TEST(another_counter_is_a_disruption_and_the_same_one_is_none)
{
	struct fed *f = start(true);
	struct guest_counter same = f->vm.guest;
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	is_int(vm_set_counter(&f->vm, &same, 0), 0);
	ok(is_synchronized() && page().disruption_marker == marker);
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	ok(has_no_line() && page().disruption_marker != marker);
	fed_run(f);
	ok(is_synchronized() && holds_time(other.offset));
	stop(f);
}

TAP_TEST(a_larger_error_of_the_counter_voids_the_line)
{
	struct fed *f = start(true);
	struct guest_counter same = f->vm.guest;

	fed_run(f);
	is_int(vm_set_counter(&f->vm, &same, 5000000), 0);
	ok(has_no_line());
	fed_run(f);
	ok(page().time_maxerror_nanosec > 6500001);
	stop(f);
}

TAP_TEST(what_is_no_counter_is_refused)
{
	struct fed *f = start(true);
	const struct guest_counter bad[] = { { 0, 0, 0 }, { 1, 64, 0 } };

	fed_run(f);
	for (int i = 0; i < 2; i++)
		is_int(vm_set_counter(&f->vm, &bad[i], 0), -EINVAL);
	ok(is_synchronized());
	stop(f);
}

TAP_TEST(a_page_in_the_hosts_own_counter_needs_no_new_one)
{
	struct fed *f = start(false);
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	is_int(vm_disrupt(&f->vm), 0);
	ok(has_no_line());
	fed_run(f);
	ok(is_synchronized() && page().disruption_marker != marker);
	stop(f);
}

/* As QEMU does when it restores a machine. */
static void write_as_somebody_else(uint64_t marker, uint64_t generation)
{
	struct vmclock_page *p = (struct vmclock_page *)file.page;

	p->seq_count = htole32(le32toh(p->seq_count) + 2);
	p->disruption_marker = htole64(marker);
	p->flags |= htole64(VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	p->vm_generation_counter = htole64(generation);
}

/* As a restarted daemon finds the page of a QEMU whose counter it measures. */
TAP_TEST(a_line_that_was_found_goes_on_when_the_counter_is_known_again)
{
	struct fed *f = start(true);
	struct guest_counter same = f->vm.guest;
	uint64_t marker;

	fed_run(f);
	marker = page().disruption_marker;
	for (int i = 0; i < 2; i++) {
		fed_stop(f);
		free(f);
		f = fed_make_for(file.path, true);
		f->vm.waits_for_counter = true;
		f->vm.has_guest = false;
		is_int(fed_tick(f), 0);
		is_u64(page().clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
		is_int(vm_set_counter(&f->vm, i ? &other : &same, 0), 0);
		fed_run(f);
		ok(is_synchronized() && f->vm.cal.is_adopted == !i);
		ok((page().disruption_marker == marker) == !i);
	}
	stop(f);
}

TAP_TEST(what_somebody_else_wrote_is_taken_over_by_a_disruption)
{
	struct fed *f = start(true);

	fed_run(f);
	write_as_somebody_else(77, 1234);
	is_int(fed_tick(f), -ESTALE);
	is_int(vm_disrupt(&f->vm), 0);
	ok(has_no_line() && page().disruption_marker != 77);
	is_u64(page().vm_generation_counter, 1234);
	is_int(fed_tick(f), 0);
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	fed_run(f);
	ok(is_synchronized());
	is_u64(page().vm_generation_counter, 1234);
	stop(f);
}

/* 0: it has none. */
static uint64_t generation(void)
{
	struct vmclk_snapshot p = page();

	return p.flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT ? p.vm_generation_counter : 0;
}

TAP_TEST(a_generation_of_ours_outlives_all_but_a_restore)
{
	struct fed *f = start_with(true, VM_GENERATION_KEPT);
	uint64_t first = generation();

	ok(first);
	fed_run(f);
	is_u64(generation(), first);
	is_int(vm_hush(&f->vm), 0);
	is_u64(generation(), first);
	vm_resume_feed(&f->vm);
	is_int(vm_disrupt(&f->vm), 0);
	is_u64(generation(), first);
	is_int(vm_set_counter(&f->vm, &other, 0), 0);
	fed_run(f);
	is_u64(generation(), first);
	fed_stop(f);
	is_u64(generation(), first);
	free(f);
	f = fed_new(file.path, true);
	f->vm.options.generation = VM_GENERATION_NEW;
	is_int(fed_start(f), 0);
	is_u64(generation(), first);
	stop(f);
}

/* The image may be older than the present generation, and QEMU may count on. */
TAP_TEST(a_machine_that_was_loaded_has_another_generation_each_time)
{
	struct fed *f = start_with(true, VM_GENERATION_KEPT);
	uint64_t first = generation(), second, third;

	fed_run(f);
	write_as_somebody_else(77, first);
	is_int(vm_hush(&f->vm), 0);
	second = generation();
	ok(second && second != first);
	write_as_somebody_else(77, first + 1);
	is_int(vm_disrupt(&f->vm), 0);
	third = generation();
	ok(third && third != first && third != first + 1 && third != second);
	is_int(vm_disrupt(&f->vm), 0);
	is_u64(generation(), third);
	stop(f);
}

/* From before it had a generation counter. */
TAP_TEST(a_machine_that_was_loaded_has_a_generation_again)
{
	struct fed *f = start_with(true, VM_GENERATION_KEPT);
	uint64_t first = generation();

	write_as_somebody_else(77, 0);
	((struct vmclock_page *)file.page)->flags = 0;
	is_u64(generation(), 0);
	is_int(vm_disrupt(&f->vm), 0);
	ok(generation() && generation() != first);
	stop(f);
}

/* Its sequence number may happen to be ours. */
TAP_TEST(a_machine_that_was_loaded_is_known_by_its_marker)
{
	struct fed *f = start_with(true, VM_GENERATION_KEPT);
	uint64_t first = generation();

	fed_run(f);
	((struct vmclock_page *)file.page)->disruption_marker = htole64(78);
	is_int(vm_disrupt(&f->vm), 0);
	ok(generation() && generation() != first);
	stop(f);
}

TAP_TEST(a_machine_that_came_in_restored_has_another_generation_once)
{
	struct fed *f = start_with(true, VM_GENERATION_NEW);
	uint64_t first = generation(), second;

	ok(first);
	f->vm.is_restored = true;
	is_int(vm_disrupt(&f->vm), 0);
	second = generation();
	ok(second && second != first);
	is_int(vm_disrupt(&f->vm), 0);
	is_u64(generation(), second);
	stop(f);
}

TAP_TEST(hushing_what_somebody_else_wrote_is_a_disruption)
{
	struct fed *f = start(true);

	fed_run(f);
	write_as_somebody_else(77, 1);
	is_int(vm_hush(&f->vm), 0);
	ok(has_no_line() && page().disruption_marker != 77 && f->vm.waits_for_counter);
	stop(f);
}

TAP_TEST(a_coming_disruption_is_announced_and_called_off)
{
	const uint64_t both = VMCLOCK_PAGE_FLAG_DISRUPTION_SOON |
			      VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT;
	struct fed *f = start(true);

	fed_run(f);
	is_u64(page().flags & both, 0);
	vm_announce(&f->vm, VMCLOCK_PAGE_FLAG_DISRUPTION_SOON);
	is_u64(page().flags & both, VMCLOCK_PAGE_FLAG_DISRUPTION_SOON);
	ok(is_synchronized());
	is_int(fed_tick(f), 0);
	is_u64(page().flags & both, VMCLOCK_PAGE_FLAG_DISRUPTION_SOON);
	vm_announce(&f->vm, UINT64_MAX);
	is_u64(page().flags & both, both);
	is_int(vm_hush(&f->vm), 0);
	is_u64(page().flags & both, both);
	vm_announce(&f->vm, 0);
	ok(has_no_line());
	is_u64(page().flags & both, 0);
	vm_announce(&f->vm, both);
	is_int(vm_disrupt(&f->vm), 0);
	is_u64(page().flags & both, both);
	vm_announce(&f->vm, 0);
	is_u64(page().flags & both, 0);
	stop(f);
}

/* Also while it has no line yet, and if it was killed. */
TAP_TEST(a_coming_disruption_outlives_the_daemon_until_it_is_called_off)
{
	const uint64_t both = VMCLOCK_PAGE_FLAG_DISRUPTION_SOON |
			      VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT;
	struct fed *f = start(true);

	fed_run(f);
	vm_announce(&f->vm, both);
	for (int i = 0; i < 3; i++) {
		if (i == 1) {
			write_as_somebody_else(77, 1);
			((struct vmclock_page *)file.page)->flags &= ~htole64(both);
		}
		fed_stop(f);
		free(f);
		is_u64(page().flags & both, both);
		f = fed_make_for(file.path, true);
		ok(page().clock_status == VMCLOCK_PAGE_STATUS_INITIALIZING);
		is_u64(page().flags & both, both);
		fed_run(f);
		is_u64(page().flags & both, both);
	}
	vm_announce(&f->vm, 0);
	fed_stop(f);
	free(f);
	f = fed_make_for(file.path, true);
	is_u64(page().flags & both, 0);
	stop(f);
}

TAP_TEST(what_is_announced_while_the_page_is_somebody_elses_is_told_afterwards)
{
	const uint64_t soon = VMCLOCK_PAGE_FLAG_DISRUPTION_SOON;
	struct fed *f = start(true);

	fed_run(f);
	write_as_somebody_else(77, 1);
	vm_announce(&f->vm, soon);
	is_u64(page().disruption_marker, 77);
	is_u64(page().flags & soon, 0);
	is_int(vm_disrupt(&f->vm), 0);
	is_u64(page().flags & soon, soon);
	stop(f);
}

TAP_TEST(a_page_that_is_gone_is_told)
{
	struct fed *f = start(true);

	fed_run(f);
	is_int(ftruncate(file.fd, 0), 0);
	is_int(vm_hush(&f->vm), -EIO);
	is_int(vm_disrupt(&f->vm), -EIO);
	is_int(ftruncate(file.fd, TARGET_SIZE), 0);
	is_int(fed_tick(f), -EIO);
	fed_stop(f);
	munmap(file.page, TARGET_SIZE);
	close(file.fd);
	unlink(file.path);
	free(f);
}

int main(void)
{
	return tap_main();
}
