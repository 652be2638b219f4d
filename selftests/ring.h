/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of io_uring share.
 */
#ifndef SELFTESTS_RING_H
#define SELFTESTS_RING_H

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include <linux/vmclock-dev.h>

#include "vmclk-uring.h"

/* Queue and submit one of our commands. Return: 0 or a negative errno. */
static inline int ring_command(struct io_uring *ring, int fd, uint32_t op, void *arg,
			       uint64_t id, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int ret;

	if (!sqe)
		return -EBUSY;
	vmclk__uring_command(sqe, fd, op, arg, id);
	io_uring_sqe_set_data64(sqe, data);
	ret = io_uring_submit(ring);
	return ret < 0 ? ret : 0;
}

/* Wait for a completion. Return: its result; its user_data is in @data. */
static inline int ring_result(struct io_uring *ring, uint64_t *data)
{
	struct io_uring_cqe *cqe;
	int ret;

	do {
		ret = io_uring_wait_cqe(ring, &cqe);
	} while (ret == -EINTR);
	if (ret)
		return ret;
	ret = cqe->res;
	if (data)
		*data = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* Is there no completion, also a while later? */
static inline bool ring_is_quiet(struct io_uring *ring)
{
	struct __kernel_timespec ts = { .tv_nsec = 100000000 };
	struct io_uring_cqe *cqe;

	return io_uring_wait_cqe_timeout(ring, &cqe, &ts) == -ETIME;
}

#endif /* SELFTESTS_RING_H */
