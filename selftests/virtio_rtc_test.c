// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's virtio_rtc driver with vmclock-hostd's clock device: its PTP
 * clocks agree with the page that the same writer feeds through the same
 * front-end. What only the host can do or see it is asked for: see vm/rtc.py.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_pci.h>

#include <vmclk.h>
#include <vmclk-stamp.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define FD_TO_CLOCKID(fd) ((~(clockid_t)(fd) << 3) | 3)
#define NSEC		1000000000LL
#define READS		1500
#define PTP_MAX		16
#define PATIENCE_S	60
/* For one test, on a slow machine; the harness has 30. */
#define TEST_S		240
/* Where QEMU's virtio devices have their registers, from its start on. */
#define QEMU_BAR	"4"

enum { UTC, TAI, MONOTONIC, CLOCKS };

static const char *const clock_names[CLOCKS] = {
	"Virtio PTP type 0/variant 0",
	"Virtio PTP type 1/variant 0",
	"Virtio PTP type 2/variant 0",
};

/* How many PTP clocks have that name; the last one's number goes to @index. */
static int find_clock(const char *want, int *index)
{
	char path[64], name[64];
	int count = 0;

	for (int i = 0; i < PTP_MAX; i++) {
		snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/clock_name", i);
		if (!t_read_line(path, name, sizeof(name)) || strcmp(name, want))
			continue;
		*index = i;
		count++;
	}
	return count;
}

static int open_clock(int which)
{
	char path[32];
	int index;

	if (find_clock(clock_names[which], &index) != 1)
		return -1;
	snprintf(path, sizeof(path), "/dev/ptp%d", index);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int count_clocks(void)
{
	int count = 0, index;

	for (int i = 0; i < CLOCKS; i++)
		count += find_clock(clock_names[i], &index);
	return count;
}

/* What the page says now, in TAI or UTC: ns. */
struct window {
	int64_t earliest, latest;
};

static int64_t to_ns(struct vmclk_time t)
{
	return t.sec * NSEC + t.nsec;
}

static int read_page(const struct vmclk *clk, int which, struct window *w)
{
	struct vmclk_stamp stamp;
	int err;

	/* On a busy host an update may take longer than a reader waits. */
	do {
		err = vmclk_now(clk, &stamp);
	} while (err == -VMCLK_EBUSY);
	if (!err)
		err = which == UTC ? vmclk_to_utc(&stamp, &stamp) : vmclk_to_tai(&stamp, &stamp);
	*w = (struct window){ to_ns(stamp.earliest), to_ns(stamp.latest) };
	return err;
}

FIXTURE(clocks) {
	struct vmclk *clk;
	int fds[CLOCKS];
};

FIXTURE_SETUP(clocks)
{
	ASSERT_EQ(0, vmclk_open("/dev/vmclock", &self->clk));
	for (int i = 0; i < CLOCKS; i++) {
		self->fds[i] = open_clock(i);
		ASSERT_GE(self->fds[i], 0) TH_LOG("no clock %s", clock_names[i]);
	}
}

FIXTURE_TEARDOWN(clocks)
{
	for (int i = 0; i < CLOCKS; i++)
		close(self->fds[i]);
	vmclk_close(self->clk);
}

/* One reading between two of the page's. */
struct sample {
	struct window before, after;
	int64_t ptp;
};

static bool take(const struct vmclk *clk, int fd, int which, struct sample *s)
{
	struct timespec ts;

	if (read_page(clk, which, &s->before) || clock_gettime(FD_TO_CLOCKID(fd), &ts) ||
	    read_page(clk, which, &s->after))
		return false;
	s->ptp = ts.tv_sec * NSEC + ts.tv_nsec;
	return true;
}

/* Counts the readings that are outside what the page allows; -1 if one failed. */
static int count_outside(const struct vmclk *clk, int fd, int which)
{
	int64_t widest = 0, last = 0;
	int outside = 0;

	for (int i = 0; i < READS; i++) {
		struct sample s;

		if (!take(clk, fd, which, &s))
			return -1;
		outside += s.ptp < s.before.earliest || s.ptp > s.after.latest || s.ptp < last;
		if (s.after.latest - s.after.earliest > widest)
			widest = s.after.latest - s.after.earliest;
		last = s.ptp;
	}
	ksft_print_msg("%s: %d reads, %d outside of the page's bound, which is at most %lld ns wide\n",
		       clock_names[which], READS, outside, (long long)widest);
	return outside;
}

TEST_F(clocks, there_are_three)
{
	EXPECT_EQ(CLOCKS, count_clocks());
}

TEST_F_TIMEOUT(clocks, utc_is_within_the_bound_of_the_page, TEST_S)
{
	EXPECT_EQ(0, count_outside(self->clk, self->fds[UTC], UTC));
}

TEST_F_TIMEOUT(clocks, tai_is_within_the_bound_of_the_page, TEST_S)
{
	EXPECT_EQ(0, count_outside(self->clk, self->fds[TAI], TAI));
}

/*
 * Its epoch is its own. Each reading says that it is between two distances from
 * TAI; one distance must fit all.
 */
TEST_F_TIMEOUT(clocks, monotonic_keeps_its_distance_from_the_page, TEST_S)
{
	int64_t least = INT64_MIN, most = INT64_MAX, last = 0;
	struct sample s;

	for (int i = 0; i < READS; i++) {
		ASSERT_TRUE(take(self->clk, self->fds[MONOTONIC], MONOTONIC, &s));
		EXPECT_LE(last, s.ptp);
		last = s.ptp;
		if (s.before.earliest - s.ptp > least)
			least = s.before.earliest - s.ptp;
		if (s.after.latest - s.ptp < most)
			most = s.after.latest - s.ptp;
	}
	ksft_print_msg("%s: %d reads, distance known to %lld ns\n", clock_names[MONOTONIC],
		       READS, (long long)(most - least));
	EXPECT_LE(least, most);
}

/* Reads all clocks now and then until it is killed. */
static pid_t start_reading(const int *fds)
{
	struct timespec ts;
	pid_t pid = fork();

	while (!pid) {
		for (int i = 0; i < CLOCKS; i++)
			if (clock_gettime(FD_TO_CLOCKID(fds[i]), &ts))
				_exit(1);
		usleep(5000);
	}
	return pid;
}

/* Where the driver has put the used ring of the request queue; 0 if it is not known. */
static uint64_t used_ring(void)
{
	volatile struct virtio_pci_common_cfg *cfg;
	uint64_t address = 0;
	char path[64];
	int fd, index;

	if (find_clock(clock_names[UTC], &index) != 1)
		return 0;
	snprintf(path, sizeof(path), "/sys/class/ptp/ptp%d/device/../resource" QEMU_BAR, index);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cfg = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (cfg == MAP_FAILED)
		return 0;
	cfg->queue_select = 0;
	if (cfg->num_queues == 2 && cfg->queue_enable == 1)
		address = (uint64_t)cfg->queue_used_hi << 32 | cfg->queue_used_lo;
	munmap((void *)cfg, 4096);
	return address;
}

/* QEMU's dirty-bitmap mode, while the guest uses the device. */
TEST_F_TIMEOUT(clocks, what_is_written_to_the_guest_is_in_the_dirty_log, TEST_S)
{
	pid_t reader = start_reading(self->fds);
	char command[64], answer[256] = "";
	uint64_t used = used_ring();
	int status;

	ASSERT_GT(reader, 0);
	EXPECT_NE(0, used);
	snprintf(command, sizeof(command), "log %#llx\n", (unsigned long long)used);
	EXPECT_TRUE(t_ask(command, answer, sizeof(answer)));
	EXPECT_STREQ("ok", answer);
	EXPECT_EQ(0, waitpid(reader, &status, WNOHANG));
	kill(reader, SIGKILL);
	waitpid(reader, &status, 0);
	EXPECT_EQ(0, count_outside(self->clk, self->fds[UTC], UTC));
}

FIXTURE(device) {
	int unused;
};

FIXTURE_SETUP(device)
{
}

FIXTURE_TEARDOWN(device)
{
}

TEST_F_TIMEOUT(device, is_not_migrated_by_qemu, TEST_S)
{
	char answer[256] = "";

	EXPECT_TRUE(t_ask("migrate\n", answer, sizeof(answer)));
	EXPECT_STREQ("ok", answer);
}

/* Waits until the library's verdict on the page is @want; gives the last one. */
static int wait_for_page(int want)
{
	struct vmclk_stamp stamp;
	struct vmclk *clk;
	int err = vmclk_open("/dev/vmclock", &clk);

	if (err)
		return err;
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		err = vmclk_now(clk, &stamp);
		if (err == want)
			break;
		usleep(10000);
	}
	vmclk_close(clk);
	return err;
}

static int wait_for_clocks(int count)
{
	for (int i = 0; i < PATIENCE_S * 100 && count_clocks() != count; i++)
		usleep(10000);
	return count_clocks();
}

TEST_F_TIMEOUT(device, takes_clocks_and_time_with_it_and_brings_them_back, TEST_S)
{
	char answer[256] = "";
	struct vmclk *clk;
	int fd;

	EXPECT_TRUE(t_ask("unplug\n", answer, sizeof(answer)));
	EXPECT_STREQ("ok", answer);
	EXPECT_EQ(0, wait_for_clocks(0));
	EXPECT_EQ(-VMCLK_ENOTIME, wait_for_page(-VMCLK_ENOTIME));

	EXPECT_TRUE(t_ask("plug\n", answer, sizeof(answer)));
	EXPECT_STREQ("ok", answer);
	ASSERT_EQ(CLOCKS, wait_for_clocks(CLOCKS));
	ASSERT_EQ(0, wait_for_page(0));
	ASSERT_EQ(0, vmclk_open("/dev/vmclock", &clk));
	fd = open_clock(TAI);
	EXPECT_EQ(0, count_outside(clk, fd, TAI));
	close(fd);
	vmclk_close(clk);
}

TEST_HARNESS_MAIN
