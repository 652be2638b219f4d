// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vmclock: binding to the firmware's device, and letting go of it.
 */
#include <linux/acpi.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "vmclock.h"

/* Not "vmclock": the in-tree driver ptp_vmclock has that name. */
#define DRIVER_NAME "vmclock-cdev"

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

static struct vmclock_device *device_create_counted(struct device *dev)
{
	struct vmclock_device *vd = kzalloc(sizeof(*vd), GFP_KERNEL);
	int err = -ENOMEM;

	if (!vd)
		return ERR_PTR(err);
	kref_init(&vd->ref);
	vd->index = -1;
	vmclock_notify_create(vd);
	strscpy(vd->name, dev_name(dev), sizeof(vd->name));
	vd->bus = has_acpi_companion(dev) ? VMCLOCK_BUS_ACPI :
		  dev->of_node ? VMCLOCK_BUS_OF : VMCLOCK_BUS_SIM;

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

/*
 * Firmware that points into RAM in use would show it to every user. In a device
 * tree the page may be a reserved part of RAM, and is declared as such.
 */
static bool is_system_ram(const struct vmclock_device *vd, const struct resource *res)
{
	return vd->bus == VMCLOCK_BUS_ACPI &&
	       region_intersects(res->start, resource_size(res), IORESOURCE_SYSTEM_RAM,
				 IORES_DESC_NONE) != REGION_DISJOINT;
}

static int map_page(struct vmclock_device *vd, struct platform_device *pdev)
{
	struct resource *res = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct device *dev = &pdev->dev;
	int err;

	if (!res) {
		dev_err(dev, "page refused: the firmware names no memory for it\n");
		return -ENODEV;
	}
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

static int vmclock_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct vmclock_device *vd = device_create_counted(dev);
	int err;

	if (IS_ERR(vd))
		return PTR_ERR(vd);

	err = map_page(vd, pdev);
	if (err)
		goto err_put;
	platform_set_drvdata(pdev, vd);
	vmclock_notify_start(vd);
	vmclock_ptp_add(vd, dev);
	err = add_node(vd, dev);
	if (err)
		goto err_remove_ptp;

	dev_info(dev, "/dev/%s, region of %u bytes, counter %u\n", vd->node_name,
		 vd->region_size, vmclock_page_counter_id(vd));
	vmclock_source_attach(vd, pdev);
	return 0;

err_remove_ptp:
	vmclock_ptp_remove(vd);
	memunmap(vd->page);
err_put:
	vmclock_put(vd);
	return err;
}

static void unbind(struct platform_device *pdev)
{
	struct vmclock_device *vd = platform_get_drvdata(pdev);

	vmclock_source_detach(vd, pdev);
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

DEFINE_VMCLOCK_REMOVE(vmclock_remove, unbind)

static const struct acpi_device_id acpi_ids[] = {
	{ "AMZNC10C" },
	{ "VMCLOCK" },
	{ }
};
MODULE_DEVICE_TABLE(acpi, acpi_ids);

static const struct of_device_id of_ids[] = {
	{ .compatible = "amazon,vmclock" },
	{ }
};
MODULE_DEVICE_TABLE(of, of_ids);

static const struct platform_device_id sim_ids[] = {
	{ VMCLOCK_SIM_DEVICE },
	{ }
};
MODULE_DEVICE_TABLE(platform, sim_ids);

static struct platform_driver vmclock_driver = {
	.probe = vmclock_probe,
	.remove = vmclock_remove,
	.id_table = sim_ids,
	.driver = {
		.name = DRIVER_NAME,
		.acpi_match_table = acpi_ids,
		.of_match_table = of_ids,
	},
};

/* A page that another driver, the in-tree one most likely, got to first. */
static int tell_if_held(struct device *dev, void *unused)
{
	if (!acpi_match_device(acpi_ids, dev) && !of_match_device(of_ids, dev))
		return 0;

	device_lock(dev);
	if (dev->driver && dev->driver != &vmclock_driver.driver)
		pr_notice("%s is held by driver %s; README.md says how to hand it over\n",
			  dev_name(dev), dev->driver->name);
	device_unlock(dev);
	return 0;
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
	err = platform_driver_register(&vmclock_driver);
	if (err)
		vmclock_notify_exit();
	else
		bus_for_each_dev(&platform_bus_type, NULL, NULL, tell_if_held);
	return err;
}
module_init(vmclock_init);

static void __exit vmclock_exit(void)
{
	platform_driver_unregister(&vmclock_driver);
	vmclock_notify_exit();
	ida_destroy(&indices);
}
module_exit(vmclock_exit);

MODULE_DESCRIPTION("VMClock page as a character device");
MODULE_LICENSE("GPL");
