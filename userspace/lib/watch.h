/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files behind vmclk-watch.h share.
 */
#ifndef VMCLK_LIB_WATCH_H
#define VMCLK_LIB_WATCH_H

#include <sys/types.h>

#include "internal.h"
#include "vmclk-watch.h"

/* A notification may get lost: look this often where one is expected. */
#define SAFETY_NS	1000000000ULL

/* What a path names; all zero if nothing. */
struct named_file {
	dev_t dev;
	ino_t ino;
	dev_t rdev;
};

/**
 * struct vmclk_watch - a page, and what it last said
 * @clk: the page
 * @mask: events to report
 * @epoll_fd: holds the descriptors below; is given to the caller
 * @timer_fd: when to look at the page in any case
 * @inotify_fd: watches the path's directory, or -1
 * @device_fd: an open file of our own of a device that notifies, or -1
 * @interval_ns: how often to look at a page that does not
 * @gone: the page's end was reported: nothing is read any more
 * @seen: the page as last looked at
 * @generation: the last generation counter seen
 * @has_generation: there was one
 * @named: what the path named when last looked at
 * @word: the sequence word to wait for, or NULL; not to be read, the file
 *	behind it may have been truncated
 * @word_len: bytes mapped at @word by us, 0 if it is the handle's mapping
 * @word_seen: value of that word in the last look, as it lies in the page
 */
struct vmclk_watch {
	const struct vmclk *clk;
	unsigned int mask;
	int epoll_fd;
	int timer_fd;
	int inotify_fd;
	int device_fd;
	uint64_t interval_ns;
	bool gone;
	struct vmclk_snapshot seen;
	uint64_t generation;
	bool has_generation;
	struct named_file named;
	const void *word;
	size_t word_len;
	uint32_t word_seen;
};

/* VMCLK_EVENT_* that lie between two copies of a page, but for CLONED. */
unsigned int vmclk__differences(const struct vmclk_snapshot *old,
				const struct vmclk_snapshot *new);

/*
 * Let @fd tell of updates. It has to poll readable at a change, with a wake-up
 * each time. One that can't is closed; the watch owns @fd in any case.
 */
int vmclk__watch_notifier(struct vmclk_watch *watch, int fd);

/* Find the word that vmclk_wait() may wait for, and give it back. */
void vmclk__word_map(struct vmclk_watch *watch);
void vmclk__word_unmap(struct vmclk_watch *watch);

#endif /* VMCLK_LIB_WATCH_H */
