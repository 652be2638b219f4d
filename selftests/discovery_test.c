// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages the driver binds, which it refuses and what it says then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

/* The first digit of where the pages are, 0x1c000000 or 0x5c000000. */
#ifdef T_ARM64
#define RAM "0x5"
#else
#define RAM "0x1"
#endif

/* Depends on the kernel. */
#define URING (VMCLOCK_F_URING_SNAPSHOT | VMCLOCK_F_URING_WAIT)

static int get_info(int page, struct vmclock_info *info)
{
	int fd = t_open(page, O_RDONLY);
	int ret;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	ret = ioctl(fd, VMCLOCK_IOC_INFO, info);
	close(fd);
	return ret;
}

TEST(qemu_device_is_the_first)
{
	char path[64] = "";

	ASSERT_TRUE(t_node(T_QEMU, path, sizeof(path)));
	EXPECT_STREQ("/dev/vmclock", path);
}

TEST(further_devices_are_numbered)
{
	char path[64] = "";

	ASSERT_TRUE(t_node(T_KNOB, path, sizeof(path)));
	EXPECT_STREQ("/dev/vmclock1", path);
}

TEST(everybody_may_read_nobody_may_write)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/vmclock", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0444, st.st_mode & 07777);
}

TEST(info_tells_qemu_device)
{
	struct vmclock_info info;
	char name[64];

	ASSERT_EQ(0, get_info(T_QEMU, &info));
	ASSERT_TRUE(t_platform_device(T_QEMU, name, sizeof(name)));
	EXPECT_STREQ(name, info.name);
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(VMCLOCK_F_MMAP | VMCLOCK_F_SNAPSHOT | VMCLOCK_F_EVENTS, info.features & ~URING);
	EXPECT_EQ(0x1000, info.region_size);
	EXPECT_EQ(getpagesize(), info.map_size);
	EXPECT_EQ(0, info.index);
	EXPECT_LE(0, info.ptp_index);
	EXPECT_EQ(T_BUS, info.bus);
	EXPECT_EQ(VMCLOCK_PAGE_COUNTER_NONE, info.counter_id);
	EXPECT_EQ(1, info.counter_usable);
}

TEST(info_tells_a_page_with_a_counter)
{
	struct vmclock_info info;

	ASSERT_EQ(0, get_info(T_KNOB, &info));
	EXPECT_EQ(1, info.index);
	EXPECT_EQ(T_COUNTER, info.counter_id);
}

TEST(a_short_page_is_found_by_its_compatible_id)
{
	struct vmclock_info info;
	char name[64];

	ASSERT_EQ(0, get_info(8, &info));
	ASSERT_TRUE(t_platform_device(8, name, sizeof(name)));
	EXPECT_STREQ(name, info.name);
	EXPECT_EQ(0x68, info.region_size);
}

TEST(a_region_smaller_than_a_page_is_served_without_mmap)
{
	struct vmclock_info info;

	ASSERT_EQ(0, get_info(9, &info));
	EXPECT_EQ(0x80, info.region_size);
	EXPECT_EQ(0, info.map_size);
	EXPECT_EQ(VMCLOCK_F_SNAPSHOT | VMCLOCK_F_EVENTS, info.features & ~URING);
}

FIXTURE(refused) {
	char device[64];
};

FIXTURE_VARIANT(refused) {
	int page;
	const char *says;
};

#define REFUSED(name, n, text) \
	FIXTURE_VARIANT_ADD(refused, name) { .page = n, .says = text }

REFUSED(wrong_magic, 1, "page refused: magic is 0x21212121");
REFUSED(unknown_version, 2, "page refused: version is 0x2");
REFUSED(size_beyond_resource, 3, "page refused: size is more than the resource has: 0x2000");
REFUSED(size_too_small, 4, "page refused: size is below the minimum: 0x10");
REFUSED(foreign_counter, 5, "page refused: counter is not one of this architecture: 0x7");
REFUSED(shift_out_of_range, 6, "page refused: period shift is above 127: 0x80");
REFUSED(resource_too_small, 7, "page refused: resource [mem " RAM "c007000-" RAM "c00700f");
REFUSED(ram_in_use, 10,
	"page refused: resource [mem " RAM "0000000-" RAM "0000fff");

FIXTURE_SETUP(refused)
{
	ASSERT_TRUE(t_platform_device(variant->page, self->device, sizeof(self->device)));
}

FIXTURE_TEARDOWN(refused)
{
}

TEST_F(refused, is_not_bound)
{
	char path[128];

	EXPECT_FALSE(t_node(variant->page, path, sizeof(path)));
	snprintf(path, sizeof(path), T_DRIVER_DIR "/%s", self->device);
	EXPECT_NE(0, access(path, F_OK));
}

TEST_F(refused, says_why_in_one_line)
{
	char name[80], line[256] = "";

	/* With its colon and driver: ":01" must not match ":010". */
	snprintf(name, sizeof(name), "vmclock-cdev %s: ", self->device);
	EXPECT_EQ(1, t_count_in_log(name, "", line, sizeof(line)))
		TH_LOG("last line: %s", line);
	EXPECT_EQ(1, t_count_in_log(name, variant->says, line, sizeof(line)));
}

TEST_HARNESS_MAIN
