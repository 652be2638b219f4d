/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The C interface of ClockBound 2.0.2, answered from a VMClock page.
 *
 * A program written for ClockBound's <clockbound.h> is built against this
 * header, or runs with this libclockbound.so in place of the other, unchanged.
 * Names, values, layouts and default paths are those of ClockBound. What
 * differs:
 *
 * - No daemon is needed. Its segment (CLOCKBOUND_SHM_DEFAULT_PATH) is neither
 *   opened nor read, whatever path is given for it, NULL included. The system
 *   clock is not read either: time, bound and status come from one consistent
 *   copy of the page.
 * - The page may hold UTC, or TAI with a known offset. The interval is UTC.
 * - Whenever the status is not SYNCHRONIZED or FREE_RUNNING, the interval is
 *   the widest one whose nanoseconds fit in 64 signed bits: from 1970 to 2262.
 *   It contains the true time, so that a program that forgets to look at the
 *   status waits rather than errs. (ClockBound returns the system clock and a
 *   bound that no longer holds.)
 * - A context may be shared by threads, except for the errors: the structure
 *   that clockbound_now() returns is inside the context, and the next error
 *   overwrites it.
 */
#ifndef CLOCKBOUND_H
#define CLOCKBOUND_H

#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOCKBOUND_SHM_DEFAULT_PATH	"/var/run/clockbound/shm0"
/* Stands for the page vmclk_open() finds by itself, /dev/vmclock first. */
#define VMCLOCK_SHM_DEFAULT_PATH	"/dev/vmclock0"

/* An open page, and the disruption marker seen last. */
typedef struct clockbound_ctx clockbound_ctx;

/**
 * enum clockbound_err_kind - what went wrong
 * @CLOCKBOUND_ERR_NONE: nothing; never returned
 * @CLOCKBOUND_ERR_SYSCALL: a system call failed, an argument is NULL that may
 *	not be (EINVAL), or an update of the page does not end (ETIMEDOUT)
 * @CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED: there is no page by that name, or none
 *	yet: an empty file, or version 0
 * @CLOCKBOUND_ERR_SEGMENT_MALFORMED: not a page; or a page that vouches for a
 *	time which can't be UTC: a monotonic or invalid scale, TAI whose offset
 *	is unknown or has the wrong sign, ticks without a length, fields absent
 * @CLOCKBOUND_ERR_CAUSALITY_BREACH: now lies before the page's reference point,
 *	by more than the bound: the counter was set back, or the page is another
 *	machine's
 * @CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED: a page of a later version
 */
typedef enum clockbound_err_kind {
	CLOCKBOUND_ERR_NONE,
	CLOCKBOUND_ERR_SYSCALL,
	CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED,
	CLOCKBOUND_ERR_SEGMENT_MALFORMED,
	CLOCKBOUND_ERR_CAUSALITY_BREACH,
	CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED,
} clockbound_err_kind;

/**
 * struct clockbound_err - an error
 * @kind: what it is
 * @sys_errno: the errno value it came from, for other kinds than SYSCALL too;
 *	0 if it came from the page's contents
 * @detail: a sentence about it; static storage
 */
typedef struct clockbound_err {
	clockbound_err_kind kind;
	int sys_errno;
	const char *detail;
} clockbound_err;

/**
 * enum clockbound_clock_status - what an interval is worth
 * @CLOCKBOUND_STA_UNKNOWN: nothing: the page does not vouch for its time, has
 *	no bound, or a counter this machine can't trust; or it does not say how
 *	far UTC is from its time. A leap second is no reason: intervals that touch
 *	an inserted one reach from 23:59:59 to 00:00:00.
 * @CLOCKBOUND_STA_SYNCHRONIZED: it contains the true time
 * @CLOCKBOUND_STA_FREE_RUNNING: the same, though the clock has lost its reference
 * @CLOCKBOUND_STA_DISRUPTED: nothing: the page's disruption marker is not the
 *	one this context saw last. Each change is reported at least once, and
 *	until the page vouches for a new line; the call after that has a time.
 */
typedef enum clockbound_clock_status {
	CLOCKBOUND_STA_UNKNOWN,
	CLOCKBOUND_STA_SYNCHRONIZED,
	CLOCKBOUND_STA_FREE_RUNNING,
	CLOCKBOUND_STA_DISRUPTED,
} clockbound_clock_status;

/**
 * struct clockbound_now_result - when it is
 * @earliest: no earlier than this, UTC
 * @latest: no later than this
 * @clock_status: what that is worth
 */
typedef struct clockbound_now_result {
	struct timespec earliest;
	struct timespec latest;
	clockbound_clock_status clock_status;
} clockbound_now_result;

/**
 * clockbound_open() - open the default page
 * @clockbound_shm_path: not used
 * @err: filled on failure only; may be NULL
 *
 * Return: a context, or NULL.
 */
clockbound_ctx *clockbound_open(const char *clockbound_shm_path, clockbound_err *err);

/**
 * clockbound_vmclock_open() - open a page
 * @clockbound_shm_path: not used
 * @vmclock_shm_path: a device node, or a file that holds a page; NULL and
 *	VMCLOCK_SHM_DEFAULT_PATH stand for the default page
 * @err: filled on failure only; may be NULL
 *
 * Return: a context, or NULL.
 */
clockbound_ctx *clockbound_vmclock_open(const char *clockbound_shm_path,
					const char *vmclock_shm_path,
					clockbound_err *err);

/**
 * clockbound_close() - give a context back
 * @ctx: the context, or NULL; as with free(), not one that was closed before
 *
 * Return: NULL, always.
 */
const clockbound_err *clockbound_close(clockbound_ctx *ctx);

/**
 * clockbound_now() - the interval that contains the true time
 * @ctx: the context
 * @res: where it goes; unchanged on error
 *
 * Threads that share @ctx share the news of a disruption as well: one of them
 * is sure to get it.
 *
 * Return: NULL, or an error, valid until the next one and until @ctx is closed.
 */
const clockbound_err *clockbound_now(clockbound_ctx *ctx, clockbound_now_result *res);

#ifdef __cplusplus
}
#endif

#endif /* CLOCKBOUND_H */
