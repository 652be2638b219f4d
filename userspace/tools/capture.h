/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at a page that may be broken in any way. The library refuses such
 * pages; here they are what is looked for.
 */
#ifndef VMCLOCKCTL_CAPTURE_H
#define VMCLOCKCTL_CAPTURE_H

#include "trace.h"

/**
 * struct capture - a page that is being looked at
 * @path: its name
 * @fd: the device or file
 * @epoll_fd: woken by the device's notifications; -1 for a file
 * @map: the mapping of a device; NULL for one that has none to give, and for a
 *	file, which could be truncated
 */
struct capture {
	const char *path;
	int fd;
	int epoll_fd;
	const uint64_t *map;
};

/**
 * capture_open() - find the page
 * @c: initialised here
 * @path: a device or a file; NULL for /dev/vmclock or /dev/vmclock0
 *
 * Return: EXIT_OK, or the code to exit with: it was said why.
 */
int capture_open(struct capture *c, const char *path);

/**
 * capture_look() - look once
 * @c: the page
 * @look: where it goes. If updates left no gap for long, an even sequence number
 *	is made odd: the copy may be torn
 *
 * Return: EXIT_OK, or the code to exit with: it was said why.
 */
int capture_look(const struct capture *c, struct trace_look *look);

void capture_close(struct capture *c);

#endif /* VMCLOCKCTL_CAPTURE_H */
