// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The writer's half of the sequence protocol; read.c has the other half and
 * the picture of both.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "write.h"

/* The fields this writer can't do without; older pages end right after them. */
#define LEN_MIN (offsetof(struct vmclock_page, time_maxerror_nanosec) + \
		 sizeof(uint64_t))

#define STORE(field, value) \
	__atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

void page_format(struct vmclock_page *page, uint32_t size)
{
	memset(page, 0, sizeof(*page));
	page->size = htole32(size);
	page->version = htole16(VMCLOCK_PAGE_VERSION);
	page->counter_id = VMCLOCK_PAGE_COUNTER_NONE;
	page->time_type = VMCLOCK_PAGE_TIME_TAI;
	page->clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;

	/* Pairs with the acquire fence after R1 in read.c. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	STORE(page->magic, htole32(VMCLOCK_PAGE_MAGIC));
}

static void decode(const struct vmclock_page *page, struct page_fields *f)
{
	f->disruption_marker = le64toh(page->disruption_marker);
	f->flags = le64toh(page->flags);
	f->counter_value = le64toh(page->counter_value);
	f->counter_period_frac_sec = le64toh(page->counter_period_frac_sec);
	f->counter_period_esterror_rate_frac_sec =
		le64toh(page->counter_period_esterror_rate_frac_sec);
	f->counter_period_maxerror_rate_frac_sec =
		le64toh(page->counter_period_maxerror_rate_frac_sec);
	f->time_sec = le64toh(page->time_sec);
	f->time_frac_sec = le64toh(page->time_frac_sec);
	f->time_esterror_nanosec = le64toh(page->time_esterror_nanosec);
	f->time_maxerror_nanosec = le64toh(page->time_maxerror_nanosec);
	f->vm_generation_counter = le64toh(page->vm_generation_counter);
	f->tai_offset_sec = (int16_t)le16toh(page->tai_offset_sec);
	f->counter_id = page->counter_id;
	f->time_type = page->time_type;
	f->clock_status = page->clock_status;
	f->smear_hint = page->smear_hint;
	f->leap_indicator = page->leap_indicator;
	f->counter_period_shift = page->counter_period_shift;
}

int page_attach(struct page_writer *writer, struct vmclock_page *page,
		size_t room, struct page_fields *found)
{
	struct vmclock_page copy = { 0 };
	uint32_t size;

	if (room < LEN_MIN)
		return -EPROTO;
	memcpy(&copy, page, room < sizeof(copy) ? room : sizeof(copy));
	size = le32toh(copy.size);

	if (le32toh(copy.magic) != VMCLOCK_PAGE_MAGIC || !copy.version)
		return -EPROTO;
	if (le16toh(copy.version) != VMCLOCK_PAGE_VERSION)
		return -EPROTONOSUPPORT;
	if (size < LEN_MIN || size > room)
		return -EPROTO;
	if (size < sizeof(copy))
		memset((char *)&copy + size, 0, sizeof(copy) - size);

	decode(&copy, found);
	writer->page = page;
	writer->len = size;
	writer->seq = le32toh(copy.seq_count);
	return 0;
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

void page_begin(struct page_writer *writer)
{
	/* An odd number that a dead writer left stays as it is. */
	writer->seq |= 1;
	STORE(writer->page->seq_count, htole32(writer->seq));
	odd_is_visible();	/* W1, with the fence before R3 in read.c */
}

void page_commit(struct page_writer *writer, const struct page_fields *f)
{
	struct vmclock_page *p = writer->page;

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

	writer->seq++;
	__atomic_thread_fence(__ATOMIC_RELEASE);	/* W3, with R1 in read.c */
	STORE(p->seq_count, htole32(writer->seq));
}
