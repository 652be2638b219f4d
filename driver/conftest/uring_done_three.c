// SPDX-License-Identifier: GPL-2.0-only
/* 6.18 or so: io_uring_cmd_done() has no second result. */
#include <linux/io_uring/cmd.h>

void conftest(struct io_uring_cmd *cmd);
void conftest(struct io_uring_cmd *cmd)
{
	io_uring_cmd_done(cmd, 0, 0);
}
