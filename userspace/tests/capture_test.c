// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What 'record' and 'lint' look at: a device is read where its driver has no
 * mapping to give, or one that is not the page. The linker puts the __wrap_
 * functions in the place of the system's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "capture.h"
#include "common.h"
#include "pages.h"
#include "tap.h"
#include "wrapped.h"

static enum { AS_IT_IS, NOT_AT_ALL, ELSEWHERE } how;

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (how == NOT_AT_ALL) {
		errno = EOPNOTSUPP;
		return MAP_FAILED;
	}
	if (how == ELSEWHERE)
		return __real_mmap(at, len, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return __real_mmap(at, len, prot, flags, fd, offset);
}

int __wrap_fstat(int fd, struct stat *st)
{
	int ret = __real_fstat(fd, st);

	st->st_mode = S_IFCHR | 0600;
	return ret;
}

/* A file can't be polled, but a device could: one that stays silent. */
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return epoll_fd >= 0 && op == EPOLL_CTL_ADD && fd >= 0 && event ? 0 : -1;
}

static void sees_the_page(const struct vmclock_page *content, int with)
{
	struct test_page t = page_make(content, PAGE_BYTES, F_SEAL_SHRINK);
	struct trace_look look;
	struct capture c;

	how = with;
	is_int(capture_open(&c, t.path), EXIT_OK);
	how = AS_IT_IS;
	is_int(capture_look(&c, &look), EXIT_OK);
	is_u64(look.len, sizeof(look.page));
	ok(!memcmp(&look.page, content, sizeof(look.page)));
	/* Reading wakes: what is read can't be heard. */
	is_int(look.notified, with == AS_IT_IS ? TRACE_SILENT : TRACE_UNSEEN);
	capture_close(&c);
	page_drop(&t);
}

TAP_TEST(a_device_is_mapped)
{
	const struct vmclock_page page = good_page();

	sees_the_page(&page, AS_IT_IS);
}

TAP_TEST(a_device_that_has_no_mapping_to_give_is_read)
{
	const struct vmclock_page page = good_page();

	sees_the_page(&page, NOT_AT_ALL);
}

TAP_TEST(a_device_that_maps_something_else_is_read)
{
	const struct vmclock_page page = good_page();

	sees_the_page(&page, ELSEWHERE);
}

/* They look for pages that are wrong. */
TAP_TEST(a_device_with_another_magic_is_seen_as_it_is)
{
	struct vmclock_page page = good_page();

	page.magic = htole32(5);
	sees_the_page(&page, AS_IT_IS);
}

int main(void)
{
	return tap_main();
}
