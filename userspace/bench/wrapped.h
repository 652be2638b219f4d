/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Begin and end of an update, as the linker's --wrap calls them: ours, and the real
 * ones.
 */
#ifndef BENCH_WRAPPED_H
#define BENCH_WRAPPED_H

#include "vmclk-writer.h"

void __real_vmclk_writer_begin(struct vmclk_writer *writer);
void __real_vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *f);
void __wrap_vmclk_writer_begin(struct vmclk_writer *writer);
void __wrap_vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *f);

#endif /* BENCH_WRAPPED_H */
