// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches and reads by io_uring, and what is made of what was read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "vmclk-uring.h"

static struct io_uring ring;
static struct test_page page;
static struct vmclk *clk;

static bool set_up(void)
{
	struct vmclock_page content = good_page();
	int err = io_uring_queue_init(4, &ring, 0);

	if (err == -ENOSYS || err == -EPERM) {
		tap_skipped = "this kernel has io_uring switched off";
		return false;
	}
	page = page_make(&content, PAGE_BYTES, F_SEAL_SHRINK);
	return ok(!err) && ok(!vmclk_open(page.path, &clk));
}

static void drop_all(void)
{
	io_uring_queue_exit(&ring);
	vmclk_close(clk);
	page_drop(&page);
}

static void disrupt(void)
{
	page.page->disruption_marker++;
	__atomic_add_fetch(&page.page->seq_count, htole32(2), __ATOMIC_SEQ_CST);
}

/* The result of the next completion; @flags are its own. */
static int next_result(unsigned int *flags)
{
	struct __kernel_timespec patience = { .tv_sec = 60 };
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe_timeout(&ring, &cqe, &patience);

	if (result)
		return result;
	result = cqe->res;
	*flags = cqe->flags;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

/* Until the update was seen: the timer of the watch completes as well. */
static bool disruption_arrives(struct vmclk_watch *watch, bool multishot)
{
	unsigned int events = 0, flags = 0;

	disrupt();
	while (!events) {
		if (!(flags & IORING_CQE_F_MORE) && !multishot) {
			vmclk_uring_prep_poll(io_uring_get_sqe(&ring), watch);
			io_uring_submit(&ring);
		}
		if (next_result(&flags) != POLLIN || vmclk_watch_read(watch, &events))
			return false;
		if (multishot && !(flags & IORING_CQE_F_MORE))
			return false;
	}
	return events == VMCLK_EVENT_DISRUPTED;
}

TAP_TEST(a_poll_completes_when_the_watch_is_worth_reading)
{
	struct vmclk_watch *watch;

	if (!set_up())
		return;
	need(!vmclk_watch_open(clk, VMCLK_EVENT_DISRUPTED, &watch));
	for (unsigned int i = 0; i < 3; i++)
		ok(disruption_arrives(watch, false));
	vmclk_watch_close(watch);
	drop_all();
}

TAP_TEST(one_multishot_poll_completes_again_and_again)
{
	struct vmclk_watch *watch;

	if (!set_up())
		return;
	need(!vmclk_watch_open(clk, VMCLK_EVENT_DISRUPTED, &watch));
	vmclk_uring_prep_poll_multishot(io_uring_get_sqe(&ring), watch);
	is_int(io_uring_submit(&ring), 1);
	for (unsigned int i = 0; i < 5; i++)
		ok(disruption_arrives(watch, true));
	io_uring_queue_exit(&ring);
	vmclk_watch_close(watch);
	vmclk_close(clk);
	page_drop(&page);
}

TAP_TEST(a_read_brings_what_a_snapshot_has)
{
	struct vmclk_snapshot direct, copied;
	struct vmclock_page copy;
	unsigned int flags;

	if (!set_up())
		return;
	memset(&copy, 0xcc, sizeof(copy));
	vmclk_uring_prep_read(io_uring_get_sqe(&ring), clk, &copy, sizeof(copy));
	is_int(io_uring_submit(&ring), 1);
	is_int(next_result(&flags), sizeof(copy));
	is_int(vmclk_snapshot(clk, &direct), 0);
	is_int(vmclk__decode(clk, &copy, &copied), 0);
	ok(copied.counter >= direct.counter);
	copied.counter = direct.counter;
	/* Behind the last field there is padding. */
	ok(!memcmp(&copied, &direct, offsetof(struct vmclk_snapshot, boot_unknown) + 1));
	drop_all();
}

/* Only whether it is a device is asked of the handle's file. */
static int decode(const struct vmclock_page *copy, size_t len, struct vmclk_snapshot *snap)
{
	const struct vmclk device = { .fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	int err = vmclk_decode(&device, copy, len, snap);

	close(device.fd);
	return err;
}

static int decode_with_magic(uint32_t magic)
{
	struct vmclock_page copy = good_page();
	struct vmclk_snapshot snap;

	copy.magic = htole32(magic);
	return decode(&copy, sizeof(copy), &snap);
}

TAP_TEST(a_copy_is_judged_as_a_page_is)
{
	struct vmclock_page copy = good_page();
	struct vmclk_snapshot snap = { .seq_count = 77 };

	is_int(decode_with_magic(VMCLOCK_PAGE_MAGIC_GONE), -VMCLK_EGONE);
	is_int(decode_with_magic(5), -VMCLK_EMALFORMED);
	is_int(decode(&copy, 0, &snap), -VMCLK_EMALFORMED);
	is_int(decode(&copy, VMCLOCK_PAGE_SIZE_MIN - 1, &snap), -VMCLK_EMALFORMED);
	is_int(decode(&copy, sizeof(copy) - 1, &snap), -VMCLK_EMALFORMED);
	copy.seq_count = htole32(3);
	is_int(decode(&copy, sizeof(copy), &snap), -VMCLK_EBUSY);
	copy.version = 0;
	copy.seq_count = htole32(4);
	is_int(decode(&copy, sizeof(copy), &snap), -VMCLK_ENOTINIT);
	is_u64(snap.seq_count, 77);
}

TAP_TEST(a_copy_of_a_page_that_is_short_is_as_long_as_that)
{
	struct vmclock_page copy = good_page();
	struct vmclk_snapshot snap = { .seq_count = 77 };

	copy.size = htole32(offsetof(struct vmclock_page, vm_generation_counter));
	is_int(decode(&copy, le32toh(copy.size), &snap), 0);
	is_u64(snap.time_sec, 1767225637);
	is_u64(snap.vm_generation_counter, 0);
	is_u64(snap.seq_count, 2);
}

TAP_TEST(a_copy_may_be_longer_than_what_is_known)
{
	struct {
		struct vmclock_page page;
		char more[64];
	} copy = { .page = good_page() };
	struct vmclk_snapshot snap = { .seq_count = 77 };

	is_int(decode(&copy.page, sizeof(copy), &snap), 0);
	is_u64(snap.time_sec, 1767225637);
}

TAP_TEST(a_copy_of_a_file_is_refused)
{
	struct vmclk_snapshot snap = { .seq_count = 77 };
	struct vmclock_page copy = good_page();

	page = page_make(&copy, PAGE_BYTES, F_SEAL_SHRINK);
	need(!vmclk_open(page.path, &clk));
	is_int(vmclk_decode(clk, &copy, sizeof(copy), &snap), -EOPNOTSUPP);
	is_u64(snap.seq_count, 77);
	vmclk_close(clk);
	page_drop(&page);
}

int main(void)
{
	return tap_main();
}
