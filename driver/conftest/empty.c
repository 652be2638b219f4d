// SPDX-License-Identifier: GPL-2.0-only
/* Nothing asked: the headers and the compiler work. */
#include <linux/module.h>
