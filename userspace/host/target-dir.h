/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories in which pages are: opened once each, for of ten thousand pages most are in
 * one, and descriptors are few.
 */
#ifndef HOST_TARGET_DIR_H
#define HOST_TARGET_DIR_H

#include <sys/types.h>

/**
 * struct target_dir - a directory that is open
 * @fd: can only be looked from
 * @dev: where it is
 * @ino: which it is
 * @users: how often it was got and not yet put
 * @next: another one
 */
struct target_dir {
	int fd;
	dev_t dev;
	ino_t ino;
	unsigned int users;
	struct target_dir *next;
};

/**
 * target_dir_get() - open a directory, or find it open
 * @path: of the directory
 * @dir: filled in
 *
 * Return: 0, or a negative errno value.
 */
int target_dir_get(const char *path, struct target_dir **dir);

/**
 * target_dir_put() - close it, if nobody else has it
 * @dir: was got
 */
void target_dir_put(struct target_dir *dir);

#endif /* HOST_TARGET_DIR_H */
