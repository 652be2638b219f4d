// SPDX-License-Identifier: GPL-2.0-only
/*
 * With another driver, as the in-tree one, in possession of a device and of a
 * name. Loads and unloads modules: run it alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define MODULE "/vmclock.ko"
#define RIVAL "/selftests/rival.ko"

FIXTURE(rival) {
	char held[64];
};

FIXTURE_SETUP(rival)
{
	ASSERT_TRUE(t_platform_device(8, self->held, sizeof(self->held)));
	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(RIVAL, ""));
	ASSERT_EQ(0, t_load(MODULE, ""));
}

FIXTURE_TEARDOWN(rival)
{
	EXPECT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(0, t_unload("rival"));
	EXPECT_EQ(0, t_load(MODULE, ""));
}

TEST_F(rival, keeps_its_device_and_we_say_so)
{
	char line[256] = "", text[128];

	EXPECT_LT(t_open(8, O_RDONLY), 0);
	snprintf(text, sizeof(text), "vmclock: %s is held by driver vmclock;", self->held);
	EXPECT_LE(1, t_count_in_log(text, "README.md", line, sizeof(line)));
}

TEST_F(rival, keeps_its_name_and_we_take_the_next)
{
	char path[64] = "", line[256];

	ASSERT_TRUE(t_node(T_QEMU, path, sizeof(path)));
	EXPECT_STREQ("/dev/vmclock", path);
	ASSERT_TRUE(t_node(T_KNOB, path, sizeof(path)));
	EXPECT_STREQ("/dev/vmclock2", path);
	EXPECT_LE(1, t_count_in_log("vmclock: /dev/vmclock1 belongs to another driver", "",
				    line, sizeof(line)));
}

TEST(mode_of_the_nodes_is_a_parameter)
{
	struct stat st;

	ASSERT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(-EINVAL, t_load(MODULE, "mode=01444"));
	ASSERT_EQ(0, t_load(MODULE, "mode=0400"));
	EXPECT_EQ(0, stat("/dev/vmclock", &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(MODULE, ""));
}

TEST_HARNESS_MAIN
