// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmclock_sim: a VMClock in software, for machines whose hypervisor has none,
 * and for tests.
 *
 * The page is one of this kernel's own, behind a platform device that the module
 * vmclock binds. It has two writers, one at a time:
 *
 * - this module, once a second, from the timekeeper. How wrong the timekeeper is
 *   a module can't know: the bound is what the parameters say, and without them
 *   there is none, and the status is UNKNOWN.
 * - a process of root's that has opened /dev/vmclock_sim and mapped the page from
 *   there. What it writes to the descriptor is a notification. When its last
 *   descriptor and mapping are gone, this module goes on, with another disruption
 *   marker.
 *
 * Faults can be put into what this module writes: the attribute "fault" of the
 * misc device. A reader that keeps the protocol takes none of them for a time.
 *
 * While the machine sleeps nobody knows what becomes of the counter: before that
 * this module takes its line away, and begins anew after it.
 *
 * Lifetime: open files and mappings hold the module, mappings hold the page. The
 * platform device goes before the page does: vmclock takes its mappings back
 * when it is unbound.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/random.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "sim.h"

#define TRIES			10

enum fault {
	FAULT_NONE,
	FAULT_ODD,	/* an update that never ends */
	FAULT_TORN,	/* garbage in the fields during updates, and many of those */
	FAULT_MAGIC,
	FAULT_VERSION,
	FAULT_SHORT,	/* the page ends before the time */
	FAULT_SHIFT,	/* a period shift that no word is wide enough for */
	FAULT_LOST,	/* notifications are promised and never come */
	FAULT_STORM,	/* they come all the time, most of them for nothing */
};

static const char *const fault_names[] = {
	[FAULT_NONE] = "none", [FAULT_ODD] = "odd", [FAULT_TORN] = "torn",
	[FAULT_MAGIC] = "magic", [FAULT_VERSION] = "version",
	[FAULT_SHORT] = "short", [FAULT_SHIFT] = "shift",
	[FAULT_LOST] = "lost", [FAULT_STORM] = "storm",
};

/* All but @page, @shared and @pdev, which do not change, is protected by @lock. */
static struct {
	struct page *page;
	struct vmclock_page *shared;	/* what readers see */
	struct platform_device *pdev;
	struct mutex lock;
	bool fed;			/* somebody else writes */
	bool asleep;			/* or is about to be */
	enum fault fault;
	struct vmclock_page image;	/* what we write */
	struct sim_line line;
} sim = { .lock = __MUTEX_INITIALIZER(sim.lock) };

static u32 seq_begin(void)
{
	u32 seq = le32_to_cpu(READ_ONCE(sim.shared->seq_count)) | 1;

	WRITE_ONCE(sim.shared->seq_count, cpu_to_le32(seq));
	virt_wmb();	/* odd number before fields; pairs with try_read(), page.c */
	return seq;
}

static void seq_end(u32 seq)
{
	virt_wmb();	/* fields before even number; pairs with try_read(), page.c */
	WRITE_ONCE(sim.shared->seq_count, cpu_to_le32(seq + 1));
}

/* All of @image but the number. */
static void copy_fields(const struct vmclock_page *image)
{
	const size_t after = offsetofend(struct vmclock_page, seq_count) / sizeof(u64);
	const u64 *from = (const void *)image;
	u64 *to = (void *)sim.shared;
	size_t i;

	BUILD_BUG_ON(offsetofend(struct vmclock_page, seq_count) != 16);
	WRITE_ONCE(to[0], from[0]);
	WRITE_ONCE(*(u32 *)&to[1], *(const u32 *)&from[1]);
	for (i = after; i < sizeof(*image) / sizeof(u64); i++)
		WRITE_ONCE(to[i], from[i]);
}

static void publish(const struct vmclock_page *image)
{
	u32 seq = seq_begin();

	copy_fields(image);
	seq_end(seq);
}

/* The line of @image moved by years, for as long as the number is odd. */
static void tear(const struct vmclock_page *image)
{
	struct vmclock_page garbage = *image;
	int i;

	garbage.time_sec = cpu_to_le64(le64_to_cpu(image->time_sec) + 1000000000);
	garbage.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	for (i = 0; i < 20; i++) {
		u32 seq = seq_begin();

		copy_fields(&garbage);
		udelay(50);
		copy_fields(image);
		seq_end(seq);
		udelay(50);
	}
}

/* Not while the module is being set up: then there is no device. */
static void ring(void)
{
	if (sim.pdev)
		vmclock_platform_ring(sim.pdev);
}

static void storm(const struct vmclock_page *image)
{
	int i;

	for (i = 0; i < 2000; i++) {
		if (i % 10 == 0)
			publish(image);
		ring();
	}
}

static void apply(enum fault fault, struct vmclock_page *image)
{
	switch (fault) {
	case FAULT_NONE:
	case FAULT_ODD:
	case FAULT_TORN:
	case FAULT_LOST:
	case FAULT_STORM:
		break;
	case FAULT_MAGIC:
		image->magic = 0;
		break;
	case FAULT_VERSION:
		image->version = cpu_to_le16(VMCLOCK_PAGE_VERSION + 1);
		break;
	case FAULT_SHORT:
		image->size = cpu_to_le32(offsetof(struct vmclock_page, time_sec));
		break;
	case FAULT_SHIFT:
		image->counter_period_shift = 200;
		break;
	}
}

static void mark_disruption(void)
{
	u64 marker = le64_to_cpu(sim.image.disruption_marker);

	/* Never one that was there before, or hardly ever. */
	while (marker == le64_to_cpu(sim.image.disruption_marker))
		marker = get_random_u64();
	sim.image.disruption_marker = cpu_to_le64(marker);
}

static void update(void)
{
	struct vmclock_page image;

	lockdep_assert_held(&sim.lock);

	if (sim.asleep)
		sim_line_forget(&sim.line, &sim.image);
	else if (sim_line_refresh(&sim.line, &sim.image))
		mark_disruption();
	image = sim.image;
	apply(sim.fault, &image);
	publish(&image);
	if (sim.fault == FAULT_TORN)
		tear(&image);
	else if (sim.fault == FAULT_STORM)
		storm(&image);
	else if (sim.fault == FAULT_ODD)
		seq_begin();
	if (sim.fault != FAULT_LOST)
		ring();
}

static void work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(work, work_fn);

static void work_fn(struct work_struct *unused)
{
	unsigned long delay = HZ;

	mutex_lock(&sim.lock);
	if (!sim.fed && sim.fault != FAULT_ODD)
		update();
	if (sim.fault == FAULT_TORN || sim.fault == FAULT_STORM)
		delay = 1;
	mutex_unlock(&sim.lock);
	schedule_delayed_work(&work, delay);
}

/* A writer who feeds the page has to know for itself. */
static int sleep_fn(struct notifier_block *unused, unsigned long event, void *data)
{
	mutex_lock(&sim.lock);
	sim.asleep = event == PM_SUSPEND_PREPARE || event == PM_HIBERNATION_PREPARE ||
		     event == PM_RESTORE_PREPARE;
	if (!sim.asleep)
		mark_disruption();
	if (!sim.fed)
		update();
	mutex_unlock(&sim.lock);
	return NOTIFY_DONE;
}

static struct notifier_block sleeper = { .notifier_call = sleep_fn };

static ssize_t fault_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", fault_names[READ_ONCE(sim.fault)]);
}

static ssize_t fault_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	int fault = sysfs_match_string(fault_names, buf);

	if (fault < 0)
		return fault;
	mutex_lock(&sim.lock);
	if (sim.fed) {
		mutex_unlock(&sim.lock);
		return -EBUSY;
	}
	WRITE_ONCE(sim.fault, fault);
	update();
	mutex_unlock(&sim.lock);
	mod_delayed_work(system_wq, &work, 1);
	return count;
}
static DEVICE_ATTR_ADMIN_RW(fault);

static struct attribute *feed_attrs[] = { &dev_attr_fault.attr, NULL };
ATTRIBUTE_GROUPS(feed);

/* Whoever has it open is the page's writer. */
static int feed_open(struct inode *inode, struct file *file)
{
	int err = 0;

	mutex_lock(&sim.lock);
	if (sim.fed)
		err = -EBUSY;
	else
		sim.fed = true;
	mutex_unlock(&sim.lock);
	return err;
}

/* The page may be anything now, and its line was another's: begin anew. */
static int feed_release(struct inode *inode, struct file *file)
{
	mutex_lock(&sim.lock);
	sim.fed = false;
	mark_disruption();
	update();
	mutex_unlock(&sim.lock);
	return 0;
}

static int feed_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return vm_insert_page(vma, vma->vm_start, sim.page);
}

/* Whatever is written: the page was updated. Files are gone before the device is. */
static ssize_t feed_write(struct file *file, const char __user *data, size_t count, loff_t *pos)
{
	ring();
	return count;
}

static const struct file_operations feed_fops = {
	.owner = THIS_MODULE,
	.open = feed_open,
	.release = feed_release,
	.write = feed_write,
	.mmap = feed_mmap,
	.llseek = noop_llseek,
};

static struct miscdevice feed = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmclock_sim",
	.fops = &feed_fops,
	.groups = feed_groups,
	.mode = 0600,
};

/* The first line, through two points. Ticks that come late make a sleep short. */
static bool find_line(void)
{
	int tries = TRIES;

	if (!sim_line_start(&sim.line))
		return false;
	do {
		msleep(SIM_SLOPE_MIN_MS);
		mutex_lock(&sim.lock);
		update();
		mutex_unlock(&sim.lock);
	} while (!sim.line.period && --tries);
	return sim.line.period;
}

static int make_page(void)
{
	struct vmclock_page *image = &sim.image;

	sim.page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!sim.page)
		return -ENOMEM;
	sim.shared = page_address(sim.page);
	image->magic = cpu_to_le32(VMCLOCK_PAGE_MAGIC);
	image->size = cpu_to_le32(PAGE_SIZE);
	image->version = cpu_to_le16(VMCLOCK_PAGE_VERSION);
	image->counter_id = IS_ENABLED(CONFIG_X86) ? VMCLOCK_PAGE_COUNTER_X86_TSC :
						     VMCLOCK_PAGE_COUNTER_ARM_VCT;
	mark_disruption();
	if (!find_line()) {
		pr_err("the system's clocks do not run on a counter that a page can name\n");
		put_page(sim.page);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int __init sim_init(void)
{
	struct resource res = { .name = "vmclock_sim", .flags = IORESOURCE_MEM };
	int err;

	if (!sim_line_bound_is_sane())
		return -EINVAL;
	err = make_page();
	if (err)
		return err;

	res.start = page_to_phys(sim.page);
	res.end = res.start + PAGE_SIZE - 1;
	sim.pdev = platform_device_register_simple(VMCLOCK_SIM_DEVICE, PLATFORM_DEVID_NONE,
						   &res, 1);
	if (IS_ERR(sim.pdev)) {
		err = PTR_ERR(sim.pdev);
		goto err_free_page;
	}
	err = register_pm_notifier(&sleeper);
	if (err)
		goto err_unregister;
	/* Last: its files hold the module, but not against a failure from here on. */
	err = misc_register(&feed);
	if (err)
		goto err_wake;
	schedule_delayed_work(&work, HZ);
	return 0;

err_wake:
	unregister_pm_notifier(&sleeper);
err_unregister:
	platform_device_unregister(sim.pdev);
err_free_page:
	put_page(sim.page);
	return err;
}
module_init(sim_init);

static void __exit sim_exit(void)
{
	/* First, as its attribute starts the work. */
	misc_deregister(&feed);
	unregister_pm_notifier(&sleeper);
	cancel_delayed_work_sync(&work);
	platform_device_unregister(sim.pdev);
	put_page(sim.page);
}
module_exit(sim_exit);

MODULE_DESCRIPTION("VMClock page in software, with faults on request");
MODULE_LICENSE("GPL");
