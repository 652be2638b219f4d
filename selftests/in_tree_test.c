// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own driver and ours, one after the other on the same page: they
 * tell the same, and take over from each other while files are open.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "uses.h"

#define IN_TREE "/selftests/ptp_vmclock.ko"
#define IN_TREE_DIR "/sys/bus/platform/drivers/vmclock"
#define NSEC 1000000000LL
#define ROUNDS 5
#define HAND_OVERS 20

FIXTURE(in_tree) {
	char device[64];
	char override[256];
	struct vmclock_page page;
};

/* Which driver may have a page; "\n": any. Return: 0 or a negative errno. */
static int reserve(int page, const char *driver)
{
	char path[256], device[64];

	if (!t_platform_device(page, device, sizeof(device)))
		return -ENOENT;
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/driver_override", device);
	return t_write_file(path, driver);
}

/* From one driver to the other. Return: 0 or a negative errno. */
static int hand_over(const char *device, const char *override, const char *from, const char *to)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/unbind", from);
	t_write_file(path, device);
	snprintf(path, sizeof(path), "%s/bind", to);
	return t_write_file(override, strrchr(to, '/') + 1) ?: t_write_file(path, device);
}

#define GIVE() hand_over(self->device, self->override, T_DRIVER_DIR, IN_TREE_DIR)
#define TAKE_BACK() hand_over(self->device, self->override, IN_TREE_DIR, T_DRIVER_DIR)

/*
 * Pages that nobody has are not for it: it would call one vmclock0, and the next
 * one as one of ours is called, which the kernel complains of.
 */
FIXTURE_SETUP(in_tree)
{
	/* On the default scale, which is that of the other's clock. */
	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load("/vmclock.ko", ""));
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->page, sizeof(self->page)));
	for (int page = 0; page <= T_NOTIFIED; page++)
		ASSERT_EQ(0, reserve(page, "vmclock-cdev"));
	ASSERT_EQ(0, t_load(IN_TREE, ""));
	ASSERT_TRUE(t_platform_device(T_KNOB, self->device, sizeof(self->device)));
	snprintf(self->override, sizeof(self->override),
		 "/sys/bus/platform/devices/%s/driver_override", self->device);
}

FIXTURE_TEARDOWN(in_tree)
{
	/* Fails if it is ours again. */
	TAKE_BACK();
	EXPECT_EQ(0, t_unload("ptp_vmclock"));
	EXPECT_TRUE(t_poke(T_KNOB, 0, &self->page, sizeof(self->page)));
	for (int page = 0; page <= T_NOTIFIED; page++)
		EXPECT_EQ(0, reserve(page, "\n"));
}

/* The clock of whoever has the device. Return: a file descriptor, or -1. */
static int open_ptp(const char *device)
{
	char path[320];
	struct dirent *e;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/ptp", device);
	dir = opendir(path);
	while (dir && fd < 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* The device's time and the raw clock at one counter value. */
struct point {
	int64_t raw, device;
};

static bool pair(const char *device, struct point *p)
{
	struct ptp_sys_offset_precise arg = { 0 };
	int fd = open_ptp(device), err;

	err = ioctl(fd, PTP_SYS_OFFSET_PRECISE, &arg);
	close(fd);
	p->raw = arg.sys_monoraw.sec * NSEC + arg.sys_monoraw.nsec;
	p->device = arg.device.sec * NSEC + arg.device.nsec;
	return !err;
}

TEST_F(in_tree, clock_tells_what_ours_tells)
{
	struct point first, theirs, last;
	__int128 rise;

	ASSERT_TRUE(pair(self->device, &first));
	ASSERT_EQ(0, GIVE());
	ASSERT_TRUE(pair(self->device, &theirs));
	ASSERT_EQ(0, TAKE_BACK());
	ASSERT_TRUE(pair(self->device, &last));

	/* Both clocks run on the counter: a line, but for the ns of rounding. */
	EXPECT_LT(first.raw, theirs.raw);
	EXPECT_LT(theirs.raw, last.raw);
	rise = (__int128)(theirs.raw - first.raw) * (last.device - first.device) /
	       (last.raw - first.raw);
	EXPECT_LE(llabs((long long)(theirs.device - first.device - (int64_t)rise)), 10);
}

static ssize_t read_page(int fd, struct vmclock_page *page)
{
	memset(page, 0, sizeof(*page));
	return pread(fd, page, sizeof(*page), 0);
}

TEST_F(in_tree, node_shows_what_ours_shows)
{
	struct vmclock_page ours, theirs;
	int fd = t_open(T_KNOB, O_RDONLY);

	EXPECT_EQ(sizeof(ours), read_page(fd, &ours));
	close(fd);
	ASSERT_EQ(0, GIVE());
	/* Its only one; that it is this device's does not show. */
	fd = open("/dev/vmclock0", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(sizeof(theirs), read_page(fd, &theirs));
	close(fd);
	EXPECT_EQ(0, memcmp(&ours, &theirs, sizeof(ours)));
}

TEST_F(in_tree, takes_over_from_open_files_and_mappings)
{
	struct vmclock_page *map;
	struct pollfd p = { .events = POLLIN | POLLPRI };
	struct vmclock_page page;
	struct point point;

	for (int round = 0; round < ROUNDS; round++) {
		p.fd = t_open(T_KNOB, O_RDONLY);
		map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, p.fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		EXPECT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(map->magic));
		ASSERT_EQ(0, GIVE());
		EXPECT_TRUE(pair(self->device, &point));
		EXPECT_EQ(VMCLOCK_PAGE_MAGIC_GONE, le32toh(map->magic));
		EXPECT_EQ(1, poll(&p, 1, 0));
		EXPECT_EQ(POLLHUP | POLLERR, p.revents);
		EXPECT_EQ(-1, read_page(p.fd, &page));
		EXPECT_EQ(ENODEV, errno);
		ASSERT_EQ(0, TAKE_BACK());
		/* What was ours once is not again. */
		EXPECT_EQ(-1, read_page(p.fd, &page));
		munmap(map, getpagesize());
		close(p.fd);
	}
}

/* The other's clock, read until it is gone. */
struct reader {
	pthread_t thread;
	int fd;
	atomic_int count;
	int error;
};

/* A page may be odd for long, if the host is slow in the middle of an update. */
static void *read_until_gone(void *arg)
{
	struct reader *reader = arg;

	do {
		struct ptp_sys_offset_precise precise = { 0 };

		reader->error = ioctl(reader->fd, PTP_SYS_OFFSET_PRECISE, &precise) ? errno : 0;
		atomic_fetch_add(&reader->count, 1);
	} while (!reader->error || reader->error == ETIMEDOUT);
	return NULL;
}

/*
 * Their mapping and their clock are in use when it goes back, and nothing else:
 * their files don't outlive the binding.
 */
static bool take_back_in_use(const char *device, const char *override)
{
	int fd = open("/dev/vmclock0", O_RDONLY | O_CLOEXEC), err;
	volatile struct vmclock_page *map = uses_map(fd);
	struct reader reader = { .fd = open_ptp(device) };
	bool good = map;

	if (pthread_create(&reader.thread, NULL, read_until_gone, &reader))
		return false;
	while (!atomic_load(&reader.count))
		usleep(100);
	err = hand_over(device, override, IN_TREE_DIR, T_DRIVER_DIR);
	pthread_join(reader.thread, NULL);
	good = good && le32toh(map->magic) == VMCLOCK_PAGE_MAGIC;
	uses_unmap(map);
	close(reader.fd);
	close(fd);
	return good && !err && reader.error == ENODEV;
}

TEST_F_TIMEOUT(in_tree, takes_over_and_gives_back_while_all_is_in_use, 600)
{
	volatile struct vmclock_page *maps[HAND_OVERS];
	int fds[HAND_OVERS];

	ASSERT_TRUE(uses_start(T_KNOB, HAND_OVERS));
	for (int i = 0; i < HAND_OVERS; i++) {
		fds[i] = t_open(T_KNOB, O_RDONLY);
		maps[i] = uses_map(fds[i]);
		ASSERT_NE(NULL, maps[i]);
		uses_begin();
		ASSERT_EQ(0, GIVE());
		uses_end();
		EXPECT_TRUE(uses_are_told(fds[i], maps[i]));
		EXPECT_EQ(-EWOULDBLOCK, t_unload("vmclock"));
		EXPECT_TRUE(take_back_in_use(self->device, self->override));
		EXPECT_TRUE(uses_are_told(fds[i], maps[i]));
	}
	EXPECT_EQ(0, uses_join());
	for (int i = 0; i < HAND_OVERS; i++) {
		uses_unmap(maps[i]);
		close(fds[i]);
	}
}

TEST_HARNESS_MAIN
