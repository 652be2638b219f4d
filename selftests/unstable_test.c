// SPDX-License-Identifier: GPL-2.0-only
/*
 * On a machine whose kernel considers the TSC unstable: no time, from nobody.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vmclk.h>

#include "kselftest_harness.h"
#include "helpers.h"

FIXTURE(unstable) {
	char path[64];
	int fd;
};

FIXTURE_SETUP(unstable)
{
	ASSERT_TRUE(t_node(T_KNOB, self->path, sizeof(self->path)));
	self->fd = open(self->path, O_RDONLY);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(unstable)
{
	close(self->fd);
}

TEST_F(unstable, info_says_so)
{
	struct vmclock_info info = { .size = sizeof(info) };

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(VMCLOCK_PAGE_COUNTER_X86_TSC, info.counter_id);
	EXPECT_EQ(0, info.counter_usable);
	EXPECT_EQ(-1, info.ptp_index);
	EXPECT_EQ(VMCLOCK_PTP_NONE, info.ptp_timescale);
}

TEST_F(unstable, snapshot_has_the_page_but_no_time)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_SNAPSHOT, &snap));
	EXPECT_EQ(0, snap.valid);
	EXPECT_EQ(0, snap.counter);
	EXPECT_EQ(0, snap.time_sec);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_SYNCHRONIZED, snap.page.clock_status);
	EXPECT_LT(0, snap.before.boottime_ns);
}

TEST_F(unstable, library_refuses_the_counter)
{
	struct vmclk_stamp stamp;
	struct vmclk *clk;

	ASSERT_EQ(0, vmclk_open(self->path, &clk));
	EXPECT_EQ(-VMCLK_ECOUNTER, vmclk_now(clk, &stamp));
	EXPECT_EQ(VMCLK_WRONG_COUNTER, stamp.reason);
	EXPECT_EQ(0x1111, stamp.disruption_marker);
	vmclk_close(clk);
}

TEST_F(unstable, there_is_no_ptp_clock)
{
	char name[64], path[64];

	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", i);
		EXPECT_FALSE(t_read_line(path, name, sizeof(name)) &&
			     !strncmp(name, "vmclock", 7));
	}
}

TEST_F(unstable, log_warns)
{
	char device[64], line[256];

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	EXPECT_EQ(1, t_count_in_log(device, "considers the counter unstable", line, sizeof(line)));
}

TEST_HARNESS_MAIN
