// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the firmware describes, by ACPI or in a device tree, and the
 * simulator's.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/property.h>

#include "vmclock.h"

static u8 bus_of(const struct device *dev)
{
	if (has_acpi_companion((struct device *)dev))
		return VMCLOCK_BUS_ACPI;
	return dev->of_node ? VMCLOCK_BUS_OF : VMCLOCK_BUS_SIM;
}

static int platform_probe(struct platform_device *pdev)
{
	struct resource *res = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct device *dev = &pdev->dev;
	struct vmclock_device *vd;
	int irq = 0;

	if (!res) {
		dev_err(dev, "page refused: the firmware names no memory for it\n");
		return -ENODEV;
	}
	/* With ACPI there is a notification instead. */
	if (bus_of(dev) != VMCLOCK_BUS_ACPI)
		irq = platform_get_irq_optional(pdev, 0);
	if (irq == -EPROBE_DEFER)
		return irq;
	vd = vmclock_bind(dev, bus_of(dev), res);
	if (IS_ERR(vd))
		return PTR_ERR(vd);
	vmclock_source_attach(vd, dev, irq);
	return 0;
}

static void unbind(struct platform_device *pdev)
{
	vmclock_unbind(&pdev->dev);
}

DEFINE_VMCLOCK_REMOVE(platform_remove, unbind)

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

static struct platform_driver platform_driver = {
	.probe = platform_probe,
	.remove = platform_remove,
	.id_table = sim_ids,
	.driver = {
		.name = VMCLOCK_DRIVER_NAME,
		.acpi_match_table = acpi_ids,
		.of_match_table = of_ids,
		.pm = &vmclock_pm_ops,
	},
};

/**
 * vmclock_platform_ring() - the simulator's notification
 * @pdev: its device, whoever it is bound to
 *
 * Context: process context, sleeps.
 */
void vmclock_platform_ring(struct platform_device *pdev)
{
	/* While this is held nobody binds or unbinds the device. */
	device_lock(&pdev->dev);
	if (pdev->dev.driver == &platform_driver.driver)
		vmclock_notify_kick(platform_get_drvdata(pdev));
	device_unlock(&pdev->dev);
}
EXPORT_SYMBOL_GPL(vmclock_platform_ring);	/* for vmclock_sim */

/* A page that another driver, the in-tree one most likely, got to first. */
static int tell_if_held(struct device *dev, void *unused)
{
	if (!acpi_match_device(acpi_ids, dev) && !of_match_device(of_ids, dev))
		return 0;

	device_lock(dev);
	if (dev->driver && dev->driver != &platform_driver.driver)
		pr_notice("%s is held by driver %s; README.md says how to hand it over\n",
			  dev_name(dev), dev->driver->name);
	device_unlock(dev);
	return 0;
}

/**
 * vmclock_platform_init() - bind what is there, and what comes
 *
 * Return: 0 or a negative errno.
 */
int vmclock_platform_init(void)
{
	int err = platform_driver_register(&platform_driver);

	if (!err)
		bus_for_each_dev(&platform_bus_type, NULL, NULL, tell_if_held);
	return err;
}

/**
 * vmclock_platform_exit() - let go of everything
 */
void vmclock_platform_exit(void)
{
	platform_driver_unregister(&platform_driver);
}
