// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that is cut, or cut and made long again, between any two system calls
 * of one reading, and inside the one that copies the page. pread() is this
 * program's own, so that it happens exactly there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"

static struct test_page t;
static unsigned int calls, at;
static off_t cut, length;
static bool inside;

static void cut_file(void)
{
	ok(!ftruncate(t.fd, cut) && !ftruncate(t.fd, length));
}

/* The @at'th call finds the file cut, or has it cut under its hands. */
ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	size_t head = inside && ++calls == at && len > 0x20 ? 0x20 : 0;

	if (!inside && ++calls == at)
		cut_file();
	if (!head)
		return syscall(SYS_pread64, fd, buf, len, offset);
	if (syscall(SYS_pread64, fd, buf, head, offset) != (ssize_t)head)
		return -1;
	cut_file();
	return head + syscall(SYS_pread64, fd, (char *)buf + head, len - head, offset + head);
}

static bool is_whole(const struct vmclk_snapshot *snap)
{
	return snap->disruption_marker == 0x1111111111111111 && snap->flags == PAGE_FLAGS &&
	       snap->time_maxerror_nanosec == 1200 &&
	       snap->vm_generation_counter == 0x2222222222222222;
}

/*
 * The page's own length, and its sequence number 0, are the hardest case. The
 * second of the calls is the one that copies.
 */
static void read_cut_file(off_t to, off_t then, int error)
{
	struct vmclock_page page = good_page();
	struct vmclk *clk;

	page.seq_count = 0;
	page.size = htole32(sizeof(page));
	cut = to;
	length = then;
	for (unsigned int i = inside ? 2 : 1; i <= (inside ? 2 : 3); i++) {
		struct vmclk_snapshot snap;
		int err;

		t = page_make(&page, sizeof(page), 0);
		at = 0;
		need(!vmclk_open(t.path, &clk));
		calls = 0;
		at = i;
		err = vmclk_snapshot(clk, &snap);
		ok(err ? err == error : is_whole(&snap));
		ok(calls >= 3 || err);
		at = 0;
		is_int(vmclk_snapshot(clk, &snap), error);
		vmclk_close(clk);
		page_drop(&t);
	}
}

TAP_TEST(a_file_cut_between_two_calls_gives_an_error_or_what_it_held)
{
	inside = false;
	read_cut_file(0, 0, -VMCLK_EMALFORMED);
	read_cut_file(0x20, 0x20, -VMCLK_EMALFORMED);
	read_cut_file(0x68, 0x68, -VMCLK_EMALFORMED);
}

TAP_TEST(a_file_cut_and_made_long_again_between_two_calls_gives_no_zeros)
{
	inside = false;
	read_cut_file(0, sizeof(struct vmclock_page), -VMCLK_EMALFORMED);
	read_cut_file(0, PAGE_BYTES, -VMCLK_EMALFORMED);
}

TAP_TEST(a_file_cut_while_it_is_copied_gives_no_zeros)
{
	inside = true;
	read_cut_file(0, sizeof(struct vmclock_page), -VMCLK_EMALFORMED);
	read_cut_file(0, 0, -VMCLK_EMALFORMED);
}

int main(void)
{
	return tap_main();
}
