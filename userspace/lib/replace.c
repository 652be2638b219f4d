// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A page that can't be continued gets a successor.
 *
 * An inode that was a page once is never truncated, and never written by any
 * rule but that of the sequence, as readers may be in it. So:
 *
 *	1  a new inode is made under the name PATH.new, locked, and filled
 *	2  the two names are exchanged: at no time does PATH not name a page
 *	3  the old inode, now PATH.new, is turned into a tombstone
 *	4  and unlinked
 *
 * A writer may die between any two steps, and in the middle of one. The next
 * one finds PATH.new, whichever inode that is, turns it into a tombstone if it
 * is a page, and unlinks it: so no reader stays behind on a page that nobody
 * will write again. Only who has the lock of PATH's inode touches PATH.new.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "writer.h"

/*
 * Even a page that could not be opened any more may have been opened once. A
 * tombstone counts: its burial may have been interrupted.
 */
static bool may_have_readers(const struct page_file *f)
{
	return f->len >= VMCLOCK_PAGE_SIZE_MIN && f->head.version &&
	       (f->head.magic == htole32(VMCLOCK_PAGE_MAGIC) ||
		f->head.magic == htole32(VMCLOCK_PAGE_MAGIC_GONE));
}

/* A marker that this page has not had. */
static uint64_t other_marker(uint64_t marker)
{
	uint64_t other;

	if (getrandom(&other, sizeof(other), 0) != sizeof(other) || other == marker)
		other = ~marker;
	return other;
}

/* A field, behind all fields that were put before. */
static int put(const struct page_file *f, size_t offset, const void *value, size_t len)
{
	ssize_t n;

	/* Pairs with the acquire fences after R1 and before R3 in window.h. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	n = pwrite(f->fd, value, len, offset);
	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? -errno : -ENOSPC;
}

static int put_seq(const struct page_file *f, uint32_t seq)
{
	seq = htole32(seq);
	return put(f, offsetof(struct vmclock_page, seq_count), &seq, sizeof(seq));
}

/* Wakes who waits for an update. It does not matter if the page is gone. */
static void wake(const struct page_file *f)
{
	struct vmclk_writer w = { 0 };
	int err;

	w.page = vmclk__file_map(f->fd, &err);
	if (err)
		return;
	vmclk_writer_wake(&w);
	munmap(w.page, sizeof(*w.page));
}

/*
 * Tells the readers of @f that its path names another file now.
 *
 * An update like any other, for readers that are in the page: they try again
 * and find the magic changed. Those that do not look at it find no time and no
 * trust, and a marker that ends what they had. The sequence moves on by the
 * usual step, as this is the memory they have seen, and not another mapping.
 *
 * By write(2): who owns the file may cut it short, and storing to a mapping would
 * then be our end. That it may store bytes one by one does no harm: what is seen
 * of a number in between is odd, or behind all fields.
 */
static int bury(const struct page_file *f)
{
	struct vmclock_page tomb = f->head;
	uint32_t len = le32toh(f->head.size), seq = le32toh(f->head.seq_count) | 1;
	const size_t begin = offsetof(struct vmclock_page, disruption_marker);
	int err;

	if (len > f->len)
		len = f->len;
	if (len < VMCLOCK_PAGE_SIZE_MIN)
		len = VMCLOCK_PAGE_SIZE_MIN;	/* is there, whatever it claims */
	tomb.magic = htole32(VMCLOCK_PAGE_MAGIC_GONE);
	tomb.counter_id = VMCLOCK_PAGE_COUNTER_NONE;
	tomb.disruption_marker = htole64(other_marker(le64toh(tomb.disruption_marker)));
	tomb.flags = 0;
	if (VMCLOCK_PAGE_HAS(len, clock_status))
		tomb.clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
	err = put_seq(f, seq);
	if (!err)
		err = put(f, 0, &tomb, offsetof(struct vmclock_page, seq_count));
	if (!err)
		err = put(f, begin, (char *)&tomb + begin, len - begin);
	if (!err)
		err = put_seq(f, seq + 1);
	wake(f);
	return err;
}

/* Whatever a writer that died in a replacement has left. */
int vmclk__clear_leftover(const struct vmclk_writer *w)
{
	struct page_file f;
	int err = vmclk__file_open(&f, w->dir, w->new_name, 0);

	if (err == -ENOENT)
		return 0;
	if (err == -EINVAL || err == -ELOOP)
		return -EEXIST;
	if (err)
		return err;
	if (may_have_readers(&f))
		err = bury(&f);
	else if (vmclk__file_judge(&f, 0) != FILE_EMPTY)
		err = -EEXIST;	/* not ours */
	if (!err && unlinkat(w->dir, w->new_name, 0))
		err = -errno;
	close(f.fd);
	return err;
}

/* A page for those who might use the old one. */
static int init_new(const struct page_file *new, const struct page_file *old, uint32_t size)
{
	if (fchown(new->fd, old->st.st_uid, old->st.st_gid) ||
	    fchmod(new->fd, old->st.st_mode & 0777))
		return -errno;
	return vmclk__file_init(new, size);
}

/*
 * What the old page said, if that was whole, is what the new one says until
 * its first update, so that no reader has to do without. Otherwise the new one
 * is at version 0 until then: its readers are told that time is to come.
 */
static int carry_over(const struct page_file *old, const struct page_file *new, uint32_t size)
{
	struct vmclock_page copy = old->head, page;
	struct vmclk_writer to = { .page = &page, .len = size };
	struct vmclk_writer from = {
		.page = &copy,
		.len = old->st.st_size > UINT32_MAX ? UINT32_MAX : old->st.st_size,
	};
	struct vmclk_snapshot snap;

	if (vmclk_writer_found(&from, &snap) || !snap.version || snap.seq_count & 1)
		return 0;
	if (!VMCLOCK_PAGE_HAS(snap.size, vm_generation_counter))
		snap.flags &= ~VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;
	to.seq = snap.seq_count;
	vmclk_writer_format(&page, size);
	vmclk_writer_write(&to, &snap);
	return put(new, 0, &page, size < sizeof(page) ? size : sizeof(page));
}

static int swap_names(const struct vmclk_writer *w)
{
	return renameat2(w->dir, w->new_name, w->dir, w->name, RENAME_EXCHANGE) ? -errno : 0;
}

/*
 * What had the name was not @old: somebody who knows nothing of locks had just put
 * it there. It gets its name back, and who has opened ours meanwhile is told.
 */
static int swap_back(const struct vmclk_writer *w, struct page_file *new)
{
	int err = swap_names(w);

	if (!err && !vmclk__file_read(new))
		bury(new);
	return err ? err : -ESTALE;
}

/*
 * Puts the new inode in the old one's place, and tells the old one's readers.
 * After that there is no way back: if they can't be told, the next writer will.
 * Where nobody can read a page the caller has been told to replace whatever is
 * there, and that is what happens: nothing is left that a next one would find.
 */
static int exchange(const struct vmclk_writer *w, const struct page_file *old,
		    struct page_file *new)
{
	int err;

	if (!may_have_readers(old))
		return renameat(w->dir, w->new_name, w->dir, w->name) ? -errno : 0;
	err = swap_names(w);
	if (err)
		return err;
	if (!vmclk__is_named(old->fd, w->dir, w->new_name))
		return swap_back(w, new);
	if (!bury(old))
		unlinkat(w->dir, w->new_name, 0);
	return 0;
}

int vmclk__replace(struct vmclk_writer *w, const struct page_file *old, uint32_t size)
{
	struct vmclk_writer mine = *w;
	struct page_file new;
	int err = vmclk__file_open(&new, w->dir, w->new_name, O_CREAT | O_EXCL);

	if (err)
		return err;
	err = init_new(&new, old, size);
	if (!err)
		err = carry_over(old, &new, size);
	if (!err)
		err = vmclk__file_adopt(&mine, &new);
	if (err)
		goto err_unlink;
	err = exchange(w, old, &new);
	if (err)
		goto err_unmap;
	w->page = mine.page;
	w->len = mine.len;
	w->seq = mine.seq;
	w->fd = mine.fd;
	/* Unless somebody who knows nothing of locks was quicker. */
	return vmclk__is_named(w->fd, w->dir, w->name) ? 0 : -ESTALE;

err_unmap:
	munmap(mine.page, sizeof(*mine.page));
err_unlink:
	if (vmclk__is_named(new.fd, w->dir, w->new_name))
		unlinkat(w->dir, w->new_name, 0);
	close(new.fd);
	return err;
}

int vmclk_writer_replace(struct vmclk_writer *w, uint32_t size)
{
	struct vmclock_page *page = w->page;
	struct page_file old = { .fd = w->fd };
	int err;

	if (w->fd < 0 || size < w->len)
		return -EINVAL;
	if (!vmclk__is_named(w->fd, w->dir, w->name))
		return -ESTALE;
	err = vmclk__file_read(&old);
	if (!err)
		err = vmclk__clear_leftover(w);
	if (!err)
		err = vmclk__replace(w, &old, size);
	if (w->fd != old.fd) {
		munmap(page, sizeof(*page));
		close(old.fd);
	}
	return err;
}
