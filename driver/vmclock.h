/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver's files share.
 *
 * Lifetime: struct vmclock_device is counted. The bound device's driver
 * data holds one reference, every open file another; mappings hold their file.
 * Nothing that a file can reach is devm memory.
 *
 * Removal: every entry from a file runs inside a read section of @srcu and
 * looks at @gone first. Removal sets @gone, waits for the sections that did not
 * see it, takes the mapped pages back, and only then unmaps the page. From then
 * on system calls answer ENODEV and page faults get the tombstone, which lives
 * as long as the device structure. "Entered" below means: inside a section
 * that found the device not gone.
 *
 *	field			written			read
 *	page			probe, before open	entered
 *	ptp			probe, before open	remove
 *	gone			remove			inside read sections
 *	tombstone contents	remove, before gone	faults that saw gone
 *	notify, restore		see there		see there
 *	the rest		probe, before open	while referenced
 */
#ifndef VMCLOCK_H
#define VMCLOCK_H

#include <linux/ktime.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/pm.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/vmclock-dev.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Not "vmclock": the in-tree driver ptp_vmclock has that name. */
#define VMCLOCK_DRIVER_NAME "vmclock-cdev"

/* The platform device that vmclock_sim makes. */
#define VMCLOCK_SIM_DEVICE "vmclock-sim"

struct device;
struct eventfd_ctx;
struct fasync_struct;
struct file;
struct inode;
struct io_uring_cmd;
struct platform_device;
struct resource;
struct vmclock_command;
struct vm_area_struct;

#define VMCLOCK_EVENT_COUNT	7
#define VMCLOCK_EVENTS_ALL	((1U << VMCLOCK_EVENT_COUNT) - 1)
/* What makes all that a program knows about time void. */
#define VMCLOCK_EVENTS_URGENT	(VMCLOCK_EVENT_DISRUPTED | VMCLOCK_EVENT_GENERATION)

/* Not an event: what was done about the system's clock is to be told. */
#define VMCLOCK_ANNOUNCE_RESTORE (1U << 31)

/**
 * struct vmclock_tally - what has happened to a page
 * @seq: its sequence number, even
 * @count: events, by bit number
 * @jumps: changes of @seq that did not tell how many updates there were
 * @skips: looks that found more than one update, so that the other events may
 *	have been more than were counted
 */
struct vmclock_tally {
	u32 seq;
	u64 count[VMCLOCK_EVENT_COUNT];
	u64 jumps;
	u64 skips;
};

/**
 * struct vmclock_notify - events of a page
 * @lock: everything below but for what says otherwise, and what files have seen.
 *	Taken in process context only.
 * @wait: who polls or waits; has a lock of its own
 * @tally: what has happened up to the last look
 * @last: the page at the last look; what it does not have is zero
 * @stale: the last look found no gap between updates
 * @primed: there was a look
 * @doubted: the same number need not mean the same page
 * @promised: the page says that it has notifications; written with @lock held
 * @wired: we listen to them; written once, when files can be open already
 * @irq: the interrupt, if it is one
 * @closed: no work is to be queued any more
 * @unannounced: events that a uevent is due for, and VMCLOCK_ANNOUNCE_RESTORE
 * @announce_after: no uevent before this, in jiffies
 * @listeners: files that want a signal or an eventfd's
 * @commands: io_uring's, that are pending
 * @next_expiry: of the first of them, in jiffies
 * @look: looks at the page
 * @announce: sends uevents
 * @expire: ends commands that have waited long enough
 */
struct vmclock_notify {
	spinlock_t lock;
	wait_queue_head_t wait;
	struct vmclock_tally tally;
	struct vmclock_page last;
	bool stale;
	bool primed;
	bool doubted;
	bool promised;
	bool wired;
	int irq;
	bool closed;
	u32 unannounced;
	unsigned long announce_after;
	struct list_head listeners;
	struct list_head commands;
	u64 next_expiry;
	struct delayed_work look;
	struct delayed_work announce;
	struct delayed_work expire;
};

/* Where a device is between a disruption and the event that it is over. */
enum vmclock_restore_state {
	VMCLOCK_RESTORE_CALM,
	VMCLOCK_RESTORE_DISRUPTED,	/* the line may be an old one */
	VMCLOCK_RESTORE_HELD,		/* it is good; the event waits for the clock */
};

/* What is done about the system's clock. */
enum vmclock_verdict {
	VMCLOCK_VERDICT_NONE,		/* not known yet */
	VMCLOCK_VERDICT_STEPPED,
	VMCLOCK_VERDICT_COARSE,		/* so, but it does not come to be within the bound */
	VMCLOCK_VERDICT_SMALL,		/* it is not wrong enough */
	VMCLOCK_VERDICT_LARGE,		/* it is too wrong */
	VMCLOCK_VERDICT_NO_UTC,		/* the page has none */
	VMCLOCK_VERDICT_REFUSED,	/* the timekeeper does not take the time */
	VMCLOCK_VERDICT_OFF,		/* nothing is wanted */
	VMCLOCK_VERDICT_RETRY,		/* there is no good line at the moment */
	VMCLOCK_VERDICT_VOID,		/* there is another disruption */
};

/**
 * struct vmclock_restore_report - what the log and the uevent tell
 * @verdict: what was done
 * @by_ns: by how much the clock was set
 * @offset_ns: what has to be added to it now
 * @bound_ns: how wrong that can be
 * @after_disruption: how long after that was seen
 * @after_trust: how long after an update that was good again was seen
 */
struct vmclock_restore_report {
	enum vmclock_verdict verdict;
	s64 by_ns;
	s64 offset_ns;
	u64 bound_ns;
	ktime_t after_disruption;
	ktime_t after_trust;
};

/**
 * struct vmclock_restore - from a disruption to VMCLOCK_EVENT_RECALIBRATED
 * @state: VMCLOCK_RESTORE_*
 * @epoch: counts disruptions
 * @disrupted_at: when the first was seen that is not over
 * @trusted_at: when an update after it was seen that is good
 * @report: what is to be announced
 * @work: sets the system's clock
 * @by_ns: by how much it has, since the last report; the work's own
 * @has_set: it has; the work's own
 * @node: in the list of restore.c, and protected by its mutex
 *
 * Where nothing else is said, protected by notify.lock.
 */
struct vmclock_restore {
	enum vmclock_restore_state state;
	u64 epoch;
	ktime_t disrupted_at;
	ktime_t trusted_at;
	struct vmclock_restore_report report;
	struct delayed_work work;
	s64 by_ns;
	bool has_set;
	struct list_head node;
};

/**
 * struct vmclock_device - one page and its /dev node
 * @ref: counts the binding and the open files
 * @srcu: read sections of every entry from a file
 * @gone: the page may not be touched any more
 * @page: the page, mapped write-back
 * @phys: its physical address
 * @region_size: bytes of the region, as the page's header claims and the
 *	firmware's resource confirms
 * @map_size: bytes that can be mapped to user space, 0 if none
 * @bus: VMCLOCK_BUS_*
 * @index: 0 for /dev/vmclock, N for /dev/vmclockN
 * @misc: the misc device
 * @node_name: its name
 * @name: the name of the device it is bound to, which may outlive it
 * @inode: its address space collects all mappings, whichever node they came
 *	through, so that removal finds them
 * @tombstone: what readers of the mapping see after removal
 * @ptp: the PTP clock, or NULL
 * @ptp_info: its operations; the kernel writes to it
 * @ptp_index: N of its /dev/ptpN, or -1
 * @notify: events
 * @restore: what becomes of the system's clock
 */
struct vmclock_device {
	struct kref ref;
	struct srcu_struct srcu;
	bool gone;
	struct vmclock_page *page;
	phys_addr_t phys;
	u32 region_size;
	u32 map_size;
	u8 bus;
	int index;
	struct miscdevice misc;
	char node_name[20];
	char name[sizeof_field(struct vmclock_info, name)];
	struct inode *inode;
	struct vmclock_page *tombstone;
	struct ptp_clock *ptp;
	struct ptp_clock_info ptp_info;
	int ptp_index;
	struct vmclock_notify notify;
	struct vmclock_restore restore;
};

/**
 * struct vmclock_file - an open file
 * @vd: its device, of which it holds a reference
 * @seen: what it has seen
 * @events: the mask that wakes it
 * @starved: a read that must not wait got nothing: the page, once it can be read,
 *	wakes it too, and nothing but an urgent event does before
 * @listener: in the device's list, if it has one of the next two
 * @fasync: SIGIO is wanted
 * @eventfd: to be signalled for @eventfd_events
 * @eventfd_events: a mask of its own
 *
 * All but the first are protected by the device's notify.lock.
 */
struct vmclock_file {
	struct vmclock_device *vd;
	struct vmclock_tally seen;
	u32 events;
	bool starved;
	struct list_head listener;
	struct fasync_struct *fasync;
	struct eventfd_ctx *eventfd;
	u32 eventfd_events;
};

/**
 * struct vmclock_clocks - readings taken inside one window of the page
 * @counter_only: in: no system clock is wanted but what @stamps gets
 * @stamps: in: with @counter_only, if not NULL, filled right before and after
 *	the counter is read
 * @counter: this architecture's counter
 * @counter_usable: the kernel considers it stable
 * @correlated: @before is the system's time at exactly @counter
 * @before: system clocks before @counter
 * @after: system clocks after it; equal to @before if @correlated
 * @clock_was_set_seq: changes when CLOCK_REALTIME is set; with @before
 */
struct vmclock_clocks {
	bool counter_only;
	struct ptp_system_timestamp *stamps;
	u64 counter;
	bool counter_usable;
	bool correlated;
	struct vmclock_system_time before;
	struct vmclock_system_time after;
	unsigned int clock_was_set_seq;
};

/**
 * struct vmclock_line_time - a time that the page vouches for
 * @sec: seconds since the epoch of the page's scale
 * @nsec: nanoseconds, rounded down
 * @maxerror_ns: the true time lies within +/- this
 */
struct vmclock_line_time {
	u64 sec;
	u32 nsec;
	u64 maxerror_ns;
};

/* Inside a read section of @srcu: may the page not be touched any more? */
static inline bool vmclock_is_gone(const struct vmclock_device *vd)
{
	/* Pairs with the release in vmclock_unbind(), core.c. */
	return smp_load_acquire(&vd->gone);
}

/* How much of the region read() shows. */
static inline size_t vmclock_readable(const struct vmclock_device *vd)
{
	return min_t(size_t, vd->region_size, PAGE_SIZE);
}

/* core.c */
void vmclock_put(struct vmclock_device *vd);
struct vmclock_device *vmclock_bind(struct device *dev, u8 bus, const struct resource *res);
void vmclock_unbind(struct device *dev);

/* platform.c */
int vmclock_platform_init(void);
void vmclock_platform_exit(void);
void vmclock_platform_ring(struct platform_device *pdev);

/* pci.c */
#ifdef CONFIG_PCI
int vmclock_pci_init(void);
void vmclock_pci_exit(void);
#else
static inline int vmclock_pci_init(void) { return 0; }
static inline void vmclock_pci_exit(void) { }
#endif

/* page.c */
int vmclock_page_read(struct vmclock_device *vd, void *buf, size_t len,
		      struct vmclock_clocks *clocks);
bool vmclock_page_try(struct vmclock_device *vd, void *buf, size_t len,
		      struct vmclock_clocks *clocks);
u8 vmclock_page_counter_id(const struct vmclock_device *vd);
void vmclock_page_last(const struct vmclock_device *vd, u32 *seq, u64 *marker);
int vmclock_page_size(const struct vmclock_device *vd,
		      const struct vmclock_page *copy);
int vmclock_page_check(struct vmclock_device *vd, struct device *dev,
		       resource_size_t room);

/* clocks.c */
bool vmclock_clocks_read(struct vmclock_clocks *clocks);
bool vmclock_counter_usable(void);
bool vmclock_counter_is_ours(u8 counter_id);

/* line.c */
int vmclock_line_take(struct vmclock_device *vd, struct vmclock_page *page,
		      struct vmclock_clocks *clocks, bool nonblock);
bool vmclock_line_is_vouched_for(const struct vmclock_page *page);
bool vmclock_line_has_counter(const struct vmclock_page *page,
			      const struct vmclock_clocks *clocks);
bool vmclock_line_time(const struct vmclock_page *page, u32 size, u64 counter,
		       struct vmclock_line_time *time);
bool vmclock_line_to_scale(const struct vmclock_page *page,
			   struct vmclock_line_time *time, u8 scale);

/* chardev.c */
extern const struct file_operations vmclock_fops;

/* ioctl.c */
long vmclock_ioctl(struct file *file, unsigned int cmd, void __user *arg);
long vmclock_ioctl_snapshot(struct vmclock_device *vd, void __user *argp, bool nonblock);
long vmclock_ioctl_get_wait(struct vmclock_wait *wait, const void __user *argp);
long vmclock_ioctl_put_wait(void __user *argp, size_t room, struct vmclock_wait *wait);

/* uring.c */
int vmclock_uring_cmd(struct io_uring_cmd *ioucmd, unsigned int issue_flags);
bool vmclock_command_decide(struct vmclock_command *command);
bool vmclock_command_arm(struct vmclock_command *command);
void vmclock_command_wake(struct vmclock_device *vd, u32 events);
void vmclock_command_expire(struct vmclock_device *vd);

/* mapping.c */
int vmclock_mapping_create(struct vmclock_device *vd);
void vmclock_mapping_destroy(struct vmclock_device *vd);
void vmclock_mapping_bury(struct vmclock_device *vd);
void vmclock_mapping_zap(struct vmclock_device *vd);
int vmclock_mapping_mmap(struct vmclock_device *vd, struct vm_area_struct *vma);

/* notify.c */
int vmclock_notify_init(void);
void vmclock_notify_exit(void);
void vmclock_notify_create(struct vmclock_device *vd);
void vmclock_notify_start(struct vmclock_device *vd);
void vmclock_notify_stop(struct vmclock_device *vd);
void vmclock_notify_gone(struct vmclock_device *vd);
bool vmclock_notify_look(struct vmclock_device *vd);
void vmclock_notify_watch(struct vmclock_device *vd);
void vmclock_notify_kick(struct vmclock_device *vd);
void vmclock_notify_resume(struct vmclock_device *vd);
u8 vmclock_notify_source(const struct vmclock_device *vd);
u32 vmclock_notify_watch_us(void);
void vmclock_notify_expire_at(struct vmclock_notify *n, u64 expiry);
void vmclock_notify_queue(struct delayed_work *work, unsigned long delay);
void vmclock_notify_signal(struct vmclock_device *vd, u32 events);
void vmclock_notify_wake(struct vmclock_device *vd, u32 events);
void vmclock_notify_announce(struct vmclock_device *vd, u32 what);

/* restore.c */
void vmclock_restore_create(struct vmclock_device *vd);
void vmclock_restore_add(struct vmclock_device *vd);
void vmclock_restore_remove(struct vmclock_device *vd);
bool vmclock_restore_is_on(void);
void vmclock_restore_kick_all(void);
u32 vmclock_restore_note(struct vmclock_device *vd, u32 events, bool trusted);
void vmclock_restore_announce(struct vmclock_device *vd,
			      const struct vmclock_restore_report *report);

/* source.c */
extern const struct dev_pm_ops vmclock_pm_ops;
void vmclock_source_attach(struct vmclock_device *vd, struct device *dev, int irq);
void vmclock_source_detach(struct vmclock_device *vd, struct device *dev);

/* event.c */
struct vmclock_file *vmclock_event_open(struct vmclock_device *vd);
void vmclock_event_release(struct vmclock_file *vf);
void vmclock_event_mark(struct vmclock_file *vf, struct vmclock_tally *mark);
void vmclock_event_saw(struct vmclock_file *vf, const struct vmclock_tally *mark, u32 seq);
void vmclock_event_starved(struct vmclock_file *vf);
int vmclock_event_take(struct vmclock_file *vf, u32 mask, struct vmclock_wait *result,
		       struct vmclock_command *command);
int vmclock_event_wait(struct vmclock_file *vf, u32 mask, ktime_t timeout,
		       struct vmclock_wait *result);
__poll_t vmclock_event_poll(struct vmclock_file *vf);
int vmclock_event_set(struct vmclock_file *vf, u32 events);
int vmclock_event_set_eventfd(struct vmclock_file *vf, struct eventfd_ctx *ctx, u32 events);
int vmclock_event_fasync(int fd, struct file *file, int on);

/* ptp.c */
int vmclock_ptp_init(void);
u8 vmclock_ptp_timescale(const struct vmclock_device *vd);
void vmclock_ptp_add(struct vmclock_device *vd, struct device *dev);
void vmclock_ptp_remove(struct vmclock_device *vd);

#endif /* VMCLOCK_H */
