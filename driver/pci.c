// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in the memory of a PCI function: QEMU's ivshmem, BAR 2.
 *
 * Such memory can hold anything, and most of it is not for us. So there is no
 * alias that would load the module for it, and a function whose memory does not
 * begin with a page is left as it was found, without a word. A page that comes
 * later is bound when the function is probed again, through sysfs.
 *
 * ivshmem-doorbell has MSI-X; the host raises vector 0 after an update.
 */
#include <linux/ioport.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "vmclock.h"

#define PAGE_BAR	2
/* There may be gigabytes behind the page. Largest page of any kernel. */
#define ROOM_MAX	SZ_64K

/* The function's interrupt, or 0. */
static int get_irq(struct pci_dev *pdev)
{
	if (!pdev->msix_cap)
		return 0;
	/* The message that interrupts is a write by the function. */
	pci_set_master(pdev);
	if (pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX) < 0)
		return 0;
	return pci_irq_vector(pdev, 0);
}

static int vmclock_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	resource_size_t room = min_t(resource_size_t, pci_resource_len(pdev, PAGE_BAR), ROOM_MAX);
	struct resource res = DEFINE_RES_MEM(pci_resource_start(pdev, PAGE_BAR), room);
	struct vmclock_device *vd;
	int err;

	if (!(pci_resource_flags(pdev, PAGE_BAR) & IORESOURCE_MEM) || room < VMCLOCK_PAGE_SIZE_MIN)
		return -ENODEV;
	/* Not ours if the firmware describes a device in there, most likely of this page. */
	if (pdev->resource[PAGE_BAR].child)
		return -ENODEV;
	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = pci_request_region(pdev, PAGE_BAR, VMCLOCK_DRIVER_NAME);
	if (err)
		goto err_disable;
	vd = vmclock_bind(&pdev->dev, VMCLOCK_BUS_PCI, &res);
	if (IS_ERR(vd)) {
		err = PTR_ERR(vd);
		goto err_release;
	}
	vmclock_source_attach(vd, &pdev->dev, get_irq(pdev));
	return 0;

err_release:
	pci_release_region(pdev, PAGE_BAR);
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void vmclock_pci_remove(struct pci_dev *pdev)
{
	vmclock_unbind(&pdev->dev);
	pci_free_irq_vectors(pdev);
	pci_release_region(pdev, PAGE_BAR);
	pci_disable_device(pdev);
}

/* No MODULE_DEVICE_TABLE: see the top. */
static const struct pci_device_id pci_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};

static struct pci_driver vmclock_pci_driver = {
	.name = VMCLOCK_DRIVER_NAME,
	.id_table = pci_ids,
	.probe = vmclock_pci_probe,
	.remove = vmclock_pci_remove,
	.driver.pm = &vmclock_pm_ops,
};

/**
 * vmclock_pci_init() - bind what is there, and what comes
 *
 * Return: 0 or a negative errno.
 */
int vmclock_pci_init(void)
{
	return pci_register_driver(&vmclock_pci_driver);
}

/**
 * vmclock_pci_exit() - let go of everything
 */
void vmclock_pci_exit(void)
{
	pci_unregister_driver(&vmclock_pci_driver);
}
