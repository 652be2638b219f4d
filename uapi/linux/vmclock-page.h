/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * The VMClock page: the memory a hypervisor shares with its guest.
 *
 * The hypervisor publishes a straight line from the CPU's counter to real
 * time. For a counter reading C the time is
 *
 *	T(C) = T1 + (C - C1) * P
 *
 * with the reference point (C1, T1) and the tick length P taken from the
 * page, and a worst-case error that grows with the distance from C1. Beside
 * the line stand a status, a marker that changes when the counter was
 * disrupted (live migration), and a counter that changes when the machine was
 * restored or cloned. Time on the page is never smeared.
 *
 * The guest only reads. All integers are little-endian and naturally aligned.
 * A writer makes seq_count odd, changes the fields, and makes it even again;
 * a reader copies what it needs between two equal, even readings of
 * seq_count. Fields above seq_count do not change in the device's life
 * according to the specification; read them inside the same window anyway,
 * since some producers set them late.
 *
 * The structure only grows, and @size says how much of it is there: a field
 * exists if @size reaches its last byte (VMCLOCK_PAGE_HAS()). New fields are
 * announced by new flag bits, and unknown flag bits are to be ignored.
 *
 * This header describes the same memory as <linux/vmclock-abi.h>, which
 * kernels from 6.13 on carry, in its own words and under its own names, so
 * that both can be included together.
 */
#ifndef _UAPI_LINUX_VMCLOCK_PAGE_H
#define _UAPI_LINUX_VMCLOCK_PAGE_H

#include <linux/types.h>

/* The bytes "VCLK" in memory order. */
#define VMCLOCK_PAGE_MAGIC	0x4b4c4356

/*
 * The bytes "GONE": what was a page here is none any more, and no writer will
 * come back to this memory. Not in the specification, and never written by a
 * hypervisor: the driver leaves it to the mappings of a device that was
 * removed, and the writer to the readers of a file that was replaced.
 */
#define VMCLOCK_PAGE_MAGIC_GONE	0x454e4f47

#define VMCLOCK_PAGE_VERSION	1

/* Smallest page that is of any use: it reaches the end of @flags. */
#define VMCLOCK_PAGE_SIZE_MIN	0x20

/*
 * @counter_id: which counter the line is drawn over. The numbers are those of
 * VIRTIO_RTC_COUNTER_*. Any other value: no counter the reader can use.
 */
#define VMCLOCK_PAGE_COUNTER_ARM_VCT	0	/* CNTVCT_EL0 */
#define VMCLOCK_PAGE_COUNTER_X86_TSC	1	/* as RDTSC shows it to the guest */
#define VMCLOCK_PAGE_COUNTER_NONE	0xff	/* no time is offered, markers only */

/*
 * @time_type: the time scale of the line. Values above 2 are not valid here
 * (virtio uses 3 and 4 for smeared clocks, which this page never carries).
 */
#define VMCLOCK_PAGE_TIME_UTC		0	/* since 1970-01-01 00:00:00 UTC */
#define VMCLOCK_PAGE_TIME_TAI		1	/* since 1970-01-01 00:00:00 TAI */
#define VMCLOCK_PAGE_TIME_MONOTONIC	2	/* arbitrary epoch */

/* @flags, bit values. */
#define VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID	(1ULL << 0)
#define VMCLOCK_PAGE_FLAG_DISRUPTION_SOON	(1ULL << 1)	/* within about a day */
#define VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT	(1ULL << 2)	/* within about an hour */
#define VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID	(1ULL << 3)
#define VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID	(1ULL << 4)
#define VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID	(1ULL << 5)
#define VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID	(1ULL << 6)
/*
 * Leap seconds apart, a time computed from the page is never later than one
 * computed at a later moment, across updates too.
 */
#define VMCLOCK_PAGE_FLAG_TIME_MONOTONIC	(1ULL << 7)
#define VMCLOCK_PAGE_FLAG_GENERATION_PRESENT	(1ULL << 8)
#define VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT	(1ULL << 9)

/*
 * @clock_status. Only SYNCHRONIZED and FREERUNNING let the line be trusted; a
 * value not listed here means UNKNOWN.
 */
#define VMCLOCK_PAGE_STATUS_UNKNOWN		0
#define VMCLOCK_PAGE_STATUS_INITIALIZING	1
#define VMCLOCK_PAGE_STATUS_SYNCHRONIZED	2
#define VMCLOCK_PAGE_STATUS_FREERUNNING		3	/* lost its reference */
#define VMCLOCK_PAGE_STATUS_UNRELIABLE		4

/* @smear_hint: how clocks in the neighbourhood smear leap seconds. */
#define VMCLOCK_PAGE_SMEAR_STRICT	0	/* they do not */
#define VMCLOCK_PAGE_SMEAR_NOON_LINEAR	1
#define VMCLOCK_PAGE_SMEAR_UTC_SLS	2

/* @leap_indicator: the month is that of T1. */
#define VMCLOCK_PAGE_LEAP_NONE		0
#define VMCLOCK_PAGE_LEAP_PRE_POS	1	/* one second inserted at its end */
#define VMCLOCK_PAGE_LEAP_PRE_NEG	2	/* one second removed at its end */
#define VMCLOCK_PAGE_LEAP_POS		3	/* inside 23:59:60 */
#define VMCLOCK_PAGE_LEAP_POST_POS	4	/* inserted at the last month's end */
#define VMCLOCK_PAGE_LEAP_POST_NEG	5	/* removed at the last month's end */

/**
 * struct vmclock_page - layout of the shared page, little-endian
 * @magic: VMCLOCK_PAGE_MAGIC
 * @size: bytes of the region that holds this structure, usually a whole
 *	page (0x1000), not the size of the structure
 * @version: VMCLOCK_PAGE_VERSION
 * @counter_id: VMCLOCK_PAGE_COUNTER_*
 * @time_type: VMCLOCK_PAGE_TIME_*
 * @seq_count: odd while an update is in progress; wraps
 * @disruption_marker: changes to a value never used before when the counter's
 *	value or rate may have jumped. Compare for inequality only.
 * @flags: VMCLOCK_PAGE_FLAG_*
 * @reserved: written as zero, ignored by readers
 * @clock_status: VMCLOCK_PAGE_STATUS_*
 * @smear_hint: VMCLOCK_PAGE_SMEAR_*, a hint only
 * @tai_offset_sec: two's complement, seconds: UTC = TAI + tai_offset_sec, so
 *	-37 since 2017. Holds at the instant T1. Valid with
 *	VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID.
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*; holds at the instant T1
 * @counter_period_shift: S, at most 127: the period fields are in units of
 *	2^-(64 + S) seconds
 * @counter_value: C1, the counter at the instant T1
 * @counter_period_frac_sec: P, the length of a tick, 2^-(64 + S) s
 * @counter_period_esterror_rate_frac_sec: estimated error of P, +/-, in its
 *	unit; valid with VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID
 * @counter_period_maxerror_rate_frac_sec: worst-case error of P, +/-, in its
 *	unit; valid with VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID
 * @time_sec: T1, whole seconds since the epoch of @time_type
 * @time_frac_sec: T1, the fraction, 2^-64 s
 * @time_esterror_nanosec: estimated error of T1, +/- ns; valid with
 *	VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID
 * @time_maxerror_nanosec: worst-case error of T1, +/- ns; valid with
 *	VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID
 * @vm_generation_counter: changes to a value never used before when the
 *	machine was restored from a saved state or cloned. Compare for
 *	inequality only. Valid with VMCLOCK_PAGE_FLAG_GENERATION_PRESENT.
 */
struct vmclock_page {
	__le32 magic;
	__le32 size;
	__le16 version;
	__u8 counter_id;
	__u8 time_type;
	__le32 seq_count;
	__aligned_le64 disruption_marker;
	__aligned_le64 flags;
	__u8 reserved[2];
	__u8 clock_status;
	__u8 smear_hint;
	__le16 tai_offset_sec;
	__u8 leap_indicator;
	__u8 counter_period_shift;
	__aligned_le64 counter_value;
	__aligned_le64 counter_period_frac_sec;
	__aligned_le64 counter_period_esterror_rate_frac_sec;
	__aligned_le64 counter_period_maxerror_rate_frac_sec;
	__aligned_le64 time_sec;
	__aligned_le64 time_frac_sec;
	__aligned_le64 time_esterror_nanosec;
	__aligned_le64 time_maxerror_nanosec;
	__aligned_le64 vm_generation_counter;
};

/* Is @field inside the first @len bytes of the page? */
#define VMCLOCK_PAGE_HAS(len, field) \
	((len) >= __builtin_offsetof(struct vmclock_page, field) + \
		  sizeof(((struct vmclock_page *)0)->field))

#endif /* _UAPI_LINUX_VMCLOCK_PAGE_H */
