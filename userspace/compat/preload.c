// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libvmclk-preload.so: the C library's clocks, answered from a VMClock page.
 *
 * With it in LD_PRELOAD an unmodified program's CLOCK_REALTIME and CLOCK_TAI
 * come from the page while that is trusted, and from the kernel otherwise.
 * Everything else, sleeping until a time included, stays with the kernel.
 *
 * Programs call these functions from signal handlers and between fork and exec:
 * no lock, no allocation, no call that is not made for that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "smooth.h"
#include "vmclk-stamp.h"

#define NSEC_PER_SEC	1000000000LL
#define SEC_MAX		(INT64_MAX / NSEC_PER_SEC - 1)

#define EXPORT __attribute__((visibility("default")))

static struct vmclk *page;	/* once set it stays; with it: */
static struct stat page_file;	/* what its descriptor led to at the start */
static bool is_off;		/* no page: the shim does nothing */
static struct smooth utc, tai;

static int (*next_clock_gettime)(clockid_t id, struct timespec *ts);
static int (*next_timespec_get)(struct timespec *ts, int base);

/* Others' constructors may ask for the time before ours has run. */
static int kernel_gettime(clockid_t id, struct timespec *ts)
{
	if (next_clock_gettime)
		return next_clock_gettime(id, ts);
	return syscall(SYS_clock_gettime, id, ts);
}

static int64_t kernel_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	kernel_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static int64_t monotonic_ns(void)
{
	return kernel_ns(CLOCK_MONOTONIC);
}

/*
 * A page in a file is read through a descriptor, and the program may have closed
 * all that it does not know, or put another file there: from that, nothing may
 * be read. A device is mapped, and needs its descriptor no more.
 */
static bool page_is_open(void)
{
	int saved = errno;
	struct stat now;
	bool same;

	if (!S_ISREG(page_file.st_mode))
		return true;
	same = !fstat(vmclk_fd(page), &now) && now.st_dev == page_file.st_dev &&
	       now.st_ino == page_file.st_ino;
	errno = saved;
	return same;
}

/*
 * Others' constructors may have started threads that ask for the time already.
 * Pairs with share_page(): who sees the pointer sees the handle, and page_file.
 */
static struct vmclk *shared_page(void)
{
	return __atomic_load_n(&page, __ATOMIC_ACQUIRE);
}

static void share_page(struct vmclk *clk)
{
	__atomic_store_n(&page, clk, __ATOMIC_RELEASE);
}

/* 0, or why the page, which is there, gives no time for @id that can be trusted. */
static int page_read(clockid_t id, int64_t *ns)
{
	struct vmclk_stamp stamp, out;
	int err = page_is_open() ? vmclk_now(page, &stamp) : -VMCLK_EGONE;

	if (!err)
		err = vmclk_trusts(NULL, &stamp);
	if (!err)
		err = id == CLOCK_TAI ? vmclk_to_tai(&stamp, &out) : vmclk_to_utc(&stamp, &out);
	if (err)
		return err;
	if (out.point.sec < 0 || out.point.sec > SEC_MAX)
		return -VMCLK_ENOTIME;
	*ns = out.point.sec * NSEC_PER_SEC + out.point.nsec;
	return 0;
}

static int64_t shim_ns(clockid_t id)
{
	struct smooth *s = id == CLOCK_TAI ? &tai : &utc;
	int64_t floor = smooth_floor(s), ns;

	if (!shared_page() || page_read(id, &ns))
		ns = kernel_ns(id);
	return smooth_tell(s, floor, ns, monotonic_ns);
}

static bool is_ours(clockid_t id)
{
	return !__atomic_load_n(&is_off, __ATOMIC_RELAXED) && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI);
}

EXPORT int clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ns;

	if (!is_ours(id))
		return kernel_gettime(id, ts);
	ns = shim_ns(id == CLOCK_TAI ? CLOCK_TAI : CLOCK_REALTIME);
	ts->tv_sec = ns / NSEC_PER_SEC;
	ts->tv_nsec = ns % NSEC_PER_SEC;
	return 0;
}

/*
 * <sys/time.h> says that @tv is never NULL, and a compiler believes it; the
 * kernel's own function takes NULL, and so must this one.
 */
static struct timeval *maybe_null(struct timeval *tv)
{
	__asm__("" : "+r" (tv));
	return tv;
}

EXPORT int gettimeofday(struct timeval *tv, void *tz)
{
	struct timeval *out = maybe_null(tv);
	struct timespec ts;

	if (tz)
		*(struct timezone *)tz = (struct timezone){ 0 };
	if (!out)
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	out->tv_sec = ts.tv_sec;
	out->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

EXPORT time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}

EXPORT int timespec_get(struct timespec *ts, int base)
{
	if (base != TIME_UTC)
		return next_timespec_get ? next_timespec_get(ts, base) : 0;
	clock_gettime(CLOCK_REALTIME, ts);
	return base;
}

static void complain(const char *object, const char *reason)
{
	fprintf(stderr, "libvmclk-preload: %s: %s; the time is the kernel's\n", object, reason);
}

/* One line if there is no time at the start; later changes are not reported. */
static void check_page(void)
{
	struct vmclk_stamp stamp;
	int64_t unused;
	int err = page_read(CLOCK_REALTIME, &unused);

	if (!err)
		return;
	if (err == -VMCLK_ENOTIME && vmclk_now(page, &stamp))
		complain(vmclk_path(page), vmclk_reason_str(stamp.reason));
	else
		complain(vmclk_path(page), vmclk_strerror(err));
}

static void __attribute__((constructor)) start(void)
{
	const char *path = secure_getenv("VMCLK_PRELOAD_PAGE");
	struct vmclk *clk;
	int err;

	next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	next_timespec_get = dlsym(RTLD_NEXT, "timespec_get");
	err = vmclk_open(path, &clk);
	if (!err) {
		fstat(vmclk_fd(clk), &page_file);
		share_page(clk);
		check_page();
		return;
	}
	__atomic_store_n(&is_off, true, __ATOMIC_RELAXED);
	complain(path ? path : "/dev/vmclock", vmclk_strerror(err));
}
