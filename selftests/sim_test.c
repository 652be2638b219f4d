// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulator: what it claims, what a process can feed it, and that none of
 * its faults is ever taken for a time. Loads and unloads it.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "simpage.h"
#include "vmclk-writer.h"

#define BOUND "maxerror_ns=1000000 maxerror_ppb=1000000"

/* No error, a time, and that true within its bound. */
static bool tells_time(int fd, struct vmclock_snapshot *snap)
{
	return !sim_take(fd, snap) && (snap->valid & VMCLOCK_SNAPSHOT_TIME) &&
	       (snap->valid & VMCLOCK_SNAPSHOT_CORRELATED) &&
	       sim_distance(snap) <= (int64_t)snap->maxerror_ns;
}

FIXTURE(sim) {
	int fd;
	struct vmclock_snapshot snap;
};

FIXTURE_SETUP(sim)
{
	ASSERT_EQ(0, t_load_with_utc());
	ASSERT_EQ(0, t_load(SIM_MODULE, BOUND));
	self->fd = sim_open_node();
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(sim)
{
	close(self->fd);
	EXPECT_EQ(0, t_unload("vmclock_sim"));
}

TEST(without_a_bound_there_is_no_time)
{
	struct vmclock_snapshot snap;
	int fd;

	ASSERT_EQ(0, t_load(SIM_MODULE, ""));
	fd = sim_open_node();
	ASSERT_EQ(0, sim_take(fd, &snap));
	EXPECT_EQ(VMCLOCK_SNAPSHOT_COUNTER | VMCLOCK_SNAPSHOT_CORRELATED, snap.valid);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNKNOWN, snap.page.clock_status);
	EXPECT_EQ(0, le64toh(snap.page.flags) & (VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID |
						 VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID));
	/* There is a line all the same, and it is the system's clock's. */
	EXPECT_LE(le64toh(snap.page.time_sec), snap.before.realtime_ns / NSEC);
	EXPECT_GE(le64toh(snap.page.time_sec) + 20, snap.before.realtime_ns / NSEC);
	close(fd);
	ASSERT_EQ(0, t_unload("vmclock_sim"));
}

TEST(half_a_bound_is_refused)
{
	EXPECT_EQ(-EINVAL, t_load(SIM_MODULE, "maxerror_ns=1000"));
	EXPECT_EQ(-EINVAL, t_load(SIM_MODULE, "maxerror_ppb=1000"));
	EXPECT_EQ(-EINVAL, t_load(SIM_MODULE, "maxerror_ns=1000 maxerror_ppb=100000001"));
}

#ifndef T_ARM64	/* which has one clocksource */
#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

TEST(system_on_another_counter_is_refused)
{
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "hpet"));
	EXPECT_EQ(-EOPNOTSUPP, t_load(SIM_MODULE, BOUND));
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "tsc"));
}
#endif

TEST_F(sim, is_a_device_like_others)
{
	struct vmclock_info info = { .size = sizeof(info) };

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(VMCLOCK_BUS_SIM, info.bus);
	EXPECT_STREQ("vmclock-sim", info.name);
	EXPECT_EQ(getpagesize(), info.map_size);
	EXPECT_LE(0, info.ptp_index);
}

TEST_F(sim, tells_the_system_clock_within_its_bound)
{
	for (int i = 0; i < 25; i++) {
		ASSERT_TRUE(tells_time(self->fd, &self->snap));
		/* A slope through points a tenth of a second apart, to 2 ns each. */
		EXPECT_LE(sim_distance(&self->snap), 1000);
		usleep(100000);
	}
	EXPECT_LE(1000000, self->snap.maxerror_ns);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_SYNCHRONIZED, self->snap.page.clock_status);
}

/* Wait for the simulator's next update; true if the page is on @scale by then. */
static bool comes_to_scale(int fd, struct vmclock_snapshot *snap, uint8_t scale)
{
	for (int i = 0; i < 100; i++) {
		if (tells_time(fd, snap) && snap->page.time_type == scale)
			return true;
		usleep(100000);
	}
	return false;
}

TEST_F(sim, tells_tai_when_the_kernel_knows_it)
{
	struct timex tx = { .modes = ADJ_TAI, .constant = 37 };

	EXPECT_TRUE(comes_to_scale(self->fd, &self->snap, VMCLOCK_PAGE_TIME_UTC));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_TRUE(comes_to_scale(self->fd, &self->snap, VMCLOCK_PAGE_TIME_TAI));
	EXPECT_EQ(-37, (int16_t)le16toh(self->snap.page.tai_offset_sec));
	tx.constant = 0;
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_TRUE(comes_to_scale(self->fd, &self->snap, VMCLOCK_PAGE_TIME_UTC));
}

TEST_F(sim, marks_that_the_clock_was_set)
{
	struct timex tx = { .modes = ADJ_SETOFFSET, .time.tv_sec = 100 };
	uint64_t marker;

	ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	marker = self->snap.page.disruption_marker;
	ASSERT_LE(0, adjtimex(&tx));
	for (int i = 0; i < 100 && self->snap.page.disruption_marker == marker; i++) {
		usleep(100000);
		ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	}
	EXPECT_NE(marker, self->snap.page.disruption_marker);
	/* The step has not become part of the rate. */
	EXPECT_TRUE(tells_time(self->fd, &self->snap));
	EXPECT_LE(sim_distance(&self->snap), 1000);
	tx.time.tv_sec = -100;
	ASSERT_LE(0, adjtimex(&tx));
}

#ifndef T_ARM64	/* which has one clocksource */
TEST_F(sim, says_so_when_the_system_leaves_the_counter)
{
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "hpet"));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, sim_take(self->fd, &self->snap));
		if (!(self->snap.valid & VMCLOCK_SNAPSHOT_TIME))
			break;
		usleep(100000);
	}
	EXPECT_FALSE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, self->snap.page.clock_status);
	ASSERT_EQ(0, t_write_file(CLOCKSOURCE, "tsc"));
	EXPECT_TRUE(comes_to_scale(self->fd, &self->snap, VMCLOCK_PAGE_TIME_UTC));
}
#endif

struct fault {
	const char *name;
	int error;	/* of SNAPSHOT; 0: it works, and gives no time */
};

static const struct fault faults[] = {
	{ "odd", -ETIMEDOUT }, { "magic", -EPROTO }, { "version", -EPROTO },
	{ "short", 0 }, { "shift", 0 },
};

TEST_F(sim, faults_give_no_time_and_leave_no_trace)
{
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, t_write_file(SIM_FAULT, faults[i].name));
		for (int n = 0; n < 3; n++) {
			EXPECT_EQ(faults[i].error, sim_take(self->fd, &self->snap))
				TH_LOG("fault %s", faults[i].name);
			EXPECT_EQ(0, self->snap.valid & VMCLOCK_SNAPSHOT_TIME)
				TH_LOG("fault %s", faults[i].name);
		}
		ASSERT_EQ(0, t_write_file(SIM_FAULT, "none"));
		EXPECT_TRUE(tells_time(self->fd, &self->snap));
	}
}

/* Of @n copies that nobody checks, those with a time from far away. */
static int count_wrong(const volatile struct vmclock_page *p, int n)
{
	int64_t now = time(NULL);
	int wrong = 0;

	while (n--)
		wrong += (int64_t)le64toh(p->time_sec) - now > 1000;
	return wrong;
}

/* Not always on the processor of the one that writes, who would not be seen. */
static void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

TEST_F(sim, torn_updates_are_seen_by_no_careful_reader)
{
	const volatile struct vmclock_page *p =
		mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0);
	int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + 20 * NSEC;
	long wrong = 0, good = 0, tries = 0;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "torn"));
	while ((wrong < 100 || good < 1000) && t_clock_ns(CLOCK_MONOTONIC) < deadline) {
		int err = sim_take(self->fd, &self->snap);

		move_to(tries++ / 100 % 2);
		ASSERT_TRUE(!err || err == -ETIMEDOUT);
		if (!err)
			ASSERT_LE(sim_distance(&self->snap), (int64_t)self->snap.maxerror_ns);
		good += !err;
		wrong += count_wrong(p, 100);
	}
	printf("# %ld copies were wrong without the check, %ld snapshots were right\n",
	       wrong, good);
	EXPECT_LE(1, wrong);
	EXPECT_LE(1000, good);
	munmap((void *)p, getpagesize());
}

/* The time-out is long, and what is there then is told. */
TEST_F(sim, lost_notifications_are_made_up_for_by_looking)
{
	struct vmclock_info info = { .size = sizeof(info) };
	struct vmclock_wait wait;

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	EXPECT_EQ(VMCLOCK_EVENTS_NOTIFIED, info.events_from);
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "lost"));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 0, &wait));
	/* Updates come each second, and nobody says so. */
	EXPECT_EQ(-ETIMEDOUT, t_wait(self->fd, VMCLOCK_EVENT_DISRUPTED, 3 * NSEC, &wait));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 0, &wait));
	EXPECT_LE(1, wait.missed);
	EXPECT_TRUE(tells_time(self->fd, &self->snap));
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "none"));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 0, &wait));
	EXPECT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 10 * NSEC, &wait));
}

/* Does vmclockctl lint miss notifications? 1 or 0, or -1 if it did not look. */
static int lint_misses_some(void)
{
	char path[64], output[8192];
	int ret;

	if (!sim_node(path, sizeof(path)))
		return -1;
	t_run((char *const[]){ "/userspace/vmclockctl-static", "lint", "--for=5", path, NULL },
	      output, sizeof(output));
	ret = strstr(output, " updates, ") ? !!strstr(output, "warning: silent:") : -1;
	for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
	return ret;
}

TEST_F(sim, lint_finds_that_notifications_are_lost)
{
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "lost"));
	EXPECT_EQ(1, lint_misses_some());
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "none"));
	EXPECT_EQ(0, lint_misses_some());
}

TEST_F(sim, storm_of_notifications_is_no_storm_of_events)
{
	int64_t end = t_clock_ns(CLOCK_MONOTONIC) + 3 * NSEC;
	uint32_t first, told = 0, updates = 0;
	struct vmclock_wait wait;

	ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	first = le32toh(self->snap.page.seq_count);
	ASSERT_EQ(0, t_write_file(SIM_FAULT, "storm"));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 0, &wait));
	while (t_clock_ns(CLOCK_MONOTONIC) < end) {
		ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, 10 * NSEC, &wait));
		EXPECT_EQ(VMCLOCK_EVENT_UPDATE, wait.events);
		told += 1 + wait.missed;
		ASSERT_TRUE(tells_time(self->fd, &self->snap));
	}
	updates = (le32toh(self->snap.page.seq_count) - first) / 2;
	printf("# %u updates were told of %u\n", told, updates);
	EXPECT_LE(1000, updates);
	EXPECT_LE(told, updates);
}

TEST_F(sim, unknown_fault_is_refused)
{
	EXPECT_EQ(-EINVAL, t_write_file(SIM_FAULT, "fire"));
	EXPECT_TRUE(tells_time(self->fd, &self->snap));
}

TEST_F(sim, ptp_clock_takes_no_fault_for_a_time)
{
	struct ptp_sys_offset_precise arg = { 0 };
	struct vmclock_info info = { .size = sizeof(info) };
	char path[32];
	int ptp;

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	snprintf(path, sizeof(path), "/dev/ptp%d", info.ptp_index);
	ptp = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(0, ioctl(ptp, PTP_SYS_OFFSET_PRECISE, &arg));
	EXPECT_LE(llabs((arg.device.sec - arg.sys_realtime.sec) * NSEC +
			(int)arg.device.nsec - (int)arg.sys_realtime.nsec), 1000);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, t_write_file(SIM_FAULT, faults[i].name));
		EXPECT_EQ(-1, ioctl(ptp, PTP_SYS_OFFSET_PRECISE, &arg));
		EXPECT_EQ(faults[i].error ? -faults[i].error : ENODATA, errno);
	}
	close(ptp);
}

/* 0 if both clocks tell the same, or else an errno; ERANGE if they do not. */
static int read_ptp(int ptp)
{
	struct ptp_sys_offset_precise arg = { 0 };
	int64_t ahead;

	if (ioctl(ptp, PTP_SYS_OFFSET_PRECISE, &arg))
		return errno;
	ahead = (arg.device.sec - arg.sys_realtime.sec) * NSEC +
		(int)arg.device.nsec - (int)arg.sys_realtime.nsec;
	return llabs(ahead) <= 1000000 ? 0 : ERANGE;
}

/* The page is good in these, between updates; its time is years off within torn ones. */
TEST_F(sim, ptp_clock_tells_the_time_in_faults_that_leave_one)
{
	static const char *const names[] = { "torn", "lost", "storm" };
	struct vmclock_info info = { .size = sizeof(info) };
	char path[32];
	int ptp;

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	snprintf(path, sizeof(path), "/dev/ptp%d", info.ptp_index);
	ptp = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + 20 * NSEC;
		int good = 0, late = 0;

		ASSERT_EQ(0, t_write_file(SIM_FAULT, names[i]));
		while (good < 300 && t_clock_ns(CLOCK_MONOTONIC) < deadline) {
			int err = read_ptp(ptp);

			move_to((good + late) / 10 % 2);
			ASSERT_TRUE(!err || (err == ETIMEDOUT && !strcmp(names[i], "torn")))
				TH_LOG("fault %s: errno %d", names[i], err);
			good += !err;
			late += !!err;
		}
		EXPECT_EQ(300, good)
			TH_LOG("fault %s: %d timed out", names[i], late);
	}
	close(ptp);
}

/* Does something come within @ms? */
static bool comes(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

FIXTURE(feed) {
	int fd;
	int feed;
	struct vmclock_page *page;
	struct vmclock_snapshot snap;
};

FIXTURE_SETUP(feed)
{
	ASSERT_EQ(0, t_load(SIM_MODULE, BOUND));
	self->fd = sim_open_node();
	ASSERT_GE(self->fd, 0);
	self->feed = open(SIM_FEED, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->feed, 0);
	self->page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED,
			  self->feed, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
}

FIXTURE_TEARDOWN(feed)
{
	munmap(self->page, getpagesize());
	close(self->feed);
	close(self->fd);
	EXPECT_EQ(0, t_unload("vmclock_sim"));
}

TEST_F(feed, is_for_root_and_for_one)
{
	struct stat st;

	ASSERT_EQ(0, stat(SIM_FEED, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(-1, open(SIM_FEED, O_RDWR));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-EBUSY, t_write_file(SIM_FAULT, "magic"));
}

TEST_F(feed, gives_the_page_and_nothing_else)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, getpagesize(), PROT_READ, MAP_PRIVATE, self->feed, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * getpagesize(), PROT_READ, MAP_SHARED,
				   self->feed, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->feed,
				   getpagesize()));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(feed, what_is_written_is_read)
{
	volatile struct vmclock_page *p = self->page;
	uint32_t seq = le32toh(p->seq_count);

	__atomic_store_n(&self->page->seq_count, htole32(seq | 1), __ATOMIC_SEQ_CST);
	EXPECT_EQ(-ETIMEDOUT, sim_take(self->fd, &self->snap));
	p->disruption_marker = htole64(0x5eed);
	p->time_sec = htole64(1234567);
	__atomic_store_n(&self->page->seq_count, htole32((seq | 1) + 1), __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	EXPECT_EQ(0x5eed, le64toh(self->snap.page.disruption_marker));
	EXPECT_EQ(1234567, le64toh(self->snap.page.time_sec));
	/* Nobody else writes now. */
	sleep(2);
	EXPECT_EQ(1234567, le64toh(p->time_sec));
}

/* As a host does it: the writer for the page, the descriptor for the notification. */
TEST_F(feed, the_library_writes_it)
{
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vmclk_snapshot content;
	struct vmclk_writer *writer;
	uint64_t count;

	ASSERT_EQ(0, vmclk_writer_attach(self->page, getpagesize(), &writer));
	ASSERT_EQ(0, vmclk_writer_found(writer, &content));
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_SYNCHRONIZED, content.clock_status);
	EXPECT_TRUE(content.flags & VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_STATUS, bell));

	content.disruption_marker = 0x5eed;
	content.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	content.time_sec = 1234567;
	content.time_maxerror_nanosec = 5000000;
	vmclk_writer_write(writer, &content);
	EXPECT_EQ(-1, read(bell, &count, sizeof(count)));
	EXPECT_EQ(1, write(self->feed, "!", 1));
	EXPECT_TRUE(comes(bell, 20000));

	ASSERT_EQ(0, sim_take(self->fd, &self->snap));
	EXPECT_EQ(content.seq_count + 2, le32toh(self->snap.page.seq_count));
	EXPECT_EQ(0x5eed, le64toh(self->snap.page.disruption_marker));
	EXPECT_TRUE(self->snap.valid & VMCLOCK_SNAPSHOT_TIME);
	EXPECT_LE(1234567, self->snap.time_sec);
	EXPECT_GE(1234567 + 1000, self->snap.time_sec);
	EXPECT_LE(5000000, self->snap.maxerror_ns);
	EXPECT_TRUE(vmclk_writer_is_alone(writer));
	vmclk_writer_close(writer);
	close(bell);
}

TEST_F(feed, its_end_is_a_disruption_and_the_kernel_goes_on)
{
	memset(self->page, 0xff, sizeof(*self->page));
	EXPECT_NE(0, sim_take(self->fd, &self->snap));
	close(self->feed);
	/* The mapping still writes. */
	EXPECT_EQ(-1, open(SIM_FEED, O_RDWR));
	EXPECT_EQ(EBUSY, errno);
	munmap(self->page, getpagesize());
	EXPECT_TRUE(tells_time(self->fd, &self->snap));
	EXPECT_NE(UINT64_MAX, self->snap.page.disruption_marker);
}

TEST_F(feed, holds_the_simulator)
{
	EXPECT_EQ(-EAGAIN, t_unload("vmclock_sim"));
}

TEST(unloading_leaves_a_tombstone)
{
	const volatile struct vmclock_page *p;
	struct vmclock_snapshot snap;
	int fd;

	ASSERT_EQ(0, t_load(SIM_MODULE, BOUND));
	fd = sim_open_node();
	p = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_SYNCHRONIZED, p->clock_status);
	ASSERT_EQ(0, t_unload("vmclock_sim"));
	EXPECT_EQ(-ENODEV, sim_take(fd, &snap));
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, p->clock_status);
	EXPECT_EQ(VMCLOCK_PAGE_COUNTER_NONE, p->counter_id);
	munmap((void *)p, getpagesize());
	close(fd);
}

TEST_HARNESS_MAIN
