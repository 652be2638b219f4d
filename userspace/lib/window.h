/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A window of the sequence count: the page copied, the counter read, and
 * neither by an update in between. With read.c, which does the same by system
 * calls, the only code of the library that reads a page.
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
#ifndef VMCLK_WINDOW_H
#define VMCLK_WINDOW_H

#include <stddef.h>

#include "counter.h"
#include "decode.h"
#include "internal.h"

#define PAGE_WORDS	(sizeof(struct vmclock_page) / sizeof(uint64_t))

/**
 * struct window - what was found between two equal readings of the sequence
 * @page: the copy; its @seq_count may be another one
 * @words: the same as it is read, in words
 * @counter: read in between
 * @seq: the sequence number, even
 */
struct window {
	union {
		struct vmclock_page page;
		uint64_t words[PAGE_WORDS];
	};
	uint64_t counter;
	uint32_t seq;
};

/* Compared as a number: where a page can't name the counter, there is no such id. */
static inline bool is_our_counter(uint8_t counter_id)
{
	const int ours = COUNTER_ID;

	return counter_id == ours;
}

/* Some tens of milliseconds: longer than an update takes, writer descheduled. */
#define MAPPED_TRIES	(1U << 20)

/*
 * The fields are loaded behind the counter read, not before: it takes longer
 * than all of the loads, and does not depend on them nor they on it, while the
 * LFENCE in it would wait for them. Only R1 and R3 have to enclose it.
 *
 * By words: every field lies in one, so none is seen in part.
 */
static inline int read_window(const struct vmclock_page *page, struct window *w)
{
	const uint64_t *words = (const void *)page;

	for (unsigned int tries = MAPPED_TRIES; tries; tries--) {
		uint32_t seq = load_seq(page);
		uint64_t c;

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
		if (__builtin_expect(seq & 1, 0)) {
			counter_relax();
			continue;
		}

		c = counter_read_ordered();
		for (unsigned int i = 0; i < PAGE_WORDS; i++)
			w->words[i] = LOAD(words[i]);

		__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
		if (__builtin_expect(load_seq(counter_dependent(page, c)) != seq, 0)) {
			counter_relax();
			continue;
		}

		w->seq = seq;
		w->counter = c;
		return 0;
	}

	return -VMCLK_EBUSY;
}

/*
 * The same, once, and straight into a snapshot: for a hot path that keeps all
 * of it in registers. Without @counter none is read.
 */
static inline bool glimpse(const struct vmclk *clk, uint64_t *counter,
			   struct vmclk_snapshot *snap)
{
	const struct vmclock_page *page = clk->page;
	uint32_t magic, seq = load_seq(page);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
	/* Before the counter: on arm64 this branch is what holds that back. */
	if (__builtin_expect(seq & 1, 0))
		return false;
	if (counter)
		*counter = counter_read_ordered();
	magic = decode(page, snap);
	snap->page_id = clk->page_id;
	snap->counter_valid = clk->counter_trusted && is_our_counter(snap->counter_id);
	snap->boot_unknown = clk->boot_unknown;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
	return load_seq(counter ? counter_dependent(page, *counter) : page) == seq &&
	       magic == VMCLOCK_PAGE_MAGIC && snap->version == VMCLOCK_PAGE_VERSION;
}

/*
 * Is @page still the one that @snap is a copy of? @same is the same memory,
 * through a pointer that depends on the counter if one was read.
 *
 * One load of the sequence number is enough to say that nothing was written
 * from the copy's window up to that load, and a counter read in front of it
 * belongs to that window. A number alone could have come again, on a page that
 * was made anew: so could not its marker and its reference point.
 */
static inline bool is_unchanged(const struct vmclk *clk, const struct vmclock_page *page,
				const void *same, const struct vmclk_snapshot *snap)
{
	return load_seq(same) == snap->seq_count &&
	       le32toh(LOAD(page->magic)) == VMCLOCK_PAGE_MAGIC &&
	       le16toh(LOAD(page->version)) == VMCLOCK_PAGE_VERSION &&
	       le32toh(LOAD(page->size)) == snap->size &&
	       le64toh(LOAD(page->disruption_marker)) == snap->disruption_marker &&
	       le64toh(LOAD(page->counter_value)) == snap->counter_value &&
	       snap->page_id == clk->page_id && snap->counter_valid <= clk->counter_trusted;
}

/* Up to here the header is the same in every version. */
#define HEADER_SIZE	offsetof(struct vmclock_page, disruption_marker)

/* Is the copy of a header that of a page? 0 or a negative error. */
static inline int judge_header(const struct vmclock_page *copy)
{
	uint32_t magic = le32toh(copy->magic), size = le32toh(copy->size);
	uint16_t version = le16toh(copy->version);

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

/* From a window to a snapshot, which stays as it is on error. */
static inline int judge_window(const struct vmclk *clk, const struct window *w,
			       struct vmclk_snapshot *snap)
{
	int err = judge_header(&w->page);

	if (__builtin_expect(err, 0))
		return err;
	decode(&w->page, snap);
	if (__builtin_expect(snap->size < sizeof(struct vmclock_page), 0))
		vmclk__clear_absent(snap);
	snap->seq_count = w->seq;
	snap->page_id = clk->page_id;
	snap->boot_unknown = clk->boot_unknown;
	snap->counter_valid = clk->counter_trusted && is_our_counter(snap->counter_id);
	snap->counter = snap->counter_valid ? w->counter : 0;
	return 0;
}

#endif /* VMCLK_WINDOW_H */
