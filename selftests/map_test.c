// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of mmap: read-only, exactly the page, for ever.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

FIXTURE(map) {
	int fd;
	int fd_rw;
	size_t len;
};

FIXTURE_SETUP(map)
{
	self->len = getpagesize();
	self->fd = t_open(T_QEMU, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->fd_rw = t_open(T_QEMU, O_RDWR);
	ASSERT_GE(self->fd_rw, 0);
}

FIXTURE_TEARDOWN(map)
{
	close(self->fd);
	close(self->fd_rw);
}

static uint32_t magic_at(const volatile void *p)
{
	return le32toh(((const volatile struct vmclock_page *)p)->magic);
}

#define EXPECT_MAP_FAILS(error, prot, flags, fd, len, offset) do {	\
	errno = 0;							\
	EXPECT_EQ(MAP_FAILED, mmap(NULL, len, prot, flags, fd, offset));\
	EXPECT_EQ(error, errno);					\
} while (0)

TEST_F(map, shows_the_page_shared)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, magic_at(p));
}

TEST_F(map, shows_the_page_private)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, magic_at(p));
}

TEST_F(map, can_be_populated_at_once)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED | MAP_POPULATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, magic_at(p));
}

TEST_F(map, survives_the_close_of_its_file)
{
	int fd = t_open(T_QEMU, O_RDONLY);
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, magic_at(p));
}

TEST_F(map, is_inherited_by_fork)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0);
	int status = -1;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	pid = fork();
	if (!pid)
		_exit(magic_at(p) == VMCLOCK_PAGE_MAGIC ? 0 : 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(map, vfs_refuses_writing_through_a_read_only_file)
{
	EXPECT_MAP_FAILS(EACCES, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, self->len, 0);
}

TEST_F(map, driver_refuses_writing_through_a_writable_file)
{
	EXPECT_MAP_FAILS(EROFS, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd_rw, self->len, 0);
}

TEST_F(map, driver_refuses_a_writable_private_copy)
{
	EXPECT_MAP_FAILS(EROFS, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, self->len, 0);
}

TEST_F(map, shared_one_can_not_be_made_writable)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd_rw, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mprotect(p, self->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(map, private_one_can_not_be_made_writable)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE, self->fd_rw, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mprotect(p, self->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(map, is_not_written_through_proc_mem)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE, self->fd_rw, 0);
	int mem = open("/proc/self/mem", O_RDWR);
	uint32_t junk = 0xdeadbeef;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_GE(mem, 0);
	EXPECT_EQ(-1, pwrite(mem, &junk, sizeof(junk), (off_t)(uintptr_t)p));
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, magic_at(p));
	close(mem);
}

TEST_F(map, is_exactly_one_page_long)
{
	EXPECT_MAP_FAILS(EINVAL, PROT_READ, MAP_SHARED, self->fd, 2 * self->len, 0);
}

TEST_F(map, starts_at_offset_zero)
{
	EXPECT_MAP_FAILS(EINVAL, PROT_READ, MAP_SHARED, self->fd, self->len,
			 (off_t)self->len);
}

TEST_F(map, does_not_grow)
{
	void *p = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->len, 2 * self->len, MREMAP_MAYMOVE));
}

TEST_F(map, is_refused_for_a_region_smaller_than_a_page)
{
	int fd = t_open(9, O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_MAP_FAILS(EOPNOTSUPP, PROT_READ, MAP_SHARED, fd, self->len, 0);
	close(fd);
}

TEST_F(map, does_not_show_what_lies_behind_a_short_page)
{
	int fd = t_open(8, O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_MAP_FAILS(EOPNOTSUPP, PROT_READ, MAP_SHARED, fd, self->len, 0);
	close(fd);
}

TEST_F(map, follows_the_page)
{
	int fd = t_open(T_KNOB, O_RDONLY);
	const volatile struct vmclock_page *p =
		mmap(NULL, self->len, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0x1111, le64toh(p->disruption_marker));
	ASSERT_TRUE(t_poke_field(T_KNOB, disruption_marker, htole64(0x3333)));
	EXPECT_EQ(0x3333, le64toh(p->disruption_marker));
	ASSERT_TRUE(t_poke_field(T_KNOB, disruption_marker, htole64(0x1111)));
}

TEST_HARNESS_MAIN
