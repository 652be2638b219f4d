// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target-dir.h"

/* One thread opens and closes pages. */
static struct target_dir *dirs;

static struct target_dir *find(const struct stat *st)
{
	struct target_dir *dir = dirs;

	/* While it is open its number is nobody else's. */
	while (dir && (dir->dev != st->st_dev || dir->ino != st->st_ino))
		dir = dir->next;
	return dir;
}

static struct target_dir *add(int fd, const struct stat *st)
{
	struct target_dir *dir = malloc(sizeof(*dir));

	if (!dir)
		return NULL;
	*dir = (struct target_dir){ fd, st->st_dev, st->st_ino, 0, dirs };
	dirs = dir;
	return dir;
}

int target_dir_get(const char *path, struct target_dir **dir)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct target_dir *found = NULL;
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
	} else {
		found = find(&st) ?: add(fd, &st);
		err = found ? 0 : -ENOMEM;
	}
	if (fd >= 0 && (!found || found->fd != fd))
		close(fd);
	if (err)
		return err;
	found->users++;
	*dir = found;
	return 0;
}

void target_dir_put(struct target_dir *dir)
{
	struct target_dir **at = &dirs;

	if (--dir->users)
		return;
	while (*at != dir)
		at = &(*at)->next;
	*at = dir->next;
	close(dir->fd);
	free(dir);
}
