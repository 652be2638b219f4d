// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU keeps the page of its vmclock device in a memfd of this name when its
 * machine has aux-ram-share=on. What we open through /proc is that memory
 * itself: the guest sees every store.
 */
#define _GNU_SOURCE	/* memfd_create(), statx(), O_PATH */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "process.h"
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

/*
 * All memfds are on one device, which is the kernel's own: nobody can mount it, and
 * what is there keeps nobody waiting. @fd may be one that is not open for anything.
 */
static bool is_memfd(int fd)
{
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	int own = memfd_create("own", MFD_CLOEXEC);
	struct statx its, ours;
	bool is_same = own >= 0 && !statx(fd, "", flags, 0, &its) &&
		       !statx(own, "", flags, 0, &ours) &&
		       its.stx_dev_major == ours.stx_dev_major &&
		       its.stx_dev_minor == ours.stx_dev_minor;

	if (own >= 0)
		close(own);
	return is_same;
}

/*
 * The name was checked a moment ago, and the process may have put another file there
 * since, or have made one of that name on a file system of its own, by FUSE: to open
 * it, to ask for its size or to close it would wait for whoever runs that. So it is
 * looked at before it is opened. Returns an open file, or a negative error.
 */
static int open_memfd(int dir, const char *name)
{
	int found = openat(dir, name, O_PATH | O_CLOEXEC), fd = -EPROTO;
	char self[32];

	if (found < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
	if (is_memfd(found) && is_page_link(AT_FDCWD, self)) {
		fd = open(self, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	close(found);
	return fd;
}

/* Opens the entry @name, unless it is the memory we have under another descriptor. */
static int open_entry(int dir, const char *name, struct target *target)
{
	struct stat st, have;
	int fd = open_memfd(dir, name);

	if (fd < 0 && fd != -EPROTO)
		return log_error("opening QEMU's page", fd);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < TARGET_SIZE) {
		if (fd >= 0)
			close(fd);
		log_line("QEMU's memfd vmclock_page is not a page of memory");
		return -EPROTO;
	}
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

static int check_user(struct process *process, uid_t user, const char *name)
{
	const uid_t *ids = process->ids;
	int is_theirs = process_is_of(process, user);

	if (is_theirs < 0)
		return log_error(name, is_theirs);
	if (is_theirs)
		return 0;
	log_line("%s does not belong to user %u: its user ids are %u, %u, %u, %u; whose QEMU it is to be, --qemu-user says",
		 name, user, ids[0], ids[1], ids[2], ids[3]);
	return -EPERM;
}

/* What it shows is the user's if it was so before we looked and is so afterwards. */
static int find_page(struct target *target, struct process *process, uid_t user,
		     const char *name)
{
	DIR *fds = NULL;
	int err = check_user(process, user, name), fd;

	if (err)
		return err;
	fd = openat(process->dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fds = fdopendir(fd);
	if (!fds) {
		err = log_error(name, -errno);
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = search(fds, target);
	closedir(fds);
	return err ? err : check_user(process, user, name);
}

int target_qemu_open(struct target *target, pid_t pid, uid_t user)
{
	struct process process;
	char name[32];
	int err;

	*target = (struct target){ .fd = -1, .pidfd = -1 };
	snprintf(name, sizeof(name), "process %d", (int)pid);
	err = process_open(&process, pid);
	if (err)
		return log_error(name, err);
	err = find_page(target, &process, user, name);
	target->pidfd = process.pidfd;
	process.pidfd = -1;
	process_close(&process);
	if (!err)
		err = target_lock(target->fd, name);
	if (!err)
		err = target_attach(target, name);
	if (err)
		target_close(target);
	return err;
}
