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
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "counter.h"
#include "decode.h"
#include "internal.h"

/* Some tens of milliseconds: longer than an update takes, writer descheduled. */
#define MAPPED_TRIES	(1U << 20)
#define FILE_TRIES	(1U << 14)

/* Up to here the header is the same in every version. */
#define HEADER_SIZE	offsetof(struct vmclock_page, disruption_marker)

static int judge_header(uint32_t magic, uint16_t version, uint32_t size)
{
	if (magic == VMCLOCK_PAGE_MAGIC_GONE)
		return -VMCLK_EGONE;
	if (magic != VMCLOCK_PAGE_MAGIC)
		return -VMCLK_EMALFORMED;
	if (!version)
		return -VMCLK_ENOTINIT;
	if (size < HEADER_SIZE)
		return -VMCLK_EMALFORMED;
	if (version != VMCLOCK_PAGE_VERSION)
		return -VMCLK_EVERSION;
	if (size < VMCLOCK_PAGE_SIZE_MIN)
		return -VMCLK_EMALFORMED;
	return 0;
}

/*
 * The fields are loaded behind the counter read, not before: it takes longer
 * than all of the loads, and does not depend on them nor they on it, while the
 * LFENCE in it would wait for them. Only R1 and R3 have to enclose it.
 */
static int read_mapped(const struct vmclock_page *page, struct vmclk_snapshot *snap)
{
	for (unsigned int tries = MAPPED_TRIES; tries; tries--) {
		uint32_t magic, seq = load_seq(page);
		uint64_t c;

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
		if (seq & 1) {
			counter_relax();
			continue;
		}

		c = counter_read_ordered();
		magic = decode(page, snap);

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
		if (load_seq(counter_dependent(page, c)) != seq) {
			counter_relax();
			continue;
		}

		snap->seq_count = seq;
		snap->counter = c;
		return judge_header(magic, snap->version, snap->size);
	}

	return -VMCLK_EBUSY;
}

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

/*
 * All of @len bytes, or an error. A file that has become shorter is no page.
 * EINTR is not tried again: signals in a row must not make the wait endless.
 */
static int read_at(int fd, void *buf, size_t len, off_t offset)
{
	int saved = errno, err = 0;
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		err = vmclk__read_error(errno);
	else if ((size_t)n != len)
		err = -VMCLK_EMALFORMED;
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
static int read_file(int fd, struct vmclk_snapshot *snap)
{
	for (unsigned int tries = FILE_TRIES; tries; tries--) {
		struct vmclock_page mine;
		uint32_t seq, again, magic;
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

		magic = decode(&mine, snap);
		snap->seq_count = seq;
		snap->counter = c;
		return judge_header(magic, snap->version, snap->size);
	}

	return -VMCLK_EBUSY;
}

int vmclk__validate(const struct vmclock_page *copy)
{
	return judge_header(le32toh(copy->magic), le16toh(copy->version),
			    le32toh(copy->size));
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

/* What is known of the page besides what it says. */
static inline void complete(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	const int counter_id = COUNTER_ID;

	if (__builtin_expect(snap->size < sizeof(struct vmclock_page), 0))
		vmclk__clear_absent(snap);
	snap->page_id = clk->page_id;
	snap->boot_unknown = clk->boot_unknown;
	snap->counter_valid = clk->counter_trusted && snap->counter_id == counter_id;
	if (!snap->counter_valid)
		snap->counter = 0;
}

int vmclk__read(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	int err = clk->page ? read_mapped(clk->page, snap) : read_file(clk->fd, snap);

	if (err)
		return err;
	complete(clk, snap);
	return 0;
}

int vmclk__peek(const struct vmclk *clk, uint32_t *seq)
{
	if (!clk->page)
		return read_seq(clk->fd, seq);
	*seq = load_seq(clk->page);
	return 0;
}

int vmclk__decode(const struct vmclk *clk, const struct vmclock_page *copy,
		  struct vmclk_snapshot *snap)
{
	uint32_t magic = decode(copy, snap);

	snap->seq_count = load_seq(copy);
	snap->counter = counter_read_ordered();
	complete(clk, snap);
	return judge_header(magic, snap->version, snap->size);
}

int vmclk_snapshot(const struct vmclk *clk, struct vmclk_snapshot *snap)
{
	struct vmclk_snapshot mine;
	int err = vmclk__read(clk, &mine);

	if (!err)
		*snap = mine;
	return err;
}
