/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk: waiting for a page to change.
 *
 * A watch remembers what a page said and tells what has changed since. It has
 * one file descriptor for an event loop; vmclk_wait() is for a thread that has
 * nothing else to do.
 *
 * How it comes to know:
 *
 * - A device that notifies wakes it. In case a notification gets lost, it looks
 *   by itself every second as well.
 * - Any other page is looked at every 10 ms: vmclk_watch_set_interval().
 * - vmclk_wait() on a file or memfd also waits for the sequence word as a
 *   futex, so it returns at once if the writer wakes that (FUTEX_WAKE, shared).
 * - Replacement of the file is told by inotify of its directory; vmclk_wait()
 *   notices it within a second.
 *
 * Nothing is lost that lasts: what is compared is the page as it is with the
 * page as this watch saw it last, and the first time when it was opened. The
 * disruption marker and the generation counter never take a value again, so
 * their changes are always seen, if late. A status, or a flag, that changes and
 * changes back between two looks is not seen, and several updates between two
 * looks are one. An update in progress is no event: it is looked at again when
 * it has ended.
 *
 * To miss nothing: open the watch first, take stamps after that.
 *
 * A watch belongs to one thread at a time, and must be closed before its handle.
 * As elsewhere in the library, functions return 0 or a negative error. They
 * leave errno alone.
 */
#ifndef VMCLK_WATCH_H
#define VMCLK_WATCH_H

#include <stdint.h>

#include "vmclk.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The page was written. Every event below but the last two comes with it. */
#define VMCLK_EVENT_UPDATE		(1U << 0)
/* The line is another: reference point, period, their errors, or what they mean. */
#define VMCLK_EVENT_RECALIBRATED	(1U << 1)
/* The disruption marker changed: the clock may have jumped. */
#define VMCLK_EVENT_DISRUPTED		(1U << 2)
/* The generation counter changed: the machine was restored or cloned. */
#define VMCLK_EVENT_CLONED		(1U << 3)
/* The clock's status changed. */
#define VMCLK_EVENT_STATUS		(1U << 4)
/* The leap indicator, or the offset between TAI and UTC, changed. */
#define VMCLK_EVENT_LEAP		(1U << 5)
/* A disruption was announced (soon or imminent), or is not expected any more. */
#define VMCLK_EVENT_MAINTENANCE		(1U << 6)
/*
 * The page is gone: its device was removed, or its file replaced by its writer.
 * Comes once, and whether it was asked for or not: nothing follows it, except:
 */
#define VMCLK_EVENT_GONE		(1U << 7)
/*
 * The path that was opened names another file, or none; comes again whenever
 * that changes. Open it anew. Never for a handle without a path
 * (vmclk_open_fd()).
 */
#define VMCLK_EVENT_REPLACED		(1U << 8)

#define VMCLK_EVENT_ALL			((1U << 9) - 1)

/* What vmclk_watch_set_interval() takes. */
#define VMCLK_WATCH_INTERVAL_MIN_NS	1000ULL
#define VMCLK_WATCH_INTERVAL_DEFAULT_NS	10000000ULL
#define VMCLK_WATCH_INTERVAL_MAX_NS	3600000000000ULL

/* What a page said when it was last looked at. */
struct vmclk_watch;

/**
 * vmclk_watch_open() - watch a page from now on
 * @clk: the page's handle; must stay open as long as the watch
 * @mask: VMCLK_EVENT_* to be told of
 * @watch: where the watch goes
 *
 * Takes up to four file descriptors, one of them for inotify. A device that
 * can't be opened once more (its mode has changed, there is no /proc) can't
 * notify this watch, and is looked at every 10 ms.
 *
 * Context: allocates; not for signal handlers.
 *
 * Return: 0, or
 * -EINVAL - @mask is 0 or has unknown bits
 * -EMFILE, -ENFILE, -ENOSPC, -ENOMEM - no more files, inotify watches or memory
 * an error of vmclk_snapshot(), which the page as of now is taken with
 */
int vmclk_watch_open(const struct vmclk *clk, unsigned int mask,
		     struct vmclk_watch **watch);

/**
 * vmclk_watch_close() - end a watch
 * @watch: the watch, or NULL
 *
 * Closes its descriptor: take that out of event loops and rings before.
 */
void vmclk_watch_close(struct vmclk_watch *watch);

/**
 * vmclk_watch_set_interval() - how often to look at a page that can't notify
 * @watch: the watch
 * @interval_ns: VMCLK_WATCH_INTERVAL_MIN_NS to VMCLK_WATCH_INTERVAL_MAX_NS
 *
 * A device that notifies is looked at once in this time or in a second,
 * whichever is longer.
 *
 * Return: 0, or -EINVAL if @interval_ns is out of range.
 */
int vmclk_watch_set_interval(struct vmclk_watch *watch, uint64_t interval_ns);

/**
 * vmclk_watch_fd() - the descriptor for an event loop
 * @watch: the watch
 *
 * It polls readable when vmclk_watch_read() is worth a call, and until that is
 * called. Do nothing else with it.
 *
 * Return: a file descriptor, valid as long as @watch.
 */
int vmclk_watch_fd(const struct vmclk_watch *watch);

/**
 * vmclk_watch_read() - what has happened since the last time
 * @watch: the watch
 * @events: VMCLK_EVENT_* of the watch's mask, and VMCLK_EVENT_GONE; 0 if nothing
 *	of that happened
 *
 * Does not wait for events. Can be called at any time.
 *
 * Return: 0, or, with @events 0, an error of vmclk_snapshot() but for
 * -VMCLK_EGONE, which is an event, and -VMCLK_EBUSY, which is none yet. The
 * watch goes on: the page may become one again.
 */
int vmclk_watch_read(struct vmclk_watch *watch, unsigned int *events);

/**
 * vmclk_wait() - wait for events
 * @watch: the watch
 * @timeout_ns: how long at most; UINT64_MAX: for ever. 0 only looks.
 * @events: as vmclk_watch_read()
 *
 * Events that came since the last vmclk_watch_read() or vmclk_wait() count.
 *
 * Return: 0 with @events not 0, or, with @events 0,
 * -ETIMEDOUT - nothing happened in time
 * -EINTR - a signal came
 * -VMCLK_EGONE - the page is gone, which was told before, and the watch is not
 *	for VMCLK_EVENT_REPLACED, the only thing that could still come
 * an error of vmclk_watch_read()
 */
int vmclk_wait(struct vmclk_watch *watch, uint64_t timeout_ns, unsigned int *events);

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_WATCH_H */
