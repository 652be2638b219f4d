// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file operations of /dev/vmclock. Each checks, inside an SRCU section, that
 * the device is still there: see the lifetime rules in vmclock.h.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vmclock.h"

/* misc_open() holds the lock that misc_deregister() takes: @vd is alive. */
static int chardev_open(struct inode *inode, struct file *file)
{
	struct vmclock_device *vd =
		container_of(file->private_data, struct vmclock_device, misc);

	kref_get(&vd->ref);
	file->private_data = vd;
	file->f_mapping = vd->inode->i_mapping;
	return 0;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	vmclock_put(file->private_data);
	return 0;
}

static loff_t chardev_llseek(struct file *file, loff_t offset, int whence)
{
	struct vmclock_device *vd = file->private_data;

	return fixed_size_llseek(file, offset, whence, vmclock_readable(vd));
}

/* A consistent copy of everything up to @end, at most a page of it. */
static void *copy_of_page(struct vmclock_device *vd, size_t end)
{
	void *buf = (void *)__get_free_page(GFP_KERNEL);
	int err, token;

	if (!buf)
		return ERR_PTR(-ENOMEM);

	token = srcu_read_lock(&vd->srcu);
	err = vmclock_is_gone(vd) ? -ENODEV : vmclock_page_read(vd, buf, end, NULL);
	srcu_read_unlock(&vd->srcu, token);
	if (err) {
		free_page((unsigned long)buf);
		return ERR_PTR(err);
	}
	return buf;
}

/* What one call returns is consistent; two calls may see two updates. */
static ssize_t chardev_read(struct file *file, char __user *to, size_t count,
			    loff_t *pos)
{
	struct vmclock_device *vd = file->private_data;
	size_t size = vmclock_readable(vd);
	void *buf;
	ssize_t n;

	if (*pos < 0)
		return -EINVAL;

	/* At the end nothing is copied, but a device that is gone says so. */
	buf = copy_of_page(vd, *pos < size ? min_t(size_t, size - *pos, count) + *pos : 0);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	n = simple_read_from_buffer(to, count, pos, buf, size);
	free_page((unsigned long)buf);
	return n;
}

static int chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmclock_device *vd = file->private_data;
	int err, token;

	token = srcu_read_lock(&vd->srcu);
	err = vmclock_is_gone(vd) ? -ENODEV : vmclock_mapping_mmap(vd, vma);
	srcu_read_unlock(&vd->srcu, token);
	return err;
}

static long chardev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmclock_ioctl(file->private_data, cmd, (void __user *)arg);
}

const struct file_operations vmclock_fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.llseek = chardev_llseek,
	.read = chardev_read,
	.mmap = chardev_mmap,
	.unlocked_ioctl = chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
