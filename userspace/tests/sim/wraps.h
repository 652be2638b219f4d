/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the linker's --wrap calls in the daemon's place.
 */
#ifndef TESTS_SIM_WRAPS_H
#define TESTS_SIM_WRAPS_H

#include "source-kernel.h"
#include "target.h"

int __wrap_target_file_open(struct target *target, const char *path, bool replace);
int __wrap_source_kernel_read(struct source_kernel *kernel, struct source_reading *reading);
void __wrap_log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* TESTS_SIM_WRAPS_H */
