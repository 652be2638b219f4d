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

#include "counter.h"
#include "internal.h"

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
	err = vmclk__validate(&head);
	if (err)
		return n < VMCLOCK_PAGE_SIZE_MIN ? -VMCLK_EMALFORMED : err;
	if (n < VMCLOCK_PAGE_SIZE_MIN ||
	    (S_ISREG(st->st_mode) && st->st_size < le32toh(head.size)))
		return -VMCLK_EMALFORMED;
	return 0;
}

static int open_path(struct vmclk *clk)
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

static int open_named(const char *path, struct vmclk **out)
{
	size_t len = strlen(path) + 1;
	struct vmclk *clk = calloc(1, sizeof(*clk) + len);
	int err;

	if (!clk)
		return -ENOMEM;
	memcpy(clk->path, path, len);

	/* O_NONBLOCK: a FIFO by that name must not hold us. */
	clk->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	err = clk->fd < 0 ? -errno : open_path(clk);
	if (err) {
		vmclk_close(clk);
		return err;
	}

	*out = clk;
	return 0;
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

const char *vmclk_path(const struct vmclk *clk)
{
	return clk->path;
}
