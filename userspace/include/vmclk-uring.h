/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk with io_uring: fill in a submission for a watch, or for a page.
 *
 * Only this header needs liburing, 2.1 or newer, and only the program that
 * includes it is linked with it. Everything is inline.
 */
#ifndef VMCLK_URING_H
#define VMCLK_URING_H

#include <liburing.h>
#include <poll.h>

#include "vmclk.h"
#include "vmclk-watch.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * vmclk_uring_prep_poll() - complete once when a watch is worth reading
 * @sqe: filled in; set its user data afterwards
 * @watch: the watch; must not be closed while this is pending
 *
 * The completion's result is POLLIN, or a negative errno value. Then call
 * vmclk_watch_read(), and after that submit again.
 */
static inline void vmclk_uring_prep_poll(struct io_uring_sqe *sqe,
					 const struct vmclk_watch *watch)
{
	io_uring_prep_poll_add(sqe, vmclk_watch_fd(watch), POLLIN);
}

/**
 * vmclk_uring_prep_poll_multishot() - complete whenever a watch is worth reading
 * @sqe: filled in; set its user data afterwards
 * @watch: the watch; must not be closed while this is pending
 *
 * One submission, many completions: call vmclk_watch_read() after each. The
 * kernel may end the series at any time, with a completion that has no
 * IORING_CQE_F_MORE: submit again after that one. Needs Linux 5.13.
 */
static inline void vmclk_uring_prep_poll_multishot(struct io_uring_sqe *sqe,
						   const struct vmclk_watch *watch)
{
	io_uring_prep_poll_multishot(sqe, vmclk_watch_fd(watch), POLLIN);
}

/**
 * vmclk_uring_prep_read() - read a device's page
 * @sqe: filled in; set its user data afterwards
 * @clk: the handle of a device; must not be closed while this is pending
 * @copy: where the page goes, when the completion comes
 * @room: bytes of room there; sizeof(struct vmclock_page) is enough
 *
 * The completion's result is the number of bytes to give to vmclk_decode()
 * together with @copy, or a negative errno value.
 */
static inline void vmclk_uring_prep_read(struct io_uring_sqe *sqe, const struct vmclk *clk,
					 void *copy, unsigned int room)
{
	io_uring_prep_read(sqe, vmclk_fd(clk), copy, room, 0);
}

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_URING_H */
