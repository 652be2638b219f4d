/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces for older kernels. Included before everything
 * else by Kbuild; no other file knows that kernels differ.
 */
#ifndef VMCLOCK_COMPAT_H
#define VMCLOCK_COMPAT_H

/* Here because this file includes printk.h before any other file could. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/eventfd.h>
#include <linux/freezer.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/timekeeping.h>
#include <linux/vmclock-dev.h>
#include <linux/wait.h>

#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef HAVE_EVENTFD_SIGNAL_ONE
#define eventfd_signal(ctx) eventfd_signal(ctx, 1)
#endif

/*
 * vmclock_wait_event() - as wait_event_interruptible_hrtimeout(), which is woken by
 * a machine that goes to sleep as by a signal: this sleeps on. Nothing may be held
 * that the machine needs for going to sleep.
 */
#ifdef TASK_FREEZABLE
#define vmclock_wait_event(wq, condition, timeout) ({				\
	long ret_ = 0;								\
	might_sleep();								\
	if (!(condition))							\
		ret_ = __wait_event_hrtimeout(wq, condition, timeout,		\
					      (TASK_INTERRUPTIBLE | TASK_FREEZABLE)); \
	ret_; })
#else	/* before 6.1 */
#define vmclock_wait_event(wq, condition, timeout) ({				\
	long ret_;								\
	freezer_do_not_count();							\
	ret_ = wait_event_interruptible_hrtimeout(wq, condition, timeout);	\
	freezer_count();							\
	ret_; })
#endif

/*
 * DEFINE_VMCLOCK_REMOVE() - a platform driver's .remove from a function that
 * returns nothing.
 */
#ifdef HAVE_REMOVE_VOID
#define DEFINE_VMCLOCK_REMOVE(name, fn) \
	static void name(struct platform_device *pdev) { fn(pdev); }
#else
#define DEFINE_VMCLOCK_REMOVE(name, fn) \
	static int name(struct platform_device *pdev) { fn(pdev); return 0; }
#endif

/**
 * struct vmclock_system_snapshot - the timekeeper at one instant
 * @cycles: its clocksource, or the hardware counter that one is derived from
 * @real: CLOCK_REALTIME
 * @raw: CLOCK_MONOTONIC_RAW
 * @clock_was_set_seq: changes when a clock is set
 */
struct vmclock_system_snapshot {
	u64 cycles;
	ktime_t real;
	ktime_t raw;
	unsigned int clock_was_set_seq;
};

/* Return: false if there is none now: the timekeeper is suspended. */
static inline bool vmclock_system_snapshot(struct vmclock_system_snapshot *s)
{
	struct system_time_snapshot snap = { };

#ifdef HAVE_SNAPSHOT_ID
	ktime_get_snapshot_id(CLOCK_REALTIME, &snap);
	if (!snap.valid)
		return false;
	s->cycles = snap.hw_csid ? snap.hw_cycles : snap.cycles;
	s->real = snap.systime;
	s->raw = snap.monoraw;
#else
	ktime_get_snapshot(&snap);
	s->cycles = snap.cycles;
	s->real = snap.real;
	s->raw = snap.raw;
#endif
	s->clock_was_set_seq = snap.clock_was_set_seq;
	return true;
}

/*
 * io_uring's commands. Without HAVE_URING_CANCEL a pending command would keep a
 * task from exiting, so there can be none; without HAVE_URING_CMD there are no
 * commands at all, and what follows is never called.
 */
#if defined(HAVE_URING_CANCEL)
#include <linux/io_uring/cmd.h>
#elif defined(HAVE_URING_CMD)
#include <linux/io_uring.h>
#else
struct io_uring_cmd {
	struct file *file;
	const void *cmd;
	u32 cmd_op;
	u8 pdu[32];
};

static inline void io_uring_cmd_done(struct io_uring_cmd *cmd, ssize_t ret, ssize_t res2,
				     unsigned int issue_flags)
{
}

static inline void io_uring_cmd_complete_in_task(struct io_uring_cmd *cmd,
						 void (*work)(struct io_uring_cmd *, unsigned int))
{
}
#endif

#ifdef HAVE_URING_CMD
#define VMCLOCK_URING_F_NONBLOCK IO_URING_F_NONBLOCK
#define VMCLOCK_URING_F_SQE128 IO_URING_F_SQE128
#define VMCLOCK_FOPS_URING_CMD(fn) .uring_cmd = fn,
#else
#define VMCLOCK_URING_F_NONBLOCK 0
#define VMCLOCK_URING_F_SQE128 0
#define VMCLOCK_FOPS_URING_CMD(fn)
#endif

#ifdef HAVE_URING_CANCEL
#define VMCLOCK_URING_F_CANCEL IO_URING_F_CANCEL
#else
#define VMCLOCK_URING_F_CANCEL 0
static inline void io_uring_cmd_mark_cancelable(struct io_uring_cmd *cmd,
						unsigned int issue_flags)
{
}
#endif

static inline bool vmclock_uring_is_there(void)
{
	return IS_ENABLED(CONFIG_IO_URING) && IS_ENABLED(HAVE_URING_CMD);
}

static inline bool vmclock_uring_can_wait(void)
{
	return IS_ENABLED(CONFIG_IO_URING) && IS_ENABLED(HAVE_URING_CANCEL);
}

static inline const struct vmclock_uring *vmclock_uring_payload(const struct io_uring_cmd *cmd)
{
#if defined(HAVE_URING_PAYLOAD_TYPE)
	return io_uring_sqe_cmd(cmd->sqe, struct vmclock_uring);
#elif defined(HAVE_URING_CANCEL)
	return io_uring_sqe_cmd(cmd->sqe);
#else
	return cmd->cmd;
#endif
}

/* The flags of a submission. Before 6.1 io_uring refuses all; some bits are its own. */
static inline u32 vmclock_uring_flags(const struct io_uring_cmd *cmd)
{
#ifdef IORING_URING_CMD_FIXED
	return cmd->flags & GENMASK(23, 0);
#else
	return 0;
#endif
}

/* Fields of a submission besides its payload that io_uring leaves to the driver. */
static inline u64 vmclock_uring_fields(const struct io_uring_cmd *cmd)
{
#ifdef HAVE_URING_CANCEL
	return READ_ONCE(cmd->sqe->addr) | READ_ONCE(cmd->sqe->len) |
	       READ_ONCE(cmd->sqe->buf_index) | READ_ONCE(cmd->sqe->file_index);
#else
	return 0;
#endif
}

/**
 * vmclock_uring_has_more() - is there more in a submission than we know of?
 * @cmd: the command
 * @issue_flags: what io_uring says about it
 *
 * In one of 128 bytes the payload has 64 bytes more. Flags are more, too: no command
 * uses a registered buffer, or completes several times.
 */
static inline bool vmclock_uring_has_more(const struct io_uring_cmd *cmd,
					  unsigned int issue_flags)
{
	size_t i, n = issue_flags & VMCLOCK_URING_F_SQE128 ? 80 : 16;
	const u64 *words = (const u64 *)vmclock_uring_payload(cmd);
	u64 more = vmclock_uring_flags(cmd) | vmclock_uring_fields(cmd);

	for (i = sizeof(struct vmclock_uring); i < n; i += sizeof(*words))
		more |= READ_ONCE(words[i / sizeof(*words)]);
	return more;
}

/*
 * Before a command returns -EAGAIN: see that it finds its payload when it is
 * called again. From 6.10 to 6.13 io_uring makes a copy, but goes on looking at
 * the slot of the ring, where the next submission may be by then. So make the
 * copy here, where io_uring would, and have it used. Older kernels use the copy
 * if there is one, newer ones always do.
 */
static inline void vmclock_uring_keep_payload(struct io_uring_cmd *cmd,
					      unsigned int issue_flags)
{
#ifdef HAVE_URING_PUNT_REREADS
	size_t size = sizeof(*cmd->sqe) << !!(issue_flags & VMCLOCK_URING_F_SQE128);
	struct io_kiocb *req = cmd_to_io_kiocb(cmd);

	if (!(req->flags & REQ_F_ASYNC_DATA) || cmd->sqe == req->async_data)
		return;
	memcpy(req->async_data, cmd->sqe, size);
	cmd->sqe = req->async_data;
#endif
}

static inline void vmclock_uring_done(struct io_uring_cmd *cmd, int ret,
				      unsigned int issue_flags)
{
#ifdef HAVE_URING_DONE_THREE
	io_uring_cmd_done(cmd, ret, issue_flags);
#else
	io_uring_cmd_done(cmd, ret, 0, issue_flags);
#endif
}

/* DEFINE_VMCLOCK_URING_WORK() - task work from a function of command and flags. */
#ifdef HAVE_URING_TASK_WORK
#define DEFINE_VMCLOCK_URING_WORK(name, fn) \
	static void name(struct io_tw_req req, io_tw_token_t tw) \
	{ fn(io_uring_cmd_from_tw(req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS); }
#else
#define DEFINE_VMCLOCK_URING_WORK(name, fn) \
	static void name(struct io_uring_cmd *cmd, unsigned int issue_flags) \
	{ fn(cmd, issue_flags); }
#endif

/**
 * vmclock_crosststamp_set() - fill a cross timestamp
 * @cts: the stamp; in newer kernels it says which clock is wanted
 * @device: the device's time
 * @counter: value of the architecture's counter then
 * @real: CLOCK_REALTIME then
 * @raw: CLOCK_MONOTONIC_RAW then
 *
 * Return: false if another clock than CLOCK_REALTIME is wanted.
 */
static inline bool vmclock_crosststamp_set(struct system_device_crosststamp *cts,
					   ktime_t device, u64 counter,
					   ktime_t real, ktime_t raw)
{
#ifdef HAVE_CROSSTSTAMP_SYSTIME
	if (cts->clock_id != CLOCK_REALTIME)
		return false;
	cts->sys_counter.cycles = counter;
	cts->sys_counter.cs_id = IS_ENABLED(CONFIG_X86) ? CSID_X86_TSC : CSID_ARM_ARCH_COUNTER;
	cts->sys_counter.use_nsecs = false;
	cts->sys_systime = real;
#else
	cts->sys_realtime = real;
#endif
	cts->device = device;
	cts->sys_monoraw = raw;
	return true;
}

/* What a PTP clock answers that is asked for its free-running counter. */
static inline void vmclock_ptp_set_cycles(struct ptp_clock_info *info,
					  int (*fn)(struct ptp_clock_info *info,
						    struct timespec64 *ts,
						    struct ptp_system_timestamp *stamps))
{
#ifdef HAVE_PTP_CYCLES
	info->getcyclesx64 = fn;
#endif
}

/* The time scale of the PTP clock that this kernel's own driver would make. */
#ifdef HAVE_IN_TREE_TAI
#define VMCLOCK_PTP_TIMESCALE_DEFAULT "tai"
#else
#define VMCLOCK_PTP_TIMESCALE_DEFAULT "utc"
#endif

#endif /* VMCLOCK_COMPAT_H */
