// SPDX-License-Identifier: GPL-2.0-only
/*
 * Up to 6.13: a command's submission has a pointer, and what io_uring keeps of a
 * request begins with a copy of it. Later there is a structure around that copy,
 * which is declared, so that it could not be declared here.
 */
#include <linux/io_uring/cmd.h>

struct io_uring_cmd_data {
	int other;
};

void *conftest(struct io_uring_cmd *cmd, struct iov_iter *iter);
void *conftest(struct io_uring_cmd *cmd, struct iov_iter *iter)
{
	cmd->sqe = NULL;
	io_uring_cmd_import_fixed(0, 0, 0, iter, cmd);
	return cmd_to_io_kiocb(cmd)->async_data;
}
