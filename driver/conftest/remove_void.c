// SPDX-License-Identifier: GPL-2.0-only
/* 6.11: the platform driver's .remove returns nothing. */
#include <linux/platform_device.h>

static void conftest_remove(struct platform_device *pdev)
{
}

struct platform_driver conftest_driver;
struct platform_driver conftest_driver = { .remove = conftest_remove };
