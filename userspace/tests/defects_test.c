// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What other readers and writers of such pages get wrong, each as a test that
 * this library passes: the defect is in the test's first comment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "vmclk-inline.h"
#include "vmclk-writer.h"

static struct vmclk *open_page(struct test_page *t)
{
	struct vmclk *clk = NULL;

	ok(!vmclk_open(t->path, &clk));
	return clk;
}

/* Runs @body on a good page, mapped, and then on one that is read. */
static void both_ways(void (*body)(struct test_page *t, struct vmclk *clk))
{
	static const unsigned int seals[] = { F_SEAL_SHRINK, 0 };
	struct vmclock_page page = good_page();

	for (unsigned int i = 0; i < 2; i++) {
		struct test_page t = page_make(&page, PAGE_BYTES, seals[i]);
		struct vmclk *clk = open_page(&t);

		need(clk);
		ok(!clk->page == !seals[i]);
		body(&t, clk);
		vmclk_close(clk);
		page_drop(&t);
	}
}

/* 1: a cache that starts at 0 takes a page with sequence number 0 for known. */
static void read_sequence_0(struct test_page *t, struct vmclk *clk)
{
	struct vmclk_snapshot snap = { 0 };
	struct vmclk_stamp stamp, now;
	struct vmclk_fast fast;

	t->page->seq_count = 0;
	is_int(vmclk_refresh(clk, &snap), 0);
	is_u64(snap.disruption_marker, 0x1111111111111111);
	memset(&snap, 0, sizeof(snap));
	vmclk_now_from(clk, &snap, &stamp);
	is_u64(stamp.disruption_marker, 0x1111111111111111);
	memset(&fast, 0, sizeof(fast));
	vmclk_fast_init(&fast, clk);
	vmclk_fast_now(&fast, &now);
	is_u64(now.disruption_marker, 0x1111111111111111);
}

TAP_TEST(defect_1_a_page_with_sequence_number_0_is_read)
{
	both_ways(read_sequence_0);
}

/* Also where it has neither version nor size, as a snapshot of zeros has. */
static void take_no_version_0(struct test_page *t, struct vmclk *clk)
{
	struct vmclk_snapshot snap = { .page_id = clk->page_id };

	*t->page = (struct vmclock_page){ .magic = htole32(VMCLOCK_PAGE_MAGIC) };
	is_int(vmclk_refresh(clk, &snap), -VMCLK_ENOTINIT);
}

TAP_TEST(defect_1_a_page_not_yet_initialised_is_no_copy_of_zeros)
{
	both_ways(take_no_version_0);
}

/* 2: an odd number that stays is waited for a minute, and misreported. */
static void read_odd(struct test_page *t, struct vmclk *clk)
{
	struct vmclk_snapshot snap = { 0 };
	struct vmclk_stamp stamp;

	t->page->seq_count = htole32(7);
	is_int(vmclk_snapshot(clk, &snap), -VMCLK_EBUSY);
	is_int(vmclk_refresh(clk, &snap), -VMCLK_EBUSY);
	is_int(vmclk_now(clk, &stamp), -VMCLK_EBUSY);
	is_int(vmclk_now_from(clk, &snap, &stamp), -VMCLK_EBUSY);
	is_int(vmclk_revalidate(clk), 0);
}

TAP_TEST(defect_2_a_stuck_update_ends_with_the_error_that_says_so)
{
	both_ways(read_odd);
}

static int resize_twice(struct test_page *t, off_t first, off_t then)
{
	return ftruncate(t->fd, first) || ftruncate(t->fd, then);
}

/* 3: a file truncated under its mapping kills the reader by SIGBUS. */
TAP_TEST(defect_3_a_truncated_file_is_an_error_at_every_length)
{
	struct vmclock_page page = good_page();
	struct vmclk_snapshot snap = { 0 }, seen;
	struct vmclk_stamp stamp;

	page.size = htole32(sizeof(page));
	page.seq_count = 0;
	for (off_t len = 0; len < (off_t)sizeof(page); len++) {
		struct test_page t = page_make(&page, PAGE_BYTES, 0);
		struct vmclk *clk = open_page(&t);

		need(clk && !clk->page);
		is_int(vmclk_refresh(clk, &snap), 0);
		seen = snap;
		need(!ftruncate(t.fd, len));
		is_int(vmclk_snapshot(clk, &snap), -VMCLK_EMALFORMED);
		is_int(vmclk_now(clk, &stamp), -VMCLK_EMALFORMED);
		is_int(vmclk_revalidate(clk), len ? -VMCLK_EMALFORMED : -VMCLK_ENOTINIT);
		ok(!memcmp(&snap, &seen, sizeof(snap)));
		vmclk_close(clk);
		page_drop(&t);
	}
}

/* Truncating and extending, for ever, between any two system calls of a reader. */
static pid_t start_truncating(struct test_page *t, const struct vmclock_page *page)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;) {
		if (resize_twice(t, 0, PAGE_BYTES) ||
		    pwrite(t->fd, page, sizeof(*page), 0) != sizeof(*page))
			_exit(1);
		for (unsigned int i = 0; i < 20; i++)
			counter_relax();
	}
}

/*
 * Sequence number 0, which the zeros of a file made long again have as well.
 * What was read whole before the page's tail was zeroed is no page of zeros.
 */
TAP_TEST(defect_3_no_zeroed_tail_is_taken_for_data)
{
	unsigned int good = 0, refused = 0, torn = 0, other = 0;
	struct vmclock_page page = good_page();
	time_t deadline = time(NULL) + 20;
	struct vmclk_snapshot snap;
	struct vmclk *clk;
	struct test_page t;
	pid_t pid;

	page.seq_count = 0;
	page.size = htole32(sizeof(page));
	t = page_make(&page, PAGE_BYTES, 0);
	need((clk = open_page(&t)));
	pid = start_truncating(&t, &page);
	need(pid > 0);
	while ((good < 3000 || refused < 3000) && time(NULL) < deadline) {
		int err = vmclk_snapshot(clk, &snap);

		good += !err;
		refused += err == -VMCLK_EMALFORMED;
		other += err && err != -VMCLK_EMALFORMED && err != -VMCLK_EBUSY;
		torn += !err && (snap.vm_generation_counter != 0x2222222222222222 ||
				 snap.time_maxerror_nanosec != 1200 ||
				 snap.disruption_marker != 0x1111111111111111);
	}
	kill(pid, SIGKILL);
	is_int(waitpid(pid, NULL, 0), pid);
	note("%u copies, %u refused, %u torn", good, refused, torn);
	ok(good && refused);
	is_u64(torn, 0);
	is_u64(other, 0);
	vmclk_close(clk);
	page_drop(&t);
}

/*
 * 4: stores and loads that nothing keeps in order. On x86 only a compiler could
 * move them; tests/model has the argument for weaker machines.
 */
static pid_t start_writing(struct test_page *t)
{
	struct vmclk_writer *writer;
	struct vmclk_snapshot f;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (vmclk_writer_attach(t->page, PAGE_BYTES, &writer) || vmclk_writer_found(writer, &f))
		_exit(1);
	for (uint64_t n = 1;; n++) {
		f.disruption_marker = n;
		f.counter_value = n;
		f.vm_generation_counter = n;
		vmclk_writer_write(writer, &f);
		for (unsigned int i = 0; i < 10; i++)
			counter_relax();
	}
}

TAP_TEST(defect_4_a_copy_and_what_is_refreshed_or_inlined_is_of_one_update)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	unsigned int torn = 0, reads = 0, changes = 0;
	struct vmclk_snapshot snap = { 0 };
	struct vmclk_stamp now, fast_now;
	time_t deadline = time(NULL) + 20;
	struct vmclk *clk = open_page(&t);
	struct vmclk_fast fast;
	uint64_t last = 0;
	pid_t pid;

	t.page->disruption_marker = t.page->counter_value = t.page->vm_generation_counter = 0;
	need(clk);
	vmclk_fast_init(&fast, clk);
	pid = start_writing(&t);
	need(pid > 0);
	while ((reads < 100000 || changes < 1000) && time(NULL) < deadline) {
		if (vmclk_refresh(clk, &snap))
			continue;
		torn += snap.counter_value != snap.disruption_marker ||
			snap.counter_value != snap.vm_generation_counter;
		if (!vmclk_now(clk, &now))
			torn += now.disruption_marker != now.vm_generation_counter;
		if (!vmclk_fast_now(&fast, &fast_now))
			torn += fast_now.disruption_marker != fast_now.vm_generation_counter;
		changes += snap.counter_value != last;
		last = snap.counter_value;
		reads++;
	}
	kill(pid, SIGKILL);
	is_int(waitpid(pid, NULL, 0), pid);
	note("%u reads, %u changes seen", reads, changes);
	is_u64(torn, 0);
	ok(reads && changes >= 10);
	vmclk_close(clk);
	page_drop(&t);
}

/* 5: a byte of the page is an enum at once, whatever its value. */
TAP_TEST(defect_5_every_value_of_every_small_field_has_a_meaning)
{
	struct vmclk_snapshot snap = { .size = PAGE_BYTES, .counter_valid = 1 };
	struct vmclk_stamp stamp;

	for (unsigned int v = 0; v < 256; v++) {
		bool good = v == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
			    v == VMCLOCK_PAGE_STATUS_FREERUNNING;

		snap.clock_status = v;
		snap.leap_indicator = snap.time_type = snap.smear_hint = v;
		snap.counter_id = v == VMCLOCK_PAGE_COUNTER_NONE ? 0 : v;
		is_int(vmclk_stamp_at(&snap, 0, &stamp), -VMCLK_ENOTIME);
		is_int(stamp.reason == VMCLK_BAD_STATUS, !good);
		ok(strcmp(vmclk_status_str(v), "invalid") || v > 4);
		ok(*vmclk_leap_str(v) && *vmclk_scale_str(v) && *vmclk_smear_str(v));
	}
}

static int open_of_length(const struct vmclock_page *page, off_t len)
{
	struct test_page t = page_make(page, len, 0);
	struct vmclk *clk = NULL;
	int err = vmclk_open_fd(t.fd, &clk);

	vmclk_close(clk);
	page_drop(&t);
	return err;
}

/* 6: the size a page claims is not compared with the file's length. */
TAP_TEST(defect_6_a_file_shorter_than_its_claim_is_refused)
{
	struct vmclock_page page = good_page();

	page.size = htole32(104);
	is_int(open_of_length(&page, 16), -VMCLK_EMALFORMED);
	is_int(open_of_length(&page, 103), -VMCLK_EMALFORMED);
	is_int(open_of_length(&page, 104), 0);
	is_int(open_of_length(&page, 4096), 0);
}

/* 7: a cache that only looks at the sequence number. */
static void change_behind(struct test_page *t, struct vmclk *clk)
{
	struct vmclk_snapshot snap = { 0 };
	struct vmclk_stamp stamp;
	struct vmclk_fast fast;

	vmclk_fast_init(&fast, clk);
	is_int(vmclk_refresh(clk, &snap), 0);
	vmclk_fast_now(&fast, &stamp);

	t->page->disruption_marker = htole64(3);
	vmclk_fast_now(&fast, &stamp);
	is_u64(stamp.disruption_marker, 3);
	is_int(vmclk_refresh(clk, &snap), 0);
	is_u64(snap.disruption_marker, 3);

	t->page->counter_value = htole64(4);
	is_int(vmclk_refresh(clk, &snap), 0);
	is_u64(snap.counter_value, 4);

	vmclk_fast_now(&fast, &stamp);
	t->page->magic = htole32(VMCLOCK_PAGE_MAGIC_GONE);
	is_int(vmclk_refresh(clk, &snap), -VMCLK_EGONE);
	is_int(vmclk_fast_now(&fast, &stamp), -VMCLK_EGONE);
	is_int(vmclk_now_from(clk, &snap, &stamp), -VMCLK_EGONE);
	is_int(vmclk_revalidate(clk), -VMCLK_EGONE);

	t->page->magic = htole32(VMCLOCK_PAGE_MAGIC);
	vmclk_fast_now(&fast, &stamp);
	t->page->version = htole16(2);
	is_int(vmclk_refresh(clk, &snap), -VMCLK_EVERSION);
	is_int(vmclk_fast_now(&fast, &stamp), -VMCLK_EVERSION);
}

TAP_TEST(defect_7_a_page_changed_under_the_same_sequence_number_is_seen)
{
	both_ways(change_behind);
}

/* A copy of one page is none of another, were they alike to the last byte. */
TAP_TEST(defect_7_a_copy_of_another_page_is_not_kept)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct test_page other = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk *clk = open_page(&t), *another = open_page(&other);
	struct vmclk_snapshot snap = { 0 };
	uint64_t id;

	need(clk && another);
	is_int(vmclk_refresh(clk, &snap), 0);
	id = snap.page_id;
	is_int(vmclk_refresh(another, &snap), 0);
	ok(snap.page_id != id);
	vmclk_close(clk);
	vmclk_close(another);
	page_drop(&t);
	page_drop(&other);
}

static bool put_page(const char *path)
{
	struct vmclock_page page = good_page();
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	bool done = fd >= 0 && pwrite(fd, &page, sizeof(page), 0) == sizeof(page) &&
		    !ftruncate(fd, PAGE_BYTES);

	close(fd);
	return done;
}

TAP_TEST(defect_7_a_replaced_file_is_noticed_when_asked)
{
	char dir[] = "/tmp/vmclk-test-XXXXXX", path[64], next[64];
	struct vmclk_snapshot snap;
	struct vmclk *clk;

	need(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/page", dir);
	snprintf(next, sizeof(next), "%s/next", dir);
	need(put_page(path) && put_page(next) && !vmclk_open(path, &clk));
	errno = 4711;
	is_int(vmclk_revalidate(clk), 0);
	ok(!rename(next, path));
	is_int(vmclk_revalidate(clk), -VMCLK_EREPLACED);
	is_int(vmclk_snapshot(clk, &snap), 0);
	ok(!unlink(path));
	is_int(vmclk_revalidate(clk), -VMCLK_EREPLACED);
	is_int(errno, 4711);
	vmclk_close(clk);
	rmdir(dir);
}

static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* 8: a descriptor is lost each time. */
TAP_TEST(defect_8_neither_opening_nor_failing_to_loses_a_descriptor)
{
	struct vmclock_page page = good_page(), bad = { 0 };
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct test_page none = page_make(&bad, PAGE_BYTES, F_SEAL_SHRINK);
	unsigned int before = descriptors();

	for (unsigned int i = 0; i < 20; i++) {
		struct vmclk *clk = NULL;

		is_int(vmclk_open(t.path, &clk), 0);
		vmclk_close(clk);
		is_int(vmclk_open_fd(t.fd, &clk), 0);
		vmclk_close(clk);
		is_int(vmclk_open_fd(none.fd, &clk), -VMCLK_EMALFORMED);
		is_int(vmclk_open(none.path, &clk), -VMCLK_EMALFORMED);
		is_int(vmclk_open("/proc", &clk), -EISDIR);
	}
	is_u64(descriptors(), before);
	page_drop(&t);
	page_drop(&none);
}

/* 9: no permission is reported as a page that was not initialised. */
TAP_TEST(defect_9_no_permission_is_told_from_no_page)
{
	char path[] = "/tmp/vmclk-test-XXXXXX";
	int fd = mkstemp(path), status;
	struct vmclk *clk;
	pid_t pid;

	need(fd >= 0 && !fchmod(fd, 0));
	pid = fork();
	if (!pid) {
		/* Root would be let in. */
		if (!geteuid() && (setgroups(0, NULL) || setuid(65534)))
			_exit(2);
		_exit(vmclk_open(path, &clk) == -EACCES ? 0 : 1);
	}
	is_int(waitpid(pid, &status, 0), pid);
	is_int(status, 0);
	is_int(vmclk_open("/proc/self/none", &clk), -ENOENT);
	unlink(path);
	close(fd);
}

/* 10: between its creation and the first update a page reads as zeros. */
TAP_TEST(defect_10_a_page_before_its_first_update_gives_no_time)
{
	struct vmclock_page page = { 0 };
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_writer *writer;
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	struct vmclk *clk;

	is_int(vmclk_open(t.path, &clk), -VMCLK_EMALFORMED);
	is_int(vmclk_writer_format(t.page, PAGE_BYTES), 0);
	is_int(vmclk_open(t.path, &clk), -VMCLK_ENOTINIT);
	need(!vmclk_writer_attach(t.page, PAGE_BYTES, &writer));
	is_int(vmclk_open(t.path, &clk), -VMCLK_ENOTINIT);
	is_int(vmclk_writer_found(writer, &snap), 0);
	snap.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	vmclk_writer_write(writer, &snap);
	need(!vmclk_open(t.path, &clk));
	ok(vmclk_now(clk, &stamp) < 0 && stamp.reason != VMCLK_OK);
	vmclk_close(clk);
	vmclk_writer_close(writer);
	page_drop(&t);
}

/* 11: identities are not validated. */
static void read_other_ids(struct test_page *t, struct vmclk *clk)
{
	struct vmclk_stamp stamp;
	struct vmclk_fast fast;

	vmclk_fast_init(&fast, clk);
	vmclk_fast_now(&fast, &stamp);
	t->page->counter_id ^= 1;
	is_int(vmclk_fast_now(&fast, &stamp), -VMCLK_ECOUNTER);
	is_int(vmclk_now(clk, &stamp), -VMCLK_ECOUNTER);
	t->page->counter_id ^= 1;
	t->page->time_type = 3;
	is_int(vmclk_fast_now(&fast, &stamp), clk->counter_trusted ? -VMCLK_ENOTIME :
								   -VMCLK_ECOUNTER);
}

TAP_TEST(defect_11_a_page_of_another_counter_or_scale_gives_no_time)
{
	both_ways(read_other_ids);
}

int main(void)
{
	return tap_main();
}
