/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a page lives.
 */
#ifndef HOST_TARGET_H
#define HOST_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ivshmem-server.h"
#include "shm.h"
#include "target-dir.h"
#include "vmclk-writer.h"

/* A page's region: what QEMU offers, and what a file is made with. */
#define TARGET_SIZE	4096

/* Does the name under which a page was opened still lead there? */
enum target_named {
	TARGET_NAMED,		/* also of one that never had a name */
	TARGET_DELETED,
	TARGET_REPLACED,
};

/**
 * struct target - a mapped page that nobody else writes
 * @fd: the file behind it, which holds the lock; or -1
 * @offset: of the page in the file
 * @pidfd: becomes readable when the machine ends, or -1
 * @shm: the memory, guarded
 * @map: its @len bytes
 * @len: up to the end of the file when it was opened; of memory that was lent,
 *	TARGET_SIZE
 * @writer: writes the page there
 * @server: hands the memory out, and is to be told of updates; or NULL
 * @name: of the file in @dir, or NULL: then there is no @dir
 * @dir: the directory it was opened in
 * @named: as it was seen last
 */
struct target {
	int fd;
	uint64_t offset;
	int pidfd;
	struct shm shm;
	void *map;
	size_t len;
	struct vmclk_writer *writer;
	struct ivshmem_server *server;
	const char *name;
	struct target_dir *dir;
	enum target_named named;
};

/**
 * target_qemu_open() - the page of a running QEMU's vmclock device
 * @target: filled in
 * @pid: the process
 * @user: whose it has to be
 *
 * Return: 0; -EPERM if it is not @user's; or another negative errno value. The reason
 * has been logged, and nobody's memory was touched.
 */
int target_qemu_open(struct target *target, pid_t pid, uid_t user);

/**
 * target_file_open() - a page in a file
 * @target: filled in
 * @path: the file; vmclk_writer_open() says what becomes of it; stays the caller's
 * @replace: also if it holds something that is no page
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_file_open(struct target *target, const char *path, bool replace);

/**
 * target_watch_name() - is the page still what its path leads to?
 * @target: the target, opened
 *
 * If not it is fed as before, for who has it: a guest that has mapped it, say. But
 * nobody else can find it. What has changed is logged.
 */
void target_watch_name(struct target *target);

/**
 * target_memory_open() - a page in memory of our own
 * @target: filled in; nobody else sees it unless @fd is handed on
 * @size: of the memory, not less than TARGET_SIZE
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_memory_open(struct target *target, size_t size);

/**
 * target_ivshmem_open() - a page for whoever connects a socket
 * @target: filled in
 * @path: of the socket; stays the caller's
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_ivshmem_open(struct target *target, const char *path);

/**
 * target_lent_open() - a page in memory that somebody has handed over
 * @target: filled in
 * @fd: the memory; stays the caller's
 * @offset: where the page is in it
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_lent_open(struct target *target, int fd, uint64_t offset);

/**
 * target_is_same() - is it this memory?
 * @target: the target, opened
 * @fd: a file
 * @offset: where a page is in it
 *
 * Return: true if so.
 */
bool target_is_same(const struct target *target, int fd, uint64_t offset);

/**
 * target_lock() - keep other writers away; for those above
 * @fd: the open file
 * @name: for messages
 *
 * Return: 0, or a negative error; the reason has been logged.
 */
int target_lock(int fd, const char *name);

/**
 * target_attach() - map the open file and take its page over; for those above
 * @target: @fd is set, and @offset and @len if the file has more than the page;
 *	the rest is filled in
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
