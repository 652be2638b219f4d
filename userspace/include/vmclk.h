/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvmclk: time with an error bound, from a VMClock page.
 *
 * Functions return 0 or a negative error: a negative errno value for what the
 * system answered, or one of -VMCLK_E*. They never print or abort. Those that
 * read a page allocate nothing, leave errno alone, may be called from signal
 * handlers, and on a handle that maps its page (a device node, or a memfd sealed
 * against shrinking) make no system call and take no lock. One handle may be shared by any number of threads; after
 * vmclk_open() it does not change.
 *
 * That the kernel considers this machine's counter stable is found out by
 * vmclk_open(). A kernel that changes its mind later is noticed by the next
 * vmclk_open() only.
 *
 * Numbers are in host byte order. What can be done with stamps is in
 * <vmclk-stamp.h>.
 */
#ifndef VMCLK_H
#define VMCLK_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open page. */
struct vmclk;

/*
 * What can be wrong with a page or a stamp, told apart. The low 16 bits are the
 * errno value that says it to a caller who knows only those: vmclk_errno().
 * Errors of the system come as its own negative errno values.
 */
#define VMCLK_ERROR(kind, errnum)	((kind) << 16 | (errnum))

enum vmclk_error {
	/* No writer has been here yet: the file is empty, or the version is 0. */
	VMCLK_ENOTINIT = VMCLK_ERROR(1, EPROTO),
	/* No page: magic or size is wrong, or a file ends before its page. */
	VMCLK_EMALFORMED = VMCLK_ERROR(2, EPROTO),
	/* A page of a version this library does not know. */
	VMCLK_EVERSION = VMCLK_ERROR(3, EPROTONOSUPPORT),
	/* An update does not end, or updates leave no gap. */
	VMCLK_EBUSY = VMCLK_ERROR(4, ETIMEDOUT),
	/* The device was removed, or the file replaced by its writer. */
	VMCLK_EGONE = VMCLK_ERROR(5, ENODEV),
	/* The page's counter is not one that this machine has and trusts. */
	VMCLK_ECOUNTER = VMCLK_ERROR(6, ENODATA),
	/* The page gives no time; struct vmclk_stamp, @reason, says why. */
	VMCLK_ENOTIME = VMCLK_ERROR(7, ENODATA),
	/* Stamps of two pages. */
	VMCLK_EPAGES = VMCLK_ERROR(8, EXDEV),
	/* Stamps with a disruption, a restore or a clone between them. */
	VMCLK_EEPOCHS = VMCLK_ERROR(9, ESTALE),
	/* Stamps of two time scales, or of one that can't be used for this. */
	VMCLK_ESCALES = VMCLK_ERROR(10, EDOM),
	/* The page does not say how far UTC is from TAI at that time. */
	VMCLK_EUTC = VMCLK_ERROR(11, ENODATA),
	/* The clock was disrupted since. */
	VMCLK_EDISRUPTED = VMCLK_ERROR(12, ESTALE),
	/* The machine was restored or cloned since. */
	VMCLK_ECLONED = VMCLK_ERROR(13, ESTALE),
	/* A policy does not trust the stamp's status, bound or age. */
	VMCLK_ESTATUS = VMCLK_ERROR(14, ENODATA),
	VMCLK_EWIDE = VMCLK_ERROR(15, ENODATA),
	VMCLK_EAGED = VMCLK_ERROR(16, ENODATA),
	/* The page has a writer: there can be one only. */
	VMCLK_ELOCKED = VMCLK_ERROR(17, EWOULDBLOCK),
	/* The path that was opened names another page now, or nothing. */
	VMCLK_EREPLACED = VMCLK_ERROR(18, ESTALE),
};

/**
 * struct vmclk_time - an instant of a time scale
 * @sec: whole seconds since the scale's epoch
 * @nsec: nanoseconds, 0 to 999999999
 */
struct vmclk_time {
	int64_t sec;
	uint32_t nsec;
};

/*
 * Why a page gives no time, and which scale, status and counter it names. The
 * values of the last three are the page's own (VMCLOCK_PAGE_* in
 * <linux/vmclock-page.h>).
 */
enum vmclk_reason {
	VMCLK_OK = 0,
	VMCLK_NO_COUNTER,	/* markers only: the page offers no time */
	VMCLK_WRONG_COUNTER,	/* a counter this machine cannot read or trust */
	VMCLK_BAD_SCALE,	/* time_type is not UTC, TAI or monotonic */
	VMCLK_BAD_STATUS,	/* neither SYNCHRONIZED nor FREERUNNING */
	VMCLK_BAD_PERIOD,	/* tick length 0, or a shift above 127 */
	VMCLK_NO_BOUND,		/* no worst-case error, or its growth unknown */
	VMCLK_OUT_OF_RANGE,	/* time or bound does not fit */
	VMCLK_FIELDS_ABSENT,	/* the page is too short to hold a time */
	VMCLK_LEAP_SECOND,	/* UTC, and it is not known which leap seconds were */
	VMCLK_BOOT_UNKNOWN,	/* on a disk: may be from before a reboot */
};

/**
 * struct vmclk_snapshot - a consistent copy of a page, decoded
 * @page_id: which page this is, see struct vmclk_stamp
 * @counter: counter read inside the same window; valid if @counter_valid
 * @disruption_marker: changes when the clock was disrupted
 * @flags: VMCLOCK_PAGE_FLAG_*
 * @counter_value: C1, the counter at the instant T1
 * @counter_period_frac_sec: P, length of a tick, 2^-(64 + shift) s
 * @counter_period_esterror_rate_frac_sec: estimated error of P, +/-
 * @counter_period_maxerror_rate_frac_sec: worst-case error of P, +/-
 * @time_sec: T1, whole seconds since the epoch of @time_type
 * @time_frac_sec: T1, the fraction, 2^-64 s
 * @time_esterror_nanosec: estimated error of T1, +/- ns
 * @time_maxerror_nanosec: worst-case error of T1, +/- ns
 * @vm_generation_counter: changes when the machine was restored or cloned
 * @size: bytes of the page that exist; what lies beyond is zero here
 * @seq_count: sequence number of the copy, even
 * @version: the page's version
 * @tai_offset_sec: UTC - TAI at T1, seconds
 * @counter_id: VMCLOCK_PAGE_COUNTER_*
 * @time_type: VMCLOCK_PAGE_TIME_*
 * @clock_status: VMCLOCK_PAGE_STATUS_*
 * @smear_hint: VMCLOCK_PAGE_SMEAR_*
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*
 * @counter_period_shift: the shift of the period fields
 * @counter_valid: this machine has the counter the page names, and trusts it
 * @boot_unknown: the page is a file on a disk, where one from before a reboot
 *	looks the same: its counter and its markers may be of another life
 * @reserved: zero; room for what the page may say some day
 *
 * Which fields hold depends on @flags and @size: struct vmclock_page in
 * <linux/vmclock-page.h> says how.
 */
struct vmclk_snapshot {
	uint64_t page_id;
	uint64_t counter;
	uint64_t disruption_marker;
	uint64_t flags;
	uint64_t counter_value;
	uint64_t counter_period_frac_sec;
	uint64_t counter_period_esterror_rate_frac_sec;
	uint64_t counter_period_maxerror_rate_frac_sec;
	uint64_t time_sec;
	uint64_t time_frac_sec;
	uint64_t time_esterror_nanosec;
	uint64_t time_maxerror_nanosec;
	uint64_t vm_generation_counter;
	uint32_t size;
	uint32_t seq_count;
	uint16_t version;
	int16_t tai_offset_sec;
	uint8_t counter_id;
	uint8_t time_type;
	uint8_t clock_status;
	uint8_t smear_hint;
	uint8_t leap_indicator;
	uint8_t counter_period_shift;
	uint8_t counter_valid;
	uint8_t boot_unknown;
	uint8_t reserved[68];
};

/* struct vmclk_stamp, @valid. */
#define VMCLK_STAMP_TIME	(1U << 0)	/* @point, @earliest, @latest */
#define VMCLK_STAMP_GENERATION	(1U << 1)	/* @vm_generation_counter */
#define VMCLK_STAMP_TAI_OFFSET	(1U << 2)	/* @tai_offset_sec */
/*
 * Not about a field. Only in UTC, whose numbers repeat in an inserted second:
 * see vmclk_to_utc() in <vmclk-stamp.h>.
 */
#define VMCLK_STAMP_LEAP_SECOND	(1U << 3)	/* the interval touches 23:59:60 */
#define VMCLK_STAMP_POINT_IS_60	(1U << 4)	/* @point is inside it */

/**
 * struct vmclk_stamp - a moment: when it was, how sure that is, and in which
 *	life of the clock and the machine
 * @counter: the counter reading that is the moment
 * @point: time of @counter on the page's line, rounded down to ns
 * @earliest: no earlier than this, in the scale @time_type
 * @latest: no later than this
 * @reference_sec: whole seconds of the page's reference point, in @time_type:
 *	how old the line is, and which month @leap_indicator speaks of
 * @page_id: which page this is: the same number for all that open the same
 *	device or file of one boot of a machine, another one for any other
 * @disruption_marker: the page's; another value later means that the clock was
 *	disrupted in between
 * @vm_generation_counter: the page's; another value later means that the
 *	machine was restored or cloned in between
 * @valid: VMCLK_STAMP_*; fields whose bit is clear are zero
 * @tai_offset_sec: UTC - TAI, seconds, at the page's reference point
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*, at the page's reference point: with a
 *	leap second announced, @tai_offset_sec may be out of date, and
 *	vmclk_to_utc() knows
 * @time_type: VMCLOCK_PAGE_TIME_*
 * @clock_status: VMCLOCK_PAGE_STATUS_*
 * @reason: enum vmclk_reason; VMCLK_OK exactly if VMCLK_STAMP_TIME is valid
 * @reserved: zero; room for more, with a bit of @valid
 *
 * All of it comes from one window of the page's sequence count.
 */
struct vmclk_stamp {
	uint64_t counter;
	struct vmclk_time point;
	struct vmclk_time earliest;
	struct vmclk_time latest;
	int64_t reference_sec;
	uint64_t page_id;
	uint64_t disruption_marker;
	uint64_t vm_generation_counter;
	uint32_t valid;
	int16_t tai_offset_sec;
	uint8_t time_type;
	uint8_t clock_status;
	uint8_t leap_indicator;
	uint8_t reason;
	uint8_t reserved[22];
};

/**
 * vmclk_open() - open a page
 * @path: a device node, or a file that holds a page; NULL for the first of
 *	/dev/vmclock and the in-tree driver's /dev/vmclock0
 * @clk: where the handle goes
 *
 * A device node and a memfd sealed against shrinking are mapped. Any other
 * file could be truncated under a mapping, so it is read by system calls.
 *
 * Context: allocates; not for signal handlers.
 * A file that is not in memory (tmpfs, hugetlbfs, ramfs) may have survived a
 * reboot, and gives snapshots but no time: VMCLK_BOOT_UNKNOWN.
 *
 * Return: 0, or
 * -ENOENT, -EACCES, ... - what open(2), fstat(2), read(2) or mmap(2) answered
 * -VMCLK_ENOTINIT, -VMCLK_EMALFORMED, -VMCLK_EVERSION, -VMCLK_EGONE
 * -ENOMEM - no memory
 */
int vmclk_open(const char *path, struct vmclk **clk);

/**
 * vmclk_open_fd() - open a page that came as a file descriptor
 * @fd: open for reading: a memfd that came over a socket, a device, a file
 * @clk: where the handle goes
 *
 * The handle has a duplicate of its own; @fd stays the caller's, with its file
 * offset where it was. The two share what belongs to the open file: with a
 * device, reading through one of them tells poll(2) on the other that the news
 * was seen. vmclk_path() is empty.
 *
 * Context: allocates; not for signal handlers.
 * Return: as vmclk_open(); -EBADF if @fd is not open, or not for reading.
 */
int vmclk_open_fd(int fd, struct vmclk **clk);

/**
 * vmclk_revalidate() - does the path still lead to this page?
 * @clk: the handle
 *
 * A writer that makes its page anew puts another file in the place of the old
 * one, and a device may go and come back. A handle stays with the page it was
 * opened with; after -VMCLK_EREPLACED, open the path again. A relative path is
 * looked up from the present working directory. A handle without a path
 * (vmclk_open_fd()) can only lose its page.
 *
 * Makes system calls. An update in progress is no error, and not waited for.
 *
 * Return: 0, or
 * -VMCLK_EREPLACED - the path names another page, or nothing
 * -VMCLK_EGONE, -VMCLK_EMALFORMED, -VMCLK_ENOTINIT, -VMCLK_EVERSION - it names
 *	this one, which is none any more
 * -EACCES, ... - what stat(2) or pread(2) answered
 */
int vmclk_revalidate(const struct vmclk *clk);

/**
 * vmclk_close() - give a handle back
 * @clk: the handle, or NULL
 *
 * Context: no other thread may still use @clk. Not for signal handlers.
 */
void vmclk_close(struct vmclk *clk);

/**
 * vmclk_snapshot() - copy the page and read the counter in one window
 * @clk: the handle
 * @snap: where the copy goes; unchanged on error
 *
 * Return: 0, or
 * -VMCLK_EBUSY - an update stayed in progress, or updates came without a pause,
 *	for about a million tries (some tens of milliseconds)
 * -VMCLK_EGONE - the device was removed, or the file replaced
 * -VMCLK_ENOTINIT, -VMCLK_EMALFORMED, -VMCLK_EVERSION - the page lost its
 *	version, magic or size, or its file the end
 * -EINTR - a signal came; only on handles that do not map their page
 * -EIO, ... - reading a file failed
 */
int vmclk_snapshot(const struct vmclk *clk, struct vmclk_snapshot *snap);

/**
 * vmclk_refresh() - bring a copy of the page up to date
 * @clk: the handle
 * @snap: what vmclk_snapshot() or this function gave for @clk, or all zeros;
 *	unchanged on error
 *
 * The same as vmclk_snapshot(), but for @snap->counter: where the page has not
 * changed since, that is not read again. To know so, the page's magic, size,
 * version, sequence number, marker and reference point are looked at, and on a
 * handle that maps its page this takes a few nanoseconds.
 *
 * Context: one thread at a time for each @snap.
 * Return: as vmclk_snapshot().
 */
int vmclk_refresh(const struct vmclk *clk, struct vmclk_snapshot *snap);

/**
 * vmclk_now() - the time, its bound, and what it is worth
 * @clk: the handle
 * @stamp: where the answer goes
 *
 * Return: 0 with @stamp complete; -VMCLK_ENOTIME if the page gives no time that
 * can be trusted, or -VMCLK_ECOUNTER if it is this machine's counter that
 * can't be: @stamp then has the markers, the status and the reason, and no
 * time; or an error of vmclk_snapshot(), with @stamp unchanged.
 */
int vmclk_now(const struct vmclk *clk, struct vmclk_stamp *stamp);

/**
 * vmclk_now_from() - vmclk_now(), with a copy of the page that the caller keeps
 * @clk: the handle
 * @snap: as for vmclk_refresh(), and brought up to date as there
 * @stamp: where the answer goes
 *
 * For callers who need the copy as well; vmclk_fast_now() of <vmclk-inline.h>
 * is the faster one.
 *
 * Context: one thread at a time for each @snap.
 * Return: as vmclk_now().
 */
int vmclk_now_from(const struct vmclk *clk, struct vmclk_snapshot *snap,
		   struct vmclk_stamp *stamp);

/**
 * vmclk_convert() - the time of a counter reading taken earlier
 * @clk: the handle
 * @counter: reading of the counter that the page names
 * @stamp: where the answer goes
 *
 * The present line is used. It is the caller's business to know that the clock
 * was not disrupted since @counter was read.
 *
 * Return: as vmclk_now().
 */
int vmclk_convert(const struct vmclk *clk, uint64_t counter,
		  struct vmclk_stamp *stamp);

/**
 * vmclk_stamp_at() - what a copied page says about a counter reading
 * @snap: the copy
 * @counter: reading of the counter that @snap names
 * @stamp: where the answer goes
 *
 * Return: 0, -VMCLK_ENOTIME or -VMCLK_ECOUNTER, as vmclk_now().
 */
int vmclk_stamp_at(const struct vmclk_snapshot *snap, uint64_t counter,
		   struct vmclk_stamp *stamp);

/**
 * vmclk_path() - the path that was opened
 * @clk: the handle
 *
 * Return: the path, valid as long as @clk; empty if it was vmclk_open_fd().
 */
const char *vmclk_path(const struct vmclk *clk);

/**
 * vmclk_fd() - the open file behind a handle
 * @clk: the handle
 *
 * For reading the page, by io_uring for example: vmclk_decode(). Its position is
 * not used by this library.
 *
 * Return: a file descriptor, valid as long as @clk; it must not be closed.
 */
int vmclk_fd(const struct vmclk *clk);

/**
 * vmclk_decode() - judge and decode a page that the caller has read
 * @clk: the handle of the device it was read from
 * @copy: what one read at offset 0 of vmclk_fd() gave
 * @len: how many bytes that was; sizeof(struct vmclock_page) is enough
 * @snap: where the copy goes; unchanged on error
 *
 * A driver returns with each read() a copy from one window of the sequence
 * count: /dev/vmclock does, and so does the in-tree driver's node. Reading any
 * other file gives no such promise, so what comes from one is refused.
 *
 * The counter is not in the copy. It is read here, and what the clock did
 * between the read and this call is not known: compare the markers with a later
 * snapshot, if that matters.
 *
 * Return: 0, or
 * -EOPNOTSUPP - @clk is no device; use vmclk_snapshot()
 * -VMCLK_EBUSY - the copy was made within an update
 * -VMCLK_EGONE, -VMCLK_ENOTINIT, -VMCLK_EMALFORMED, -VMCLK_EVERSION
 */
int vmclk_decode(const struct vmclk *clk, const void *copy, size_t len,
		 struct vmclk_snapshot *snap);

/**
 * vmclk_errno() - the errno value of an error
 * @err: what a function of this library returned
 *
 * Return: a positive errno value, or 0 if @err is not negative.
 */
int vmclk_errno(int err);

/**
 * vmclk_strerror() - an error in words
 * @err: what a function of this library returned
 *
 * Return: a string that lives for ever.
 */
const char *vmclk_strerror(int err);

/*
 * Names of values, as the tools print them: "synchronized", "TAI", "x86 TSC".
 * A value that is not known gives "invalid". vmclk_reason_str() explains a
 * reason in a sentence.
 */
const char *vmclk_status_str(unsigned int clock_status);
const char *vmclk_scale_str(unsigned int time_type);
const char *vmclk_counter_str(unsigned int counter_id);
const char *vmclk_leap_str(unsigned int leap_indicator);
const char *vmclk_smear_str(unsigned int smear_hint);
const char *vmclk_reason_str(unsigned int reason);

/**
 * vmclk_version() - the library's version
 *
 * Return: "MAJOR.MINOR.PATCH".
 */
const char *vmclk_version(void);

#ifdef __cplusplus
}
#endif

#endif /* VMCLK_H */
