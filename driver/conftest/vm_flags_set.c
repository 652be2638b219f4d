// SPDX-License-Identifier: GPL-2.0-only
/* 6.3: vm_flags_set() and vm_flags_clear(), vma->vm_flags becomes read-only. */
#include <linux/mm.h>

void conftest(struct vm_area_struct *vma);
void conftest(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO);
}
