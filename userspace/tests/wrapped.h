/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the linker's --wrap calls in place of functions of other libraries, and
 * what those are called then.
 */
#ifndef TESTS_WRAPPED_H
#define TESTS_WRAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/types.h>

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);
int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_adjtimex(struct timex *tx);
struct vmclk_writer;
int __real_vmclk_writer_wake(const struct vmclk_writer *writer);
int __wrap_vmclk_writer_wake(const struct vmclk_writer *writer);
bool __wrap_rivals_find(const char *proc, char *name, size_t size);

#endif /* TESTS_WRAPPED_H */
