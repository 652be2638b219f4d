/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The writer's inside.
 */
#ifndef VMCLK_WRITER_INTERNAL_H
#define VMCLK_WRITER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <linux/vmclock-page.h>

#include "vmclk-writer.h"

/* What a writer can't do without; older pages end right after it. */
#define PAGE_LEN_MIN (offsetof(struct vmclock_page, time_maxerror_nanosec) + \
		      sizeof(uint64_t))

/**
 * struct vmclk_writer - a page to write
 * @page: the shared memory
 * @len: bytes of the page's structure that exist there
 * @seq: the last sequence number stored
 * @fd: the file, which holds the lock; -1 for memory of the caller's
 * @dir: the directory it is in
 * @new_name: the name in @dir under which a replacement is made
 * @name: the page's name in @dir
 */
struct vmclk_writer {
	struct vmclock_page *page;
	uint32_t len;
	uint32_t seq;
	int fd;
	int dir;
	char *new_name;
	char name[];
};

/* What a file is to its next writer. */
enum file_state {
	FILE_EMPTY,	/* nothing yet, or a page that nobody has ever written */
	FILE_PAGE,	/* a page to be continued */
	FILE_OLD,	/* a page of another version, too small, or a tombstone */
	FILE_OTHER,
};

/**
 * struct page_file - a page's file, open and locked
 * @fd: the file
 * @st: what fstat(2) said
 * @head: its first bytes; zero where the file is shorter
 * @len: how many of them there are
 */
struct page_file {
	int fd;
	struct stat st;
	struct vmclock_page head;
	size_t len;
};

/* Does @name in @dir lead to the open file @fd? */
bool vmclk__is_named(int fd, int dir, const char *name);

/*
 * Opens, locks and reads @name. -EAGAIN if it led elsewhere by the time it was
 * locked, -VMCLK_ELOCKED if it is somebody else's, -EINVAL if it is no regular
 * file. vmclk__file_read() reads again.
 */
int vmclk__file_open(struct page_file *f, int dir, const char *name, int flags);
int vmclk__file_read(struct page_file *f);

/* For a page that is to have @size bytes. */
enum file_state vmclk__file_judge(const struct page_file *f, uint32_t size);

/* Makes it a page of version 0. */
int vmclk__file_init(const struct page_file *f, uint32_t size);

/* The structure, writable; or NULL and the error. */
struct vmclock_page *vmclk__file_map(int fd, int *err);

/*
 * Maps the page; @w then owns it and the descriptor. The mapping is not looked into:
 * who owns the file may cut it short, which only an update can't survive.
 */
int vmclk__file_adopt(struct vmclk_writer *w, const struct page_file *f);

/* What a writer that died in a replacement has left, if one has. */
int vmclk__clear_leftover(const struct vmclk_writer *w);

/*
 * Puts a page of @size bytes in the place of @old. If @w->fd has changed, @w has
 * the new one, whatever is returned; @old is the caller's to close in any case.
 */
int vmclk__replace(struct vmclk_writer *w, const struct page_file *old, uint32_t size);

/* vmclk_writer_found() in a copy that is whole, or ends where the page does. */
int vmclk__writer_take(struct vmclk_writer *w, const struct vmclock_page *copy,
		       struct vmclk_snapshot *found);

#endif /* VMCLK_WRITER_INTERNAL_H */
