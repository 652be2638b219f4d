// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Pages in files: opening, and the lock.
 *
 * Whoever holds flock(2) on the inode that the path names is the page's writer;
 * the lock goes with its process, however that ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "writer.h"

#define SIZE_DEFAULT	4096
#define TRIES_MAX	16
#define SUFFIX		".new"

static int try_open(struct vmclk_writer *w, uint32_t size, unsigned int flags)
{
	struct page_file f;
	int err = vmclk__file_open(&f, w->dir, w->name, O_CREAT);

	if (err)
		return err;
	err = vmclk__clear_leftover(w);
	if (err)
		goto out_close;
	switch (vmclk__file_judge(&f, size)) {
	case FILE_EMPTY:
		err = vmclk__file_init(&f, size);
		if (err)
			break;
		/* fallthrough */
	case FILE_PAGE:
		err = vmclk__file_adopt(w, &f);
		if (!err)
			return 0;
		break;
	case FILE_OTHER:
		if (!(flags & VMCLK_WRITER_REPLACE)) {
			err = -VMCLK_EMALFORMED;
			break;
		}
		/* fallthrough */
	case FILE_OLD:
		err = vmclk__replace(w, &f, size);
		/* Somebody put another file there: what is it? */
		if (err == -ESTALE && w->fd < 0)
			err = -EAGAIN;
		break;
	}
out_close:
	close(f.fd);
	return err;
}

/* mkdir -p; @path is changed meanwhile. */
static int make_parents(char *path)
{
	for (char *p = path + 1; ; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0777) && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}

/*
 * The path is looked up once: what it means does not depend on the working
 * directory later.
 */
static int open_parent(struct vmclk_writer *w, char *path)
{
	char *slash = strrchr(path, '/');
	const char *parent = slash == path ? "/" : slash ? path : ".";
	int err = 0;

	if (slash)
		*slash = '\0';
	w->dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->dir < 0 && errno == ENOENT && slash && slash != path) {
		err = make_parents(path);
		if (!err)
			w->dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (!err && w->dir < 0)
		err = -errno;
	return err;
}

static struct vmclk_writer *allocate(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name) + 1;
	struct vmclk_writer *w = calloc(1, sizeof(*w) + 2 * len + sizeof(SUFFIX));

	if (!w)
		return NULL;
	w->fd = -1;
	w->dir = -1;
	w->new_name = w->name + len;
	memcpy(w->name, name, len);
	snprintf(w->new_name, len + sizeof(SUFFIX), "%s" SUFFIX, name);
	return w;
}

static int open_path(struct vmclk_writer *w, const char *path, uint32_t size,
		     unsigned int flags)
{
	char *copy = strdup(path);
	int err = copy ? open_parent(w, copy) : -ENOMEM;

	free(copy);
	if (err)
		return err;
	for (unsigned int tries = TRIES_MAX; tries; tries--) {
		err = try_open(w, size, flags);
		if (err != -EAGAIN)
			return err;
	}
	/* Somebody replaces the file again and again. */
	return -VMCLK_ELOCKED;
}

int vmclk_writer_open(const char *path, uint32_t size, unsigned int flags,
		      struct vmclk_writer **writer)
{
	struct vmclk_writer *w;
	int err;

	if (!size)
		size = SIZE_DEFAULT;
	if (size < PAGE_LEN_MIN || flags & ~VMCLK_WRITER_REPLACE)
		return -EINVAL;
	w = allocate(path);
	if (!w)
		return -ENOMEM;
	err = open_path(w, path, size, flags);
	if (err) {
		vmclk_writer_close(w);
		return err;
	}
	*writer = w;
	return 0;
}

int vmclk_writer_fd(const struct vmclk_writer *w)
{
	return w->fd;
}

void vmclk_writer_close(struct vmclk_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0) {
		munmap(w->page, sizeof(*w->page));
		close(w->fd);
	}
	if (w->dir >= 0)
		close(w->dir);
	free(w);
}
