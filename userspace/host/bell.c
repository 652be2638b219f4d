// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bell.h"
#include "log.h"

/* One operation at a time: to wait for @ready, which always is. */
static aio_context_t context;
static int ready = -1;

int bell_prepare(void)
{
	if (ready >= 0)
		return 0;
	if (syscall(SYS_io_setup, 1, &context))
		return log_error("io_setup", -errno);
	ready = eventfd(1, EFD_CLOEXEC);
	if (ready >= 0)
		return 0;
	syscall(SYS_io_destroy, context);
	context = 0;
	return log_error("eventfd", -errno);
}

void bell_ring(int fd)
{
	struct iocb wait = {
		.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = ready, .aio_buf = POLLIN,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = fd,
	};
	struct iocb *list[] = { &wait };
	struct io_event done;

	/* It is over before this returns; what it was is taken, to make room. */
	if (syscall(SYS_io_submit, context, 1, list) == 1)
		syscall(SYS_io_getevents, context, 0, 1, &done, NULL);
}
