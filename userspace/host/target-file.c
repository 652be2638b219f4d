// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* statx() */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "target.h"

static void complain(const char *path, int err)
{
	if (err == -EINVAL)
		log_line("%s: not a regular file, or its file system can't exchange names", path);
	else if (err == -EEXIST)
		log_line("%s.new: something else has the name that replacing a page takes", path);
	else
		log_line("%s: %s%s", path, vmclk_strerror(err),
			 err == -VMCLK_EMALFORMED ? "; not touched (--replace would)" : "");
}

/* Only then is there a name to be watched. */
static int open_dir(struct target *target, const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash == path ? 1 : slash ? slash - path : 0;
	char dir[PATH_MAX] = ".";
	int err;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (len)
		memcpy(dir, path, len);
	err = target_dir_get(dir, &target->dir);
	if (!err)
		target->name = slash ? slash + 1 : path;
	return err;
}

/* Who else may write to the directory can put something there that waits for an answer. */
static bool look(int dir, const char *name, int flags, struct statx *what)
{
	return !statx(dir, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT |
		      AT_STATX_DONT_SYNC, STATX_INO, what);
}

static enum target_named find_name(const struct target *target)
{
	struct statx named, ours;

	if (!look(target->dir->fd, target->name, 0, &named))
		return errno == ENOENT ? TARGET_DELETED : target->named;
	if (!look(target->fd, "", AT_EMPTY_PATH, &ours))
		return target->named;
	return named.stx_ino == ours.stx_ino && named.stx_dev_major == ours.stx_dev_major &&
	       named.stx_dev_minor == ours.stx_dev_minor ? TARGET_NAMED : TARGET_REPLACED;
}

void target_watch_name(struct target *target)
{
	static const char *const text[] = {
		[TARGET_NAMED] = "there again",
		[TARGET_DELETED] = "deleted: who has it mapped still gets its time, but nobody else finds it; see --file in vmclock-hostd(8)",
		[TARGET_REPLACED] = "replaced by another one: who has the old one mapped still gets its time, but nobody else finds it; see --file in vmclock-hostd(8)",
	};
	enum target_named before = target->named;

	if (target->name)
		target->named = find_name(target);
	if (target->named != before)
		log_line("the page's file, %s, is %s", target->name, text[target->named]);
}

int target_file_open(struct target *target, const char *path, bool replace)
{
	struct vmclk_writer *opener;
	int err;

	*target = (struct target){ .fd = -1, .pidfd = -1 };
	err = vmclk_writer_open(path, TARGET_SIZE, replace ? VMCLK_WRITER_REPLACE : 0, &opener);
	if (err) {
		complain(path, err);
		return err;
	}
	/*
	 * Its own mapping has no guard: who owns the file can cut it short. The lock
	 * belongs to the open file, and stays as long as this descriptor.
	 */
	target->fd = fcntl(vmclk_writer_fd(opener), F_DUPFD_CLOEXEC, 0);
	err = target->fd < 0 ? log_error(path, -errno) : 0;
	vmclk_writer_close(opener);
	if (!err) {
		err = open_dir(target, path);
		if (err)
			log_error(path, err);
	}
	if (!err)
		err = target_attach(target, path);
	if (err)
		target_close(target);
	return err;
}
