/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk with io_uring: fill in a submission for a watch, or for a page.
 *
 * Only this header needs liburing, 2.2 or newer, and only the program that
 * includes it is linked with it. Everything is inline.
 */
#ifndef VMCLK_URING_H
#define VMCLK_URING_H

#include <liburing.h>
#include <poll.h>
#include <string.h>

#include <linux/vmclock-dev.h>

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

/*
 * What follows are commands of the driver. In a ring of IORING_SETUP_SQE128, zero
 * the second half of each submission before: liburing does not, and the driver
 * refuses what it does not know, with -EINVAL.
 */

/* Not for callers: one of the driver's commands. */
static inline void vmclk__uring_command(struct io_uring_sqe *sqe, int fd, unsigned int op,
					const void *arg, uint64_t id)
{
	struct vmclock_uring command;

	command.arg = (uintptr_t)arg;
	command.id = id;
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy(sqe->cmd, &command, sizeof(command));
}

/**
 * vmclk_uring_prep_snapshot() - VMCLOCK_IOC_SNAPSHOT as a command
 * @sqe: filled in; set its user data afterwards
 * @clk: the handle of a /dev/vmclock; must not be closed while this is pending
 * @snapshot: the ioctl's argument, which stays the kernel's until the completion
 *
 * The completion's result is 0 or the ioctl's negative errno value. Where
 * VMCLOCK_IOC_INFO has no VMCLOCK_F_URING_SNAPSHOT it is -EINVAL or -EOPNOTSUPP.
 */
static inline void vmclk_uring_prep_snapshot(struct io_uring_sqe *sqe,
					     const struct vmclk *clk,
					     struct vmclock_snapshot *snapshot)
{
	vmclk__uring_command(sqe, vmclk_fd(clk), VMCLOCK_URING_SNAPSHOT, snapshot, 0);
}

/**
 * vmclk_uring_prep_wait() - VMCLOCK_IOC_WAIT as a command
 * @sqe: filled in; set its user data afterwards
 * @clk: the handle of a /dev/vmclock; must not be closed while this is pending.
 *	An event is told once for each handle, so waiters have one each.
 * @wait: the ioctl's argument, which stays the kernel's until the completion
 * @id: by which vmclk_uring_prep_cancel() finds it
 *
 * The completion's result is 0, -ECANCELED, or the ioctl's negative errno value;
 * -EOPNOTSUPP or -EINVAL where VMCLOCK_IOC_INFO has no VMCLOCK_F_URING_WAIT.
 * IORING_OP_ASYNC_CANCEL does not end it.
 */
static inline void vmclk_uring_prep_wait(struct io_uring_sqe *sqe, const struct vmclk *clk,
					 struct vmclock_wait *wait, uint64_t id)
{
	vmclk__uring_command(sqe, vmclk_fd(clk), VMCLOCK_URING_WAIT, wait, id);
}

/**
 * vmclk_uring_prep_cancel() - end waits early
 * @sqe: filled in; set its user data afterwards
 * @clk: the handle they are on
 * @id: what they were given
 *
 * The completion's result is 0, or -ENOENT if nothing waits by that @id. Each
 * wait has a completion of its own, with -ECANCELED.
 */
static inline void vmclk_uring_prep_cancel(struct io_uring_sqe *sqe, const struct vmclk *clk,
					   uint64_t id)
{
	vmclk__uring_command(sqe, vmclk_fd(clk), VMCLOCK_URING_CANCEL, NULL, id);
}

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_URING_H */
