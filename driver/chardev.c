// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file operations of /dev/vmclock. Each checks, inside an SRCU section, that
 * the device is still there: see the lifetime rules in vmclock.h.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "vmclock.h"

/* misc_open() holds the lock that misc_deregister() takes: @vd is alive. */
static int chardev_open(struct inode *inode, struct file *file)
{
	struct vmclock_device *vd =
		container_of(file->private_data, struct vmclock_device, misc);

	struct vmclock_file *vf;

	kref_get(&vd->ref);
	vf = vmclock_event_open(vd);
	if (!vf) {
		vmclock_put(vd);
		return -ENOMEM;
	}
	file->private_data = vf;
	file->f_mode |= FMODE_NOWAIT;
	file->f_mapping = vd->inode->i_mapping;
	return 0;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	vmclock_event_release(file->private_data);
	return 0;
}

static struct vmclock_device *device_of(struct file *file)
{
	struct vmclock_file *vf = file->private_data;

	return vf->vd;
}

static loff_t chardev_llseek(struct file *file, loff_t offset, int whence)
{
	struct vmclock_device *vd = device_of(file);

	return fixed_size_llseek(file, offset, whence, vmclock_readable(vd));
}

/* A consistent copy of everything up to @end, at most a page of it. */
static void *copy_of_page(struct vmclock_device *vd, size_t end, bool nowait)
{
	void *buf = (void *)__get_free_page(nowait ? GFP_NOWAIT | __GFP_NOWARN : GFP_KERNEL);
	int err, token;

	if (!buf)
		return ERR_PTR(nowait ? -EAGAIN : -ENOMEM);

	token = srcu_read_lock(&vd->srcu);
	if (vmclock_is_gone(vd))
		err = -ENODEV;
	else if (!end)
		err = 0;
	else if (nowait)
		err = vmclock_page_try(vd, buf, end, NULL) ? 0 : -EAGAIN;
	else
		err = vmclock_page_read(vd, buf, end, NULL);
	srcu_read_unlock(&vd->srcu, token);
	if (err) {
		free_page((unsigned long)buf);
		return ERR_PTR(err);
	}
	return buf;
}

/* How much of the page a read needs: up to its end, and the sequence number. */
static size_t end_of_read(size_t size, loff_t pos, size_t count)
{
	if (pos >= size || !count)
		return 0;
	return max_t(size_t, min_t(size_t, size - pos, count) + pos,
		     offsetofend(struct vmclock_page, seq_count));
}

/*
 * What one call returns is consistent; two calls may see two updates. From now
 * on poll() waits for a sequence number other than this.
 */
static ssize_t chardev_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct vmclock_file *vf = iocb->ki_filp->private_data;
	size_t size = vmclock_readable(vf->vd), end;
	loff_t pos = iocb->ki_pos;
	struct vmclock_tally mark;
	struct vmclock_page *buf;
	ssize_t n;

	if (pos < 0)
		return -EINVAL;

	/* At the end nothing is copied, but a device that is gone says so. */
	end = end_of_read(size, pos, iov_iter_count(to));
	vmclock_event_mark(vf, &mark);
	buf = copy_of_page(vf->vd, end, iocb->ki_flags & IOCB_NOWAIT);
	if (buf == ERR_PTR(-EAGAIN))
		vmclock_event_starved(vf);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	n = end ? copy_to_iter((void *)buf + pos,
			       min_t(size_t, size - pos, iov_iter_count(to)), to) : 0;
	if (n) {
		iocb->ki_pos += n;
		vmclock_event_saw(vf, &mark, le32_to_cpu(buf->seq_count));
	} else if (end) {
		n = -EFAULT;
	}
	free_page((unsigned long)buf);
	return n;
}

static int chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmclock_device *vd = device_of(file);
	int err, token;

	token = srcu_read_lock(&vd->srcu);
	err = vmclock_is_gone(vd) ? -ENODEV : vmclock_mapping_mmap(vd, vma);
	srcu_read_unlock(&vd->srcu, token);
	return err;
}

static long chardev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmclock_ioctl(file, cmd, (void __user *)arg);
}

static __poll_t chardev_poll(struct file *file, poll_table *wait)
{
	struct vmclock_file *vf = file->private_data;

	poll_wait(file, &vf->vd->notify.wait, wait);
	return vmclock_event_poll(vf);
}

const struct file_operations vmclock_fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.llseek = chardev_llseek,
	.read_iter = chardev_read,
	.mmap = chardev_mmap,
	.poll = chardev_poll,
	.fasync = vmclock_event_fasync,
	VMCLOCK_FOPS_URING_CMD(vmclock_uring_cmd)
	.unlocked_ioctl = chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
