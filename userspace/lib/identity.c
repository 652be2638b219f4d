// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which page is this? Stamps of one page can be compared, also between
 * processes; those of two pages, of two machines, or of two boots can't.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "internal.h"

#define BOOT_ID_LEN	36

/* FNV-1a: two pages get the same number once in 2^64. */
static uint64_t hash(uint64_t h, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

/* A kernel draws this number when it boots. */
static bool read_boot_id(char id[BOOT_ID_LEN])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	bool is_read = fd >= 0 && read(fd, id, BOOT_ID_LEN) == BOOT_ID_LEN;

	if (fd >= 0)
		close(fd);
	return is_read;
}

/*
 * Where the boot can't be told, each handle counts as a page of its own: stamps
 * that might be of two boots are not ordered.
 */
int vmclk__identify(const struct stat *st, uint64_t *page_id)
{
	bool is_device = S_ISCHR(st->st_mode);
	const uint64_t numbers[] = {
		is_device, is_device ? st->st_rdev : st->st_dev, is_device ? 0 : st->st_ino,
	};
	char boot_id[BOOT_ID_LEN];
	uint64_t h = 0xcbf29ce484222325;

	if (!read_boot_id(boot_id)) {
		if (getrandom(page_id, sizeof(*page_id), 0) != sizeof(*page_id))
			return -errno;
		return 0;
	}
	h = hash(h, boot_id, sizeof(boot_id));
	*page_id = hash(h, numbers, sizeof(numbers));
	return 0;
}
