// SPDX-License-Identifier: GPL-2.0-only
/* 6.19 or so: task work gets a request, not the command. */
#include <linux/io_uring/cmd.h>

static void conftest_work(struct io_tw_req req, io_tw_token_t tw)
{
	io_uring_cmd_done(io_uring_cmd_from_tw(req), 0, IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);
}

void conftest(struct io_uring_cmd *cmd);
void conftest(struct io_uring_cmd *cmd)
{
	io_uring_cmd_complete_in_task(cmd, conftest_work);
}
