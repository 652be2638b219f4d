// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page in user space: read-only, filled in by faults, so that it can be
 * taken back and replaced by a tombstone when the device goes.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/random.h>

#include "vmclock.h"

#define VMCLOCK_FS_MAGIC 0x564d434c	/* "VMCL" */

static struct vfsmount *fs_mount;
static int fs_users;

static int fs_init(struct fs_context *fc)
{
	return init_pseudo(fc, VMCLOCK_FS_MAGIC) ? 0 : -ENOMEM;
}

/*
 * No .owner: a mount would hold the module for as long as a device is bound.
 * The mount can't outlive the module's code, because devices, which hold it,
 * go before the module does.
 */
static struct file_system_type fs_type = {
	.name = "vmclock",
	.init_fs_context = fs_init,
	.kill_sb = kill_anon_super,
};

/**
 * vmclock_mapping_create() - prepare for mappings, and for their end
 * @vd: the device
 *
 * Return: 0 or a negative errno.
 */
int vmclock_mapping_create(struct vmclock_device *vd)
{
	int err;

	BUILD_BUG_ON(sizeof(*vd->tombstone) > PAGE_SIZE);
	vd->tombstone = (void *)get_zeroed_page(GFP_KERNEL);
	if (!vd->tombstone)
		return -ENOMEM;

	err = simple_pin_fs(&fs_type, &fs_mount, &fs_users);
	if (err)
		goto err_free_tombstone;

	vd->inode = alloc_anon_inode(fs_mount->mnt_sb);
	if (IS_ERR(vd->inode)) {
		err = PTR_ERR(vd->inode);
		goto err_release_fs;
	}
	return 0;

err_release_fs:
	simple_release_fs(&fs_mount, &fs_users);
err_free_tombstone:
	free_page((unsigned long)vd->tombstone);
	return err;
}

/**
 * vmclock_mapping_destroy() - undo vmclock_mapping_create()
 * @vd: the device; no file, so no mapping, is left
 */
void vmclock_mapping_destroy(struct vmclock_device *vd)
{
	iput(vd->inode);
	simple_release_fs(&fs_mount, &fs_users);
	free_page((unsigned long)vd->tombstone);
}

/**
 * vmclock_mapping_bury() - write the tombstone
 * @vd: the device, not yet gone: nobody sees the tombstone
 *
 * No page by its magic; and who does not look at that again finds a page with
 * no time, no trust, and another marker. Its sequence number is even, so that
 * readers do not wait, and half the number range away from the page's, so that a
 * reader that copied from the one and checks on the other starts again.
 */
void vmclock_mapping_bury(struct vmclock_device *vd)
{
	struct vmclock_page *t = vd->tombstone;
	u64 marker;
	u32 seq;

	vmclock_page_last(vd, &seq, &marker);

	t->magic = cpu_to_le32(VMCLOCK_PAGE_MAGIC_GONE);
	t->size = cpu_to_le32(vd->region_size);
	t->version = cpu_to_le16(VMCLOCK_PAGE_VERSION);
	t->counter_id = VMCLOCK_PAGE_COUNTER_NONE;
	t->time_type = VMCLOCK_PAGE_TIME_TAI;
	t->seq_count = cpu_to_le32((seq & ~1U) + 0x80000000U);
	do {
		t->disruption_marker = cpu_to_le64(get_random_u64());
	} while (t->disruption_marker == cpu_to_le64(marker));
	if (VMCLOCK_PAGE_HAS(vd->region_size, clock_status))
		t->clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
}

/**
 * vmclock_mapping_zap() - take the page back from every mapping
 * @vd: the device, gone: whoever faults from now on gets the tombstone
 */
void vmclock_mapping_zap(struct vmclock_device *vd)
{
	unmap_mapping_range(vd->inode->i_mapping, 0, 0, 1);
}

/*
 * The page keeps the memory type of the driver's own mapping: write-back. It is
 * shared with the hypervisor, so not encrypted; the tombstone is ours, and is.
 */
static vm_fault_t mapping_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vmclock_device *vd = vma->vm_private_data;
	pgprot_t prot = vma->vm_page_prot;
	unsigned long pfn;
	vm_fault_t ret;
	int token;

	token = srcu_read_lock(&vd->srcu);
	if (vmclock_is_gone(vd)) {
		pfn = PHYS_PFN(virt_to_phys(vd->tombstone));
	} else {
		pfn = PHYS_PFN(vd->phys);
		prot = pgprot_decrypted(prot);
	}
	/* Inside the section: removal zaps after it has waited for us. */
	ret = vmf_insert_pfn_prot(vma, vmf->address, pfn, prot);
	srcu_read_unlock(&vd->srcu, token);

	return ret;
}

static const struct vm_operations_struct mapping_ops = {
	.fault = mapping_fault,
};

/**
 * vmclock_mapping_mmap() - set up a mapping
 * @vd: the device, entered
 * @vma: the area
 *
 * Return: 0, -EROFS for a writable mapping, -EOPNOTSUPP if the region is no
 * whole page of this kernel, -EINVAL unless it is exactly the page.
 */
int vmclock_mapping_mmap(struct vmclock_device *vd, struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WRITE)
		return -EROFS;
	if (!vd->map_size)
		return -EOPNOTSUPP;
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != vd->map_size)
		return -EINVAL;

	/* Before anything is inserted: mprotect() must not make it writable. */
	vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &mapping_ops;
	vma->vm_private_data = vd;
	return 0;
}
