// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Copying the page, through a mapping or by system calls: window.h has the
 * protocol.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "window.h"

/* Some tens of milliseconds, as long as for a mapping. */
#define FILE_TRIES	(1U << 14)

int vmclk__read_error(int errnum)
{
	switch (errnum) {
	case ETIMEDOUT:	/* a driver that waits for an even number, in vain */
		return -VMCLK_EBUSY;
	case ENODEV:
		return -VMCLK_EGONE;
	default:
		return -errnum;
	}
}

/* EINTR is not tried again: signals in a row must not make the wait endless. */
static ssize_t read_at(int fd, void *buf, size_t len, off_t offset)
{
	int saved = errno;
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		n = vmclk__read_error(errno);
	errno = saved;
	return n;
}

/*
 * The page, as far as the header claims it: the rest of the copy is zero. A
 * file that has become shorter than that is no page.
 */
static int read_body(int fd, struct vmclock_page *copy)
{
	ssize_t n = read_at(fd, copy, sizeof(*copy), 0);
	size_t size;

	if (n < 0)
		return n;
	size = le32toh(copy->size);
	if (n < VMCLOCK_PAGE_SIZE_MIN || (size_t)n < (size < sizeof(*copy) ? size : sizeof(*copy)))
		return -VMCLK_EMALFORMED;
	memset((char *)copy + n, 0, sizeof(*copy) - n);
	return 0;
}

/*
 * All that stands in front of the sequence number is read again with it: a file
 * that was truncated after the copy was begun, and made long again, has zeros
 * there, which for a page of sequence number 0 the number would not show.
 */
static int read_end(int fd, const struct window *w, bool *is_same)
{
	struct vmclock_page again;
	ssize_t n = read_at(fd, &again, HEADER_SIZE, 0);

	if (n < 0)
		return n;
	if (n < (ssize_t)HEADER_SIZE)
		return -VMCLK_EMALFORMED;
	*is_same = le32toh(again.seq_count) == w->seq &&
		   !memcmp(&again, &w->page, offsetof(struct vmclock_page, seq_count));
	return 0;
}

/*
 * The protocol of window.h by system calls. Each call copies with loads of this
 * CPU, which the fences order as they do ours.
 */
static int try_file(int fd, struct window *w, bool *is_whole)
{
	__le32 seq;
	ssize_t n = read_at(fd, &seq, sizeof(seq), offsetof(struct vmclock_page, seq_count));
	int err;

	if (n < 0)
		return n;
	if (n < (ssize_t)sizeof(seq))
		return -VMCLK_EMALFORMED;
	w->seq = le32toh(seq);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
	if (w->seq & 1)
		return 0;

	err = read_body(fd, &w->page);
	if (err)
		return err;
	w->counter = counter_read_ordered();
	counter_barrier();
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
	return read_end(fd, w, is_whole);
}

static int read_file(int fd, struct window *w)
{
	bool is_whole = false;
	int err = 0;

	for (unsigned int tries = FILE_TRIES; tries && !err && !is_whole; tries--)
		err = try_file(fd, w, &is_whole);
	return err || is_whole ? err : -VMCLK_EBUSY;
}

int vmclk__validate(const struct vmclock_page *copy)
{
	return judge_header(copy);
}

void vmclk__clear_absent(struct vmclk_snapshot *s)
{
#define CLEAR(field) \
	(s->field = VMCLOCK_PAGE_HAS(s->size, field) ? s->field : 0)

	CLEAR(clock_status);
	CLEAR(smear_hint);
	CLEAR(tai_offset_sec);
	CLEAR(leap_indicator);
	CLEAR(counter_period_shift);
	CLEAR(counter_value);
	CLEAR(counter_period_frac_sec);
	CLEAR(counter_period_esterror_rate_frac_sec);
	CLEAR(counter_period_maxerror_rate_frac_sec);
	CLEAR(time_sec);
	CLEAR(time_frac_sec);
	CLEAR(time_esterror_nanosec);
	CLEAR(time_maxerror_nanosec);
	CLEAR(vm_generation_counter);
#undef CLEAR
}

int vmclk_snapshot(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	struct window w;
	int err = clk->page ? read_window(clk->page, &w) : read_file(clk->fd, &w);

	return err ? err : judge_window(clk, &w, snap);
}

int vmclk__file_is_unchanged(const struct vmclk *clk, const struct vmclk_snapshot *snap,
			     bool *unchanged)
{
	struct vmclock_page page;
	size_t len = offsetof(struct vmclock_page, counter_period_frac_sec);
	ssize_t n;

	counter_barrier();
	memset(&page, 0, sizeof(page));
	n = read_at(clk->fd, &page, len, 0);
	if (n < 0)
		return n;
	*unchanged = n >= VMCLOCK_PAGE_SIZE_MIN && is_unchanged(clk, &page, &page, snap);
	return 0;
}

int vmclk_refresh(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	bool unchanged = false;
	int err = 0;

	if (clk->page)
		unchanged = is_unchanged(clk, clk->page, clk->page, snap);
	else
		err = vmclk__file_is_unchanged(clk, snap, &unchanged);
	return err || unchanged ? err : vmclk_snapshot(clk, snap);
}

int vmclk__peek(const struct vmclk *clk, uint32_t *seq)
{
	__le32 word;
	ssize_t n;

	if (clk->page) {
		*seq = load_seq(clk->page);
		return 0;
	}
	n = read_at(clk->fd, &word, sizeof(word), offsetof(struct vmclock_page, seq_count));
	if (n < 0)
		return n;
	if (n < (ssize_t)sizeof(word))
		return -VMCLK_EMALFORMED;
	*seq = le32toh(word);
	return 0;
}

int vmclk__decode(const struct vmclk *clk, const struct vmclock_page *copy,
		  struct vmclk_snapshot *snap)
{
	const struct window w = {
		.page = *copy, .counter = counter_read_ordered(), .seq = load_seq(copy),
	};

	return judge_window(clk, &w, snap);
}
