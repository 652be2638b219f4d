// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vmclock: making a node of a page, and letting go of both. Where there is
 * a page is known to platform.c and pci.c.
 */
#include <linux/device.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vmclock.h"

static unsigned short mode = 0444;
module_param(mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permission bits of the device nodes (default 0444)");

static DEFINE_IDA(indices);

/* The class of misc devices, which is not exported; known from the first one. */
static typeof(((struct device *)NULL)->class) misc_class;

static void device_release(struct kref *ref)
{
	struct vmclock_device *vd = container_of(ref, struct vmclock_device, ref);

	vmclock_mapping_destroy(vd);
	cleanup_srcu_struct(&vd->srcu);
	kfree(vd);
}

/**
 * vmclock_put() - give a reference back
 * @vd: the device
 *
 * Context: process context; may free.
 */
void vmclock_put(struct vmclock_device *vd)
{
	kref_put(&vd->ref, device_release);
}

static struct vmclock_device *device_create_counted(struct device *dev, u8 bus)
{
	struct vmclock_device *vd = kzalloc(sizeof(*vd), GFP_KERNEL);
	int err = -ENOMEM;

	if (!vd)
		return ERR_PTR(err);
	kref_init(&vd->ref);
	vd->index = -1;
	vmclock_notify_create(vd);
	strscpy(vd->name, dev_name(dev), sizeof(vd->name));
	vd->bus = bus;

	err = init_srcu_struct(&vd->srcu);
	if (err)
		goto err_free;
	err = vmclock_mapping_create(vd);
	if (err)
		goto err_cleanup_srcu;
	return vd;

err_cleanup_srcu:
	cleanup_srcu_struct(&vd->srcu);
err_free:
	kfree(vd);
	return ERR_PTR(err);
}

static bool is_reserved(const struct resource *res)
{
	unsigned long pfn;

	for (pfn = PHYS_PFN(res->start); pfn <= PHYS_PFN(res->end); pfn++)
		if (!pfn_valid(pfn) || !PageReserved(pfn_to_page(pfn)))
			return false;
	return true;
}

/*
 * Firmware that points into RAM in use would show it to every user. In a device
 * tree the page may be a part of RAM that is declared as reserved, and has been
 * kept from the allocator. A PCI function's memory the kernel has found free, or
 * the function is not enabled.
 */
static bool is_system_ram(const struct vmclock_device *vd, const struct resource *res)
{
	if (vd->bus != VMCLOCK_BUS_ACPI && vd->bus != VMCLOCK_BUS_OF)
		return false;
	if (region_intersects(res->start, resource_size(res), IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) == REGION_DISJOINT)
		return false;
	return vd->bus == VMCLOCK_BUS_ACPI || !is_reserved(res);
}

static int map_page(struct vmclock_device *vd, struct device *dev, const struct resource *res)
{
	int err;

	if (resource_size(res) < VMCLOCK_PAGE_SIZE_MIN ||
	    !IS_ALIGNED(res->start, sizeof(u64))) {
		dev_err(dev, "page refused: resource %pR is too small or not aligned\n", res);
		return -ENODEV;
	}

	if (is_system_ram(vd, res)) {
		dev_err(dev, "page refused: resource %pR is this system's own memory\n", res);
		return -ENODEV;
	}

	/* Shared with the hypervisor, so not encrypted, here as in mapping.c. */
	vd->phys = res->start;
	vd->page = memremap(res->start, resource_size(res), MEMREMAP_WB | MEMREMAP_DEC);
	if (!vd->page) {
		dev_err(dev, "page refused: resource %pR can't be mapped write-back\n", res);
		return -ENODEV;
	}

	err = vmclock_page_check(vd, dev, resource_size(res));
	if (err) {
		memunmap(vd->page);
		return err;
	}
	if (PAGE_ALIGNED(vd->phys) && vd->region_size >= PAGE_SIZE)
		vd->map_size = PAGE_SIZE;
	return 0;
}

static bool name_is_taken(const char *name)
{
	struct device *dev = misc_class ? class_find_device_by_name(misc_class, name) : NULL;

	put_device(dev);
	return dev;
}

/*
 * The in-tree driver makes vmclock0, vmclock1, ... out of the same kind of
 * device. Registering a name twice would make sysfs complain with a backtrace.
 */
static int pick_name(struct vmclock_device *vd)
{
	int first = 0;

	for (;;) {
		vd->index = ida_alloc_min(&indices, first, GFP_KERNEL);
		if (vd->index < 0)
			return vd->index;
		if (vd->index)
			snprintf(vd->node_name, sizeof(vd->node_name), "vmclock%d", vd->index);
		else
			strscpy(vd->node_name, "vmclock", sizeof(vd->node_name));
		if (!name_is_taken(vd->node_name))
			return 0;

		pr_notice("/dev/%s belongs to another driver, taking the next number\n",
			  vd->node_name);
		first = vd->index + 1;
		ida_free(&indices, vd->index);
	}
}

static int add_node(struct vmclock_device *vd, struct device *parent)
{
	int err = pick_name(vd);

	if (err)
		return err;

	vd->misc.minor = MISC_DYNAMIC_MINOR;
	vd->misc.name = vd->node_name;
	vd->misc.fops = &vmclock_fops;
	vd->misc.parent = parent;
	vd->misc.mode = mode;
	err = misc_register(&vd->misc);
	if (err)
		ida_free(&indices, vd->index);
	else
		misc_class = vd->misc.this_device->class;
	return err;
}

/**
 * vmclock_bind() - make a node of a page
 * @dev: the device that has it; its driver data is ours from now on
 * @bus: VMCLOCK_BUS_*
 * @res: where the page is
 *
 * Nobody listens to notifications yet: vmclock_source_attach() comes next.
 *
 * Context: probe.
 * Return: the device or an error; -ENODEV if there is no page that we can use.
 */
struct vmclock_device *vmclock_bind(struct device *dev, u8 bus, const struct resource *res)
{
	struct vmclock_device *vd = device_create_counted(dev, bus);
	int err;

	if (IS_ERR(vd))
		return vd;

	err = map_page(vd, dev, res);
	if (err)
		goto err_put;
	dev_set_drvdata(dev, vd);
	vmclock_notify_start(vd);
	vmclock_ptp_add(vd, dev);
	err = add_node(vd, dev);
	if (err)
		goto err_remove_ptp;

	vmclock_restore_add(vd);
	dev_info(dev, "/dev/%s, region of %u bytes, counter %u\n", vd->node_name,
		 vd->region_size, vmclock_page_counter_id(vd));
	return vd;

err_remove_ptp:
	vmclock_ptp_remove(vd);
	memunmap(vd->page);
err_put:
	vmclock_put(vd);
	return ERR_PTR(err);
}

/**
 * vmclock_unbind() - take everything back from everybody
 * @dev: what vmclock_bind() got
 *
 * Afterwards nothing touches the page or listens to an interrupt.
 *
 * Context: remove.
 */
void vmclock_unbind(struct device *dev)
{
	struct vmclock_device *vd = dev_get_drvdata(dev);

	vmclock_restore_remove(vd);
	vmclock_source_detach(vd, dev);
	vmclock_notify_stop(vd);
	misc_deregister(&vd->misc);
	ida_free(&indices, vd->index);

	vmclock_mapping_bury(vd);
	/* Pairs with vmclock_is_gone(): who sees it sees the tombstone written. */
	smp_store_release(&vd->gone, true);
	synchronize_srcu(&vd->srcu);
	vmclock_notify_gone(vd);
	vmclock_mapping_zap(vd);
	vmclock_ptp_remove(vd);
	memunmap(vd->page);

	vmclock_put(vd);
}

static int __init vmclock_init(void)
{
	int err;

	if (mode & ~0666) {
		pr_err("mode %#o has bits other than read and write permissions\n", mode);
		return -EINVAL;
	}
	err = vmclock_ptp_init();
	if (err)
		return err;
	err = vmclock_notify_init();
	if (err)
		return err;
	err = vmclock_platform_init();
	if (err)
		goto err_notify;
	err = vmclock_pci_init();
	if (err)
		goto err_platform;
	return 0;

err_platform:
	vmclock_platform_exit();
err_notify:
	vmclock_notify_exit();
	return err;
}
module_init(vmclock_init);

static void __exit vmclock_exit(void)
{
	vmclock_pci_exit();
	vmclock_platform_exit();
	vmclock_notify_exit();
	ida_destroy(&indices);
}
module_exit(vmclock_exit);

MODULE_DESCRIPTION("VMClock page as a character device");
MODULE_LICENSE("GPL");
