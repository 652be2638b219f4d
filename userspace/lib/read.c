// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Copying the page: the only code of the library that reads it.
 *
 * The writer is another machine, or another process: it may stop half-way,
 * never stop, or lie. So every wait is bounded, each word of the page is read
 * once, and what is judged is the copy.
 *
 * The order of the writer's stores and ours (write.c has the other half):
 *
 *	writer				reader
 *	W1 seq = odd			R1 s0 = seq	(acquire)
 *	   fence			R2 fields
 *	W2 fields			   fence (acquire)
 *	   fence (release)		R3 s1 = seq
 *	W3 seq = even
 *
 * R1 pairs with W3's fence: having seen the even number, R2 sees the fields
 * stored before it. The fence before R3 pairs with the one after W1: if R2 saw
 * a field of the next update, R3 sees its odd number, or a later one, and the
 * copy is thrown away.
 */
#include <errno.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "counter.h"
#include "internal.h"

/* Some tens of milliseconds: longer than an update takes, writer descheduled. */
#define MAPPED_TRIES	(1U << 20)
#define FILE_TRIES	(1U << 14)

#define PAGE_WORDS	(sizeof(struct vmclock_page) / sizeof(uint64_t))

_Static_assert(sizeof(struct vmclock_page) % sizeof(uint64_t) == 0,
	       "the page is copied word by word");

union page_copy {
	struct vmclock_page page;
	uint64_t words[PAGE_WORDS];
};

static uint32_t load_seq(const void *page)
{
	const struct vmclock_page *p = page;

	return le32toh(__atomic_load_n(&p->seq_count, __ATOMIC_RELAXED));
}

static void copy_words(const struct vmclock_page *page, union page_copy *copy)
{
	const uint64_t *from = (const uint64_t *)page;

	for (size_t i = 0; i < PAGE_WORDS; i++)
		copy->words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int vmclk__read_mapped(const struct vmclock_page *page,
		       struct vmclock_page *copy, uint64_t *counter)
{
	for (unsigned int tries = MAPPED_TRIES; tries; tries--) {
		union page_copy mine;
		uint32_t seq = load_seq(page);
		uint64_t c;

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
		if (seq & 1) {
			counter_relax();
			continue;
		}

		copy_words(page, &mine);
		c = counter_read_ordered();

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
		if (load_seq(counter_dependent(page, c)) != seq) {
			counter_relax();
			continue;
		}

		*copy = mine.page;
		copy->seq_count = htole32(seq);
		*counter = c;
		return 0;
	}

	return -ETIMEDOUT;
}

/*
 * All of @len bytes, or an error. A file that has become shorter is no page.
 * EINTR is not tried again: signals in a row must not make the wait endless.
 */
static int read_at(int fd, void *buf, size_t len, off_t offset)
{
	int saved = errno, err = 0;
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		err = -errno;
	else if ((size_t)n != len)
		err = -EPROTO;
	errno = saved;
	return err;
}

static int read_seq(int fd, uint32_t *seq)
{
	int err = read_at(fd, seq, sizeof(*seq),
			  offsetof(struct vmclock_page, seq_count));

	*seq = le32toh(*seq);
	return err;
}

/* The body, as far as the header claims it: the rest of the copy is zero. */
static int read_body(int fd, struct vmclock_page *copy)
{
	size_t len;
	int err;

	memset(copy, 0, sizeof(*copy));
	err = read_at(fd, copy, VMCLOCK_PAGE_SIZE_MIN, 0);
	if (err)
		return err;

	len = le32toh(copy->size);
	if (len > sizeof(*copy))
		len = sizeof(*copy);
	if (len <= VMCLOCK_PAGE_SIZE_MIN)
		return 0;
	return read_at(fd, (char *)copy + VMCLOCK_PAGE_SIZE_MIN,
		       len - VMCLOCK_PAGE_SIZE_MIN, VMCLOCK_PAGE_SIZE_MIN);
}

/*
 * The same protocol by system calls. Each call copies with loads of this CPU,
 * which the fences order as they do ours.
 */
int vmclk__read_file(int fd, struct vmclock_page *copy, uint64_t *counter)
{
	for (unsigned int tries = FILE_TRIES; tries; tries--) {
		struct vmclock_page mine;
		uint32_t seq, again;
		uint64_t c;
		int err;

		err = read_seq(fd, &seq);
		if (err)
			return err;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
		if (seq & 1)
			continue;

		err = read_body(fd, &mine);
		if (err)
			return err;
		c = counter_read_ordered();
		counter_barrier();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */

		err = read_seq(fd, &again);
		if (err)
			return err;
		if (again != seq)
			continue;

		mine.seq_count = htole32(seq);
		*copy = mine;
		*counter = c;
		return 0;
	}

	return -ETIMEDOUT;
}

int vmclk__validate(const struct vmclock_page *copy)
{
	if (le32toh(copy->magic) != VMCLOCK_PAGE_MAGIC || !copy->version)
		return -EPROTO;
	if (le16toh(copy->version) != VMCLOCK_PAGE_VERSION)
		return -EPROTONOSUPPORT;
	if (le32toh(copy->size) < VMCLOCK_PAGE_SIZE_MIN)
		return -EPROTO;
	return 0;
}

/* A field that the page is too short for is zero, whatever lies there. */
static void clear_absent(struct vmclock_page *copy)
{
	uint32_t size = le32toh(copy->size);

	if (size < sizeof(*copy))
		memset((char *)copy + size, 0, sizeof(*copy) - size);
}

static void decode(const struct vmclock_page *page, struct vmclk_snapshot *snap)
{
	snap->disruption_marker = le64toh(page->disruption_marker);
	snap->flags = le64toh(page->flags);
	snap->counter_value = le64toh(page->counter_value);
	snap->counter_period_frac_sec = le64toh(page->counter_period_frac_sec);
	snap->counter_period_esterror_rate_frac_sec =
		le64toh(page->counter_period_esterror_rate_frac_sec);
	snap->counter_period_maxerror_rate_frac_sec =
		le64toh(page->counter_period_maxerror_rate_frac_sec);
	snap->time_sec = le64toh(page->time_sec);
	snap->time_frac_sec = le64toh(page->time_frac_sec);
	snap->time_esterror_nanosec = le64toh(page->time_esterror_nanosec);
	snap->time_maxerror_nanosec = le64toh(page->time_maxerror_nanosec);
	snap->vm_generation_counter = le64toh(page->vm_generation_counter);
	snap->size = le32toh(page->size);
	snap->seq_count = le32toh(page->seq_count);
	snap->version = le16toh(page->version);
	snap->tai_offset_sec = (int16_t)le16toh(page->tai_offset_sec);
	snap->counter_id = page->counter_id;
	snap->time_type = page->time_type;
	snap->clock_status = page->clock_status;
	snap->smear_hint = page->smear_hint;
	snap->leap_indicator = page->leap_indicator;
	snap->counter_period_shift = page->counter_period_shift;
}

int vmclk_snapshot(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	struct vmclock_page copy;
	uint64_t counter;
	int err;

	if (clk->page)
		err = vmclk__read_mapped(clk->page, &copy, &counter);
	else
		err = vmclk__read_file(clk->fd, &copy, &counter);
	if (!err)
		err = vmclk__validate(&copy);
	if (err)
		return err;

	clear_absent(&copy);
	decode(&copy, snap);
	snap->counter_valid = clk->counter_trusted && snap->counter_id == COUNTER_ID;
	snap->counter = snap->counter_valid ? counter : 0;
	return 0;
}
