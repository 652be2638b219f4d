// SPDX-License-Identifier: GPL-2.0-only
/* 5.19: file operation uring_cmd. */
#include <linux/fs.h>

static int conftest_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	return 0;
}

const struct file_operations conftest_fops;
const struct file_operations conftest_fops = { .uring_cmd = conftest_cmd };
