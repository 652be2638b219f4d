// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Opening a page: a device node, a memfd, or a plain file.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/vmclock-dev.h>

#include "window.h"

/*
 * A file may be truncated under a mapping, and a reader of the mapping would
 * get SIGBUS, or zeros. A device can't be, and neither can a memfd that is
 * sealed against it.
 */
static bool may_be_mapped(int fd, const struct stat *st)
{
	int seals;

	if (S_ISCHR(st->st_mode))
		return true;
	seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & F_SEAL_SHRINK);
}

/*
 * One page of this kernel is what both drivers map, and holds the structure of
 * any file. Where a driver has no mapping to give, reading it works as well.
 */
static int map_page(struct vmclk *clk, const struct stat *st)
{
	size_t len = sysconf(_SC_PAGESIZE);
	void *p;

	if (!may_be_mapped(clk->fd, st))
		return 0;
	/* A memfd of huge pages is mapped, and unmapped, by those. */
	if (S_ISREG(st->st_mode) && (size_t)st->st_blksize > len)
		len = st->st_blksize;

	p = mmap(NULL, len, PROT_READ, MAP_SHARED, clk->fd, 0);
	if (p == MAP_FAILED)
		return errno == EOPNOTSUPP ? 0 : -errno;
	/*
	 * Where a page of the kernel is larger than the device's, the in-tree driver
	 * maps what lies in front of it: then reading has to do, too.
	 */
	if (LOAD(((const struct vmclock_page *)p)->magic) != htole32(VMCLOCK_PAGE_MAGIC)) {
		munmap(p, len);
		return 0;
	}

	clk->page = p;
	clk->map_len = len;
	return 0;
}

/*
 * A file on a disk is there again after a reboot, when its counter, its markers
 * and its status mean nothing any more. Nothing on the page would tell.
 */
static bool is_in_memory(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
		fs.f_type == HUGETLBFS_MAGIC);
}

/*
 * Does the kernel list the counter among the clocks it would use? Where it
 * can't be asked, the answer is no.
 */
static bool kernel_lists_counter(void)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/available_clocksource";
	char list[256];
	char *rest = list, *name;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, list, sizeof(list) - 1);
	close(fd);
	if (n <= 0)
		return false;

	list[n] = '\0';
	while ((name = strsep(&rest, " \n")))
		if (*name && !strcmp(name, COUNTER_CLOCKSOURCE))
			return true;
	return false;
}

/* Our driver knows; for anything else the kernel's list of clocks has to do. */
static bool counter_is_trusted(int fd, const struct stat *st)
{
	struct vmclock_info info = { .size = sizeof(info) };

	if (S_ISCHR(st->st_mode) && !ioctl(fd, VMCLOCK_IOC_INFO, &info))
		return info.counter_usable;
	return kernel_lists_counter();
}

/*
 * The header is judged from one reading that does not wait for the sequence:
 * a page whose writer died in the middle can be opened, and says so when read.
 */
static int check_header(const struct vmclk *clk, const struct stat *st)
{
	struct vmclock_page head = { 0 };
	ssize_t n = pread(clk->fd, &head, VMCLOCK_PAGE_SIZE_MIN, 0);
	int err;

	/* A driver that waits for an even number, in vain: it is a page. */
	if (n < 0) {
		err = vmclk__read_error(errno);
		return err == -VMCLK_EBUSY ? 0 : err;
	}
	if (!n)
		return -VMCLK_ENOTINIT;
	if (n < (ssize_t)HEADER_SIZE)
		return -VMCLK_EMALFORMED;
	err = judge_header(&head);
	if (err)
		return err;
	if (n < VMCLOCK_PAGE_SIZE_MIN ||
	    (S_ISREG(st->st_mode) && st->st_size < le32toh(head.size)))
		return -VMCLK_EMALFORMED;
	return 0;
}

static int open_file(struct vmclk *clk)
{
	struct stat st;
	int err;

	if (fstat(clk->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISCHR(st.st_mode) && !S_ISREG(st.st_mode))
		return -VMCLK_EMALFORMED;

	err = check_header(clk, &st);
	if (!err)
		err = map_page(clk, &st);
	if (!err)
		err = vmclk__identify(&st, &clk->page_id);
	if (err)
		return err;

	clk->boot_unknown = S_ISREG(st.st_mode) && !is_in_memory(clk->fd);
	clk->counter_trusted = counter_is_trusted(clk->fd, &st);
	return 0;
}

/* A handle for @fd, which it takes, or for the error that opening gave. */
static int open_handle(int fd, const char *path, struct vmclk **out)
{
	int err = fd < 0 ? -errno : 0;
	size_t len = strlen(path) + 1;
	struct vmclk *clk = calloc(1, sizeof(*clk) + len);

	if (!clk) {
		if (fd >= 0)
			close(fd);
		return err ? err : -ENOMEM;
	}
	memcpy(clk->path, path, len);
	clk->fd = fd;
	if (!err)
		err = open_file(clk);
	if (err) {
		vmclk_close(clk);
		return err;
	}

	*out = clk;
	return 0;
}

/* O_NONBLOCK: a FIFO by that name must not hold us. */
static int open_named(const char *path, struct vmclk **out)
{
	return open_handle(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), path, out);
}

int vmclk_open_fd(int fd, struct vmclk **clk)
{
	return open_handle(fcntl(fd, F_DUPFD_CLOEXEC, 0), "", clk);
}

int vmclk_open(const char *path, struct vmclk **clk)
{
	int err;

	if (path)
		return open_named(path, clk);

	err = open_named("/dev/vmclock", clk);
	if (err == -ENOENT)
		err = open_named("/dev/vmclock0", clk);
	return err;
}

void vmclk_close(struct vmclk *clk)
{
	if (!clk)
		return;
	if (clk->page)
		munmap((void *)clk->page, clk->map_len);
	if (clk->fd >= 0)
		close(clk->fd);
	free(clk);
}

/* Another file, or another device, by the name of this one? */
static int check_name(const struct vmclk *clk, const struct stat *mine)
{
	struct stat named;

	if (stat(clk->path, &named))
		return errno == ENOENT || errno == ENOTDIR ? -VMCLK_EREPLACED : -errno;
	if (mine->st_dev != named.st_dev || mine->st_ino != named.st_ino ||
	    mine->st_rdev != named.st_rdev)
		return -VMCLK_EREPLACED;
	return 0;
}

/* By its mapping where there is one: reading a device may take news from poll(2). */
static int check_page(const struct vmclk *clk, const struct stat *st)
{
	struct vmclock_page head;

	if (!clk->page)
		return check_header(clk, st);
	head.magic = LOAD(clk->page->magic);
	head.version = LOAD(clk->page->version);
	head.size = LOAD(clk->page->size);
	return judge_header(&head);
}

int vmclk_revalidate(const struct vmclk *clk)
{
	int saved = errno, err;
	struct stat st;

	err = fstat(clk->fd, &st) ? -errno : 0;
	if (!err && *clk->path)
		err = check_name(clk, &st);
	if (!err)
		err = check_page(clk, &st);
	errno = saved;
	return err;
}

const char *vmclk_path(const struct vmclk *clk)
{
	return clk->path;
}
