// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left in the hands of programs when the device goes: nothing that
 * reaches freed memory, and nothing that looks like a good clock.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmclk.h>

#include "kselftest_harness.h"
#include "helpers.h"

FIXTURE(gone) {
	int fd;
	size_t len;
	const volatile struct vmclock_page *touched;	/* before removal */
	const volatile struct vmclock_page *untouched;
	struct vmclk *clk;
	char device[64];
	char path[64];
	uint32_t seq;
	uint64_t marker;
};

FIXTURE_SETUP(gone)
{
	self->len = getpagesize();
	ASSERT_TRUE(t_platform_device(T_KNOB, self->device, sizeof(self->device)));
	ASSERT_TRUE(t_node(T_KNOB, self->path, sizeof(self->path)));
	self->fd = open(self->path, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->touched = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->touched);
	self->untouched = mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->untouched);
	ASSERT_EQ(0, vmclk_open(self->path, &self->clk));

	self->seq = le32toh(self->touched->seq_count);
	self->marker = le64toh(self->touched->disruption_marker);
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
}

FIXTURE_TEARDOWN(gone)
{
	t_write_file(T_DRIVER_DIR "/bind", self->device);
	vmclk_close(self->clk);
	munmap((void *)self->touched, self->len);
	munmap((void *)self->untouched, self->len);
	close(self->fd);
}

TEST_F(gone, system_calls_say_so)
{
	struct vmclock_info info = { .size = sizeof(info) };
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	char buf[16];

	EXPECT_EQ(-1, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VMCLOCK_IOC_SNAPSHOT, &snap));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, read(self->fd, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pread(self->fd, buf, sizeof(buf), 0x1000));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->len, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(gone, node_is_removed)
{
	EXPECT_EQ(-1, open(self->path, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(gone, mapping_shows_the_tombstone)
{
	const volatile struct vmclock_page *pages[] = { self->touched, self->untouched };

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(VMCLOCK_PAGE_MAGIC_GONE, le32toh(pages[i]->magic));
		EXPECT_EQ(VMCLOCK_PAGE_VERSION, le16toh(pages[i]->version));
		EXPECT_EQ(VMCLOCK_PAGE_COUNTER_NONE, pages[i]->counter_id);
		EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, pages[i]->clock_status);
		EXPECT_EQ(self->seq + 0x80000000U, le32toh(pages[i]->seq_count));
		EXPECT_NE(self->marker, le64toh(pages[i]->disruption_marker));
		EXPECT_EQ(0, pages[i]->flags);
		EXPECT_EQ(0, pages[i]->time_sec);
	}
}

TEST_F(gone, page_is_no_longer_reached)
{
	ASSERT_TRUE(t_poke_field(T_KNOB, smear_hint, 0x5a));
	EXPECT_NE(0x5a, self->touched->smear_hint);
	EXPECT_NE(0x5a, self->untouched->smear_hint);
	ASSERT_TRUE(t_poke_field(T_KNOB, smear_hint, 0));
}

TEST_F(gone, library_says_so)
{
	struct vmclk_stamp stamp;

	EXPECT_EQ(-VMCLK_EGONE, vmclk_now(self->clk, &stamp));
	EXPECT_EQ(ENODEV, vmclk_errno(-VMCLK_EGONE));
}

TEST_F(gone, child_inherits_the_tombstone)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(self->untouched->clock_status);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, WEXITSTATUS(status));
}

TEST_F(gone, new_device_takes_the_name_and_not_the_old_files)
{
	struct vmclock_info info = { .size = sizeof(info) };
	struct vmclock_info again = { .size = sizeof(again) };
	int fd;

	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", self->device));
	fd = open(self->path, O_RDONLY);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, ioctl(fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_STREQ(self->device, info.name);
	close(fd);

	EXPECT_EQ(-1, ioctl(self->fd, VMCLOCK_IOC_INFO, &again));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, self->touched->clock_status);
}

TEST_F(gone, module_stays_while_files_are_open)
{
	EXPECT_EQ(-1, syscall(SYS_delete_module, "vmclock", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
}

TEST(removal_waits_for_a_sleeping_reader)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	char device[64];
	int fd = t_open(T_KNOB, O_RDONLY), status = -1;
	pid_t pid;

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	pid = fork();
	if (!pid) {
		/* Asleep or not when the device goes: both answers are right. */
		while (ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) && errno == ETIMEDOUT)
			;
		_exit(errno == ENODEV ? 0 : 1);
	}
	usleep(50000);
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(2)));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
	close(fd);
}

TEST(a_page_can_be_bound_while_odd)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	char device[64];
	int fd;

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(4)));

	fd = t_open(T_KNOB, O_RDONLY);
	EXPECT_EQ(0, ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap));
	close(fd);
}

/* The driver's first look at the page comes when somebody waits for it already. */
TEST(the_end_of_a_first_update_is_told)
{
	struct pollfd p = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };
	char device[64];
	int fd;

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));

	fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_EQ(0, t_set_eventfd(fd, VMCLOCK_EVENT_UPDATE, p.fd));
	EXPECT_EQ(0, poll(&p, 1, 100));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(4)));
	EXPECT_EQ(1, poll(&p, 1, 20000));
	close(fd);
	close(p.fd);
}

TEST_HARNESS_MAIN
