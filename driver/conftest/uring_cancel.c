// SPDX-License-Identifier: GPL-2.0-only
/* 6.7: pending commands can be cancelled, in a header of their own. */
#include <linux/io_uring/cmd.h>

void conftest(struct io_uring_cmd *cmd);
void conftest(struct io_uring_cmd *cmd)
{
	io_uring_cmd_mark_cancelable(cmd, IO_URING_F_CANCEL);
}
