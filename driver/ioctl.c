// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of /dev/vmclock: <linux/vmclock-dev.h> has the contract.
 *
 * Structures are the same for 32- and 64-bit callers; what the compiler makes
 * of them is asserted in uapi/tests/layout.c.
 *
 * User memory is touched outside the SRCU sections: a caller can make such an
 * access last as long as it likes, and removal waits for the sections.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vmclock.h"

#define ARG_SIZE_MAX 4096

/*
 * Copy an argument in, and check that its size is sane, its flags are zero, and
 * so is everything from @in_end on: what lies between is for the command.
 * Return: the size of the caller's structure, or a negative errno.
 */
static long arg_get(void *arg, size_t known, size_t in_end, const void __user *from)
{
	u32 size;
	int err;

	if (get_user(size, (const u32 __user *)from))
		return -EFAULT;
	if (size < VMCLOCK_ARG_SIZE_MIN)
		return -EINVAL;
	if (size > ARG_SIZE_MAX)
		return -E2BIG;

	err = copy_struct_from_user(arg, known, from, size);
	if (err)
		return err;
	if (((u32 *)arg)[1] || memchr_inv(arg + in_end, 0, known - in_end))
		return -EINVAL;
	/* The size was fetched twice; the first one counts. */
	return size;
}

/* Copy as much out as the caller has room for, and say how much there is. */
static long arg_put(void __user *to, size_t room, void *arg, size_t known)
{
	*(u32 *)arg = known;
	return copy_to_user(to, arg, min(room, known)) ? -EFAULT : 0;
}

static int info_fill(struct vmclock_device *vd, struct vmclock_info *info)
{
	int token = srcu_read_lock(&vd->srcu);

	if (vmclock_is_gone(vd)) {
		srcu_read_unlock(&vd->srcu, token);
		return -ENODEV;
	}
	info->counter_id = vmclock_page_counter_id(vd);
	srcu_read_unlock(&vd->srcu, token);

	info->features = VMCLOCK_F_SNAPSHOT | VMCLOCK_F_EVENTS;
	if (vmclock_uring_is_there())
		info->features |= VMCLOCK_F_URING_SNAPSHOT;
	if (vmclock_uring_can_wait())
		info->features |= VMCLOCK_F_URING_WAIT;
	if (vd->map_size)
		info->features |= VMCLOCK_F_MMAP;
	info->region_size = vd->region_size;
	info->map_size = vd->map_size;
	info->index = vd->index;
	info->ptp_index = vd->ptp_index;
	info->ptp_timescale = vmclock_ptp_timescale(vd);
	info->counter_usable = vmclock_counter_usable();
	info->bus = vd->bus;
	info->events_from = vmclock_notify_source(vd);
	if (info->events_from == VMCLOCK_EVENTS_WATCHED)
		info->watch_us = vmclock_notify_watch_us();
	memcpy(info->name, vd->name, sizeof(info->name));
	return 0;
}

static long info_get(struct vmclock_device *vd, void __user *argp)
{
	struct vmclock_info info;
	long room = arg_get(&info, sizeof(info), VMCLOCK_ARG_SIZE_MIN, argp);
	int err;

	if (room < 0)
		return room;
	err = info_fill(vd, &info);
	if (err)
		return err;
	return arg_put(argp, room, &info, sizeof(info));
}

static void snapshot_fill_time(struct vmclock_snapshot *snap)
{
	struct vmclock_line_time time;

	if (!vmclock_line_time(&snap->page, snap->page_size, snap->counter, &time))
		return;
	snap->time_sec = time.sec;
	snap->time_nsec = time.nsec;
	snap->maxerror_ns = time.maxerror_ns;
	snap->valid |= VMCLOCK_SNAPSHOT_TIME;
}

static int snapshot_take(struct vmclock_device *vd, struct vmclock_snapshot *snap,
			 bool nonblock)
{
	struct vmclock_clocks clocks = { };
	int size = vmclock_line_take(vd, &snap->page, &clocks, nonblock);

	if (size < 0)
		return size;
	snap->page_size = size;

	snap->before = clocks.before;
	snap->after = clocks.after;
	if (vmclock_line_has_counter(&snap->page, &clocks)) {
		snap->valid |= VMCLOCK_SNAPSHOT_COUNTER;
		if (clocks.correlated)
			snap->valid |= VMCLOCK_SNAPSHOT_CORRELATED;
		snap->counter = clocks.counter;
		snapshot_fill_time(snap);
	}
	return 0;
}

/**
 * vmclock_ioctl_snapshot() - the command, argument and all
 * @vd: the device
 * @argp: the argument
 * @nonblock: -EAGAIN rather than wait for an update to end
 *
 * Return: 0 or a negative errno.
 */
long vmclock_ioctl_snapshot(struct vmclock_device *vd, void __user *argp, bool nonblock)
{
	struct vmclock_snapshot snap;
	long room = arg_get(&snap, sizeof(snap), VMCLOCK_ARG_SIZE_MIN, argp);
	int err;

	if (room < 0)
		return room;
	err = snapshot_take(vd, &snap, nonblock);
	if (err)
		return err;
	return arg_put(argp, room, &snap, sizeof(snap));
}

static bool mask_is_known(u32 events)
{
	return !(events & ~VMCLOCK_EVENTS_ALL);
}

static long events_set(struct vmclock_file *vf, void __user *argp)
{
	struct vmclock_events events;
	long room = arg_get(&events, sizeof(events),
			    offsetofend(struct vmclock_events, events), argp);
	int err;

	if (room < 0)
		return room;
	if (!mask_is_known(events.events))
		return -EINVAL;
	err = vmclock_event_set(vf, events.events);
	if (err)
		return err;
	return arg_put(argp, room, &events, sizeof(events));
}

static long eventfd_set(struct vmclock_file *vf, void __user *argp)
{
	struct eventfd_ctx *ctx = NULL;
	struct vmclock_eventfd arg;
	long room = arg_get(&arg, sizeof(arg), sizeof(arg), argp);
	int err;

	if (room < 0)
		return room;
	if (!mask_is_known(arg.events) || (!arg.events && arg.fd))
		return -EINVAL;
	if (arg.events)
		ctx = eventfd_ctx_fdget(arg.fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	err = vmclock_event_set_eventfd(vf, ctx, arg.events);
	if (err)
		return err;
	return arg_put(argp, room, &arg, sizeof(arg));
}

/* A caller that does not want to wait is told why it would have to. */
static int wait_or_not(struct file *file, struct vmclock_wait *wait)
{
	struct vmclock_file *vf = file->private_data;
	s64 timeout = wait->timeout_ns;
	u32 mask = wait->events;

	wait->events = 0;
	if (!timeout || file->f_flags & O_NONBLOCK)
		return vmclock_event_take(vf, mask, wait, NULL);
	return vmclock_event_wait(vf, mask, timeout < 0 ? KTIME_MAX : timeout, wait);
}

/**
 * vmclock_ioctl_get_wait() - get an argument of WAIT, and check it
 * @wait: the argument
 * @argp: where it is
 *
 * Return: room for the answer, or a negative errno, never -EAGAIN.
 */
long vmclock_ioctl_get_wait(struct vmclock_wait *wait, const void __user *argp)
{
	long room = arg_get(wait, sizeof(*wait), offsetofend(struct vmclock_wait, events), argp);

	if (room >= 0 && !mask_is_known(wait->events))
		return -EINVAL;
	return room;
}

/**
 * vmclock_ioctl_put_wait() - give the answer
 * @argp: where to
 * @room: what vmclock_ioctl_get_wait() returned
 * @wait: the answer
 *
 * Return: 0 or -EFAULT.
 */
long vmclock_ioctl_put_wait(void __user *argp, size_t room, struct vmclock_wait *wait)
{
	return arg_put(argp, room, wait, sizeof(*wait));
}

static long wait_get(struct file *file, void __user *argp)
{
	struct vmclock_wait wait;
	long room = vmclock_ioctl_get_wait(&wait, argp);
	int err;

	if (room < 0)
		return room;
	err = wait_or_not(file, &wait);
	if (err)
		return err;
	return vmclock_ioctl_put_wait(argp, room, &wait);
}

/**
 * vmclock_ioctl() - dispatch a command
 * @file: the open file
 * @cmd: the command
 * @arg: its argument
 *
 * Return: 0 or a negative errno, as in <linux/vmclock-dev.h>.
 */
long vmclock_ioctl(struct file *file, unsigned int cmd, void __user *arg)
{
	struct vmclock_file *vf = file->private_data;

	switch (cmd) {
	case VMCLOCK_IOC_INFO:
		return info_get(vf->vd, arg);
	case VMCLOCK_IOC_SNAPSHOT:
		return vmclock_ioctl_snapshot(vf->vd, arg, false);
	case VMCLOCK_IOC_EVENTS:
		return events_set(vf, arg);
	case VMCLOCK_IOC_EVENTFD:
		return eventfd_set(vf, arg);
	case VMCLOCK_IOC_WAIT:
		return wait_get(file, arg);
	default:
		return -ENOTTY;
	}
}
