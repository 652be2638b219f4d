/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a page lives.
 */
#ifndef HOST_TARGET_H
#define HOST_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shm.h"
#include "vmclk-writer.h"

/* A page's region: what QEMU offers, and what a file is made with. */
#define TARGET_SIZE	4096

/**
 * struct target - a mapped page that nobody else writes
 * @owner: opened the file, holds its lock, and is not written through; or NULL
 * @fd: the file behind it, @owner's if there is one; or -1
 * @pidfd: becomes readable when the machine ends, or -1
 * @shm: the memory, guarded
 * @map: its @len bytes
 * @len: of the file when it was opened
 * @writer: writes the page there
 */
struct target {
	struct vmclk_writer *owner;
	int fd;
	int pidfd;
	struct shm shm;
	void *map;
	size_t len;
	struct vmclk_writer *writer;
};

/**
 * target_qemu_open() - the page of a running QEMU's vmclock device
 * @target: filled in
 * @pid: the process
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int target_qemu_open(struct target *target, pid_t pid);

/**
 * target_file_open() - a page in a file
 * @target: filled in
 * @path: the file; vmclk_writer_open() says what becomes of it
 * @replace: also if it holds something that is no page
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_file_open(struct target *target, const char *path, bool replace);

/**
 * target_attach() - map the open file and take its page over; for the two above
 * @target: @fd is set; the rest is filled in
 * @name: for messages
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_attach(struct target *target, const char *name);

/**
 * target_check() - is the page still where others see it?
 * @target: the target, mapped
 *
 * To be asked after the page was used, and before what was seen there is
 * believed: who owns the file can cut it short.
 *
 * Return: 0, or -EIO; the reason has been logged.
 */
int target_check(const struct target *target);

/**
 * target_close() - give everything back
 * @target: the target, opened or not quite
 */
void target_close(struct target *target);

#endif /* HOST_TARGET_H */
