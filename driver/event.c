// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events as one open file sees them: what has happened since it last looked.
 *
 * No list of events is kept. The device counts, the file remembers the counts
 * it has seen, and the difference is what is new. So a slow reader costs
 * nothing, and knows how much it has missed.
 */
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vmclock.h"

/**
 * vmclock_event_open() - state of a new file
 * @vd: the device, of which the caller holds a reference, which the file takes
 *
 * As with the in-tree driver, the page as it is now counts as an update.
 *
 * Return: the file, or NULL.
 */
struct vmclock_file *vmclock_event_open(struct vmclock_device *vd)
{
	struct vmclock_file *vf = kzalloc(sizeof(*vf), GFP_KERNEL_ACCOUNT);

	if (!vf)
		return NULL;
	vf->vd = vd;
	vf->events = VMCLOCK_EVENT_UPDATE;
	INIT_LIST_HEAD(&vf->listener);
	vmclock_event_mark(vf, &vf->seen);
	vf->seen.seq = 0;
	return vf;
}

/**
 * vmclock_event_release() - free a file's state
 * @vf: the file
 */
void vmclock_event_release(struct vmclock_file *vf)
{
	struct vmclock_notify *n = &vf->vd->notify;

	spin_lock(&n->lock);
	list_del(&vf->listener);
	spin_unlock(&n->lock);
	if (vf->eventfd)
		eventfd_ctx_put(vf->eventfd);
	vmclock_put(vf->vd);
	kfree(vf);
}

static void look(struct vmclock_device *vd)
{
	int token = srcu_read_lock(&vd->srcu);

	if (!vmclock_is_gone(vd))
		vmclock_notify_look(vd);
	srcu_read_unlock(&vd->srcu, token);
}

/**
 * vmclock_event_mark() - what had happened before the page was read
 * @vf: the file
 * @mark: the counts
 */
void vmclock_event_mark(struct vmclock_file *vf, struct vmclock_tally *mark)
{
	struct vmclock_device *vd = vf->vd;

	look(vd);
	spin_lock(&vd->notify.lock);
	*mark = vd->notify.tally;
	spin_unlock(&vd->notify.lock);
}

/**
 * vmclock_event_saw() - the file has read the page
 * @vf: the file
 * @mark: the counts before
 * @seq: sequence number of what was read, even
 *
 * An update between the two was read, too. Other events in between will be
 * reported again: better twice than never. The device has to know of the update, or
 * who waits with the same file would take the one before it for new.
 */
void vmclock_event_saw(struct vmclock_file *vf, const struct vmclock_tally *mark, u32 seq)
{
	s32 updates = (s32)(seq - mark->seq) / 2;

	if (updates)
		look(vf->vd);
	spin_lock(&vf->vd->notify.lock);
	vf->seen = *mark;
	vf->seen.seq = seq;
	vf->seen.count[ilog2(VMCLOCK_EVENT_UPDATE)] += max(updates, 0);
	vf->starved = false;
	spin_unlock(&vf->vd->notify.lock);
}

/**
 * vmclock_event_starved() - a read that must not wait got nothing
 * @vf: the file
 *
 * io_uring polls the file before it has such a read try again. It does so at once,
 * many times, if the poll finds it ready: so an event from before must not count.
 */
void vmclock_event_starved(struct vmclock_file *vf)
{
	spin_lock(&vf->vd->notify.lock);
	vf->starved = true;
	spin_unlock(&vf->vd->notify.lock);
}

/*
 * What is new to the file. A page that is odd for long has not changed: then
 * what the device knows may be older than what the file has read. And what was
 * good again before the last disruption is not good any more.
 */
static u32 pending(const struct vmclock_file *vf)
{
	const struct vmclock_tally *now = &vf->vd->notify.tally;
	const struct vmclock_tally *seen = &vf->seen;
	bool stale = vf->vd->notify.stale;
	u32 events = 0;
	unsigned int i;

	lockdep_assert_held(&vf->vd->notify.lock);

	if (stale ? (s32)(now->seq - seen->seq) > 0 : now->seq != seen->seq)
		events |= VMCLOCK_EVENT_UPDATE;
	for (i = 0; i < VMCLOCK_EVENT_COUNT; i++)
		if (BIT(i) != VMCLOCK_EVENT_UPDATE && now->count[i] != seen->count[i])
			events |= BIT(i);
	if (vf->vd->restore.state != VMCLOCK_RESTORE_CALM)
		events &= ~VMCLOCK_EVENT_RECALIBRATED;
	return events;
}

/* Count what is not told, or with another in one; and say if there may have been more. */
static void count_missed(const struct vmclock_file *vf, u32 mask, struct vmclock_wait *result)
{
	const struct vmclock_tally *now = &vf->vd->notify.tally;
	const struct vmclock_tally *seen = &vf->seen;
	unsigned long bits = mask;
	unsigned int i;

	for_each_set_bit(i, &bits, VMCLOCK_EVENT_COUNT) {
		s64 n = now->count[i] - seen->count[i];
		/* What is out of date is not told: see pending(). */
		bool is_told = BIT(i) != VMCLOCK_EVENT_RECALIBRATED || result->events & BIT(i);

		result->missed += max_t(s64, n - is_told, 0);
	}
	if ((mask & VMCLOCK_EVENT_UPDATE && now->jumps != seen->jumps) ||
	    (mask & ~VMCLOCK_EVENT_UPDATE && now->skips != seen->skips))
		result->valid |= VMCLOCK_WAIT_AT_LEAST;
}

/* If one of @mask is new, the file has seen all that is now. */
static int take(struct vmclock_file *vf, u32 mask, struct vmclock_wait *result,
		struct vmclock_command *command)
{
	struct vmclock_notify *n = &vf->vd->notify;
	int ret = 0;
	u32 events;

	spin_lock(&n->lock);
	if (!mask)
		mask = vf->events;
	events = pending(vf);
	if (command && !vmclock_command_decide(command)) {
		ret = -ECANCELED;
	} else if (events & mask) {
		result->events = events;
		count_missed(vf, mask, result);
		vf->seen = n->tally;
	} else if (!vmclock_notify_source(vf->vd)) {
		ret = -EOPNOTSUPP;
	} else if (command && vmclock_command_arm(command)) {
		ret = -EIOCBQUEUED;
	} else {
		ret = -EAGAIN;
	}
	spin_unlock(&n->lock);
	return ret;
}

/**
 * vmclock_event_take() - is there an event? Then it is told, and not new again
 * @vf: the file
 * @mask: any of these, or 0 for the file's own
 * @result: @events, @valid and @missed are filled in
 * @command: to be armed if there is none and its time is not over, or NULL
 *
 * Context: process context, does not sleep.
 * Return: 0, -EAGAIN if there is none, -EIOCBQUEUED if @command was armed and
 * belongs to somebody else from now on, -EOPNOTSUPP if there is none and nobody
 * would tell us of one, -ECANCELED if @command was cancelled, -ENODEV.
 */
int vmclock_event_take(struct vmclock_file *vf, u32 mask, struct vmclock_wait *result,
		       struct vmclock_command *command)
{
	struct vmclock_device *vd = vf->vd;
	int token = srcu_read_lock(&vd->srcu);
	int ret = -ENODEV;

	if (!vmclock_is_gone(vd)) {
		vmclock_notify_look(vd);
		ret = take(vf, mask, result, command);
		if (ret == -EAGAIN || ret == -EIOCBQUEUED)
			vmclock_notify_watch(vd);
	}
	srcu_read_unlock(&vd->srcu, token);
	return ret;
}

/**
 * vmclock_event_wait() - take an event, wait for one if there is none
 * @vf: the file
 * @mask: as above
 * @timeout: relative; KTIME_MAX for ever
 * @result: as above
 *
 * Outside of the read sections, so that removal need not wait for us; it wakes
 * us. A machine that goes to sleep does not end the wait, and @timeout stands still
 * meanwhile. But newer kernels may, when it catches us awake, and so does being
 * stopped and continued. Without a time-out the kernel begins the call again then;
 * with one that would make it longer.
 *
 * Context: process context, sleeps.
 * Return: as above; -ETIMEDOUT, or -EINTR or -ERESTARTNOHAND for a signal.
 */
int vmclock_event_wait(struct vmclock_file *vf, u32 mask, ktime_t timeout,
		       struct vmclock_wait *result)
{
	int ret, err;

#define TAKE_OR_SLEEP ((ret = vmclock_event_take(vf, mask, result, NULL)) != -EAGAIN)
	err = vmclock_wait_event(vf->vd->notify.wait, TAKE_OR_SLEEP, timeout);
#undef TAKE_OR_SLEEP
	if (ret != -EAGAIN)
		return ret;
	if (err == -ETIME)
		return -ETIMEDOUT;
	return timeout == KTIME_MAX ? -ERESTARTNOHAND : -EINTR;
}

static __poll_t poll_mask(u32 events, u32 mask)
{
	__poll_t ret = 0;

	if (events & mask)
		ret |= EPOLLIN | EPOLLRDNORM;
	if (events & VMCLOCK_EVENTS_URGENT)
		ret |= EPOLLPRI;
	return ret;
}

/**
 * vmclock_event_poll() - the file operation's answer
 * @vf: the file, already on the wait queue
 */
__poll_t vmclock_event_poll(struct vmclock_file *vf)
{
	struct vmclock_device *vd = vf->vd;
	__poll_t ret = EPOLLHUP | EPOLLERR;
	int token = srcu_read_lock(&vd->srcu);

	if (!vmclock_is_gone(vd)) {
		vmclock_notify_look(vd);
		spin_lock(&vd->notify.lock);
		ret = poll_mask(pending(vf), vf->events);
		if (vf->starved && vd->notify.stale)
			ret &= ~(EPOLLIN | EPOLLRDNORM);
		else if (vf->starved)
			ret |= EPOLLIN | EPOLLRDNORM;
		spin_unlock(&vd->notify.lock);
		if (!vmclock_notify_source(vd))
			ret |= EPOLLHUP;
		vmclock_notify_watch(vd);
	}
	srcu_read_unlock(&vd->srcu, token);
	return ret;
}

/* Only files that want to be told without waiting are in the list. */
static void update_listener(struct vmclock_file *vf)
{
	struct vmclock_notify *n = &vf->vd->notify;

	lockdep_assert_held(&n->lock);

	list_del_init(&vf->listener);
	if (vf->eventfd || vf->fasync)
		list_add(&vf->listener, &n->listeners);
}

/**
 * vmclock_event_set() - change the file's event mask
 * @vf: the file
 * @events: the new mask
 *
 * Return: 0 or -ENODEV.
 */
int vmclock_event_set(struct vmclock_file *vf, u32 events)
{
	struct vmclock_device *vd = vf->vd;
	int token = srcu_read_lock(&vd->srcu);
	bool gone = vmclock_is_gone(vd);

	if (!gone) {
		spin_lock(&vd->notify.lock);
		vf->events = events;
		spin_unlock(&vd->notify.lock);
		/* What is there already may be of interest now. */
		wake_up_all(&vd->notify.wait);
		vmclock_command_wake(vd, 0);
	}
	srcu_read_unlock(&vd->srcu, token);
	return gone ? -ENODEV : 0;
}

/**
 * vmclock_event_set_eventfd() - have an eventfd signalled
 * @vf: the file
 * @ctx: the eventfd, whose reference is taken over, or NULL for none any more
 * @events: for these events
 *
 * Return: 0 or -ENODEV.
 */
int vmclock_event_set_eventfd(struct vmclock_file *vf, struct eventfd_ctx *ctx, u32 events)
{
	struct vmclock_device *vd = vf->vd;
	int token = srcu_read_lock(&vd->srcu);
	bool gone = vmclock_is_gone(vd);

	if (!gone) {
		spin_lock(&vd->notify.lock);
		swap(vf->eventfd, ctx);
		vf->eventfd_events = events;
		update_listener(vf);
		spin_unlock(&vd->notify.lock);
		vmclock_notify_watch(vd);
	}
	srcu_read_unlock(&vd->srcu, token);

	/* The one before, or the one that came too late. */
	if (ctx)
		eventfd_ctx_put(ctx);
	return gone ? -ENODEV : 0;
}

/**
 * vmclock_event_fasync() - the file operation
 * @fd: passed on
 * @file: passed on
 * @on: passed on
 */
int vmclock_event_fasync(int fd, struct file *file, int on)
{
	struct vmclock_file *vf = file->private_data;
	struct vmclock_device *vd = vf->vd;
	int token = srcu_read_lock(&vd->srcu);
	int ret = -ENODEV;

	if (!on || !vmclock_is_gone(vd)) {
		ret = fasync_helper(fd, file, on, &vf->fasync);
		spin_lock(&vd->notify.lock);
		update_listener(vf);
		spin_unlock(&vd->notify.lock);
		vmclock_notify_watch(vd);
	}
	srcu_read_unlock(&vd->srcu, token);
	return ret;
}
