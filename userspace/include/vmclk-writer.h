/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk, the writer: whoever publishes time in a VMClock page.
 *
 * Functions return 0 or a negative error, as those of vmclk.h do, print
 * nothing and leave errno alone where they succeed. A writer is for one thread
 * at a time; readers need no consideration. vmclk_writer_begin(), _commit() and
 * _write() allocate nothing and make no system call.
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
 * vmclk_writer_close() - give a writer back; the page stays as it is
 * @writer: the writer, or NULL
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
