// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of a page: noticing them, and telling everybody.
 *
 * Whatever makes us look (the hypervisor's notification, the watch, a program
 * that waits or asks), one function compares the page with how it was at the
 * last look, counts what happened, and wakes whoever may care. Those compare the
 * counts with the ones they have seen: event.c.
 *
 * The watch is for pages without notification. It looks every watch_ms as long
 * as somebody waits, or on_restore is on, and only then.
 *
 * Nothing is told twice a second or more often that costs more than a wake-up:
 * uevents and log lines are sent by a work of their own, which lets what comes
 * too soon wait, and tells it once.
 */
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/signal.h>

#include "vmclock.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

#define WATCH_MS_MAX		60000
#define ANNOUNCE_INTERVAL	HZ

static unsigned int watch_ms = 10;

/* Who waits must not wait for the end of the old interval, or of none. */
static int watch_ms_set(const char *text, const struct kernel_param *kp)
{
	int err = param_set_uint(text, kp);

	if (!err)
		vmclock_restore_kick_all();
	return err;
}

static const struct kernel_param_ops watch_ms_ops = {
	.set = watch_ms_set, .get = param_get_uint
};
module_param_cb(watch_ms, &watch_ms_ops, &watch_ms, 0644);
MODULE_PARM_DESC(watch_ms, "look at a page without notification this often, in ms, while somebody waits or on_restore is on (default 10, 0: never)");

#define MAINTENANCE_FLAGS (VMCLOCK_PAGE_FLAG_DISRUPTION_SOON | \
			   VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT)

/* Freezable: nobody looks at a page while the machine is suspended. */
static struct workqueue_struct *notify_wq;

static unsigned long watch_delay(void)
{
	return msecs_to_jiffies(min_t(unsigned int, READ_ONCE(watch_ms), WATCH_MS_MAX));
}

/**
 * vmclock_notify_source() - who tells us about updates
 * @vd: the device
 *
 * Context: any. The answer can change with the page, and with the parameter.
 * Return: VMCLOCK_EVENTS_*.
 */
u8 vmclock_notify_source(const struct vmclock_device *vd)
{
	if (READ_ONCE(vd->notify.wired) && READ_ONCE(vd->notify.promised))
		return VMCLOCK_EVENTS_NOTIFIED;
	return READ_ONCE(watch_ms) ? VMCLOCK_EVENTS_WATCHED : VMCLOCK_EVENTS_NONE;
}

/**
 * vmclock_notify_watch_us() - how often the watch looks
 */
u32 vmclock_notify_watch_us(void)
{
	return jiffies_to_usecs(watch_delay());
}

static u64 flags_changed(const struct vmclock_page *a, const struct vmclock_page *b)
{
	return le64_to_cpu(a->flags ^ b->flags);
}

/* What lies between two pages, but for the update itself. */
static u32 compare(const struct vmclock_page *old, const struct vmclock_page *new)
{
	u64 flags = flags_changed(old, new);
	u32 events = 0;

	if (old->disruption_marker != new->disruption_marker)
		events |= VMCLOCK_EVENT_DISRUPTED;
	if (old->vm_generation_counter != new->vm_generation_counter ||
	    flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT)
		events |= VMCLOCK_EVENT_GENERATION;
	if (old->clock_status != new->clock_status)
		events |= VMCLOCK_EVENT_STATUS;
	if (old->leap_indicator != new->leap_indicator ||
	    old->tai_offset_sec != new->tai_offset_sec ||
	    flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID)
		events |= VMCLOCK_EVENT_LEAP;
	if (flags & MAINTENANCE_FLAGS)
		events |= VMCLOCK_EVENT_MAINTENANCE;
	return events;
}

/*
 * The sequence number says how many updates there were, unless the page is of
 * another history than before. Of several updates, some may have undone what
 * others did: then the other events can't be counted exactly.
 */
static void count_events(struct vmclock_tally *tally, u32 events, s32 updates)
{
	bool jumped = updates <= 0 || events & VMCLOCK_EVENTS_URGENT;
	unsigned long rest = events & ~VMCLOCK_EVENT_UPDATE;
	unsigned int bit;

	tally->jumps += jumped;
	tally->skips += jumped || updates > 1;
	tally->count[ilog2(VMCLOCK_EVENT_UPDATE)] += jumped ? 1 : updates;
	for_each_set_bit(bit, &rest, VMCLOCK_EVENT_COUNT)
		tally->count[bit]++;
}

/*
 * Some fields may be absent, and what is no page any more only has updates.
 * Return: false for the latter.
 */
static bool keep_what_is_there(struct vmclock_device *vd, struct vmclock_page *copy)
{
	int size = vmclock_page_size(vd, copy);
	__le32 seq = copy->seq_count;

	if (size < 0) {
		*copy = vd->notify.last;
		copy->seq_count = seq;
		return false;
	}
	memset((void *)copy + size, 0, sizeof(*copy) - size);
	if (!(le64_to_cpu(copy->flags) & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT))
		copy->vm_generation_counter = 0;
	if (!(le64_to_cpu(copy->flags) & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID))
		copy->tai_offset_sec = 0;
	return true;
}

/* Compare @copy with the last look, and remember it. Return: VMCLOCK_EVENT_*. */
static u32 note(struct vmclock_device *vd, struct vmclock_page *copy)
{
	struct vmclock_notify *n = &vd->notify;
	u32 seq = le32_to_cpu(copy->seq_count);
	u32 events = VMCLOCK_EVENT_UPDATE;
	bool is_page;

	lockdep_assert_held(&n->lock);

	if (n->primed && seq == n->tally.seq && !n->doubted)
		return 0;
	n->doubted = false;
	is_page = keep_what_is_there(vd, copy);
	if (n->primed && seq == n->tally.seq && !memcmp(copy, &n->last, sizeof(*copy)))
		return 0;
	/* The first look has nothing to compare with, but a file may be open already. */
	if (n->primed) {
		events |= compare(&n->last, copy);
		events |= vmclock_restore_note(vd, events,
					       is_page && vmclock_line_is_vouched_for(copy));
		count_events(&n->tally, events, (s32)(seq - n->tally.seq) / 2);
		trace_vmclock_update(vd->index, seq, n->tally.seq, events);
		if (events & VMCLOCK_EVENTS_URGENT)
			trace_vmclock_disruption(vd->index, &n->last, copy);
	}

	n->primed = true;
	n->last = *copy;
	n->tally.seq = seq;
	WRITE_ONCE(n->promised,
		   le64_to_cpu(copy->flags) & VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	return events;
}

/**
 * vmclock_notify_announce() - have the log and a uevent tell something, soon
 * @vd: the device, its notify.lock held
 * @what: VMCLOCK_EVENTS_URGENT, VMCLOCK_ANNOUNCE_RESTORE
 *
 * Nothing is queued once the device is being unbound.
 */
void vmclock_notify_announce(struct vmclock_device *vd, u32 what)
{
	struct vmclock_notify *n = &vd->notify;
	unsigned long now = jiffies;

	lockdep_assert_held(&n->lock);

	n->unannounced |= what;
	if (!n->closed)
		queue_delayed_work(notify_wq, &n->announce, time_before(now, n->announce_after) ?
				   n->announce_after - now : 0);
}

/**
 * vmclock_notify_queue() - let a work of a device run
 * @work: the work, which vmclock_notify_stop() cancels
 * @delay: not before that, in jiffies
 *
 * The caller has seen that the device is not closed, and holds notify.lock.
 */
void vmclock_notify_queue(struct delayed_work *work, unsigned long delay)
{
	queue_delayed_work(notify_wq, work, delay);
}

/**
 * vmclock_notify_signal() - signal who does not wait
 * @vd: the device, its notify.lock held since the events were counted
 * @events: what is new
 *
 * So in the order in which things happened, whoever has noticed them.
 */
void vmclock_notify_signal(struct vmclock_device *vd, u32 events)
{
	struct vmclock_notify *n = &vd->notify;
	bool urgent = events & VMCLOCK_EVENTS_URGENT;
	struct vmclock_file *vf;

	lockdep_assert_held(&n->lock);

	list_for_each_entry(vf, &n->listeners, listener) {
		if (vf->eventfd && events & vf->eventfd_events)
			eventfd_signal(vf->eventfd);
		if (events & vf->events)
			kill_fasync(&vf->fasync, SIGIO, urgent ? POLL_PRI : POLL_IN);
	}
	if (urgent)
		vmclock_notify_announce(vd, events & VMCLOCK_EVENTS_URGENT);
}

/**
 * vmclock_notify_wake() - wake who waits, after vmclock_notify_signal()
 * @vd: the device, entered, or from a work of its own
 * @events: what is new; who wakes up looks what still is
 */
void vmclock_notify_wake(struct vmclock_device *vd, u32 events)
{
	bool urgent = events & VMCLOCK_EVENTS_URGENT;

	/* All, exclusive or not: they are of several files, each with events of its own. */
	__wake_up(&vd->notify.wait, TASK_NORMAL, 0,
		  poll_to_key(EPOLLIN | EPOLLRDNORM | (urgent ? EPOLLPRI : 0)));
	vmclock_command_wake(vd, events);
}

/**
 * vmclock_notify_look() - compare the page with how it was, and tell everybody
 * @vd: the device, entered
 *
 * The page is copied with the lock held, so that looks have an order. That is
 * bounded, and short: a page that is odd all the time counts as not changed.
 *
 * Context: process context, does not sleep.
 * Return: true if there was a gap between updates to look through.
 */
bool vmclock_notify_look(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_page copy = { };
	bool fresh, was_stale;
	u32 events = 0;

	spin_lock(&n->lock);
	fresh = vmclock_page_try(vd, &copy, min_t(size_t, vd->region_size, sizeof(copy)), NULL);
	was_stale = n->stale;
	n->stale = !fresh;
	if (fresh)
		events = note(vd, &copy);
	if (events)
		vmclock_notify_signal(vd, events);
	spin_unlock(&n->lock);

	/* An update that was given up is none, but ends the wait of who could not read. */
	if (events || (fresh && was_stale))
		vmclock_notify_wake(vd, events | VMCLOCK_EVENT_UPDATE);
	return fresh;
}

/**
 * vmclock_notify_watch() - have somebody look again soon, if no one else will
 * @vd: the device
 *
 * For whoever is about to wait, after it has joined the wait queue: the work
 * looks for waiters after it has run, and goes on or not.
 *
 * Context: does not sleep.
 */
void vmclock_notify_watch(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;

	if (vmclock_notify_source(vd) != VMCLOCK_EVENTS_WATCHED)
		return;
	spin_lock(&n->lock);
	if (!n->closed)
		queue_delayed_work(notify_wq, &n->look, watch_delay());
	spin_unlock(&n->lock);
}

/**
 * vmclock_notify_kick() - the hypervisor says that the page was updated
 * @vd: the device, between vmclock_notify_start() and vmclock_notify_stop()
 *
 * Context: any, hard interrupts too.
 */
void vmclock_notify_kick(struct vmclock_device *vd)
{
	mod_delayed_work(notify_wq, &vd->notify.look, 0);
}

/**
 * vmclock_notify_resume() - the machine has slept
 * @vd: the device, between vmclock_notify_start() and vmclock_notify_stop()
 *
 * A notification may have been lost; and after a hibernation the page may be that of
 * another host, which has the same number by chance. That is looked for once.
 *
 * Context: process context; the work runs when the others do.
 */
void vmclock_notify_resume(struct vmclock_device *vd)
{
	spin_lock(&vd->notify.lock);
	vd->notify.doubted = true;
	spin_unlock(&vd->notify.lock);
	vmclock_notify_kick(vd);
}

static bool somebody_waits(struct vmclock_notify *n)
{
	/*
	 * Who joins the queue and then finds this work pending must be seen.
	 * Pairs with the atomic of queue_delayed_work() in vmclock_notify_watch().
	 */
	return wq_has_sleeper(&n->wait) || !list_empty_careful(&n->listeners) ||
	       !list_empty_careful(&n->commands) || vmclock_restore_is_on();
}

/* No section is needed: the work ends before the device goes. */
static void look_work(struct work_struct *work)
{
	struct vmclock_device *vd = container_of(to_delayed_work(work), struct vmclock_device,
						 notify.look);
	struct vmclock_notify *n = &vd->notify;
	bool fresh = vmclock_notify_look(vd);
	u8 source = vmclock_notify_source(vd);

	if (!somebody_waits(n))
		return;
	if (source == VMCLOCK_EVENTS_NONE) {
		wake_up_all(&n->wait);
		vmclock_command_wake(vd, 0);
	} else if (source == VMCLOCK_EVENTS_WATCHED) {
		vmclock_notify_watch(vd);
	} else if (!fresh) {
		queue_delayed_work(notify_wq, &n->look, 1);
	}
}

static void expire_work(struct work_struct *work)
{
	vmclock_command_expire(container_of(to_delayed_work(work), struct vmclock_device,
					    notify.expire));
}

/**
 * vmclock_notify_expire_at() - have vmclock_command_expire() called
 * @n: the device's events, its lock held
 * @expiry: when, in jiffies
 */
void vmclock_notify_expire_at(struct vmclock_notify *n, u64 expiry)
{
	u64 now = get_jiffies_64();

	lockdep_assert_held(&n->lock);

	if (!n->closed)
		mod_delayed_work(notify_wq, &n->expire, expiry <= now ? 0 :
				 min_t(u64, expiry - now, MAX_JIFFY_OFFSET));
}

static void announce_one(struct vmclock_device *vd, const char *what, const char *variable)
{
	char *env[2] = { (char *)variable, NULL };

	pr_info("%s: %s\n", vd->node_name, what);
	kobject_uevent_env(&vd->misc.this_device->kobj, KOBJ_CHANGE, env);
}

/* The node exists: it goes after the work has ended. */
static void announce_work(struct work_struct *work)
{
	struct vmclock_device *vd = container_of(to_delayed_work(work), struct vmclock_device,
						 notify.announce);
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_restore_report report;
	u32 events;

	/* Together: a report that comes later is told later, with nothing of this one. */
	spin_lock(&n->lock);
	events = n->unannounced;
	report = vd->restore.report;
	n->unannounced = 0;
	n->announce_after = jiffies + ANNOUNCE_INTERVAL;
	spin_unlock(&n->lock);

	if (events & VMCLOCK_EVENT_DISRUPTED)
		announce_one(vd, "the counter was disrupted", "VMCLOCK_EVENT=disrupted");
	if (events & VMCLOCK_EVENT_GENERATION)
		announce_one(vd, "the machine was restored or cloned", "VMCLOCK_EVENT=generation");
	if (events & VMCLOCK_ANNOUNCE_RESTORE)
		vmclock_restore_announce(vd, &report);
}

/**
 * vmclock_notify_create() - the part that lives as long as the structure
 * @vd: the device
 */
void vmclock_notify_create(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;

	spin_lock_init(&n->lock);
	init_waitqueue_head(&n->wait);
	INIT_LIST_HEAD(&n->listeners);
	INIT_LIST_HEAD(&n->commands);
	n->next_expiry = U64_MAX;
	INIT_DELAYED_WORK(&n->look, look_work);
	INIT_DELAYED_WORK(&n->announce, announce_work);
	INIT_DELAYED_WORK(&n->expire, expire_work);
	vmclock_restore_create(vd);
	n->announce_after = jiffies;
}

/**
 * vmclock_notify_start() - first look: what comes later is compared with it
 * @vd: the device, its page mapped, without a node yet
 */
void vmclock_notify_start(struct vmclock_device *vd)
{
	vmclock_notify_look(vd);
}

/**
 * vmclock_notify_stop() - end the works, for good
 * @vd: the device, with its node; nobody calls vmclock_notify_kick() any more
 *
 * Files still look when they are asked to, but no one does it for them.
 *
 * Context: process context, sleeps.
 */
void vmclock_notify_stop(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;

	spin_lock(&n->lock);
	n->closed = true;
	spin_unlock(&n->lock);
	cancel_delayed_work_sync(&n->look);
	/* Before the announcements, which it makes. */
	cancel_delayed_work_sync(&vd->restore.work);
	cancel_delayed_work_sync(&n->announce);
	cancel_delayed_work_sync(&n->expire);
}

/**
 * vmclock_notify_gone() - tell everybody that the device is gone
 * @vd: the device, gone, and no section left that did not see it
 */
void vmclock_notify_gone(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_file *vf;

	wake_up_all(&n->wait);
	spin_lock(&n->lock);
	list_for_each_entry(vf, &n->listeners, listener) {
		if (vf->eventfd)
			eventfd_signal(vf->eventfd);
		kill_fasync(&vf->fasync, SIGIO, POLL_HUP);
	}
	spin_unlock(&n->lock);
	vmclock_command_wake(vd, 0);
}

/**
 * vmclock_notify_init() - before the first device
 *
 * Return: 0 or a negative errno.
 */
int vmclock_notify_init(void)
{
	notify_wq = alloc_workqueue("vmclock", WQ_UNBOUND | WQ_FREEZABLE, 0);
	return notify_wq ? 0 : -ENOMEM;
}

/**
 * vmclock_notify_exit() - after the last device
 */
void vmclock_notify_exit(void)
{
	destroy_workqueue(notify_wq);
}
