/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages to test with, in memory that has a path.
 */
#ifndef TESTS_PAGES_H
#define TESTS_PAGES_H

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "counter.h"

#define PAGE_BYTES	4096
/* This machine's counter; where a page has no name for that, another's. */
#define PAGE_COUNTER	((__u8)(COUNTER_ID < 0 ? VMCLOCK_PAGE_COUNTER_X86_TSC : COUNTER_ID))
#define PAGE_FLAGS	(VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID | \
			 VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_GENERATION_PRESENT)

/**
 * struct test_page - a memfd that holds a page, mapped
 * @page: writable mapping of all PAGE_BYTES
 * @fd: the memfd
 * @path: under which it can be opened
 */
struct test_page {
	struct vmclock_page *page;
	int fd;
	char path[32];
};

/* A page whose time is good on this machine's counter: 2.4 GHz, 50 ppb. */
static inline struct vmclock_page good_page(void)
{
	return (struct vmclock_page){
		.magic = htole32(VMCLOCK_PAGE_MAGIC),
		.size = htole32(PAGE_BYTES),
		.version = htole16(VMCLOCK_PAGE_VERSION),
		.counter_id = PAGE_COUNTER,
		.time_type = VMCLOCK_PAGE_TIME_TAI,
		.seq_count = htole32(2),
		.disruption_marker = htole64(0x1111111111111111),
		.flags = htole64(PAGE_FLAGS),
		.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED,
		.tai_offset_sec = htole16((uint16_t)-37),
		.counter_period_shift = 31,
		.counter_value = htole64(1000000000000),
		.counter_period_frac_sec = htole64(0xE5109EC205D7BEA7),
		.counter_period_maxerror_rate_frac_sec = htole64(0xC0275149A4),
		.time_sec = htole64(1767225637),
		.time_frac_sec = htole64(1ULL << 63),
		.time_maxerror_nanosec = htole64(1200),
		.vm_generation_counter = htole64(0x2222222222222222),
	};
}

/*
 * With F_SEAL_SHRINK in @seals the library maps it, else it reads it. Ends the
 * program if the system has no memory: nothing could be tested.
 */
static inline struct test_page page_make(const struct vmclock_page *content,
					 off_t size, unsigned int seals)
{
	struct test_page t = { .fd = memfd_create("page", MFD_ALLOW_SEALING) };

	if (t.fd < 0 || ftruncate(t.fd, size) ||
	    pwrite(t.fd, content, sizeof(*content), 0) < 0 ||
	    ftruncate(t.fd, size) || fcntl(t.fd, F_ADD_SEALS, seals)) {
		perror("Bail out! memfd");
		_exit(1);
	}
	t.page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
	if (t.page == MAP_FAILED) {
		perror("Bail out! mmap");
		_exit(1);
	}
	snprintf(t.path, sizeof(t.path), "/proc/self/fd/%d", t.fd);
	return t;
}

static inline void page_drop(struct test_page *t)
{
	munmap(t->page, PAGE_BYTES);
	close(t->fd);
}

#endif /* TESTS_PAGES_H */
