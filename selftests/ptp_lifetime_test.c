// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PTP clock's files outlive the device, and the module: what is left of them
 * must not reach either. And the module's parameter. Run it alone: it loads and
 * unloads the module.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define MODULE "/vmclock.ko"
#define FD_TO_CLOCKID(fd) ((~(clockid_t)(fd) << 3) | 3)
#define NSEC 1000000000LL
#define READERS 4
#define ROUNDS 20

FIXTURE(ptp) {
	char device[64];
	int ptp;
	int index;
};

FIXTURE_SETUP(ptp)
{
	ASSERT_TRUE(t_platform_device(T_KNOB, self->device, sizeof(self->device)));
	self->ptp = t_open_ptp(T_KNOB, &self->index, O_RDONLY);
	ASSERT_GE(self->ptp, 0);
}

FIXTURE_TEARDOWN(ptp)
{
	close(self->ptp);
}

static int extended(int ptp)
{
	struct ptp_sys_offset_extended arg = { .n_samples = 5 };

	return ioctl(ptp, PTP_SYS_OFFSET_EXTENDED, &arg) ? errno : 0;
}

static int precise(int ptp)
{
	struct ptp_sys_offset_precise arg = { 0 };

	return ioctl(ptp, PTP_SYS_OFFSET_PRECISE, &arg) ? errno : 0;
}

static int gettime(int ptp)
{
	struct timespec ts;

	return clock_gettime(FD_TO_CLOCKID(ptp), &ts) ? errno : 0;
}

static int bind_device(const char *device)
{
	return t_write_file(T_DRIVER_DIR "/bind", device);
}

static int unbind_device(const char *device)
{
	return t_write_file(T_DRIVER_DIR "/unbind", device);
}

TEST_F(ptp, files_say_that_the_device_is_gone)
{
	ASSERT_EQ(0, unbind_device(self->device));
	EXPECT_EQ(ENODEV, extended(self->ptp));
	EXPECT_EQ(ENODEV, precise(self->ptp));
	EXPECT_EQ(ENODEV, gettime(self->ptp));
	ASSERT_EQ(0, bind_device(self->device));
	/* There is a new clock, and the old file is none of it. */
	EXPECT_EQ(ENODEV, extended(self->ptp));
}

TEST_F(ptp, files_do_not_hold_the_module_and_do_not_need_it)
{
	ASSERT_EQ(0, extended(self->ptp));
	ASSERT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(ENODEV, extended(self->ptp));
	EXPECT_EQ(ENODEV, precise(self->ptp));
	EXPECT_EQ(ENODEV, gettime(self->ptp));
	ASSERT_EQ(0, t_load(MODULE, ""));
}

struct reader {
	pthread_t thread;
	int fd;
	long good;
	int error;
};

static int (*const calls[])(int) = { extended, precise, gettime };

static void *read_until_gone(void *arg)
{
	struct reader *r = arg;

	for (;;) {
		for (int i = 0; i < 3; i++) {
			r->error = calls[i](r->fd);
			if (r->error)
				return NULL;
			r->good++;
		}
	}
}

/* Return: the number of readers that did not read, or did not end with ENODEV. */
static int round_of_removal(const char *device)
{
	struct reader readers[READERS] = { 0 };
	int failures = 0;

	for (int i = 0; i < READERS; i++) {
		readers[i].fd = t_open_ptp(T_KNOB, NULL, O_RDONLY);
		pthread_create(&readers[i].thread, NULL, read_until_gone, &readers[i]);
	}
	for (int i = 0; i < READERS; i++)
		while (!__atomic_load_n(&readers[i].good, __ATOMIC_RELAXED) &&
		       !__atomic_load_n(&readers[i].error, __ATOMIC_RELAXED))
			usleep(1000);
	failures += !!unbind_device(device);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		failures += !readers[i].good || readers[i].error != ENODEV;
		close(readers[i].fd);
	}
	return failures + !!bind_device(device);
}

TEST_F_TIMEOUT(ptp, readers_at_work_see_the_device_go, 300)
{
	for (int i = 0; i < ROUNDS; i++)
		ASSERT_EQ(0, round_of_removal(self->device));
}

TEST_F(ptp, removal_does_not_wait_for_a_page_that_stays_odd)
{
	int status = -1;
	pid_t pid;

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	pid = fork();
	if (!pid) {
		int err;

		/* Asleep or not when the device goes: both answers are right. */
		do {
			err = extended(self->ptp);
		} while (err == ETIMEDOUT);
		_exit(err == ENODEV ? 0 : 1);
	}
	usleep(50000);
	EXPECT_EQ(0, unbind_device(self->device));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(2)));
	EXPECT_EQ(0, bind_device(self->device));
}

/* The first /dev/ptpN that was not there before. */
static int open_virtual(int index)
{
	char path[64], name[64], want[32];
	int fd = -1;

	snprintf(want, sizeof(want), "ptp%d_virt", index);
	for (int i = 0; i < 64 && fd < 0; i++) {
		snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", i);
		if (!t_read_line(path, name, sizeof(name)) || strcmp(name, want))
			continue;
		snprintf(path, sizeof(path), "/dev/ptp%d", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

TEST_F(ptp, virtual_clocks_of_it_tell_no_time)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/n_vclocks", self->index);
	if (access(path, F_OK))
		SKIP(return, "this kernel has no virtual clocks");
	ASSERT_EQ(0, t_write_file(path, "1"));
	fd = open_virtual(self->index);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(EOPNOTSUPP, extended(fd));
	EXPECT_EQ(EOPNOTSUPP, gettime(fd));
	/* And the clock itself goes on. */
	EXPECT_EQ(0, extended(self->ptp));
	/* They go with it. */
	ASSERT_EQ(0, unbind_device(self->device));
	EXPECT_EQ(ENODEV, extended(fd));
	close(fd);
	ASSERT_EQ(0, bind_device(self->device));
}

FIXTURE(tai) {
	struct vmclock_page good;
	struct vmclock_info info;
	int fd;
	int ptp;
};

FIXTURE_SETUP(tai)
{
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->good, sizeof(self->good)));
	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(MODULE, "ptp_timescale=tai"));
	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->info.size = sizeof(self->info);
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &self->info));
	self->ptp = t_open_ptp(T_KNOB, NULL, O_RDONLY);
	ASSERT_GE(self->ptp, 0);
}

FIXTURE_TEARDOWN(tai)
{
	t_poke(T_KNOB, 0, &self->good, sizeof(self->good));
	close(self->ptp);
	close(self->fd);
	EXPECT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(0, t_load(MODULE, ""));
}

static int64_t snapshot_ns(int fd)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	if (ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) || !(snap.valid & VMCLOCK_SNAPSHOT_TIME))
		return -1;
	return (int64_t)snap.time_sec * NSEC + snap.time_nsec;
}

static int64_t ptp_ns(int ptp)
{
	struct timespec ts;

	return clock_gettime(FD_TO_CLOCKID(ptp), &ts) ? -errno : ts.tv_sec * NSEC + ts.tv_nsec;
}

#define EXPECT_TIME(offset) do {						\
	int64_t t_before = snapshot_ns(self->fd) + (offset) * NSEC;		\
	int64_t t_ptp = ptp_ns(self->ptp);					\
	ASSERT_NE(-1, snapshot_ns(self->fd));					\
	EXPECT_LT(t_before, t_ptp);						\
	EXPECT_LT(t_ptp, snapshot_ns(self->fd) + (offset) * NSEC);		\
} while (0)

TEST_F(tai, clock_says_so)
{
	char path[64], name[64] = "";

	EXPECT_EQ(VMCLOCK_PTP_TAI, self->info.ptp_timescale);
	snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", self->info.ptp_index);
	EXPECT_TRUE(t_read_line(path, name, sizeof(name)));
	EXPECT_STREQ("vmclock TAI", name);
}

TEST_F(tai, clock_tells_tai_of_a_tai_page)
{
	uint64_t flags = le64toh(self->good.flags);

	EXPECT_TIME(0);
	/* Neither the offset nor a leap second matters to it. */
	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	t_poke_field(T_KNOB, leap_indicator, VMCLOCK_PAGE_LEAP_POS);
	EXPECT_TIME(0);
}

TEST_F(tai, clock_tells_tai_of_a_utc_page)
{
	uint64_t flags = le64toh(self->good.flags);

	t_poke_field(T_KNOB, time_type, VMCLOCK_PAGE_TIME_UTC);
	EXPECT_TIME(37);
	t_poke_field(T_KNOB, leap_indicator, VMCLOCK_PAGE_LEAP_POS);
	EXPECT_EQ(-ENODATA, ptp_ns(self->ptp));
	t_poke_field(T_KNOB, leap_indicator, VMCLOCK_PAGE_LEAP_NONE);
	t_poke_field(T_KNOB, flags, htole64(flags & ~VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	EXPECT_EQ(-ENODATA, ptp_ns(self->ptp));
}

TEST(another_scale_is_refused)
{
	char line[256];

	ASSERT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(-EINVAL, t_load(MODULE, "ptp_timescale=gps"));
	EXPECT_EQ(1, t_count_in_log("vmclock: ptp_timescale is neither tai nor utc", "",
				    line, sizeof(line)));
	EXPECT_EQ(0, t_load(MODULE, "ptp_timescale=utc"));
	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(MODULE, ""));
}

/* As with the driver that these kernels have themselves. */
TEST(default_scale_is_that_of_the_kernel)
{
	char scale[8], release[64];

	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(MODULE, ""));
	ASSERT_TRUE(t_read_line("/sys/module/vmclock/parameters/ptp_timescale", scale,
				sizeof(scale)));
	ASSERT_TRUE(t_read_line("/proc/sys/kernel/osrelease", release, sizeof(release)));
	EXPECT_STREQ(atoi(release) >= 7 ? "tai" : "utc", scale);
}

TEST_HARNESS_MAIN
