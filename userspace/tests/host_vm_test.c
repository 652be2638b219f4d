// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a kernel's clock to a page in a file, with a kernel that does as told.
 * Its clock goes on by a nanosecond with each tick of the real counter.
 */
#define _GNU_SOURCE	/* syscall() */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/futex.h>

#include "host_fake_vm.h"
#include "log.h"
#include "monitor.h"
#include "vmclk-stamp.h"
#include "wrapped.h"

#define NO_TIME_FLAGS	(VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID)

/* A file that goes with the test, and how a reader sees the page in it. */
static struct {
	char path[32];
	struct vmclock_page *page;
} file;

static void file_new(const struct vmclock_page *content)
{
	int fd;

	strcpy(file.path, "/tmp/vmclock-vm-XXXXXX");
	fd = mkstemp(file.path);
	ok(fd >= 0 && !ftruncate(fd, content ? TARGET_SIZE : 0));
	if (content)
		is_int(pwrite(fd, content, sizeof(*content), 0), sizeof(*content));
	close(fd);
	file.page = NULL;
}

static void file_end(void)
{
	if (file.page)
		munmap(file.page, TARGET_SIZE);
	unlink(file.path);
}

static void file_map(void)
{
	int fd = open(file.path, O_RDONLY);

	file.page = mmap(NULL, TARGET_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
}

static struct vmclk_snapshot fields(void)
{
	return page_fields(file.page);
}

static struct fed *start(void)
{
	struct fed *f = fed_make_for(file.path, false);

	if (!file.page)
		file_map();
	return f;
}

static void stop(struct fed *f)
{
	fed_stop(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	free(f);
}

/* Is the kernel's time for a counter reading inside the page's bracket? */
static bool holds_time(void)
{
	struct vmclk_snapshot f = fields();
	struct vmclock_line line = {
		.counter = f.counter_value,
		.time = { f.time_sec, f.time_frac_sec },
		.period = f.counter_period_frac_sec,
		.period_maxerror = f.counter_period_maxerror_rate_frac_sec,
		.maxerror_ns = f.time_maxerror_nanosec,
		.shift = f.counter_period_shift,
	};
	uint64_t host = counter_read_ordered();
	int64_t real = kernel.real_ns + host - kernel.since +
		       (f.time_type == VMCLOCK_PAGE_TIME_TAI ? 37000000000 : 0);
	struct vmclock_time t;
	int64_t off;

	if (!vmclock_math_time(&line, host + GUEST_TICKS, &t))
		return false;
	off = (int64_t)(t.sec * 1000000000 + vmclock_math_nsec(t.frac)) - real;
	return llabs(off) <= (int64_t)vmclock_math_maxerror_ns(&line, host + GUEST_TICKS) + 1;
}

TAP_TEST(a_synchronized_clock_gives_a_synchronized_tai_page)
{
	struct vmclk_snapshot p;
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	is_u64(fields().counter_id, COUNTER_ID);
	fed_run(f);
	p = fields();
	is_u64(p.clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(p.time_type, VMCLOCK_PAGE_TIME_TAI);
	is_int(p.tai_offset_sec, -37);
	is_u64(p.flags, VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID | NO_TIME_FLAGS |
			VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	is_u64(p.counter_period_frac_sec >> 63, 1);
	ok(p.disruption_marker != 0);
	ok(p.time_maxerror_nanosec > 1500001 && p.time_maxerror_nanosec < 1700000);
	ok(p.time_esterror_nanosec > 10001 && p.time_esterror_nanosec < 200000);
	ok(p.counter_period_maxerror_rate_frac_sec > p.counter_period_esterror_rate_frac_sec);
	ok(holds_time());
	stop(f);
	ok(!(fields().flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC));
	file_end();
}

TAP_TEST(an_unsynchronized_clock_gives_status_unknown_and_no_bound)
{
	struct vmclk_snapshot p;
	struct fed *f;

	fake_reset();
	kernel.tx.status |= STA_UNSYNC;
	kernel.state = TIME_ERROR;
	kernel.tx.tai = 0;
	file_new(NULL);
	f = start();
	fed_run(f);
	p = fields();
	is_u64(p.clock_status, VMCLOCK_PAGE_STATUS_UNKNOWN);
	is_u64(p.time_type, VMCLOCK_PAGE_TIME_UTC);
	is_u64(p.flags, VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	is_u64(p.time_maxerror_nanosec | p.counter_period_maxerror_rate_frac_sec, 0);
	stop(f);
	file_end();
}

TAP_TEST(the_error_of_the_counters_offset_widens_the_bound)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	f->vm.offset_error = 5000000;
	fed_run(f);
	ok(fields().time_maxerror_nanosec > 6500001);
	stop(f);
	file_end();
}

TAP_TEST(a_lost_reference_is_freerunning_and_back_without_a_break)
{
	struct vmclk_snapshot p;
	struct fed *f;
	uint64_t marker, bound;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	marker = fields().disruption_marker;
	bound = fields().time_maxerror_nanosec;
	kernel.tx.status |= STA_UNSYNC;
	is_int(fed_tick(f), 0);
	p = fields();
	is_u64(p.clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
	is_u64(p.flags & (NO_TIME_FLAGS | VMCLOCK_PAGE_FLAG_TIME_MONOTONIC),
	       NO_TIME_FLAGS | VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	ok(p.time_maxerror_nanosec >= bound);
	ok(holds_time());
	is_int(vm_publish(&f->vm), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
	kernel.tx.status &= ~STA_UNSYNC;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(fields().disruption_marker, marker);
	ok(holds_time());
	stop(f);
	file_end();
}

TAP_TEST(a_bound_above_the_limit_of_holdover_is_unreliable_until_a_reading)
{
	struct fed *f;
	uint64_t marker;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	marker = fields().disruption_marker;
	f->clock.options.holdover.max_bound_ns = fields().time_maxerror_nanosec - 1;
	kernel.tx.status |= STA_UNSYNC;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	is_int(fed_tick(f), 0);
	is_int(vm_publish(&f->vm), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	ok(!(fields().flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC));
	f->clock.options.holdover.max_bound_ns = 128000000;
	kernel.tx.status &= ~STA_UNSYNC;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(fields().disruption_marker, marker);
	ok(holds_time());
	stop(f);
	file_end();
}

/*
 * Who told it the time has died: it answers as ever, and adds 500 us a second. The
 * page's own bound hardly grows, for there is hardly any time between two ticks here.
 */
TAP_TEST(a_kernel_that_is_told_nothing_any_more_is_a_lost_reference)
{
	struct fed *f;
	uint64_t marker, bound;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	marker = fields().disruption_marker;
	for (kernel.tx.maxerror = 1500; kernel.tx.maxerror < 63500; kernel.tx.maxerror += 500)
		is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	bound = fields().time_maxerror_nanosec;
	ok(bound > 63000000 && bound < 65000000);
	for (kernel.tx.maxerror = 64000; kernel.tx.maxerror < 16000000; kernel.tx.maxerror += 500000) {
		is_int(fed_tick(f), 0);
		is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
		ok(fields().time_maxerror_nanosec < bound + 1000000 && holds_time());
	}
	kernel.tx.maxerror = 1000;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(fields().disruption_marker, marker);
	ok(holds_time());
	stop(f);
	file_end();
}

/* One or two of them are no more news than no answer is. */
TAP_TEST(a_reading_that_is_too_wide_is_a_late_one)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	f->clock.options.holdover.after_ns = 3600000000000;
	fed_run(f);
	kernel.tx.maxerror = 64000;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	ok(fields().time_maxerror_nanosec < 2000000);
	stop(f);
	file_end();
}

TAP_TEST(a_source_that_is_too_wide_from_the_start_gives_no_bound)
{
	struct fed *f;

	fake_reset();
	kernel.tx.maxerror = 64000;
	file_new(NULL);
	f = start();
	fed_run(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_UNKNOWN);
	is_u64(fields().flags & NO_TIME_FLAGS, 0);
	kernel.tx.maxerror = 1000;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	stop(f);
	file_end();
}

/* The source is a good one. */
TAP_TEST(a_bound_above_the_limit_is_unreliable_whatever_made_it_so_wide)
{
	struct fed *f;
	uint64_t marker;

	fake_reset();
	file_new(NULL);
	f = start();
	f->vm.offset_error = 1ULL << 40;
	fed_run(f);
	marker = fields().disruption_marker;
	for (int i = 0; i < 3; i++) {
		is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
		is_int(vm_publish(&f->vm), 0);
		is_int(fed_tick(f), 0);
	}
	f->vm.offset_error = 0;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(fields().disruption_marker, marker);
	ok(holds_time());
	stop(f);
	file_end();
}

/* Nor is there a reading where the clock is changed whenever it is looked at. */
TAP_TEST(a_clock_that_never_keeps_still_is_a_lost_reference_too)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	kernel.flickers = true;
	is_int(clock_tick(&f->clock), -EAGAIN);
	for (int i = 0; i < 1000; i++)
		is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_FREERUNNING);
	ok(holds_time());
	kernel.flickers = false;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	stop(f);
	file_end();
}

TAP_TEST(a_reference_that_is_late_by_less_than_the_limit_is_not_lost)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	f->clock.options.holdover.after_ns = 3600000000000;
	fed_run(f);
	kernel.tx.status |= STA_UNSYNC;
	is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	stop(f);
	file_end();
}

/* What is logged of a first reading with this error, told to the kernel that long ago. */
static bool is_warned(long told_us, int seconds, uint64_t assumed_ns)
{
	struct fed *f = fed_new(NULL, false);
	struct log_subject log = { 0 };
	bool is_warned;

	fake_reset();
	kernel.runs = true;
	kernel.tx.maxerror = told_us + 500 * seconds;
	f->clock.options.assumed_ns = assumed_ns;
	is_int(clock_start(&f->clock), 0);
	log_about(&log);
	is_int(clock_tick(&f->clock), 0);
	is_warned = strstr(log.last, "warning");
	log.last[0] = '\0';
	is_int(clock_tick(&f->clock), 0);
	ok(!log.last[0]);
	log_about(NULL);
	clock_stop(&f->clock);
	free(f);
	return is_warned;
}

TAP_TEST(the_operator_is_warned_of_a_time_daemon_that_claims_no_error)
{
	ok(is_warned(0, 0, 0));
	ok(is_warned(0, 17, 0));
	ok(!is_warned(1, 0, 0));
	ok(!is_warned(1337, 17, 0));
	ok(!is_warned(0, 17, 1000));
}

static const char no_answer[] = "no answer";

static int lost_source(struct source *source, struct source_reading *reading)
{
	(void)reading;
	return source_lost(source, no_answer);
}

TAP_TEST(a_source_that_gives_nothing_at_first_is_waited_for)
{
	struct fed *f;
	int i;

	fake_reset();
	file_new(NULL);
	f = start();
	f->clock.source.read = lost_source;
	for (i = 0; i < 2000; i++)
		is_int(fed_tick(f), 0);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	is_u64(fed_delay_ns(f), f->clock.options.interval_ns);
	source_kernel_open(&f->clock.source, &f->clock.kernel);
	fed_run(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	stop(f);
	file_end();
}

TAP_TEST(a_failed_source_leaves_the_page_unreliable)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	kernel.error = EPERM;
	is_int(fed_tick(f), -EPERM);
	stop(f);
	file_end();
}

TAP_TEST(a_step_is_unreliable_first_and_then_a_new_marker)
{
	struct vmclk_snapshot before, stepped;
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	before = fields();
	kernel.real_ns += 10000000000;
	is_int(fed_tick(f), 0);
	stepped = fields();
	is_u64(stepped.clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	is_u64(stepped.disruption_marker, before.disruption_marker);
	is_u64(stepped.counter_period_frac_sec, before.counter_period_frac_sec);
	is_u64(stepped.counter_value, before.counter_value);
	is_u64(stepped.flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC, 0);
	fed_run(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	ok(fields().disruption_marker != before.disruption_marker);
	ok(fields().disruption_marker != 0);
	ok(holds_time());
	stop(f);
	file_end();
}

TAP_TEST(a_restart_continues_marker_sequence_and_line)
{
	struct vmclk_snapshot before;
	struct fed *f;
	uint32_t seq;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	before = fields();
	stop(f);
	seq = le32toh(file.page->seq_count);
	f = start();
	fed_run(f);
	ok(f->vm.cal.is_adopted);
	is_u64(fields().disruption_marker, before.disruption_marker);
	ok(le32toh(file.page->seq_count) > seq);
	ok(holds_time());
	stop(f);
	file_end();
}

TAP_TEST(a_restart_with_another_time_has_another_marker)
{
	struct vmclk_snapshot before;
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	before = fields();
	stop(f);
	kernel.real_ns -= 10000000000;
	f = start();
	fed_run(f);
	ok(!f->vm.cal.is_adopted);
	ok(fields().disruption_marker != before.disruption_marker);
	ok(holds_time());
	stop(f);
	file_end();
}

/* What a hypervisor without a clock offers, with flags of all kinds. */
static const struct vmclock_page qemus_page = {
	.magic = 0x4b4c4356, .size = 4096, .version = 1,
	.counter_id = VMCLOCK_PAGE_COUNTER_NONE, .seq_count = 2, .disruption_marker = 1,
	.vm_generation_counter = 0x1234567890,
	.flags = VMCLOCK_PAGE_FLAG_GENERATION_PRESENT |
		 VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT |
		 VMCLOCK_PAGE_FLAG_DISRUPTION_SOON | 1ULL << 63,
};

TAP_TEST(a_page_without_a_line_keeps_its_markers_and_what_it_announces)
{
	struct vmclk_snapshot p;
	struct fed *f;

	if (htole32(1) != 1)
		skip("this test's page is written for little-endian machines");
	fake_reset();
	file_new(&qemus_page);
	f = start();
	fed_run(f);
	p = fields();
	is_u64(p.disruption_marker, 1);
	is_u64(p.vm_generation_counter, 0x1234567890);
	is_u64(p.flags, VMCLOCK_PAGE_FLAG_GENERATION_PRESENT | NO_TIME_FLAGS |
			VMCLOCK_PAGE_FLAG_DISRUPTION_SOON |
			VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID |
			VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	is_u64(p.counter_id, COUNTER_ID);
	stop(f);
	file_end();
}

/* The page's time, if it is looked at in so many ns; the counter ticks once in one. */
static int trusts_in(uint64_t ns)
{
	struct vmclk_snapshot f = fields();
	struct vmclk_stamp stamp;
	int err = vmclk_stamp_at(&f, f.counter_value + ns, &stamp);

	return err ? err : vmclk_trusts(NULL, &stamp);
}

TAP_TEST(a_page_that_a_killed_writer_left_ages_into_distrust)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_int(trusts_in(0), 0);
	is_int(trusts_in(50000000000), 0);
	is_int(trusts_in(62000000000), -VMCLK_EAGED);
	is_int(trusts_in(86400000000000), -VMCLK_EWIDE);
	stop(f);
	file_end();
}

TAP_TEST(a_torn_page_is_repaired_and_nothing_on_it_is_believed)
{
	struct vmclk_snapshot before;
	struct fed *f;
	uint32_t odd;
	int fd;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	before = fields();
	stop(f);
	/* As a writer leaves it that dies in an update. */
	odd = file.page->seq_count | htole32(1);
	fd = open(file.path, O_WRONLY);
	is_int(pwrite(fd, &odd, 4, offsetof(struct vmclock_page, seq_count)), 4);
	close(fd);
	f = start();
	is_u64(le32toh(file.page->seq_count), le32toh(odd) + 1);
	is_u64(fields().counter_period_frac_sec, 0);
	fed_run(f);
	ok(!f->vm.cal.is_adopted);
	ok(fields().disruption_marker != before.disruption_marker);
	stop(f);
	file_end();
}

TAP_TEST(a_page_that_somebody_else_wrote_is_given_up)
{
	struct fed *f;
	uint32_t foreign;
	int fd;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	foreign = htole32(le32toh(file.page->seq_count) + 100);
	fd = open(file.path, O_WRONLY);
	is_int(pwrite(fd, &foreign, 4, offsetof(struct vmclock_page, seq_count)), 4);
	close(fd);
	is_int(fed_tick(f), -ESTALE);
	is_int(vm_publish(&f->vm), -ESTALE);
	stop(f);
	is_u64(le32toh(file.page->seq_count), le32toh(foreign) + 2);
	file_end();
}

TAP_TEST(publishing_between_calibrations_stays_on_the_line)
{
	struct vmclk_snapshot before, after;
	struct vmclock_time t;
	struct fed *f;
	uint32_t seq;

	fake_reset();
	file_new(NULL);
	f = start();
	f->vm.options.publishes = true;
	fed_run(f);
	before = fields();
	seq = le32toh(file.page->seq_count);
	is_int(vm_publish(&f->vm), 0);
	after = fields();
	ok(le32toh(file.page->seq_count) > seq);
	ok(after.counter_value > before.counter_value);
	is_u64(after.counter_period_frac_sec, before.counter_period_frac_sec);
	need(vmclock_math_time(&(struct vmclock_line){
			.counter = before.counter_value,
			.time = { before.time_sec, before.time_frac_sec },
			.period = before.counter_period_frac_sec,
			.shift = before.counter_period_shift,
		}, after.counter_value, &t));
	is_u64(after.time_sec, t.sec);
	ok(after.time_frac_sec - t.frac <= 1);
	ok(holds_time());
	stop(f);
	file_end();
}

TAP_TEST(calibrating_again_does_not_move_the_present)
{
	struct vmclk_snapshot before, after;
	struct vmclock_time t;
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	fed_run(f);
	before = fields();
	kernel.real_ns += 100000;
	is_int(fed_tick(f), 0);
	after = fields();
	ok(after.counter_period_frac_sec != before.counter_period_frac_sec);
	need(vmclock_math_time(&(struct vmclock_line){
			.counter = before.counter_value,
			.time = { before.time_sec, before.time_frac_sec },
			.period = before.counter_period_frac_sec,
			.shift = before.counter_period_shift,
		}, after.counter_value, &t));
	is_u64(after.time_sec, t.sec);
	ok(after.time_frac_sec - t.frac <= 1);
	ok(after.time_maxerror_nanosec >= before.time_maxerror_nanosec + 90000);
	ok(holds_time());
	stop(f);
	file_end();
}

/* As ivshmem-plain shows it: the host's own counter is never right there. */
TAP_TEST(a_file_of_a_guest_has_no_time_before_its_counter_is_told)
{
	const struct guest_counter guest = { .ratio = 1, .frac_bits = 0, .offset = GUEST_TICKS };
	struct monitor m = { 0 };
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = fed_new(file.path, false);
	f->vm.options.is_guests = true;
	is_int(clock_start(&f->clock), 0);
	is_int(monitor_open(&m, &f->vm, &f->clock), 0);
	file_map();
	for (int i = 0; i < 400; i++) {
		is_int(clock_tick(&f->clock), 0);
		is_int(monitor_tick(&m), 0);
		usleep(1000);
	}
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_INITIALIZING);
	is_u64(fields().counter_period_frac_sec, 0);
	is_int(monitor_set_counter(&m, &guest, 0), 0);
	fed_run(f);
	is_u64(fields().clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	ok(holds_time());
	monitor_close(&m);
	stop(f);
	file_end();
}

static unsigned int wakes;

int __wrap_vmclk_writer_wake(const struct vmclk_writer *writer)
{
	wakes++;
	return __real_vmclk_writer_wake(writer);
}

/* Sleeps until it is woken, as vmclk_wait() does. */
static int sleep_on_page(void)
{
	const struct timespec limit = { .tv_sec = 60 };
	uint32_t seq;

	do {
		seq = __atomic_load_n(&file.page->seq_count, __ATOMIC_RELAXED);
		if (!syscall(SYS_futex, &file.page->seq_count, FUTEX_WAIT, seq, &limit, NULL, 0))
			return 0;
	} while (errno == EAGAIN || errno == EINTR);
	return 1;
}

TAP_TEST(who_sleeps_on_a_page_in_a_file_is_woken_by_an_update)
{
	int status = -1;
	struct fed *f;
	pid_t pid;

	fake_reset();
	file_new(NULL);
	f = start();
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(sleep_on_page());
	/* It may not sleep yet. */
	while (!waitpid(pid, &status, WNOHANG)) {
		vm_announce(&f->vm, 0);
		/* After so long it has looked at the page again, and sleeps for good. */
		usleep(20000);
	}
	is_int(status, 0);
	stop(f);
	file_end();
}

/* Whatever is written. */
static unsigned int wakes_of_a_life(struct fed *f)
{
	wakes = 0;
	fed_run(f);
	is_int(fed_tick(f), 0);
	is_int(vm_hush(&f->vm), 0);
	vm_resume_feed(&f->vm);
	is_int(vm_disrupt(&f->vm), 0);
	fed_run(f);
	is_int(vm_publish(&f->vm), 0);
	fed_stop(f);
	return wakes;
}

TAP_TEST(each_update_of_a_page_in_a_file_wakes)
{
	unsigned int n;
	uint32_t before;
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = start();
	before = fields().seq_count;
	n = wakes_of_a_life(f);
	is_u64(n, (fields().seq_count - before) / 2);
	free(f);
	file_end();
}

/* At full speed nobody falls asleep; and in memory of others there is nobody to wake. */
TAP_TEST(at_full_speed_and_without_a_file_nobody_is_woken)
{
	struct fed *f;

	fake_reset();
	file_new(NULL);
	f = fed_new(file.path, false);
	f->vm.options.publishes = true;
	is_int(fed_start(f), 0);
	is_u64(wakes_of_a_life(f), 0);
	free(f);
	file_end();
	f = fed_make(false);
	is_u64(wakes_of_a_life(f), 0);
	free(f);
}

int main(void)
{
	return tap_main();
}
