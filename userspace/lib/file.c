// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A page's file, as its writer sees it: whose it is, what is in it, and how an
 * empty one becomes a page.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "writer.h"

#define OPEN_FLAGS	(O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

bool vmclk__is_named(int fd, int dir, const char *name)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/*
 * Locks what is open, and sees to it that the name still leads there: between
 * open() and flock() the writer before may have put another inode in place.
 */
static int lock_named(int fd, int dir, const char *name)
{
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -VMCLK_ELOCKED : -errno;
	return vmclk__is_named(fd, dir, name) ? 0 : -EAGAIN;
}

int vmclk__file_read(struct page_file *f)
{
	ssize_t n;

	if (fstat(f->fd, &f->st))
		return -errno;
	if (!S_ISREG(f->st.st_mode))
		return -EINVAL;
	memset(&f->head, 0, sizeof(f->head));
	n = pread(f->fd, &f->head, sizeof(f->head), 0);
	if (n < 0)
		return -errno;
	f->len = n;
	return 0;
}

/* What can't be opened for writing like a file is none. */
static int open_error(int errnum)
{
	return errnum == EISDIR || errnum == ENXIO || errnum == ENODEV ? -EINVAL : -errnum;
}

int vmclk__file_open(struct page_file *f, int dir, const char *name, int flags)
{
	int err;

	f->fd = openat(dir, name, OPEN_FLAGS | flags, 0644);
	if (f->fd < 0)
		return open_error(errno);
	err = lock_named(f->fd, dir, name);
	if (!err)
		err = vmclk__file_read(f);
	if (err)
		close(f->fd);
	return err;
}

enum file_state vmclk__file_judge(const struct page_file *f, uint32_t size)
{
	uint32_t claimed = le32toh(f->head.size);

	if (!f->len)
		return FILE_EMPTY;
	if (f->len < VMCLOCK_PAGE_SIZE_MIN)
		return FILE_OTHER;
	switch (-vmclk__validate(&f->head)) {
	case VMCLK_ENOTINIT:
		return FILE_EMPTY;
	case VMCLK_EVERSION:
	case VMCLK_EGONE:
		return FILE_OLD;
	case 0:
		if (claimed > f->st.st_size)
			return FILE_OTHER;
		return claimed < size ? FILE_OLD : FILE_PAGE;
	default:
		return FILE_OTHER;
	}
}

struct vmclock_page *vmclk__file_map(int fd, int *err)
{
	void *p = mmap(NULL, sizeof(struct vmclock_page), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);

	*err = p == MAP_FAILED ? -errno : 0;
	return *err ? NULL : p;
}

/*
 * The header goes into the file by one write, which is there whole or not at
 * all, before the file gets its length: a file that has any has a header.
 * Writing also allocates the block all later stores go to: a full file system
 * is an error here, and not SIGBUS there.
 */
int vmclk__file_init(const struct page_file *f, uint32_t size)
{
	struct vmclock_page head;
	size_t len = size < sizeof(head) ? size : sizeof(head);
	ssize_t n;

	vmclk_writer_format(&head, size);
	n = pwrite(f->fd, &head, len, 0);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	if (f->st.st_size < size && ftruncate(f->fd, size))
		return -errno;
	return fsync(f->fd) ? -errno : 0;
}

int vmclk__file_adopt(struct vmclk_writer *w, const struct page_file *f)
{
	struct page_file now = { .fd = f->fd };
	struct vmclk_snapshot unused;
	int err = vmclk__file_read(&now);

	if (err)
		return err;
	w->page = vmclk__file_map(f->fd, &err);
	if (err)
		return err;
	w->len = now.st.st_size > UINT32_MAX ? UINT32_MAX : now.st.st_size;
	err = vmclk__writer_take(w, &now.head, &unused);
	if (err)
		munmap(w->page, sizeof(*w->page));
	else
		w->fd = f->fd;
	return err;
}
