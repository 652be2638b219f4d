// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine goes to sleep while programs wait for events, in every way there is:
 * nothing breaks, nothing is told that has not happened, and what has happened
 * meanwhile is told, once.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"
#include "simpage.h"

/* Once awake, and the watch has looked many times. */
#define A_WHILE (NSEC / 2)
#define PATIENCE 20	/* seconds */
#define ALL 0x7f
#define ON_RESTORE "/sys/module/vmclock/parameters/on_restore"

/* The host does it when the machine sleeps, and wakes it later: see vm/sleeper.py. */
#define MEANWHILE_MS 1000
#define AWAKE_MS 3000

/* The southbridge of QEMU's q35; where its ACPI registers are, and that they are on. */
#define LPC "/sys/bus/pci/devices/0000:00:1f.0/config"
#define LPC_ACPI 0x40

/* How a page is changed while the machine sleeps. */
enum change {
	UPDATE,		/* and notified of, if it has that and somebody hears it */
	UNTOLD,		/* the notification does not come */
	SAME_NUMBER,	/* another page that happens to be at the same number */
};

/* Who waits in a system call looks by itself when it goes on. */
static const struct {
	int page;
	enum change change;
	bool only_eventfd;
	uint32_t events;
} places[] = {
	{ T_KNOB, UPDATE, false, VMCLOCK_EVENT_UPDATE | VMCLOCK_EVENT_DISRUPTED },
	{ T_NOTIFIED, UNTOLD, true, VMCLOCK_EVENT_UPDATE | VMCLOCK_EVENT_DISRUPTED },
	{ T_PCI_NOTIFIED, UPDATE, false, VMCLOCK_EVENT_UPDATE | VMCLOCK_EVENT_DISRUPTED },
	{ T_PCI, SAME_NUMBER, false, VMCLOCK_EVENT_DISRUPTED },
};

#define PLACES (sizeof(places) / sizeof(places[0]))

struct waiter {
	pthread_t thread;
	pid_t tid;
	int fd;
	int ret;
	struct vmclock_wait wait;
	bool done;
};

/* Everybody who waits for one page. */
struct place {
	bool only_eventfd;
	int fd;			/* eventfd, mapping and, if there can be any, the ring's */
	int eventfd;
	const volatile struct vmclock_page *map;
	int ptp;
	struct waiter poller;
	struct waiter waiter;
	bool has_ring;
	struct io_uring ring;
	struct vmclock_wait ring_wait;
	struct vmclock_page page;
	struct vmclock_page before;
};

static void *in_poll(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN | POLLPRI };

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = poll(&p, 1, -1) < 0 ? -errno : p.revents;
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *in_wait(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = t_wait(w->fd, ALL, -1, &w->wait);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool start(struct waiter *w, int page, void *(*how)(void *))
{
	char byte;

	memset(w, 0, sizeof(*w));
	w->fd = t_open(page, O_RDONLY);
	if (t_set_events(w->fd, ALL) || pread(w->fd, &byte, 1, 0) != 1 ||
	    pthread_create(&w->thread, NULL, how, w))
		return false;
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		usleep(100);
	return t_sleeps(w->tid);
}

static bool still_waits(struct waiter *w)
{
	return !__atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

static bool can_wait_by_ring(int fd)
{
	struct vmclock_info info = { .size = sizeof(info) };

	return !ioctl(fd, VMCLOCK_IOC_INFO, &info) && info.features & VMCLOCK_F_URING_WAIT;
}

static bool start_ring(struct place *p)
{
	p->has_ring = !p->only_eventfd && can_wait_by_ring(p->fd);
	p->ring_wait = (struct vmclock_wait) {
		.size = sizeof(p->ring_wait), .timeout_ns = -1, .events = ALL,
	};
	return !p->has_ring ||
	       (!io_uring_queue_init(4, &p->ring, 0) &&
		!ring_command(&p->ring, p->fd, VMCLOCK_URING_WAIT, &p->ring_wait, 0, 0));
}

static bool place_start(struct place *p, int page, bool only_eventfd)
{
	p->only_eventfd = only_eventfd;
	p->fd = t_open(page, O_RDONLY);
	p->eventfd = eventfd(0, EFD_NONBLOCK);
	p->map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, p->fd, 0);
	p->ptp = t_open_ptp(page, NULL, O_RDONLY);
	return p->map != MAP_FAILED && p->ptp >= 0 &&
	       t_peek(page, 0, &p->before, sizeof(p->before)) &&
	       t_settle(p->fd, page, &p->page) &&
	       !t_set_eventfd(p->fd, ALL, p->eventfd) && start_ring(p) &&
	       (only_eventfd || (start(&p->poller, page, in_poll) &&
				 start(&p->waiter, page, in_wait)));
}

static void place_end(struct place *p)
{
	if (p->has_ring)
		io_uring_queue_exit(&p->ring);
	munmap((void *)p->map, getpagesize());
	close(p->ptp);
	if (!p->only_eventfd) {
		close(p->poller.fd);
		close(p->waiter.fd);
	}
	close(p->eventfd);
	close(p->fd);
}

/* How often the machine has slept. */
static int naps(void)
{
	char line[16];

	return t_read_line("/sys/power/suspend_stats/success", line, sizeof(line)) ? atoi(line) : -1;
}

static int64_t since_boot(void)
{
	return t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
}

FIXTURE(sleep) {
	struct place place[PLACES];
	int64_t since_boot;
};

FIXTURE_VARIANT(sleep) {
	const char *state;
};

FIXTURE_VARIANT_ADD(sleep, s2idle) {
	.state = "freeze"
};

FIXTURE_VARIANT_ADD(sleep, s3) {
	.state = "mem"
};

FIXTURE_SETUP(sleep)
{
	ASSERT_EQ(0, t_write_file("/sys/power/mem_sleep", "deep"));
	for (int i = 0; i < PLACES; i++)
		ASSERT_TRUE(place_start(&self->place[i], places[i].page, places[i].only_eventfd));
	/* Now that no disruption of an earlier test is left. */
	ASSERT_EQ(0, t_write_file(ON_RESTORE, "step"));
	self->since_boot = since_boot();
}

FIXTURE_TEARDOWN(sleep)
{
	EXPECT_EQ(0, t_write_file(ON_RESTORE, "off"));
	for (int i = 0; i < PLACES; i++) {
		EXPECT_TRUE(t_poke(places[i].page, 0, &self->place[i].before,
				   sizeof(self->place[i].before)));
		place_end(&self->place[i]);
	}
}

/*
 * QEMU's q35 loses what its firmware has written there, and the machine could not
 * be switched off any more.
 */
static bool lpc_acpi(bool restore)
{
	static char saved[8];
	int fd = open(LPC, O_RDWR | O_CLOEXEC);
	ssize_t n = restore ? pwrite(fd, saved, sizeof(saved), LPC_ACPI) :
			      pread(fd, saved, sizeof(saved), LPC_ACPI);

	close(fd);
	return n == sizeof(saved);
}

/*
 * Return: 0 or a negative errno; -ETIME if somebody else than the host has woken the
 * machine. Of S3 it knows only by the seconds of its real-time clock how long it was.
 */
static int go_to_sleep(const char *state)
{
	int64_t began = t_clock_ns(CLOCK_BOOTTIME);
	int before = naps(), err;

	if (!lpc_acpi(false) || !t_nap(AWAKE_MS))
		return -EIO;
	err = t_write_file("/sys/power/state", state);
	if (!lpc_acpi(true) || !t_awake())
		return -EIO;
	if (err || naps() != before + 1)
		return err ?: -ECANCELED;
	return t_clock_ns(CLOCK_BOOTTIME) - began < (AWAKE_MS - 1200) * 1000000LL ? -ETIME : 0;
}

/* No one is told of anything. */
#define EXPECT_QUIET(p) do {						\
	uint64_t count_;						\
	EXPECT_EQ(-1, read((p)->eventfd, &count_, sizeof(count_)));	\
	if ((p)->only_eventfd)						\
		break;							\
	EXPECT_TRUE(still_waits(&(p)->poller))				\
		TH_LOG("poll: %d", (p)->poller.ret);			\
	EXPECT_TRUE(still_waits(&(p)->waiter))				\
		TH_LOG("wait: %d, %#x", (p)->waiter.ret, (p)->waiter.wait.events); \
	if ((p)->has_ring)						\
		EXPECT_TRUE(ring_is_quiet(&(p)->ring));			\
} while (0)

/* Everybody is told of this, and not again. */
#define EXPECT_TOLD(p, events_) do {					\
	const struct timespec patience_ = { time(NULL) + PATIENCE };	\
	struct pollfd eventfd_ = { .fd = (p)->eventfd, .events = POLLIN }; \
	struct vmclock_wait again_;					\
	uint64_t count_ = 0;						\
	ASSERT_EQ(1, poll(&eventfd_, 1, PATIENCE * 1000));		\
	EXPECT_EQ(8, read((p)->eventfd, &count_, sizeof(count_)));	\
	EXPECT_EQ(1, count_);						\
	if ((p)->has_ring) {						\
		EXPECT_EQ(0, ring_result(&(p)->ring, NULL));		\
		EXPECT_EQ(events_, (p)->ring_wait.events);		\
		EXPECT_EQ(0, (p)->ring_wait.missed);			\
	}								\
	if (!(p)->only_eventfd) {					\
		ASSERT_EQ(0, pthread_timedjoin_np((p)->poller.thread, NULL, &patience_)); \
		ASSERT_EQ(0, pthread_timedjoin_np((p)->waiter.thread, NULL, &patience_)); \
		EXPECT_LT(0, (p)->poller.ret);				\
		EXPECT_EQ(0, (p)->waiter.ret);				\
		EXPECT_EQ(events_, (p)->waiter.wait.events);		\
		EXPECT_EQ(0, (p)->waiter.wait.missed);			\
		EXPECT_EQ(-ETIMEDOUT, t_wait((p)->waiter.fd, ALL, A_WHILE, &again_)); \
	}								\
	EXPECT_EQ(-1, read((p)->eventfd, &count_, sizeof(count_)));	\
} while (0)

/* All ways to read the page show it as it is. */
static bool shows(struct place *p)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	struct timespec ts;

	return p->map->seq_count == p->page.seq_count &&
	       p->map->disruption_marker == p->page.disruption_marker &&
	       !ioctl(p->fd, VMCLOCK_IOC_SNAPSHOT, &snap) &&
	       !memcmp(&snap.page, &p->page, sizeof(p->page)) &&
	       snap.valid & VMCLOCK_SNAPSHOT_TIME &&
	       !clock_gettime(((~(clockid_t)p->ptp) << 3) | 3, &ts);
}

TEST_F_TIMEOUT(sleep, tells_nothing_if_nothing_happened, 120)
{
	struct place *p;

	ASSERT_EQ(0, go_to_sleep(variant->state));
	usleep(A_WHILE / 1000);
	for (int i = 0; i < PLACES; i++) {
		p = &self->place[i];
		EXPECT_QUIET(p);
		EXPECT_TRUE(shows(p));
	}
	for (int i = 0; i < PLACES; i++) {
		p = &self->place[i];
		ASSERT_TRUE(t_publish(places[i].page, &p->page, 1));
		EXPECT_TOLD(p, VMCLOCK_EVENT_UPDATE);
		EXPECT_TRUE(shows(p));
	}
	/* The pages are months away from the system's clock. */
	EXPECT_GT(NSEC, llabs(since_boot() - self->since_boot));
}

/* Another marker, and all that comes after it: by one command, as nobody reads it. */
static bool change_later(struct place *p, int page, enum change change)
{
	const size_t start = offsetof(struct vmclock_page, seq_count);
	unsigned char *bytes = (void *)&p->page;
	char command[512];
	int n;

	p->page.disruption_marker = htole64(le64toh(p->page.disruption_marker) + 0x111);
	if (change != SAME_NUMBER)
		p->page.seq_count = htole32(le32toh(p->page.seq_count) + 2);
	n = sprintf(command, "poke %d %zu ", page, start);
	for (size_t i = start; i < sizeof(p->page); i++)
		n += sprintf(command + n, "%02x", bytes[i]);
	if (!t_later(MEANWHILE_MS, command))
		return false;
	sprintf(command, "ring %d", page);
	return change != UPDATE || page != T_PCI_NOTIFIED || t_later(MEANWHILE_MS + 200, command);
}

TEST_F_TIMEOUT(sleep, tells_once_what_happened_meanwhile, 120)
{
	struct place *p;

	for (int i = 0; i < PLACES; i++)
		ASSERT_TRUE(change_later(&self->place[i], places[i].page, places[i].change));
	ASSERT_EQ(0, go_to_sleep(variant->state));
	for (int i = 0; i < PLACES; i++) {
		p = &self->place[i];
		EXPECT_TOLD(p, places[i].events);
		EXPECT_TRUE(shows(p));
	}
	/* The line may be an old one: the next update decides. */
	EXPECT_GT(NSEC, llabs(since_boot() - self->since_boot));
}

/* Nobody knows what becomes of the counter meanwhile: at no time there is the old line. */
TEST(the_simulator_begins_anew)
{
	int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + PATIENCE * NSEC;
	struct vmclock_snapshot before, after;
	int fd;

	ASSERT_EQ(0, t_load(SIM_MODULE, "maxerror_ns=1000000 maxerror_ppb=1000000"));
	fd = sim_open_node();
	ASSERT_EQ(0, sim_take(fd, &before));
	EXPECT_TRUE(before.valid & VMCLOCK_SNAPSHOT_TIME);
	ASSERT_EQ(0, go_to_sleep("mem"));
	do {
		ASSERT_EQ(0, sim_take(fd, &after));
		EXPECT_NE(before.page.disruption_marker, after.page.disruption_marker);
		if (after.valid & VMCLOCK_SNAPSHOT_TIME)
			EXPECT_LE(sim_distance(&after), (int64_t)after.maxerror_ns);
	} while (!(after.valid & VMCLOCK_SNAPSHOT_TIME) &&
		 t_clock_ns(CLOCK_MONOTONIC) < deadline);
	EXPECT_TRUE(after.valid & VMCLOCK_SNAPSHOT_TIME);
	close(fd);
	EXPECT_EQ(0, t_unload("vmclock_sim"));
}

/* A host that updates each second must not keep a machine from sleeping. */
TEST(the_interrupt_wakes_no_machine)
{
	int irq = t_interrupt_number(T_PCI_NOTIFIED);
	char path[128], line[64];

	ASSERT_LT(0, irq);
	snprintf(path, sizeof(path), "/sys/kernel/irq/%d/wakeup", irq);
	ASSERT_TRUE(t_read_line(path, line, sizeof(line)));
	EXPECT_STREQ("disabled", line);
}

TEST_HARNESS_MAIN
