/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk, the writer: whoever publishes time in a VMClock page.
 *
 * Functions return 0 or a negative error, as those of vmclk.h do, and print
 * nothing. A writer is for one thread at a time; readers need no consideration.
 * vmclk_writer_begin(), _commit() and _write() allocate nothing, make no system
 * call and leave errno alone.
 *
 * What is published is a struct vmclk_snapshot, the same that readers get. Of
 * it @page_id, @counter, @size, @seq_count, @version, @counter_valid and
 * @boot_unknown are the page's and the reader's own: they are not written.
 */
#ifndef VMCLK_WRITER_H
#define VMCLK_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmclk.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A page to write. */
struct vmclk_writer;

/* vmclk_writer_open(), @flags: put a page where something else is. */
#define VMCLK_WRITER_REPLACE	(1U << 0)

/**
 * vmclk_writer_open() - open the page in a file, as its only writer
 * @path: the file; it and directories that lead to it are made if there are
 *	none. The name with ".new" behind it is the library's as well.
 * @size: bytes the page is to have at least; 0 for 4096, as hypervisors do
 * @flags: VMCLK_WRITER_REPLACE, or 0
 * @writer: where the writer goes
 *
 * A page is continued: nothing in it changes before the first update. A file
 * that is empty becomes a page, whose readers get -VMCLK_ENOTINIT until then.
 *
 * A page of another version, or of less than @size bytes, is replaced by
 * another file of that name; readers of the old one get -VMCLK_EGONE, and open
 * the path again. What the old one said, if it was of this version and whole,
 * the new one says until the first update. With VMCLK_WRITER_REPLACE a file
 * that is no page is replaced as well; without, it is not touched.
 *
 * The file is locked, by flock(2), as long as the writer lives: a second writer
 * is refused, the lock of one that died is nobody's. A child of fork(2) shares
 * the lock.
 *
 * Return: 0, or
 * -VMCLK_ELOCKED - the page has a writer
 * -VMCLK_EMALFORMED - no page, and not touched
 * -EINVAL - @size is too small for a time with its bound, or @flags are not
 *	known, or @path is no regular file; or the file system can't exchange
 *	two names, which replacing a page takes (tmpfs, ext4, xfs, btrfs can)
 * -EEXIST - the name with ".new" is taken by something else
 * -ELOOP - @path is a symbolic link
 * -ENOMEM - no memory
 * -EACCES, -ENOSPC, ... - what the system answered
 */
int vmclk_writer_open(const char *path, uint32_t size, unsigned int flags,
		      struct vmclk_writer **writer);

/**
 * vmclk_writer_replace() - move to a larger page
 * @writer: the writer, from vmclk_writer_open()
 * @size: bytes the page is to have, not less than it has
 *
 * Another file takes the place of this one, as in vmclk_writer_open(): it says
 * what the old one said, and the readers of the old one are told to open the
 * path again.
 *
 * Return: 0, or, with @writer where it was,
 * -EINVAL - @size is too small, or the page is memory that was attached
 * -ESTALE - the path names another file: somebody has moved this one
 * or another error of vmclk_writer_open().
 */
int vmclk_writer_replace(struct vmclk_writer *writer, uint32_t size);

/**
 * vmclk_writer_fd() - the file of a page
 * @writer: the writer
 *
 * To watch it, or to pass it on. It belongs to @writer, and is another one after
 * vmclk_writer_replace().
 *
 * Return: a file descriptor, or -1 if the page is memory that was attached.
 */
int vmclk_writer_fd(const struct vmclk_writer *writer);

/**
 * vmclk_writer_format() - make a page of memory that is none
 * @memory: memory that no reader believes yet: its magic is not that of a page
 * @room: bytes of it, which become the page's size
 *
 * The page has version 0 until the first update, so that readers answer
 * -VMCLK_ENOTINIT instead of taking zeros for a time. The magic is stored last:
 * who sees it sees the rest.
 *
 * Return: 0, or -EINVAL if @room is too small for a time with its bound, or
 * more than 32 bits, or @memory is not aligned to 8 bytes.
 */
int vmclk_writer_format(void *memory, size_t room);

/**
 * vmclk_writer_attach() - take over a page in memory, as it is found
 * @memory: the page; the caller's, and shared with readers
 * @room: bytes of memory there
 * @writer: where the writer goes
 *
 * Changes nothing in the memory. It stays the caller's business to unmap it
 * after vmclk_writer_close(), and to keep other writers away.
 *
 * Return: 0, or
 * -VMCLK_EMALFORMED - no page, one that claims more than @room, or one too
 *	small for a time with its bound
 * -VMCLK_EVERSION, -VMCLK_EGONE - a page, but not one to be continued
 * -EINVAL - @memory is not aligned to 8 bytes
 * -ENOMEM - no memory
 */
int vmclk_writer_attach(void *memory, size_t room, struct vmclk_writer **writer);

/**
 * vmclk_writer_close() - give a writer, and its lock, back
 * @writer: the writer, or NULL
 *
 * The page stays as it is: say with a last update what it is worth from now on.
 */
void vmclk_writer_close(struct vmclk_writer *writer);

/**
 * vmclk_writer_found() - what the page says, to be continued from
 * @writer: the writer; its next update comes after this one
 * @found: the copy; fields that do not exist are zero. @version is 0 if nothing
 *	was published yet. @page_id, @counter, @counter_valid and @boot_unknown
 *	are 0.
 *
 * Not checked against updates: there is no other writer. But if @seq_count is
 * odd, the writer before died in the middle: each field is then either old or
 * new, and only those that mean something by themselves (the two markers) may
 * be used. The odd number stays until the first update, which makes it even.
 *
 * Return: 0, or an error of vmclk_writer_attach() if somebody else has written
 * and it can't be continued any more; nothing has changed then.
 */
int vmclk_writer_found(struct vmclk_writer *writer, struct vmclk_snapshot *found);

/**
 * vmclk_writer_begin() - open an update: readers wait from here on
 * @writer: the writer
 *
 * On return the odd sequence number is visible to every reader, before the
 * caller reads the counter and before any field changes: a reader whose
 * sequence check passes has read its counter before the caller does. Keep the
 * time until vmclk_writer_commit() short.
 */
void vmclk_writer_begin(struct vmclk_writer *writer);

/**
 * vmclk_writer_commit() - store the fields and close the update
 * @writer: the writer, after vmclk_writer_begin()
 * @snap: what to publish
 */
void vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *snap);

/**
 * vmclk_writer_write() - one update: begin and commit
 * @writer: the writer
 * @snap: what to publish
 */
void vmclk_writer_write(struct vmclk_writer *writer, const struct vmclk_snapshot *snap);

/**
 * vmclk_writer_wake() - wake who waits for an update
 * @writer: the writer
 *
 * Readers that map the page can sleep in FUTEX_WAIT on its sequence number.
 * This is a system call, so it is not part of an update. Leaves errno alone.
 *
 * Return: how many were woken.
 */
int vmclk_writer_wake(const struct vmclk_writer *writer);

/**
 * vmclk_writer_is_alone() - is the page as this writer left it?
 * @writer: the writer
 *
 * Return: false if somebody else has written since: a hypervisor does when it
 * restores a machine, into memory that was attached.
 */
bool vmclk_writer_is_alone(const struct vmclk_writer *writer);

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_WRITER_H */
