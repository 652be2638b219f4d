/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a page's sequence number is odd, update by update, as its writer sees it: from
 * the odd number's being visible to the store of the even one, and a counter reading.
 *
 * The linker wraps begin and commit (wrapped.h). In a daemon whoever runs it makes the
 * file, and names it in the environment.
 */
#ifndef BENCH_WINDOWS_H
#define BENCH_WINDOWS_H

#include <stddef.h>
#include <stdint.h>

#define WINDOWS_PATH	"VMCLOCK_BENCH_WINDOWS"

/**
 * struct windows - what was seen
 * @count: of @ticks; those that find no room are not in it
 * @ticks: of the counter, unsorted
 */
struct windows {
	uint64_t count;
	uint32_t ticks[];
};

/**
 * windows_open() - where the updates of this process are recorded from now on
 * @path: a file; made if there is none
 * @room: the number of @ticks, or 0 for as many as the file has
 *
 * Return: all that was recorded, also by others; or NULL, and errno is set.
 */
struct windows *windows_open(const char *path, size_t room);

/**
 * windows_switch() - record, or do not
 * @is_on: which
 */
void windows_switch(int is_on);

/**
 * windows_close() - forget the record
 */
void windows_close(void);

#endif /* BENCH_WINDOWS_H */
