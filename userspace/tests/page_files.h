/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages in files: a directory to make them in, and what tests do there.
 */
#ifndef TESTS_PAGE_FILES_H
#define TESTS_PAGE_FILES_H

#include <stdlib.h>
#include <sys/stat.h>

#include "tap.h"
#include "updates.h"
#include "vmclk-writer.h"

/* The directory that tests work in, and where the page is in it. */
static char *dir;
static char *path;
static char *new_path;

static inline void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) || mkdir(dir, 0755)) {
		perror("Bail out! directory");
		_exit(1);
	}
}

static inline void put(const char *name, const void *bytes, size_t len, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	ok(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && !ftruncate(fd, size));
	close(fd);
}

/* The page of update 1, with @size bytes claimed and there. */
static inline void put_page(const char *name, uint32_t size, uint32_t seq)
{
	union {
		struct vmclock_page page;
		char bytes[PAGE_BYTES];
	} raw = { .page.version = 0 };
	const struct vmclk_snapshot update = update_of(1);
	struct vmclk_writer *w;

	if (!ok(!vmclk_writer_format(&raw, size) && !vmclk_writer_attach(&raw, size, &w)))
		return;
	vmclk_writer_write(w, &update);
	vmclk_writer_close(w);
	raw.page.seq_count = htole32(seq);
	put(name, &raw, size, size);
}

static inline bool exists(const char *name)
{
	struct stat st;

	return !lstat(name, &st);
}

/* What is in the file; zero behind its end. */
static inline struct vmclock_page page_in(int fd)
{
	struct vmclock_page page = { 0 };

	ok(pread(fd, &page, sizeof(page), 0) >= 0);
	return page;
}

static inline struct vmclk_writer *writer_of(const char *name, uint32_t size)
{
	struct vmclk_writer *w = NULL;

	is_int(vmclk_writer_open(name, size, 0, &w), 0);
	return w;
}

static inline void write_update(struct vmclk_writer *w, uint64_t n)
{
	const struct vmclk_snapshot update = update_of(n);

	vmclk_writer_write(w, &update);
}

static inline struct vmclk *reader_of(const char *name)
{
	struct vmclk *clk = NULL;

	is_int(vmclk_open(name, &clk), 0);
	return clk;
}

/* A fresh reader of @name gets update @n. */
static inline void reads(const char *name, uint64_t n)
{
	struct vmclk_snapshot s = { 0 };
	struct vmclk *clk = NULL;

	is_int(vmclk_open(name, &clk), 0);
	if (!clk)
		return;
	is_int(vmclk_snapshot(clk, &s), 0);
	ok(update_is_whole(&s));
	is_u64(s.counter_value, n);
	vmclk_close(clk);
}

static inline int open_error(const char *name)
{
	struct vmclk *clk = NULL;
	int err = vmclk_open(name, &clk);

	vmclk_close(clk);
	return err;
}

/* Runs the tests in a directory of their own. */
static inline int run_in_directory(void)
{
	static char names[3][64] = { "/tmp/vmclk-writer-XXXXXX" };
	int status;

	dir = mkdtemp(names[0]);
	path = names[1];
	new_path = names[2];
	if (!dir) {
		perror("Bail out! mkdtemp");
		return 1;
	}
	snprintf(names[1], sizeof(names[1]), "%s/page", dir);
	snprintf(names[2], sizeof(names[2]), "%s/page.new", dir);
	status = tap_main();
	clear();
	rmdir(dir);
	return status;
}

#endif /* TESTS_PAGE_FILES_H */
