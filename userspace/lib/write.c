// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The writer's half of the sequence protocol; window.h has the other half and
 * the picture of both.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

#include "decode.h"
#include "internal.h"
#include "writer.h"

#define STORE(field, value) \
	__atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static bool is_aligned(const void *memory)
{
	return !((uintptr_t)memory % __alignof__(struct vmclock_page));
}

int vmclk_writer_format(void *memory, size_t room)
{
	struct vmclock_page *page = memory;

	if (room < PAGE_LEN_MIN || room > UINT32_MAX || !is_aligned(memory))
		return -EINVAL;
	memset(page, 0, room < sizeof(*page) ? room : sizeof(*page));
	page->size = htole32(room);
	page->counter_id = VMCLOCK_PAGE_COUNTER_NONE;
	page->time_type = VMCLOCK_PAGE_TIME_TAI;
	page->clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;

	/* Pairs with the acquire fence after R1 in window.h. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	STORE(page->magic, htole32(VMCLOCK_PAGE_MAGIC));
	return 0;
}

/* 0 if the page in @copy can be continued, in @room bytes. */
static int judge(const struct vmclock_page *copy, size_t room)
{
	int err = vmclk__validate(copy);
	uint32_t size = le32toh(copy->size);

	/* Nobody has written it yet: that is for us to do. */
	if (err && err != -VMCLK_ENOTINIT)
		return err;
	return size < PAGE_LEN_MIN || size > room ? -VMCLK_EMALFORMED : 0;
}

int vmclk__writer_take(struct vmclk_writer *w, const struct vmclock_page *copy,
		       struct vmclk_snapshot *found)
{
	int err = judge(copy, w->len);

	if (err)
		return err;
	w->len = le32toh(copy->size);
	w->seq = le32toh(copy->seq_count);
	*found = (struct vmclk_snapshot){ .seq_count = w->seq };
	decode(copy, found);
	vmclk__clear_absent(found);
	return 0;
}

int vmclk_writer_found(struct vmclk_writer *w, struct vmclk_snapshot *found)
{
	struct vmclock_page copy = { 0 };

	/* What is judged can't change any more. */
	memcpy(&copy, w->page, w->len < sizeof(copy) ? w->len : sizeof(copy));
	return vmclk__writer_take(w, &copy, found);
}

int vmclk_writer_attach(void *memory, size_t room, struct vmclk_writer **writer)
{
	struct vmclk_writer w = { .page = memory, .len = room, .fd = -1, .dir = -1 };
	struct vmclk_snapshot unused;
	int err;

	if (!is_aligned(memory))
		return -EINVAL;
	if (room < PAGE_LEN_MIN)
		return -VMCLK_EMALFORMED;
	if (room > UINT32_MAX)
		w.len = UINT32_MAX;
	err = vmclk_writer_found(&w, &unused);
	if (err)
		return err;
	*writer = malloc(sizeof(w));
	if (!*writer)
		return -ENOMEM;
	**writer = w;
	return 0;
}

bool vmclk_writer_is_alone(const struct vmclk_writer *w)
{
	return load_seq(w->page) == w->seq;
}

/*
 * Orders the odd number before the fields (a store-store fence would do) and
 * before the caller's reading of the counter, which is no memory access: the
 * store has to be visible, not only next in line.
 */
static void odd_is_visible(void)
{
#if defined(__aarch64__)
	/* DMB orders memory accesses only; DSB completes them. */
	__asm__ volatile("dsb ish" : : : "memory");
#else
	/*
	 * x86: a locked instruction drains the store buffer, and the LFENCE
	 * in front of the caller's RDTSC waits for it.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

void vmclk_writer_begin(struct vmclk_writer *writer)
{
	/* An odd number that a dead writer left stays as it is. */
	writer->seq |= 1;
	STORE(writer->page->seq_count, htole32(writer->seq));
	odd_is_visible();	/* W1, with the fence before R3 in window.h */
}

static void end_update(struct vmclk_writer *writer)
{
	writer->seq++;
	__atomic_thread_fence(__ATOMIC_RELEASE);	/* W3, with R1 in window.h */
	STORE(writer->page->seq_count, htole32(writer->seq));
}

void vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *f)
{
	struct vmclock_page *p = writer->page;

	/* With the first update only it changes: then it is no longer 0. */
	STORE(p->version, htole16(VMCLOCK_PAGE_VERSION));
	STORE(p->counter_id, f->counter_id);
	STORE(p->time_type, f->time_type);
	STORE(p->disruption_marker, htole64(f->disruption_marker));
	STORE(p->flags, htole64(f->flags));
	STORE(p->clock_status, f->clock_status);
	STORE(p->smear_hint, f->smear_hint);
	STORE(p->tai_offset_sec, htole16((uint16_t)f->tai_offset_sec));
	STORE(p->leap_indicator, f->leap_indicator);
	STORE(p->counter_period_shift, f->counter_period_shift);
	STORE(p->counter_value, htole64(f->counter_value));
	STORE(p->counter_period_frac_sec, htole64(f->counter_period_frac_sec));
	STORE(p->counter_period_esterror_rate_frac_sec,
	      htole64(f->counter_period_esterror_rate_frac_sec));
	STORE(p->counter_period_maxerror_rate_frac_sec,
	      htole64(f->counter_period_maxerror_rate_frac_sec));
	STORE(p->time_sec, htole64(f->time_sec));
	STORE(p->time_frac_sec, htole64(f->time_frac_sec));
	STORE(p->time_esterror_nanosec, htole64(f->time_esterror_nanosec));
	STORE(p->time_maxerror_nanosec, htole64(f->time_maxerror_nanosec));
	if (VMCLOCK_PAGE_HAS(writer->len, vm_generation_counter))
		STORE(p->vm_generation_counter, htole64(f->vm_generation_counter));
	end_update(writer);
}

void vmclk_writer_write(struct vmclk_writer *writer, const struct vmclk_snapshot *f)
{
	vmclk_writer_begin(writer);
	vmclk_writer_commit(writer, f);
}

/* FUTEX_WAKE without _PRIVATE: the waiters are in other processes. */
int vmclk_writer_wake(const struct vmclk_writer *writer)
{
	int saved = errno;
	long woken = syscall(SYS_futex, &writer->page->seq_count, FUTEX_WAKE, INT_MAX, NULL,
			     NULL, 0);

	errno = saved;
	return woken > 0 ? woken : 0;
}
