// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest's kernel can do to its own counter: adds to a register that is about
 * it, on the processor that it is loaded on.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <asm/msr.h>

static unsigned int msr;
module_param(msr, uint, 0);
MODULE_PARM_DESC(msr, "Number of the register");

static unsigned long long add;
module_param(add, ullong, 0);
MODULE_PARM_DESC(add, "What is added to it");

static unsigned long long after;
module_param(after, ullong, 0444);
MODULE_PARM_DESC(after, "What it reads as afterwards");

static int __init tamper_init(void)
{
	u32 low, high;
	u64 value;
	int err;

	err = rdmsr_safe(msr, &low, &high);
	if (err)
		return err;
	value = ((u64)high << 32 | low) + add;
	err = wrmsr_safe(msr, (u32)value, (u32)(value >> 32));
	if (!err)
		err = rdmsr_safe(msr, &low, &high);
	after = (u64)high << 32 | low;
	return err;
}
module_init(tamper_init);

static void __exit tamper_exit(void)
{
}
module_exit(tamper_exit);

MODULE_DESCRIPTION("Writes a register of the processor's counter");
MODULE_LICENSE("GPL");
