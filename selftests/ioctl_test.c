// SPDX-License-Identifier: GPL-2.0-only
/*
 * The argument rules that all ioctls share, one by one. Built for 64 and for
 * 32 bits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define ROOM 8192

FIXTURE(arg) {
	int fd;
	unsigned char *buf;	/* ROOM bytes, then a page that is not there */
	size_t page;
};

FIXTURE_VARIANT(arg) {
	unsigned int cmd;
	uint32_t size;
	uint32_t in_end;	/* what comes from here on must be zero */
};

FIXTURE_VARIANT_ADD(arg, info) {
	.cmd = VMCLOCK_IOC_INFO, .size = sizeof(struct vmclock_info), .in_end = 8
};

FIXTURE_VARIANT_ADD(arg, snapshot) {
	.cmd = VMCLOCK_IOC_SNAPSHOT, .size = sizeof(struct vmclock_snapshot), .in_end = 8
};

FIXTURE_VARIANT_ADD(arg, events) {
	.cmd = VMCLOCK_IOC_EVENTS, .size = sizeof(struct vmclock_events), .in_end = 12
};

/* With all zero, the next two do something, too: no eventfd, do not wait. */
FIXTURE_VARIANT_ADD(arg, eventfd) {
	.cmd = VMCLOCK_IOC_EVENTFD, .size = sizeof(struct vmclock_eventfd), .in_end = 16
};

FIXTURE_VARIANT_ADD(arg, wait) {
	.cmd = VMCLOCK_IOC_WAIT, .size = sizeof(struct vmclock_wait), .in_end = 20
};

FIXTURE_SETUP(arg)
{
	self->page = getpagesize();
	self->fd = t_open(T_QEMU, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->buf = mmap(NULL, ROOM + self->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->buf);
	ASSERT_EQ(0, mprotect(self->buf + ROOM, self->page, PROT_NONE));
}

FIXTURE_TEARDOWN(arg)
{
	munmap(self->buf, ROOM + self->page);
	close(self->fd);
}

static void set_size(void *buf, uint32_t size)
{
	memcpy(buf, &size, sizeof(size));
}

static uint32_t get_size(const void *buf)
{
	uint32_t size;

	memcpy(&size, buf, sizeof(size));
	return size;
}

#define EXPECT_IOCTL_FAILS(error, cmd, arg) do {		\
	errno = 0;						\
	EXPECT_EQ(-1, ioctl(self->fd, cmd, arg));		\
	EXPECT_EQ(error, errno);				\
} while (0)

TEST_F(arg, of_the_known_size_is_filled)
{
	set_size(self->buf, variant->size);
	EXPECT_EQ(0, ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_EQ(variant->size, get_size(self->buf));
}

TEST_F(arg, that_is_shorter_gets_what_it_has_room_for)
{
	unsigned char whole[512] = { 0 };
	int again = t_open(T_QEMU, O_RDONLY);

	set_size(whole, variant->size);
	ASSERT_EQ(0, ioctl(again, variant->cmd, whole));
	close(again);

	set_size(self->buf, 12);
	memset(self->buf + 12, 0xcc, 16);
	EXPECT_EQ(0, ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_EQ(variant->size, get_size(self->buf));
	EXPECT_EQ(0, memcmp(whole, self->buf, 12));
	for (int i = 12; i < 28; i++)
		EXPECT_EQ(0xcc, self->buf[i]);
}

TEST_F(arg, of_the_smallest_size_learns_the_size)
{
	set_size(self->buf, VMCLOCK_ARG_SIZE_MIN);
	EXPECT_EQ(0, ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_EQ(variant->size, get_size(self->buf));
}

TEST_F(arg, that_is_too_small_is_refused)
{
	for (uint32_t size = 0; size < VMCLOCK_ARG_SIZE_MIN; size++) {
		set_size(self->buf, size);
		EXPECT_IOCTL_FAILS(EINVAL, variant->cmd, self->buf);
	}
}

TEST_F(arg, that_is_longer_may_have_a_zero_tail)
{
	set_size(self->buf, 4096);
	EXPECT_EQ(0, ioctl(self->fd, variant->cmd, self->buf));
	EXPECT_EQ(variant->size, get_size(self->buf));
	for (int i = variant->size; i < 4096; i++)
		ASSERT_EQ(0, self->buf[i]);
}

TEST_F(arg, with_an_unknown_tail_is_too_big)
{
	set_size(self->buf, variant->size + 8);
	self->buf[variant->size + 7] = 1;
	EXPECT_IOCTL_FAILS(E2BIG, variant->cmd, self->buf);
}

TEST_F(arg, beyond_the_limit_is_too_big)
{
	set_size(self->buf, 4097);
	EXPECT_IOCTL_FAILS(E2BIG, variant->cmd, self->buf);
	set_size(self->buf, UINT32_MAX);
	EXPECT_IOCTL_FAILS(E2BIG, variant->cmd, self->buf);
}

TEST_F(arg, with_an_unknown_flag_is_refused)
{
	for (int bit = 0; bit < 32; bit++) {
		uint32_t flags = 1U << bit;

		memset(self->buf, 0, variant->size);
		set_size(self->buf, variant->size);
		memcpy(self->buf + 4, &flags, sizeof(flags));
		EXPECT_IOCTL_FAILS(EINVAL, variant->cmd, self->buf);
	}
}

TEST_F(arg, must_be_zero_behind_its_inputs)
{
	for (uint32_t i = variant->in_end; i < variant->size; i++) {
		memset(self->buf, 0, variant->size);
		set_size(self->buf, variant->size);
		self->buf[i] = 0x80;
		errno = 0;
		ASSERT_EQ(-1, ioctl(self->fd, variant->cmd, self->buf));
		ASSERT_EQ(EINVAL, errno);
	}
}

TEST_F(arg, that_is_no_pointer_faults)
{
	EXPECT_IOCTL_FAILS(EFAULT, variant->cmd, NULL);
	EXPECT_IOCTL_FAILS(EFAULT, variant->cmd, (void *)-4096L);
}

TEST_F(arg, that_runs_off_its_memory_faults)
{
	unsigned char *p = self->buf + ROOM - 12;

	set_size(p, variant->size);
	EXPECT_IOCTL_FAILS(EFAULT, variant->cmd, p);
}

TEST_F(arg, that_can_not_be_written_faults)
{
	set_size(self->buf, variant->size);
	ASSERT_EQ(0, mprotect(self->buf, self->page, PROT_READ));
	EXPECT_IOCTL_FAILS(EFAULT, variant->cmd, self->buf);
}

TEST_F(arg, need_not_be_aligned)
{
	set_size(self->buf + 1, variant->size);
	EXPECT_EQ(0, ioctl(self->fd, variant->cmd, self->buf + 1));
	EXPECT_EQ(variant->size, get_size(self->buf + 1));
}

TEST_F(arg, goes_with_the_number_as_it_is)
{
	set_size(self->buf, variant->size);
	/* The same number with a size, a direction or another magic. */
	EXPECT_IOCTL_FAILS(ENOTTY, variant->cmd | 8U << _IOC_SIZESHIFT, self->buf);
	EXPECT_IOCTL_FAILS(ENOTTY, variant->cmd | _IOC_READ << _IOC_DIRSHIFT, self->buf);
	EXPECT_IOCTL_FAILS(ENOTTY, variant->cmd ^ 1U << _IOC_TYPESHIFT, self->buf);
}

TEST(unknown_commands_are_not_ours)
{
	int fd = t_open(T_QEMU, O_RDONLY);

	ASSERT_GE(fd, 0);
	for (int nr = 5; nr < 256; nr++) {
		errno = 0;
		ASSERT_EQ(-1, ioctl(fd, _IO(VMCLOCK_IOC_MAGIC, nr), NULL));
		ASSERT_EQ(ENOTTY, errno);
	}
	close(fd);
}

TEST_HARNESS_MAIN
