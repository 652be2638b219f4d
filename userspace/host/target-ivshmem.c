// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page for QEMU's ivshmem-doorbell device. The memory is as large as any
 * kernel's page, and so is the BAR it becomes: what else shares a page with a
 * smaller one a guest could not map, or would have to.
 *
 * It is sealed: a client can't cut it short. It can write, as QEMU maps it
 * writable; but then the page is its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "target.h"

#define BAR_SIZE	65536

int target_ivshmem_open(struct target *target, const char *path)
{
	struct ivshmem_server *server = malloc(sizeof(*server));
	int err = server ? target_memory_open(target, BAR_SIZE) : log_error(path, -ENOMEM);

	if (!err) {
		err = ivshmem_server_open(server, path, target->fd);
		if (err)
			target_close(target);
	}
	if (err)
		free(server);
	else
		target->server = server;
	return err;
}
