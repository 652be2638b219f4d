// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/counter.h"
#include "windows.h"
#include "wrapped.h"

static struct {
	struct windows *seen;
	size_t size, room;
	uint64_t begun;
	int is_on;
} record;

void __wrap_vmclk_writer_begin(struct vmclk_writer *writer)
{
	__real_vmclk_writer_begin(writer);
	record.begun = counter_read_ordered();
}

void __wrap_vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *f)
{
	uint64_t ticks;

	__real_vmclk_writer_commit(writer, f);
	ticks = counter_read_ordered() - record.begun;
	if (record.is_on && record.seen->count < record.room)
		record.seen->ticks[record.seen->count++] =
			ticks > UINT32_MAX ? UINT32_MAX : ticks;
}

static int find_size(int fd, size_t room)
{
	struct stat st;

	record.size = sizeof(struct windows) + room * sizeof(uint32_t);
	if (room)
		return ftruncate(fd, record.size);
	if (fstat(fd, &st))
		return -1;
	record.size = st.st_size;
	record.room = (record.size - sizeof(struct windows)) / sizeof(uint32_t);
	return 0;
}

struct windows *windows_open(const char *path, size_t room)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *seen = MAP_FAILED;

	record.room = room;
	/* Populated: a fault would be in the window that comes after it. */
	if (fd >= 0 && !find_size(fd, room))
		seen = mmap(NULL, record.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, fd, 0);
	if (fd >= 0)
		close(fd);
	record.seen = seen == MAP_FAILED ? NULL : seen;
	return record.seen;
}

void windows_switch(int is_on)
{
	record.is_on = is_on;
}

void windows_close(void)
{
	record.is_on = 0;
	munmap(record.seen, record.size);
	record.seen = NULL;
}

/* The daemon does not know of us. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(WINDOWS_PATH);

	if (!path)
		return;
	if (!windows_open(path, 0)) {
		perror(path);
		_exit(2);
	}
	windows_switch(1);
}
