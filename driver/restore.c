// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a restore: CLOCK_REALTIME is as old as the image. With on_restore=step
 * it is set from the page, before anybody is told that the page is good again.
 *
 * A disruption, seen by notify.c, makes the device "disrupted". An update that
 * came later, with a status that vouches for the line, makes it calm: that is
 * VMCLOCK_EVENT_RECALIBRATED. The line that came with the disruption may be the
 * old one, as QEMU leaves it; of two updates between two looks nobody can tell
 * which of them brought the new marker, so the whole look counts as disrupted,
 * and the next update decides.
 *
 * With on_restore=step the event is held, and the work below sets the clock and
 * lets it go. It works from readings of its own, each of which must still have
 * the marker and generation that the event was held for: the machine may be
 * saved and restored again at any point. Where it can't decide yet, because an
 * update is in progress or the page has no UTC (a leap second is just being
 * inserted, the bound is not there yet), it tries again for PATIENCE_MS.
 *
 * Locks: the device's notify.lock for the state. restore_lock, a mutex, for the
 * parameter, the list of devices, and while a clock is being set: so two devices
 * don't do it at once, and who has switched it off knows that it is off. The
 * mutex is the outer one. The work ends before the page goes, since
 * vmclock_notify_stop() cancels it, after it has made sure that it is not queued
 * again.
 */
#include <linux/kobject.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>

#include "vmclock.h"

#define PATIENCE_MS	3000
#define RETRY_MS	20
#define SETS_MAX	8
#define LEAD_MAX_NS	(10 * NSEC_PER_MSEC)

enum policy { RESTORE_OFF, RESTORE_STEP };

static const char *const policies[] = { [RESTORE_OFF] = "off", [RESTORE_STEP] = "step" };

static DEFINE_MUTEX(restore_lock);
static LIST_HEAD(devices);
static enum policy policy;	/* changes with the mutex held */

static unsigned int step_above_us;
module_param(step_above_us, uint, 0644);
MODULE_PARM_DESC(step_above_us, "on_restore=step: leave the clock alone if it is off by no more than this (default 0: by no more than the page's bound)");

static unsigned int step_below_s = 366 * 86400;
module_param(step_below_s, uint, 0644);
MODULE_PARM_DESC(step_below_s, "on_restore=step: leave the clock alone if it is off by more than this (default: a leap year)");

/**
 * struct reading - the system's clock beside the page
 * @utc_ns: the page's time, ns since 1970
 * @offset_ns: what has to be added to CLOCK_REALTIME
 * @bound_ns: how wrong @offset_ns can be
 */
struct reading {
	s64 utc_ns;
	s64 offset_ns;
	u64 bound_ns;
};

/* The disruption that the event is held for. */
struct ticket {
	u64 epoch;
	__le64 marker;
	__le64 generation;
};

/**
 * vmclock_restore_is_on() - is somebody to look out for disruptions?
 */
bool vmclock_restore_is_on(void)
{
	return READ_ONCE(policy) == RESTORE_STEP;
}

/**
 * vmclock_restore_note() - a look found an update
 * @vd: the device, its notify.lock held
 * @events: what it has brought
 * @trusted: its status vouches for the line
 *
 * Return: VMCLOCK_EVENT_RECALIBRATED or 0.
 */
u32 vmclock_restore_note(struct vmclock_device *vd, u32 events, bool trusted)
{
	struct vmclock_restore *r = &vd->restore;

	lockdep_assert_held(&vd->notify.lock);

	if (events & VMCLOCK_EVENTS_URGENT) {
		if (r->state == VMCLOCK_RESTORE_CALM)
			r->disrupted_at = ktime_get();
		r->state = VMCLOCK_RESTORE_DISRUPTED;
		r->epoch++;
		return 0;
	}
	if (r->state != VMCLOCK_RESTORE_DISRUPTED || !trusted)
		return 0;
	if (!vmclock_restore_is_on()) {
		r->state = VMCLOCK_RESTORE_CALM;
		return VMCLOCK_EVENT_RECALIBRATED;
	}
	/* Nobody will set the clock. Waiters get the end of the device. */
	if (vd->notify.closed)
		return 0;
	r->state = VMCLOCK_RESTORE_HELD;
	r->trusted_at = ktime_get();
	vmclock_notify_queue(&r->work, 0);
	return 0;
}

static __le64 generation_of(const struct vmclock_page *page)
{
	bool there = le64_to_cpu(page->flags) & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;

	return there ? page->vm_generation_counter : 0;
}

static bool is_of(const struct vmclock_page *page, const struct ticket *ticket)
{
	return page->disruption_marker == ticket->marker &&
	       generation_of(page) == ticket->generation;
}

/* The time that the page vouches for, in UTC, and its bound. */
static bool find_utc(const struct vmclock_page *page, u32 size,
		     const struct vmclock_clocks *clocks, struct reading *now)
{
	struct vmclock_line_time time;

	if (!vmclock_line_has_counter(page, clocks) ||
	    !vmclock_line_time(page, size, clocks->counter, &time) ||
	    !vmclock_line_to_scale(page, &time, VMCLOCK_PAGE_TIME_UTC) ||
	    time.sec >= KTIME_SEC_MAX || time.maxerror_ns > S64_MAX)
		return false;
	now->utc_ns = time.sec * NSEC_PER_SEC + time.nsec;
	now->bound_ns = time.maxerror_ns;
	return true;
}

/* Where the system's time at the counter's reading is not known, it is in between. */
static void compare(const struct vmclock_clocks *clocks, struct reading *now)
{
	s64 half = (clocks->after.realtime_ns - clocks->before.realtime_ns) / 2;

	now->offset_ns = now->utc_ns - (clocks->before.realtime_ns + half);
	if (!clocks->correlated)
		now->bound_ns += abs(half) + 1;
}

/* Return: VMCLOCK_VERDICT_NONE if there is a reading, or why not. */
static enum vmclock_verdict measure(struct vmclock_device *vd, const struct ticket *ticket,
				    struct reading *now)
{
	struct vmclock_clocks clocks = { };
	struct vmclock_page page;
	int size = vmclock_line_take(vd, &page, &clocks, false);

	if (size < 0)
		return VMCLOCK_VERDICT_RETRY;
	if (!is_of(&page, ticket))
		return VMCLOCK_VERDICT_VOID;
	if (!vmclock_line_is_vouched_for(&page))
		return VMCLOCK_VERDICT_RETRY;
	if (!find_utc(&page, size, &clocks, now))
		return VMCLOCK_VERDICT_NO_UTC;
	compare(&clocks, now);
	return VMCLOCK_VERDICT_NONE;
}

/* Not by how much but to what: it is right whoever else sets the clock meanwhile. */
static bool set_clock(s64 utc_ns)
{
	struct timespec64 ts = ns_to_timespec64(utc_ns);

	return !do_settimeofday64(&ts);
}

/*
 * Until the clock is as near as can be asked for. Each time it is set late, by
 * as long as that takes: the next time, ahead by the shortest of these. A bound that
 * is smaller than these differ takes luck.
 */
static enum vmclock_verdict step(struct vmclock_device *vd, const struct ticket *ticket,
				 struct reading *now)
{
	enum vmclock_verdict verdict;
	s64 lead = LEAD_MAX_NS, ahead = 0;
	int i;

	for (i = 0; i < SETS_MAX; i++) {
		if (!set_clock(now->utc_ns + ahead))
			return VMCLOCK_VERDICT_REFUSED;
		vd->restore.has_set = true;
		vd->restore.by_ns += now->offset_ns;
		verdict = measure(vd, ticket, now);
		if (verdict)
			return verdict;
		vd->restore.by_ns -= now->offset_ns;
		if (abs(now->offset_ns) <= now->bound_ns / 2)
			break;
		lead = clamp_t(s64, now->offset_ns + ahead, 0, lead);
		ahead = lead;
	}
	return abs(now->offset_ns) <= now->bound_ns ? VMCLOCK_VERDICT_STEPPED :
						      VMCLOCK_VERDICT_COARSE;
}

static enum vmclock_verdict decide(struct vmclock_device *vd, const struct ticket *ticket,
				   struct reading *now)
{
	u64 least = READ_ONCE(step_above_us) * (u64)NSEC_PER_USEC;
	u64 most = READ_ONCE(step_below_s) * (u64)NSEC_PER_SEC;
	enum vmclock_verdict verdict;

	if (!vmclock_restore_is_on())
		return VMCLOCK_VERDICT_OFF;
	verdict = measure(vd, ticket, now);
	if (verdict)
		return verdict;
	if (abs(now->offset_ns) <= max(now->bound_ns, least))
		return vd->restore.has_set ? VMCLOCK_VERDICT_STEPPED : VMCLOCK_VERDICT_SMALL;
	if (abs(now->offset_ns) > most)
		return VMCLOCK_VERDICT_LARGE;
	return step(vd, ticket, now);
}

static bool take_ticket(struct vmclock_device *vd, struct ticket *ticket)
{
	struct vmclock_notify *n = &vd->notify;
	bool held;

	spin_lock(&n->lock);
	held = vd->restore.state == VMCLOCK_RESTORE_HELD;
	ticket->epoch = vd->restore.epoch;
	ticket->marker = n->last.disruption_marker;
	ticket->generation = n->last.vm_generation_counter;
	spin_unlock(&n->lock);
	return held;
}

/* What the log and the uevent will say. What was not told yet is told with it. */
static void report(struct vmclock_device *vd, enum vmclock_verdict verdict,
		   const struct reading *now)
{
	struct vmclock_restore *r = &vd->restore;
	struct vmclock_restore_report *report = &r->report;
	s64 by_ns = r->by_ns;

	if (vd->notify.unannounced & VMCLOCK_ANNOUNCE_RESTORE)
		by_ns += report->by_ns;
	*report = (struct vmclock_restore_report) {
		.verdict = verdict, .by_ns = by_ns,
		.offset_ns = now->offset_ns, .bound_ns = now->bound_ns,
		.after_disruption = ktime_sub(ktime_get(), r->disrupted_at),
		.after_trust = ktime_sub(ktime_get(), r->trusted_at),
	};
	vmclock_notify_announce(vd, VMCLOCK_ANNOUNCE_RESTORE);
}

/* With the lock held. Return: true if the event is to be told. */
static bool conclude(struct vmclock_device *vd, const struct ticket *ticket,
		     enum vmclock_verdict verdict, const struct reading *now)
{
	struct vmclock_restore *r = &vd->restore;
	bool patient = ktime_ms_delta(ktime_get(), r->trusted_at) < PATIENCE_MS;
	bool retry = verdict == VMCLOCK_VERDICT_RETRY || verdict == VMCLOCK_VERDICT_NO_UTC ||
		     verdict == VMCLOCK_VERDICT_COARSE;

	lockdep_assert_held(&vd->notify.lock);

	if (r->epoch != ticket->epoch || r->state != VMCLOCK_RESTORE_HELD)
		return false;	/* another disruption, which was seen */
	if (patient && retry) {
		if (!vd->notify.closed)
			vmclock_notify_queue(&r->work, msecs_to_jiffies(RETRY_MS));
		return false;
	}
	if (verdict == VMCLOCK_VERDICT_RETRY || verdict == VMCLOCK_VERDICT_VOID) {
		r->state = VMCLOCK_RESTORE_DISRUPTED;
		return false;
	}

	r->state = VMCLOCK_RESTORE_CALM;
	if (verdict != VMCLOCK_VERDICT_OFF)
		report(vd, verdict, now);
	r->by_ns = 0;
	r->has_set = false;
	return true;
}

static void restore_work(struct work_struct *work)
{
	struct vmclock_device *vd = container_of(to_delayed_work(work), struct vmclock_device,
						 restore.work);
	enum vmclock_verdict verdict;
	struct reading now = { };
	struct ticket ticket;
	bool tell;

	if (!take_ticket(vd, &ticket))
		return;
	mutex_lock(&restore_lock);
	verdict = decide(vd, &ticket, &now);
	mutex_unlock(&restore_lock);

	spin_lock(&vd->notify.lock);
	tell = conclude(vd, &ticket, verdict, &now);
	if (tell) {
		vd->notify.tally.count[ilog2(VMCLOCK_EVENT_RECALIBRATED)]++;
		vmclock_notify_signal(vd, VMCLOCK_EVENT_RECALIBRATED);
	}
	spin_unlock(&vd->notify.lock);
	if (tell)
		vmclock_notify_wake(vd, VMCLOCK_EVENT_RECALIBRATED);
}

static const char *const verdict_names[] = {
	[VMCLOCK_VERDICT_STEPPED] = "stepped",
	[VMCLOCK_VERDICT_COARSE] = "coarse",
	[VMCLOCK_VERDICT_SMALL] = "small",
	[VMCLOCK_VERDICT_LARGE] = "large",
	[VMCLOCK_VERDICT_NO_UTC] = "no-utc",
	[VMCLOCK_VERDICT_REFUSED] = "refused",
};

static void log_report(const char *node, const struct vmclock_restore_report *r)
{
	const char *name = verdict_names[r->verdict];

	if (r->verdict == VMCLOCK_VERDICT_NO_UTC)
		pr_info("%s: CLOCK_REALTIME left alone (%s): the page does not tell UTC\n",
			node, name);
	else if (r->verdict != VMCLOCK_VERDICT_STEPPED && r->verdict != VMCLOCK_VERDICT_COARSE)
		pr_info("%s: CLOCK_REALTIME left alone (%s): it lacks %lld +/- %llu ns\n",
			node, name, r->offset_ns, r->bound_ns);
	else
		pr_info("%s: CLOCK_REALTIME %s by %lld ns, lacks %lld +/- %llu ns now; %lld us after the disruption, %lld us after the page was good again\n",
			node, r->verdict == VMCLOCK_VERDICT_COARSE ? "stepped (coarse)" : name,
			r->by_ns, r->offset_ns, r->bound_ns,
			ktime_to_us(r->after_disruption), ktime_to_us(r->after_trust));
}

/**
 * vmclock_restore_announce() - the log line and the uevent
 * @vd: the device, with its node
 * @report: what they are to tell
 *
 * Context: process context, sleeps.
 */
void vmclock_restore_announce(struct vmclock_device *vd,
			      const struct vmclock_restore_report *report)
{
	char verdict[40], by[48], lacks[48];
	char *env[5] = { "VMCLOCK_EVENT=recalibrated", verdict, by, lacks, NULL };

	log_report(vd->node_name, report);
	snprintf(verdict, sizeof(verdict), "VMCLOCK_RESTORE=%s", verdict_names[report->verdict]);
	snprintf(by, sizeof(by), "VMCLOCK_STEP_NS=%lld", report->by_ns);
	snprintf(lacks, sizeof(lacks), "VMCLOCK_OFFSET_NS=%lld", report->offset_ns);
	kobject_uevent_env(&vd->misc.this_device->kobj, KOBJ_CHANGE, env);
}

/**
 * vmclock_restore_kick_all() - have all pages looked at, and those watched that are to be
 *
 * Here because the list of the devices is.
 *
 * Context: process context; waits for a clock that is being set.
 */
void vmclock_restore_kick_all(void)
{
	struct vmclock_device *vd;

	mutex_lock(&restore_lock);
	list_for_each_entry(vd, &devices, restore.node)
		vmclock_notify_kick(vd);
	mutex_unlock(&restore_lock);
}

/* When this returns, no clock is being set by a policy that is no more. */
static int policy_set(const char *text, const struct kernel_param *kp)
{
	int value = sysfs_match_string(policies, text);
	struct vmclock_device *vd;

	if (value < 0)
		return value;
	mutex_lock(&restore_lock);
	WRITE_ONCE(policy, value);
	if (value == RESTORE_STEP)
		list_for_each_entry(vd, &devices, restore.node)
			vmclock_notify_watch(vd);
	mutex_unlock(&restore_lock);
	return 0;
}

static int policy_get(char *text, const struct kernel_param *kp)
{
	return sysfs_emit(text, "%s\n", policies[READ_ONCE(policy)]);
}

static const struct kernel_param_ops policy_ops = { .set = policy_set, .get = policy_get };
module_param_cb(on_restore, &policy_ops, NULL, 0644);
MODULE_PARM_DESC(on_restore, "what to do about CLOCK_REALTIME when the page is good again after a disruption: off or step (default off)");

/**
 * vmclock_restore_create() - the part that lives as long as the structure
 * @vd: the device
 */
void vmclock_restore_create(struct vmclock_device *vd)
{
	INIT_DELAYED_WORK(&vd->restore.work, restore_work);
}

/**
 * vmclock_restore_add() - look out for disruptions of a device, while that is on
 * @vd: the device, complete
 */
void vmclock_restore_add(struct vmclock_device *vd)
{
	mutex_lock(&restore_lock);
	list_add(&vd->restore.node, &devices);
	if (vmclock_restore_is_on())
		vmclock_notify_watch(vd);
	mutex_unlock(&restore_lock);
}

/**
 * vmclock_restore_remove() - not any more
 * @vd: the device. Its work still has to be cancelled.
 *
 * Context: process context; waits for a clock that is being set.
 */
void vmclock_restore_remove(struct vmclock_device *vd)
{
	mutex_lock(&restore_lock);
	list_del(&vd->restore.node);
	mutex_unlock(&restore_lock);
}
