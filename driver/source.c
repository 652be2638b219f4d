// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the hypervisor tells us about an update: the firmware's notification on
 * the device, or an interrupt: named in the device tree, or a PCI function's. The
 * simulator calls us. And after a sleep nobody needs to: what came meanwhile may be
 * lost.
 *
 * Both are listened to where they exist. Whether they are relied on is the
 * page's word, see vmclock_notify_source().
 */
#include <linux/acpi.h>
#include <linux/interrupt.h>

#include "vmclock.h"

#ifdef CONFIG_ACPI
#define NOTIFY_UPDATED 0x80

static void on_acpi_notify(acpi_handle handle, u32 event, void *data)
{
	if (event == NOTIFY_UPDATED)
		vmclock_notify_kick(data);
}

static bool attach_acpi(struct vmclock_device *vd, struct device *dev)
{
	return ACPI_SUCCESS(acpi_install_notify_handler(ACPI_HANDLE(dev), ACPI_DEVICE_NOTIFY,
							on_acpi_notify, vd));
}

/* Waits for handlers that run. */
static void detach_acpi(struct device *dev)
{
	acpi_remove_notify_handler(ACPI_HANDLE(dev), ACPI_DEVICE_NOTIFY, on_acpi_notify);
}
#else
static bool attach_acpi(struct vmclock_device *vd, struct device *dev)
{
	return false;
}

static void detach_acpi(struct device *dev)
{
}
#endif

static irqreturn_t on_interrupt(int irq, void *data)
{
	vmclock_notify_kick(data);
	return IRQ_HANDLED;
}

static bool attach_irq(struct vmclock_device *vd, int irq)
{
	if (irq <= 0 || request_irq(irq, on_interrupt, IRQF_SHARED, vd->node_name, vd))
		return false;
	vd->notify.irq = irq;
	return true;
}

/**
 * vmclock_source_attach() - listen to notifications, where there are any
 * @vd: the device, complete
 * @dev: what it is bound to
 * @irq: its interrupt; none if not positive, and not looked at with ACPI
 *
 * Without them the page is watched, so a failure is none of the device's.
 */
void vmclock_source_attach(struct vmclock_device *vd, struct device *dev, int irq)
{
	bool wired;

	if (vd->bus == VMCLOCK_BUS_ACPI)
		wired = attach_acpi(vd, dev);
	else if (vd->bus == VMCLOCK_BUS_SIM)
		wired = true;	/* by vmclock_platform_ring() */
	else
		wired = attach_irq(vd, irq);
	WRITE_ONCE(vd->notify.wired, wired);

	/* Updates before this were told to nobody. */
	if (wired)
		vmclock_notify_kick(vd);
	else if (READ_ONCE(vd->notify.promised))
		dev_warn(dev, "the page promises notifications that can't be listened to\n");
}

/**
 * vmclock_source_detach() - do not listen any more
 * @vd: the device
 * @dev: what it is bound to
 *
 * Context: process context, sleeps until handlers have ended.
 */
void vmclock_source_detach(struct vmclock_device *vd, struct device *dev)
{
	if (!vd->notify.wired)
		return;
	if (vd->bus == VMCLOCK_BUS_ACPI)
		detach_acpi(dev);
	else if (vd->bus != VMCLOCK_BUS_SIM)
		free_irq(vd->notify.irq, vd);
}

static int __maybe_unused resume(struct device *dev)
{
	vmclock_notify_resume(dev_get_drvdata(dev));
	return 0;
}

/*
 * Of suspend and of hibernation. Nothing is to be done before: works and programs are
 * frozen already, and the interrupt wakes no machine.
 */
const struct dev_pm_ops vmclock_pm_ops = { SET_SYSTEM_SLEEP_PM_OPS(NULL, resume) };
