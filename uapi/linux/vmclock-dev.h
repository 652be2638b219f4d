/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * The ioctls of /dev/vmclock, /dev/vmclock1, ...
 *
 * Every argument is a pointer to a structure that starts with
 *
 *	__u32 size;	in: bytes of room at the pointer, VMCLOCK_ARG_SIZE_MIN
 *			up to 4096. out: bytes of the structure this kernel
 *			knows, which may be less or more than the room.
 *	__u32 flags;	in: must be 0 (no flag is defined yet). out: 0.
 *
 * A structure only grows at its end, and the command number does not encode
 * its size. A caller with an older, shorter structure gets as much as it has
 * room for. A caller with a newer, longer one must leave what the kernel does
 * not know zero (E2BIG otherwise) and gets zero there. Everything the caller
 * passes must be zero except @size and the fields marked "in" (EINVAL
 * otherwise), so that a later version can give it a meaning.
 *
 * Errors common to all: ENOTTY unknown command, EFAULT bad pointer, EINVAL
 * @size too small, a flag or reserved field not zero, E2BIG @size above 4096
 * or an unknown tail not zero, ENODEV the device is gone.
 *
 * Numbers are in host byte order, except inside struct vmclock_page. The
 * structures are the same for 32- and 64-bit callers.
 */
#ifndef _UAPI_LINUX_VMCLOCK_DEV_H
#define _UAPI_LINUX_VMCLOCK_DEV_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vmclock-page.h>

/* Not in Documentation/userspace-api/ioctl/ioctl-number.rst as of Linux 6.17. */
#define VMCLOCK_IOC_MAGIC	0xc7

#define VMCLOCK_IOC_INFO	_IO(VMCLOCK_IOC_MAGIC, 0x00)
#define VMCLOCK_IOC_SNAPSHOT	_IO(VMCLOCK_IOC_MAGIC, 0x01)
#define VMCLOCK_IOC_EVENTS	_IO(VMCLOCK_IOC_MAGIC, 0x02)
#define VMCLOCK_IOC_EVENTFD	_IO(VMCLOCK_IOC_MAGIC, 0x03)
#define VMCLOCK_IOC_WAIT	_IO(VMCLOCK_IOC_MAGIC, 0x04)

/* Smallest @size: the two words every structure starts with. */
#define VMCLOCK_ARG_SIZE_MIN	8

/* struct vmclock_info, @features. */
#define VMCLOCK_F_MMAP		(1ULL << 0)	/* mmap works, see @map_size */
#define VMCLOCK_F_SNAPSHOT	(1ULL << 1)	/* VMCLOCK_IOC_SNAPSHOT */
#define VMCLOCK_F_EVENTS	(1ULL << 2)	/* poll, VMCLOCK_IOC_EVENTS, _EVENTFD, _WAIT */
#define VMCLOCK_F_URING_SNAPSHOT (1ULL << 3)	/* VMCLOCK_URING_SNAPSHOT */
#define VMCLOCK_F_URING_WAIT	(1ULL << 4)	/* VMCLOCK_URING_WAIT, _CANCEL */

/* struct vmclock_info, @bus: what described the page to the kernel. */
#define VMCLOCK_BUS_ACPI	1	/* _HID AMZNC10C or _CID VMCLOCK */
#define VMCLOCK_BUS_OF		2	/* device tree, "amazon,vmclock" */
#define VMCLOCK_BUS_SIM		3	/* the module vmclock_sim */
#define VMCLOCK_BUS_PCI		4	/* memory of an ivshmem function, 1af4:1110 */

/* struct vmclock_info, @events_from: how the kernel learns of updates. */
#define VMCLOCK_EVENTS_NONE	0	/* not at all: poll says POLLHUP */
#define VMCLOCK_EVENTS_NOTIFIED	1	/* the hypervisor notifies, the page says */
#define VMCLOCK_EVENTS_WATCHED	2	/* it looks, every @watch_us */

/* struct vmclock_info, @ptp_timescale. */
#define VMCLOCK_PTP_NONE	0	/* there is no PTP clock */
#define VMCLOCK_PTP_UTC		1
#define VMCLOCK_PTP_TAI		2

/**
 * struct vmclock_info - argument of VMCLOCK_IOC_INFO
 * @size: see above
 * @flags: see above
 * @features: VMCLOCK_F_*
 * @region_size: bytes of the page's region: the size its header claims,
 *	checked against the resource the firmware describes
 * @map_size: bytes that mmap at offset 0 takes, exactly; 0 without
 *	VMCLOCK_F_MMAP (the region is smaller than a page of this kernel, or
 *	not aligned to one)
 * @index: 0 for /dev/vmclock, N for /dev/vmclockN
 * @ptp_index: N of the /dev/ptpN that shows this clock, or -1
 * @counter_id: the page's, now (VMCLOCK_PAGE_COUNTER_*)
 * @counter_usable: 1 if this kernel considers the machine's counter (x86: the
 *	TSC, arm64: the virtual count) stable and readable, whatever the page
 *	says now; else 0: then no time may be computed from the page, by
 *	nobody. It can turn from 1 to 0 later, never back.
 * @bus: VMCLOCK_BUS_*
 * @events_from: VMCLOCK_EVENTS_*, now
 * @watch_us: with VMCLOCK_EVENTS_WATCHED, microseconds from one look to the
 *	next while somebody waits, rounded up to the kernel's ticks; else 0
 * @name: the kernel's name of the device that was bound, "AMZNC10C:00" for
 *	example; NUL-terminated, cut if longer
 * @ptp_timescale: VMCLOCK_PTP_*: the scale of the PTP clock, whatever the
 *	page's is. A reading that the page does not vouch for on that scale
 *	fails with ENODATA.
 * @reserved: zero
 *
 * Never waits. No error beyond the common ones.
 */
struct vmclock_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__u32 region_size;
	__u32 map_size;
	__u32 index;
	__s32 ptp_index;
	__u8 counter_id;
	__u8 counter_usable;
	__u8 bus;
	__u8 events_from;
	__u32 watch_us;
	char name[32];
	__u8 ptp_timescale;
	__u8 reserved[7];
};

/**
 * struct vmclock_system_time - the system's clocks at one instant
 * @realtime_ns: CLOCK_REALTIME, ns since 1970-01-01 00:00:00 UTC
 * @monotonic_raw_ns: CLOCK_MONOTONIC_RAW, ns
 * @boottime_ns: CLOCK_BOOTTIME, ns
 *
 * As they are in the initial time namespace.
 */
struct vmclock_system_time {
	__s64 realtime_ns __attribute__((aligned(8)));
	__s64 monotonic_raw_ns __attribute__((aligned(8)));
	__s64 boottime_ns __attribute__((aligned(8)));
};

/* struct vmclock_snapshot, @valid: which parts of the answer hold. */
/* @counter was read, inside the window in which the page was copied. */
#define VMCLOCK_SNAPSHOT_COUNTER	(1U << 0)
/*
 * The system's clocks run on the same counter: @before is their reading at
 * exactly @counter, and @after equals @before. Without it @before was taken
 * before and @after after @counter was read, all inside the same window.
 */
#define VMCLOCK_SNAPSHOT_CORRELATED	(1U << 1)
/*
 * @time_sec, @time_nsec and @maxerror_ns: only when the page's status vouches
 * for its line, the bound is known and fits, and no leap second may lie between
 * the line's reference point and a time in UTC.
 */
#define VMCLOCK_SNAPSHOT_TIME		(1U << 2)

/**
 * struct vmclock_snapshot - argument of VMCLOCK_IOC_SNAPSHOT
 * @size: see above
 * @flags: see above
 * @valid: VMCLOCK_SNAPSHOT_*; a field whose bit is clear is zero
 * @page_size: bytes of @page the device has; the rest of it is zero
 * @counter: the counter that @page names
 * @time_sec: time of @counter on the page's line, seconds since the epoch of
 *	@page.time_type
 * @time_nsec: its nanoseconds, rounded down
 * @reserved: zero
 * @maxerror_ns: the true time of @counter lies within +/- this of the line
 * @before: the system's clocks, see VMCLOCK_SNAPSHOT_CORRELATED
 * @after: the same
 * @page: the page, copied between two equal and even readings of its
 *	seq_count. Grows as the page's structure does, therefore last.
 *
 * Waits while an update is in progress, at most 100 ms: then ETIMEDOUT. A
 * signal ends the wait: EINTR, also with SA_RESTART. EPROTO: the page has lost
 * its magic, its version or its size.
 */
struct vmclock_snapshot {
	__u32 size;
	__u32 flags;
	__u32 valid;
	__u32 page_size;
	__aligned_u64 counter;
	__aligned_u64 time_sec;
	__u32 time_nsec;
	__u32 reserved;
	__aligned_u64 maxerror_ns;
	struct vmclock_system_time before;
	struct vmclock_system_time after;
	struct vmclock_page page;
};

/*
 * Events. An open file can be told of them in four ways: VMCLOCK_IOC_WAIT,
 * poll(), an eventfd, and SIGIO (O_ASYNC). Events that came before they could
 * be told are told together, as one of each kind.
 *
 * A file has seen what had happened when it was opened, when it last read()
 * the page, or when VMCLOCK_IOC_WAIT last succeeded. What came later is new. But
 * a freshly opened file takes the page as an update, unless its seq_count is 0.
 *
 * poll() gives POLLIN while an event of the file's mask is new, POLLPRI while
 * VMCLOCK_EVENT_DISRUPTED or _GENERATION is, whatever the mask; POLLHUP if
 * there is VMCLOCK_EVENTS_NONE; and POLLHUP | POLLERR when the device is gone.
 * After a read() that was not to wait and got EAGAIN, POLLIN says that there is
 * something to read, and not before. Threads that read so use files of their own.
 *
 * A file's waiters share what the file has seen: an event is told to one of
 * them. Who needs to see all of them opens a file of its own.
 *
 * An odd seq_count is no event. Nor is a change without a new seq_count.
 */
/* The page has another seq_count than the file has seen. */
#define VMCLOCK_EVENT_UPDATE		(1U << 0)
/*
 * After VMCLOCK_EVENT_DISRUPTED or _GENERATION: an update that came later than
 * theirs, and the status vouches for the line again. The line that came with
 * the disruption itself can be the old one. With the module's on_restore=step,
 * CLOCK_REALTIME has been set by then, if it had to be. Who has not been told when
 * the next disruption comes is told after that one.
 */
#define VMCLOCK_EVENT_RECALIBRATED	(1U << 1)
#define VMCLOCK_EVENT_DISRUPTED		(1U << 2)	/* disruption_marker changed */
#define VMCLOCK_EVENT_GENERATION	(1U << 3)	/* vm_generation_counter did */
#define VMCLOCK_EVENT_STATUS		(1U << 4)	/* clock_status did */
#define VMCLOCK_EVENT_LEAP		(1U << 5)	/* leap_indicator or TAI offset did */
/* VMCLOCK_PAGE_FLAG_DISRUPTION_SOON or _IMMINENT was set or cleared. */
#define VMCLOCK_EVENT_MAINTENANCE	(1U << 6)

/**
 * struct vmclock_events - argument of VMCLOCK_IOC_EVENTS
 * @size: see above
 * @flags: see above
 * @events: in: the file's mask from now on, VMCLOCK_EVENT_*
 * @reserved: zero
 *
 * For poll() and SIGIO, and for VMCLOCK_IOC_WAIT without a mask of its own.
 * A new file has VMCLOCK_EVENT_UPDATE.
 *
 * EINVAL also for an unknown event.
 */
struct vmclock_events {
	__u32 size;
	__u32 flags;
	__u32 events;
	__u32 reserved;
};

/**
 * struct vmclock_eventfd - argument of VMCLOCK_IOC_EVENTFD
 * @size: see above
 * @flags: see above
 * @events: in: VMCLOCK_EVENT_* to signal for; 0: signal no more
 * @fd: in: an eventfd; 0 if @events is
 *
 * A file has one eventfd at most: a second call replaces the first. It gets
 * signalled by events from now on, and when the device goes. It does not change
 * what the file has seen. Look with VMCLOCK_IOC_WAIT after registering it, so
 * that nothing is missed in between.
 *
 * EINVAL also for an unknown event, or a file that is no eventfd; EBADF.
 */
struct vmclock_eventfd {
	__u32 size;
	__u32 flags;
	__u32 events;
	__s32 fd;
};

/* struct vmclock_wait, @valid: there may have been more than @missed. */
#define VMCLOCK_WAIT_AT_LEAST	(1U << 0)

/**
 * struct vmclock_wait - argument of VMCLOCK_IOC_WAIT
 * @size: see above
 * @flags: see above
 * @timeout_ns: in: how long to wait at most; 0: not at all; negative: for ever
 * @events: in: wait for one of these, VMCLOCK_EVENT_*; 0: the file's mask.
 *	out: everything that is new, of the mask or not
 * @valid: out: 0 or VMCLOCK_WAIT_AT_LEAST
 * @missed: out: how many events of the mask are told together with another of
 *	their kind, or are not told as they are out of date: 0 if none was missed. Exact without VMCLOCK_WAIT_AT_LEAST,
 *	which is there if the kernel saw a page of another history, or, for
 *	events other than VMCLOCK_EVENT_UPDATE, found several updates at once.
 *
 * Succeeds when an event of the mask is new; all of them have then been seen. So
 * they have if the answer can't be written any more: EFAULT.
 * EAGAIN: there is none and @timeout_ns is 0, or the file is O_NONBLOCK.
 * ETIMEDOUT: none came. EINTR: a signal came, also with SA_RESTART; with a timeout
 * also if the process was stopped and goes on, a debugger looked, or an io_uring of
 * the thread's had something to be done. EINVAL also for
 * an unknown event. EOPNOTSUPP: there is none, and with VMCLOCK_EVENTS_NONE
 * no one would tell. ENODEV also when the device goes meanwhile.
 */
struct vmclock_wait {
	__u32 size;
	__u32 flags;
	__s64 timeout_ns;
	__u32 events;
	__u32 valid;
	__aligned_u64 missed;
};

/*
 * io_uring: IORING_OP_URING_CMD on the device's file, with one of these as
 * cmd_op and struct vmclock_uring as cmd, in an SQE of 64 bytes or more. The
 * result is 0 or the ioctl's error. read() and poll(), multishot too, work as on
 * any file; such a read() waits for the end of an update without a time-out, but while
 * an event of POLLPRI is new no longer than an ordinary one, and a multishot poll may go
 * on after POLLHUP | POLLERR, with nothing to come: cancel it.
 *
 * What the command has no use for must be zero in the SQE, with EINVAL otherwise:
 * uring_cmd_flags, and the rest of cmd in one of 128 bytes; addr, len, buf_index
 * and file_index, too, which kernels before 6.7 do not show to a driver.
 */
#define VMCLOCK_URING_SNAPSHOT	VMCLOCK_IOC_SNAPSHOT
/*
 * Completes as the ioctl would return, but does not care about O_NONBLOCK.
 * ECANCELED: by VMCLOCK_URING_CANCEL, or the ring or the task ends. Its time-out
 * is rounded up to the kernel's ticks. IORING_OP_ASYNC_CANCEL does not reach it.
 */
#define VMCLOCK_URING_WAIT	VMCLOCK_IOC_WAIT
/*
 * Cancels what waits on the same open file with this @id. ENOENT: nothing did.
 * ENODEV: the device is gone, which what waited is told by itself.
 */
#define VMCLOCK_URING_CANCEL	_IO(VMCLOCK_IOC_MAGIC, 0x80)

/**
 * struct vmclock_uring - an SQE's cmd
 * @arg: pointer to the ioctl's argument; it must stay valid until completion.
 *	0 for VMCLOCK_URING_CANCEL
 * @id: of VMCLOCK_URING_WAIT, any number; 0 for VMCLOCK_URING_SNAPSHOT
 */
struct vmclock_uring {
	__aligned_u64 arg;
	__aligned_u64 id;
};

#endif /* _UAPI_LINUX_VMCLOCK_DEV_H */
