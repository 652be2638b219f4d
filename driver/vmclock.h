/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver's files share.
 *
 * Lifetime: struct vmclock_device is counted. The platform device's driver
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
 *	gone			remove			inside read sections
 *	tombstone contents	remove, before gone	faults that saw gone
 *	the rest		probe, before open	while referenced
 */
#ifndef VMCLOCK_H
#define VMCLOCK_H

#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/vmclock-dev.h>

struct file;
struct inode;
struct vm_area_struct;

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
 * @name: the platform device's name, which may outlive it
 * @inode: its address space collects all mappings, whichever node they came
 *	through, so that removal finds them
 * @tombstone: what readers of the mapping see after removal
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
};

/**
 * struct vmclock_clocks - readings taken inside one window of the page
 * @counter: this architecture's counter
 * @counter_usable: the kernel considers it stable
 * @correlated: @before is the system's time at exactly @counter
 * @before: system clocks before @counter
 * @after: system clocks after it; equal to @before if @correlated
 */
struct vmclock_clocks {
	u64 counter;
	bool counter_usable;
	bool correlated;
	struct vmclock_system_time before;
	struct vmclock_system_time after;
};

/* Inside a read section of @srcu: may the page not be touched any more? */
static inline bool vmclock_is_gone(const struct vmclock_device *vd)
{
	/* Pairs with the release in unbind(), core.c. */
	return smp_load_acquire(&vd->gone);
}

/* How much of the region read() shows. */
static inline size_t vmclock_readable(const struct vmclock_device *vd)
{
	return min_t(size_t, vd->region_size, PAGE_SIZE);
}

/* core.c */
void vmclock_put(struct vmclock_device *vd);

/* page.c */
int vmclock_page_read(struct vmclock_device *vd, void *buf, size_t len,
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

/* chardev.c */
extern const struct file_operations vmclock_fops;

/* ioctl.c */
long vmclock_ioctl(struct vmclock_device *vd, unsigned int cmd, void __user *arg);

/* mapping.c */
int vmclock_mapping_create(struct vmclock_device *vd);
void vmclock_mapping_destroy(struct vmclock_device *vd);
void vmclock_mapping_bury(struct vmclock_device *vd);
void vmclock_mapping_zap(struct vmclock_device *vd);
int vmclock_mapping_mmap(struct vmclock_device *vd, struct vm_area_struct *vma);

#endif /* VMCLOCK_H */
