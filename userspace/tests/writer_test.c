// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages in files, as their writers open them: what is made, continued and
 * refused, and who is kept out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "page_files.h"

#define REPLACE	VMCLK_WRITER_REPLACE

TAP_TEST(a_missing_file_is_made_with_its_directories)
{
	char deep[128];
	struct vmclk_writer *w;

	clear();
	snprintf(deep, sizeof(deep), "%s/a/b//c/page", dir);
	w = writer_of(deep, 0);
	is_int(open_error(deep), -VMCLK_ENOTINIT);
	need(w);
	write_update(w, 5);
	reads(deep, 5);
	vmclk_writer_close(w);
	reads(deep, 5);
}

TAP_TEST(two_writes_give_sequence_4_in_the_raw_file)
{
	struct vmclock_page page;
	struct vmclk_writer *w;
	struct stat st;
	int fd;

	clear();
	w = writer_of(path, 104);
	need(w);
	fd = open(path, O_RDONLY);
	page = page_in(fd);
	is_u64(le32toh(page.magic), VMCLOCK_PAGE_MAGIC);
	is_u64(le32toh(page.size), 104);
	is_u64(page.version, 0);
	is_u64(page.seq_count, 0);
	write_update(w, 1);
	write_update(w, 2);
	vmclk_writer_close(w);
	page = page_in(fd);
	is_u64(le16toh(page.version), 1);
	is_u64(le32toh(page.seq_count), 4);
	is_int(fstat(fd, &st), 0);
	is_int(st.st_size, 104);
	close(fd);
}

TAP_TEST(an_empty_file_stays_the_same_file)
{
	struct stat before, after;

	clear();
	put(path, "", 0, 0);
	is_int(chmod(path, 0640), 0);
	is_int(stat(path, &before), 0);
	vmclk_writer_close(writer_of(path, 0));
	is_int(stat(path, &after), 0);
	is_u64(before.st_ino, after.st_ino);
	is_int(after.st_mode & 0777, 0640);
	is_int(after.st_size, 4096);
	is_int(open_error(path), -VMCLK_ENOTINIT);
}

TAP_TEST(a_page_is_continued_and_not_changed_before_the_first_write)
{
	struct vmclk_snapshot found;
	struct vmclock_page before, after;
	struct vmclk_writer *w;
	int fd;

	clear();
	put_page(path, PAGE_BYTES, 7);
	fd = open(path, O_RDONLY);
	before = page_in(fd);
	w = writer_of(path, 0);
	need(w);
	is_int(vmclk_writer_found(w, &found), 0);
	is_u64(found.seq_count, 7);
	is_u64(found.disruption_marker, ~1ULL);
	after = page_in(fd);
	ok(!memcmp(&before, &after, sizeof(after)));
	write_update(w, 2);
	is_u64(le32toh(page_in(fd).seq_count), 8);
	reads(path, 2);
	vmclk_writer_close(w);
	close(fd);
}

TAP_TEST(a_larger_page_than_asked_for_is_continued)
{
	struct vmclk_writer *w;
	struct stat st;

	clear();
	put_page(path, 512, 2);
	w = writer_of(path, 104);
	need(w);
	write_update(w, 3);
	vmclk_writer_close(w);
	is_int(stat(path, &st), 0);
	is_int(st.st_size, 512);
	reads(path, 3);
}

/* What a writer leaves that died while it made a page of an empty file. */
TAP_TEST(a_page_half_made_is_made_whole)
{
	struct vmclock_page head = {
		.magic = htole32(VMCLOCK_PAGE_MAGIC), .size = htole32(8192),
	};
	struct vmclk_writer *w;

	clear();
	put(path, &head, sizeof(head), sizeof(head));
	w = writer_of(path, 0);
	need(w);
	is_int(open_error(path), -VMCLK_ENOTINIT);
	write_update(w, 4);
	vmclk_writer_close(w);
	reads(path, 4);
}

static void refused(const void *bytes, size_t len, off_t size)
{
	struct vmclk_writer *w = NULL;
	char kept[PAGE_BYTES] = "";
	struct stat before, after;
	int fd;

	clear();
	put(path, bytes, len, size);
	fd = open(path, O_RDONLY);
	is_int(fstat(fd, &before), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_EMALFORMED);
	is_int(stat(path, &after), 0);
	is_u64(after.st_ino, before.st_ino);
	is_int(vmclk_writer_open(path, 0, REPLACE, &w), 0);
	need(w);
	write_update(w, 6);
	vmclk_writer_close(w);
	reads(path, 6);
	ok(!exists(new_path));
	/* Neither touched what was there: whoever has it open still does. */
	is_int(fstat(fd, &after), 0);
	is_int(after.st_size, before.st_size);
	is_int(pread(fd, kept, len, 0), len);
	ok(!memcmp(kept, bytes, len));
	close(fd);
}

TAP_TEST(what_is_no_page_is_refused_untouched_unless_it_may_be_replaced)
{
	static const char zeros[PAGE_BYTES];

	refused("foobarbaz", 9, 9);
	refused("foobarbaz", 9, 8192);
	refused("VCLK", 4, 4);
	refused(zeros, 1, 1);
	refused(zeros, PAGE_BYTES, PAGE_BYTES);
}

TAP_TEST(a_page_that_claims_more_than_its_file_may_have_readers)
{
	struct vmclk_writer *w = NULL;
	struct vmclk_snapshot s;
	struct vmclk *clk;

	clear();
	put_page(path, PAGE_BYTES, 2);
	clk = reader_of(path);
	need(clk);
	is_int(truncate(path, 512), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_EMALFORMED);
	is_int(vmclk_snapshot(clk, &s), 0);
	is_int(vmclk_writer_open(path, 0, REPLACE, &w), 0);
	is_int(vmclk_snapshot(clk, &s), -VMCLK_EGONE);
	vmclk_close(clk);
	vmclk_writer_close(w);
	is_int(open_error(path), -VMCLK_ENOTINIT);
}

TAP_TEST(what_is_no_file_is_refused)
{
	struct vmclk_writer *w = NULL;
	char link[128];

	clear();
	snprintf(link, sizeof(link), "%s/link", dir);
	is_int(vmclk_writer_open(dir, 0, REPLACE, &w), -EINVAL);
	is_int(mkfifo(path, 0644), 0);
	is_int(vmclk_writer_open(path, 0, REPLACE, &w), -EINVAL);
	unlink(path);
	is_int(symlink(path, link), 0);
	is_int(vmclk_writer_open(link, 0, REPLACE, &w), -ELOOP);
	ok(!exists(path));
	is_int(vmclk_writer_open("", 0, 0, &w), -ENOENT);
	is_int(vmclk_writer_open(path, 103, 0, &w), -EINVAL);
	is_int(vmclk_writer_open(path, 0, REPLACE << 1, &w), -EINVAL);
	put(link, "", 0, 0);
	snprintf(link, sizeof(link), "%s/link/below", dir);
	is_int(vmclk_writer_open(link, 0, 0, &w), -ENOTDIR);
}

TAP_TEST(a_second_writer_is_refused_until_the_first_is_gone)
{
	struct vmclk_writer *w, *second = NULL;

	clear();
	w = writer_of(path, 0);
	is_int(vmclk_writer_open(path, 0, 0, &second), -VMCLK_ELOCKED);
	is_int(vmclk_writer_open(path, 8192, REPLACE, &second), -VMCLK_ELOCKED);
	ok(!second);
	vmclk_writer_close(w);
	vmclk_writer_close(writer_of(path, 0));
}

TAP_TEST(a_dead_writers_lock_is_nobodys)
{
	struct vmclk_writer *w = NULL;
	int status, ready[2];
	pid_t pid;
	char c;

	clear();
	need(!pipe(ready));
	pid = fork();
	if (!pid) {
		if (vmclk_writer_open(path, 0, 0, &w) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	is_int(read(ready[0], &c, 1), 1);
	close(ready[0]);
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_ELOCKED);
	kill(pid, SIGKILL);
	is_int(waitpid(pid, &status, 0), pid);
	vmclk_writer_close(writer_of(path, 0));
}

#define THREADS		4
#define ROUNDS		300

static atomic_uint inside, together, lost, served, refused_opens, wrong;
static atomic_uint next_size = PAGE_BYTES, next_update;

/* While nobody else is let in, what is written is what the path has. */
static void serve(struct vmclk_writer *w, bool swaps)
{
	uint64_t n = atomic_fetch_add(&next_update, 1);
	struct vmclk_snapshot s = { 0 };
	struct vmclk *clk;

	together += atomic_fetch_add(&inside, 1);
	if (swaps && vmclk_writer_replace(w, atomic_fetch_add(&next_size, 8) + 8))
		wrong++;
	write_update(w, n);
	if (!vmclk_open(path, &clk)) {
		lost += vmclk_snapshot(clk, &s) || s.counter_value != n || !update_is_whole(&s);
		vmclk_close(clk);
	} else {
		lost++;
	}
	served++;
	atomic_fetch_sub(&inside, 1);
}

static void *compete(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct vmclk_writer *w;
		int err = vmclk_writer_open(path, 0, 0, &w);

		if (!err) {
			serve(w, i % 2);
			vmclk_writer_close(w);
			sched_yield();
		} else {
			refused_opens += err == -VMCLK_ELOCKED;
			wrong += err != -VMCLK_ELOCKED;
		}
	}
	return arg;
}

TAP_TEST(of_many_that_open_and_replace_one_at_a_time_is_let_in)
{
	pthread_t threads[THREADS];

	clear();
	for (unsigned int i = 0; i < THREADS; i++)
		ok(!pthread_create(&threads[i], NULL, compete, NULL));
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	note("%u were let in, %u not", served, refused_opens);
	is_u64(together, 0);
	is_u64(lost, 0);
	is_u64(wrong, 0);
	ok(served >= 10);
	ok(!exists(new_path));
}

static unsigned int open_files(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (fds && readdir(fds))
		n++;
	closedir(fds);
	return n;
}

TAP_TEST(a_full_disk_is_an_error_at_open_and_nothing_leaks)
{
	const struct rlimit none = { 0, RLIM_INFINITY };
	struct vmclk_writer *w = NULL;
	unsigned int before;
	struct rlimit old;

	clear();
	before = open_files();
	vmclk_writer_close(writer_of(path, 104));
	is_int(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	is_int(setrlimit(RLIMIT_FSIZE, &none), 0);
	is_int(vmclk_writer_open(path, 4096, 0, &w), -EFBIG);
	unlink(path);
	is_int(vmclk_writer_open(path, 4096, 0, &w), -EFBIG);
	is_int(setrlimit(RLIMIT_FSIZE, &old), 0);
	ok(!exists(new_path));
	w = writer_of(path, 112);
	need(w);
	write_update(w, 1);
	is_int(vmclk_writer_replace(w, 4096), 0);
	vmclk_writer_close(w);
	reads(path, 1);
	put(path, "junk", 4, 4);
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_EMALFORMED);
	is_int(open_files(), before);
}

int main(void)
{
	return run_in_directory();
}
