// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Pages that somebody else has read: a ring, for example.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

int vmclk_fd(const struct vmclk *clk)
{
	return clk->fd;
}

/* As much of the page as was read; less than it claims is no page. */
static int take_copy(struct vmclock_page *mine, const void *copy, size_t len)
{
	memset(mine, 0, sizeof(*mine));
	if (len > sizeof(*mine))
		len = sizeof(*mine);
	memcpy(mine, copy, len);
	if (len < sizeof(*mine) && len < le32toh(mine->size))
		return -VMCLK_EMALFORMED;
	return le32toh(mine->seq_count) & 1 ? -VMCLK_EBUSY : 0;
}

int vmclk_decode(const struct vmclk *clk, const void *copy, size_t len,
		 struct vmclk_snapshot *snap)
{
	int saved = errno, err;
	struct vmclock_page mine;
	struct vmclk_snapshot out;
	struct stat st;
	bool is_device = !fstat(clk->fd, &st) && S_ISCHR(st.st_mode);

	errno = saved;
	if (!is_device)
		return -EOPNOTSUPP;
	err = take_copy(&mine, copy, len);
	if (!err)
		err = vmclk__decode(clk, &mine, &out);
	if (!err)
		*snap = out;
	return err;
}
