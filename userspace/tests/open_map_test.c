// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver that has no mapping to give, and one whose mapping is not the page.
 * The linker puts the __wrap_ functions in the place of the system's.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "wrapped.h"

static enum { AS_IT_IS, NOT_AT_ALL, ELSEWHERE } how;
static int maps;

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (how == NOT_AT_ALL) {
		errno = EOPNOTSUPP;
		return MAP_FAILED;
	}
	maps++;
	if (how == ELSEWHERE)
		return __real_mmap(at, len, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return __real_mmap(at, len, prot, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t len)
{
	maps--;
	return __real_munmap(at, len);
}

/* The page is one all the same, by reading it. */
static void is_read(int with)
{
	const struct vmclock_page content = good_page();
	struct test_page t = page_make(&content, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_snapshot snap = { 0 };
	struct vmclk *clk = NULL;
	int before = maps;

	how = with;
	is_int(vmclk_open(t.path, &clk), 0);
	how = AS_IT_IS;
	need(clk);
	is_int(maps, before);
	is_int(vmclk_snapshot(clk, &snap), 0);
	is_u64(snap.disruption_marker, 0x1111111111111111);
	vmclk_close(clk);
	is_int(maps, before);
	page_drop(&t);
}

TAP_TEST(what_has_no_mapping_to_give_is_read)
{
	is_read(NOT_AT_ALL);
}

/*
 * The in-tree driver rounds the page's address down to a page of the kernel, and
 * those of arm64 may have 64 KiB.
 */
TAP_TEST(what_maps_something_else_is_read)
{
	is_read(ELSEWHERE);
}

int main(void)
{
	return tap_main();
}
