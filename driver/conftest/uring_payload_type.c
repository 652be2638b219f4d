// SPDX-License-Identifier: GPL-2.0-only
/* 7.0 or so: io_uring_sqe_cmd() takes a type. */
#include <linux/io_uring/cmd.h>

const u64 *conftest(struct io_uring_cmd *cmd);
const u64 *conftest(struct io_uring_cmd *cmd)
{
	return io_uring_sqe_cmd(cmd->sqe, u64);
}
