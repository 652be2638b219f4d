// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays the in-tree driver on kernels that do not have it: takes its driver
 * name, one of the test pages, and the device name vmclock1.
 */
#include <linux/acpi.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static int rival_probe(struct platform_device *pdev)
{
	return 0;
}

static const struct acpi_device_id rival_ids[] = {
	{ "TEST0001" },
	{ }
};

static const struct of_device_id rival_of_ids[] = {
	{ .compatible = "test,page" },
	{ }
};

static struct platform_driver rival_driver = {
	.probe = rival_probe,
	.driver = {
		.name = "vmclock",
		.acpi_match_table = rival_ids,
		.of_match_table = rival_of_ids,
	},
};

static const struct file_operations rival_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice rival_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmclock1",
	.fops = &rival_fops,
};

static int __init rival_init(void)
{
	int err = misc_register(&rival_misc);

	if (err)
		return err;
	err = platform_driver_register(&rival_driver);
	if (err)
		misc_deregister(&rival_misc);
	return err;
}
module_init(rival_init);

static void __exit rival_exit(void)
{
	platform_driver_unregister(&rival_driver);
	misc_deregister(&rival_misc);
}
module_exit(rival_exit);

MODULE_DESCRIPTION("Test double of the in-tree VMClock driver");
MODULE_LICENSE("GPL");
