// SPDX-License-Identifier: GPL-2.0-only
/* 6.8: eventfd_signal() adds 1 and takes no number. */
#include <linux/eventfd.h>

void conftest(struct eventfd_ctx *ctx);
void conftest(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
