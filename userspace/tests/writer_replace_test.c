// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages in files that give way to others: what becomes of the old ones, of
 * their readers, and of what a replacement left half done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "page_files.h"

/* Puts it at the path when the next replacement is about to be made. */
static const char *stranger;
static char other_path[128];

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	const char *now = stranger;

	stranger = NULL;
	if (now)
		is_int(rename(now, path), 0);
	return syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void put_file(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	is_int(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void put_stranger(const char *text)
{
	snprintf(other_path, sizeof(other_path), "%s.other", path);
	put_file(other_path, text);
	stranger = other_path;
}

static bool has_text(const char *name, const char *text)
{
	char found[64] = "";
	int fd = open(name, O_RDONLY);

	(void)!read(fd, found, sizeof(found) - 1);
	close(fd);
	return !strcmp(found, text);
}

TAP_TEST(a_file_that_comes_in_between_stays_when_a_writer_moves)
{
	struct vmclk_snapshot s;
	struct vmclk_writer *w;
	struct vmclk *old;

	clear();
	w = writer_of(path, 512);
	need(w);
	write_update(w, 5);
	old = reader_of(path);
	need(old);
	put_stranger("somebody's");
	is_int(vmclk_writer_replace(w, 4096), -ESTALE);
	ok(has_text(path, "somebody's"));
	ok(!exists(new_path));
	/* The writer is where it was. */
	write_update(w, 6);
	is_int(vmclk_snapshot(old, &s), 0);
	ok(update_is_whole(&s));
	vmclk_close(old);
	vmclk_writer_close(w);
	unlink(path);
}

TAP_TEST(a_file_that_comes_in_between_stays_when_a_page_is_opened)
{
	struct vmclk_writer *w;

	clear();
	put_page(path, 104, 42);
	put_stranger("somebody's");
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_EMALFORMED);
	ok(has_text(path, "somebody's"));
	ok(!exists(new_path));
	unlink(path);
}

TAP_TEST(a_socket_under_the_second_name_is_left_alone)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vmclk_writer *w;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	clear();
	put_page(path, 104, 42);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", new_path);
	is_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -EEXIST);
	ok(exists(new_path));
	is_int(vmclk_writer_open(new_path, 0, 0, &w), -EINVAL);
	close(fd);
	unlink(new_path);
}

TAP_TEST(a_smaller_page_is_replaced_and_its_readers_are_told)
{
	struct vmclk_snapshot s;
	struct vmclk_writer *w;
	struct vmclk *old;
	struct stat st;
	int fd;

	clear();
	put_page(path, 104, 42);
	is_int(chmod(path, 0604), 0);
	fd = open(path, O_RDONLY);
	old = reader_of(path);
	need(old);
	w = writer_of(path, 0);
	is_int(vmclk_snapshot(old, &s), -VMCLK_EGONE);
	vmclk_close(old);
	is_int(fstat(fd, &st), 0);
	is_int(st.st_size, 104);
	is_int(st.st_nlink, 0);
	is_int(stat(path, &st), 0);
	is_int(st.st_size, 4096);
	is_int(st.st_mode & 0777, 0604);
	ok(!exists(new_path));
	need(w);

	/* What the old page said holds on, but for what it could not say. */
	old = reader_of(path);
	need(old);
	is_int(vmclk_snapshot(old, &s), 0);
	is_u64(s.seq_count, 44);
	is_u64(s.flags, PAGE_FLAGS & ~VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	is_u64(s.disruption_marker, ~1ULL);
	is_u64(s.time_maxerror_nanosec, 17);
	write_update(w, 9);
	vmclk_writer_close(w);
	is_int(vmclk_snapshot(old, &s), 0);
	ok(update_is_whole(&s));
	vmclk_close(old);
	close(fd);
}

TAP_TEST(a_torn_page_that_is_replaced_is_not_carried_over)
{
	struct vmclk_snapshot s;
	struct vmclk_writer *w;
	struct vmclk *old;

	clear();
	put_page(path, 104, 43);
	old = reader_of(path);
	need(old);
	w = writer_of(path, 0);
	is_int(vmclk_snapshot(old, &s), -VMCLK_EGONE);
	vmclk_close(old);
	is_int(open_error(path), -VMCLK_ENOTINIT);
	need(w);
	write_update(w, 3);
	reads(path, 3);
	vmclk_writer_close(w);
}

TAP_TEST(a_page_of_another_version_is_replaced_by_a_tombstone_too)
{
	struct vmclock_page page;
	struct vmclk_writer *w;
	int fd;

	clear();
	put_page(path, PAGE_BYTES, 6);
	fd = open(path, O_RDWR);
	page = page_in(fd);
	page.version = htole16(2);
	is_int(pwrite(fd, &page, sizeof(page), 0), sizeof(page));
	w = writer_of(path, 0);
	is_int(open_error(path), -VMCLK_ENOTINIT);
	page = page_in(fd);
	is_u64(le32toh(page.magic), VMCLOCK_PAGE_MAGIC_GONE);
	is_u64(le32toh(page.seq_count), 8);
	is_int(page.counter_id, VMCLOCK_PAGE_COUNTER_NONE);
	is_int(page.clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	is_u64(page.flags, 0);
	ok(le64toh(page.disruption_marker) != ~1ULL);
	need(w);
	write_update(w, 8);
	reads(path, 8);
	vmclk_writer_close(w);
	close(fd);
}

TAP_TEST(a_running_writer_moves_to_a_larger_page)
{
	struct vmclk_writer *w, *second = NULL;
	struct vmclk_snapshot s;
	struct vmclk *old;

	clear();
	w = writer_of(path, 104);
	need(w);
	write_update(w, 1);
	is_int(vmclk_writer_replace(w, 512), 0);
	write_update(w, 2);
	old = reader_of(path);
	need(old);
	is_int(vmclk_writer_replace(w, 511), -EINVAL);
	is_int(vmclk_writer_replace(w, 8192), 0);
	is_int(vmclk_snapshot(old, &s), -VMCLK_EGONE);
	vmclk_close(old);
	reads(path, 2);
	write_update(w, 3);
	reads(path, 3);
	is_int(vmclk_writer_open(path, 0, 0, &second), -VMCLK_ELOCKED);
	is_int(rename(path, new_path), 0);
	is_int(vmclk_writer_replace(w, 8192), -ESTALE);
	vmclk_writer_close(w);
	reads(new_path, 3);
}

TAP_TEST(the_path_means_the_same_after_a_change_of_directory)
{
	struct vmclk_writer *w;

	clear();
	need(!chdir(dir));
	w = writer_of("page", 112);
	need(!chdir("/"));
	need(w);
	write_update(w, 1);
	is_int(vmclk_writer_replace(w, 4096), 0);
	reads(path, 1);
	vmclk_writer_close(w);
}

TAP_TEST(memory_that_was_attached_is_not_replaced)
{
	struct vmclock_page page = good_page();
	struct vmclk_writer *w;

	page.size = htole32(sizeof(page));
	need(!vmclk_writer_attach(&page, sizeof(page), &w));
	is_int(vmclk_writer_replace(w, 4096), -EINVAL);
	vmclk_writer_close(w);
}

TAP_TEST(what_a_dead_replacement_left_is_buried_and_removed)
{
	struct vmclk_snapshot s;
	struct vmclk *clk, *torn;

	clear();
	put_page(path, PAGE_BYTES, 2);
	put_page(new_path, 104, 2);
	clk = reader_of(new_path);
	vmclk_writer_close(writer_of(path, 0));
	ok(!exists(new_path));
	need(clk);
	is_int(vmclk_snapshot(clk, &s), -VMCLK_EGONE);
	vmclk_close(clk);
	reads(path, 1);

	/* And one that died in the middle of the burial. */
	put_page(new_path, 104, 3);
	torn = reader_of(new_path);
	need(torn);
	need(!truncate(new_path, 0));
	put(new_path, "GONE\0\0\0\0\1\0\xff\1\3\0\0\0", 16, 104);
	vmclk_writer_close(writer_of(path, 0));
	ok(!exists(new_path));
	is_int(vmclk_snapshot(torn, &s), -VMCLK_EGONE);
	vmclk_close(torn);
	put(new_path, "", 0, 0);
	vmclk_writer_close(writer_of(path, 0));
	ok(!exists(new_path));
}

TAP_TEST(what_somebody_else_keeps_under_the_second_name_is_left_alone)
{
	struct vmclk_writer *w = NULL;
	int fd;

	clear();
	put_page(path, 112, 2);
	put(new_path, "my notes", 8, 8);
	is_int(vmclk_writer_open(path, 0, VMCLK_WRITER_REPLACE, &w), -EEXIST);
	ok(exists(new_path));
	unlink(new_path);
	is_int(mkfifo(new_path, 0644), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -EEXIST);
	unlink(new_path);
	is_int(symlink("page", new_path), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -EEXIST);
	unlink(new_path);
	put_page(new_path, 104, 2);
	fd = open(new_path, O_RDWR);
	is_int(flock(fd, LOCK_EX), 0);
	is_int(vmclk_writer_open(path, 0, 0, &w), -VMCLK_ELOCKED);
	close(fd);
	reads(path, 1);
}

int main(void)
{
	return run_in_directory();
}
