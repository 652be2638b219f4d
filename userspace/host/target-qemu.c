// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU keeps the page of its vmclock device in a memfd of this name when its
 * machine has aux-ram-share=on. What we open through /proc is that memory
 * itself: the guest sees every store.
 */
#define _GNU_SOURCE	/* O_PATH */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "target.h"

#define PAGE_LINK	"/memfd:vmclock_page (deleted)"

static bool is_page_link(int dir, const char *name)
{
	char link[sizeof(PAGE_LINK) + 1];
	ssize_t len = readlinkat(dir, name, link, sizeof(link) - 1);

	if (len < 0)
		return false;
	link[len] = '\0';
	return !strcmp(link, PAGE_LINK);
}

static bool is_page_memory(int fd, const char *self)
{
	struct stat st;

	return is_page_link(AT_FDCWD, self) && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       !st.st_nlink && st.st_size >= TARGET_SIZE;
}

/*
 * Opens the entry @name. What it shows is the process' own affair: with a file system
 * of its own it can give that name to any file, also to one that it may not open
 * itself, and of devices some do something as soon as they are opened. So first this
 * is only a reference (O_PATH), and it has to be memory without a name in any
 * directory, as nobody has who did not make it. The same is opened then, and not what
 * the process may have put there since.
 */
static int open_memory(int dir, const char *name)
{
	int ref = openat(dir, name, O_PATH | O_CLOEXEC), fd = -1, err = -EPROTO;
	char self[32];

	if (ref < 0)
		return log_error("opening QEMU's page", -errno);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", ref);
	if (!is_page_memory(ref, self)) {
		log_line("QEMU's memfd vmclock_page is not a page of memory");
	} else {
		fd = open(self, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		err = fd < 0 ? log_error("opening QEMU's page", -errno) : 0;
	}
	close(ref);
	return err ? err : fd;
}

/* Unless it is the memory that we have already under another descriptor. */
static int open_entry(int dir, const char *name, struct target *target)
{
	struct stat st, have;
	int fd = open_memory(dir, name);

	if (fd < 0)
		return fd;
	if (target->fd < 0) {
		target->fd = fd;
		return 0;
	}
	if (!fstat(fd, &st) && !fstat(target->fd, &have) && have.st_ino == st.st_ino &&
	    have.st_dev == st.st_dev) {
		close(fd);
		return 0;
	}
	close(fd);
	log_line("the process has two VMClock pages; which is meant?");
	return -ENOTUNIQ;
}

static int search(DIR *fds, struct target *target)
{
	struct dirent *entry;
	int err = 0;

	while (!err && (entry = readdir(fds)))
		if (is_page_link(dirfd(fds), entry->d_name))
			err = open_entry(dirfd(fds), entry->d_name, target);
	if (!err && target->fd < 0) {
		log_line("the process has no memfd named vmclock_page: start QEMU (10.0 or newer) with -device vmclock and -machine q35,aux-ram-share=on");
		err = -ENOENT;
	}
	return err;
}

/* The process may have ended, and its number may be somebody else's by now. */
static bool is_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return !poll(&p, 1, 0);
}

static int find_page(struct target *target, pid_t pid)
{
	char path[32];
	DIR *fds;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	if (!fds)
		return log_error(path, -errno);
	err = search(fds, target);
	closedir(fds);
	if (!err && !is_alive(target->pidfd)) {
		log_line("process %d has ended", (int)pid);
		err = -ESRCH;
	}
	return err;
}

int target_qemu_open(struct target *target, pid_t pid)
{
	char name[32];
	int err;

	*target = (struct target){ .fd = -1 };
	snprintf(name, sizeof(name), "process %d", (int)pid);
	target->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (target->pidfd < 0)
		return log_error(name, -errno);
	err = find_page(target, pid);
	if (!err)
		err = target_lock(target->fd, name);
	if (!err)
		err = target_attach(target, name);
	if (err)
		target_close(target);
	return err;
}
