// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every way there is to use the device, each in a thread of its own.
 */
#define _GNU_SOURCE
#include "uses.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "helpers.h"
#include "ring.h"
#include "simpage.h"

#define PARAMETERS "/sys/module/vmclock/parameters/"

#define PAUSE_US 200
#define RINGS 10

static int rounds;

static char node[64];
static uint64_t features;
static pthread_barrier_t begin, end;
/* Users that have begun to use the device in this round. */
static atomic_int busy;
static __thread bool working;
static pthread_t updater;
static int updated;
/* CLOCK_REALTIME, before it was set. */
static int64_t since_boot;
static int timer;
/* In every second round it is to be set, by the updates. */
static int round_number;
static int unset;
static atomic_bool enough;

static void at_work(void)
{
	if (working)
		return;
	working = true;
	atomic_fetch_add(&busy, 1);
}

/* After a call that failed: 0 if it was since the device has gone. */
static int gone(void)
{
	return errno == ENODEV ? 0 : -errno;
}

/*
 * The uses. Each goes on until the device has gone, and returns 0 if it was told
 * so in the right way, or else a negative errno. A page may be odd for long, if
 * the host is slow in the middle of an update.
 */
static int reads(int fd)
{
	struct vmclock_page page;

	while (pread(fd, &page, sizeof(page), 0) > 0 || errno == ETIMEDOUT) {
		at_work();
		usleep(PAUSE_US);
	}
	return gone();
}

static int snapshots(int fd)
{
	struct vmclock_snapshot snap;

	do {
		memset(&snap, 0, sizeof(snap));
		snap.size = sizeof(snap);
		at_work();
		usleep(PAUSE_US);
	} while (!ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) || errno == ETIMEDOUT);
	return gone();
}

/* A fault on each. */
static int maps(int fd)
{
	volatile struct vmclock_page *map;
	uint32_t magic;

	while ((map = uses_map(fd))) {
		magic = le32toh(map->magic);
		uses_unmap(map);
		if (magic != VMCLOCK_PAGE_MAGIC && magic != VMCLOCK_PAGE_MAGIC_GONE)
			return -EPROTO;
		at_work();
		usleep(PAUSE_US);
	}
	return gone();
}

static int stays_mapped(int fd)
{
	volatile struct vmclock_page *map = uses_map(fd);
	uint32_t magic;

	if (!map)
		return -errno;
	while ((magic = le32toh(map->magic)) == VMCLOCK_PAGE_MAGIC) {
		at_work();
		usleep(PAUSE_US);
	}
	uses_unmap(map);
	return magic == VMCLOCK_PAGE_MAGIC_GONE ? 0 : -EPROTO;
}

static int polls(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI };
	struct vmclock_page page;

	do {
		at_work();
		if (poll(&p, 1, -1) != 1)
			return -errno;
		if (pread(fd, &page, sizeof(page), 0) < 0 && errno != ETIMEDOUT && gone())
			return -errno;
	} while (!(p.revents & POLLHUP));
	return p.revents == (POLLHUP | POLLERR) ? 0 : -EPROTO;
}

static int waits(int fd)
{
	struct vmclock_wait wait;
	int err;

	do {
		at_work();
		err = t_wait(fd, 0, -1, &wait);
	} while (!err);
	return err == -ENODEV ? 0 : err;
}

/* SIGIO is ignored, but sent. */
static int listens(int fd)
{
	struct f_owner_ex owner = { F_OWNER_TID, gettid() };
	int efd = eventfd(0, EFD_CLOEXEC), err = 0;
	uint64_t count;
	char byte;

	if (t_set_eventfd(fd, VMCLOCK_EVENT_UPDATE, efd) || fcntl(fd, F_SETOWN_EX, &owner) ||
	    fcntl(fd, F_SETFL, O_ASYNC))
		err = -errno;
	at_work();
	while (!err && read(efd, &count, sizeof(count)) == sizeof(count))
		if (pread(fd, &byte, 1, 0) < 0 && errno != ETIMEDOUT)
			break;
	close(efd);
	return err ?: gone();
}

/* The simulator's page knows no TAI. */
static int reads_ptp(int fd)
{
	struct ptp_sys_offset_extended arg;
	struct vmclock_info info = { .size = sizeof(info) };
	char path[32];
	int ptp, err;

	if (ioctl(fd, VMCLOCK_IOC_INFO, &info))
		return -errno;
	snprintf(path, sizeof(path), "/dev/ptp%d", info.ptp_index);
	ptp = open(path, O_RDONLY | O_CLOEXEC);
	do {
		memset(&arg, 0, sizeof(arg));
		arg.n_samples = 3;
		err = ioctl(ptp, PTP_SYS_OFFSET_EXTENDED, &arg) ? errno : 0;
		at_work();
		usleep(PAUSE_US);
	} while (!err || err == ETIMEDOUT || (err == ENODATA && updated == T_SIM));
	close(ptp);
	return err == ENODEV ? 0 : -err;
}

/* io_uring: as many commands as there are slots are under way, of four kinds. */
enum kind { SNAPSHOT, WAIT, POLL, READ, KINDS };
#define SLOTS 32

struct slot {
	union {
		struct vmclock_snapshot snap;
		struct vmclock_wait wait;
		struct vmclock_page page;
	};
};

static int submit(struct io_uring *ring, int fd, struct slot *slots, int i)
{
	struct slot *slot = memset(&slots[i], 0, sizeof(*slot));
	enum kind kind = i % KINDS;
	struct io_uring_sqe *sqe;

	if (kind == SNAPSHOT || kind == WAIT) {
		slot->snap.size = kind == WAIT ? sizeof(slot->wait) : sizeof(slot->snap);
		if (kind == WAIT)
			slot->wait.timeout_ns = -1;
		return ring_command(ring, fd, kind == WAIT ? VMCLOCK_URING_WAIT :
				    VMCLOCK_URING_SNAPSHOT, slot, 0, i);
	}
	sqe = io_uring_get_sqe(ring);
	if (kind == POLL)
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	else
		io_uring_prep_read(sqe, fd, &slot->page, sizeof(slot->page), 0);
	sqe->user_data = i;
	return io_uring_submit(ring) == 1 ? 0 : -EBUSY;
}

/* By the driver, or by a kernel that has no commands for drivers. */
static bool is_refused(enum kind kind, int res)
{
	if (kind == SNAPSHOT)
		return res == -EINVAL && !(features & VMCLOCK_F_URING_SNAPSHOT);
	return kind == WAIT && !(features & VMCLOCK_F_URING_WAIT) &&
	       res == (features & VMCLOCK_F_URING_SNAPSHOT ? -EOPNOTSUPP : -EINVAL);
}

/* Return: 1 to go on, 0 if the device has gone, or what is wrong. */
static int judge(enum kind kind, int res)
{
	if (res == -ENODEV || is_refused(kind, res) ||
	    (kind == POLL && res & POLLERR))
		return 0;
	return res >= 0 || (res == -ETIMEDOUT && kind != WAIT) ? 1 : res;
}

static int submits(int fd)
{
	int pending = SLOTS, wrong = 0, ret;
	struct slot slots[SLOTS];
	struct io_uring ring;
	uint64_t i;

	if (io_uring_queue_init(2 * SLOTS, &ring, 0))
		return -errno;
	for (i = 0; i < SLOTS; i++)
		wrong = submit(&ring, fd, slots, i) ?: wrong;
	at_work();
	while (!wrong && pending) {
		ret = ring_result(&ring, &i);
		ret = judge(i % KINDS, ret);
		if (ret > 0)
			wrong = submit(&ring, fd, slots, i);
		else if (!ret)
			pending--;
		else
			wrong = ret;
	}
	io_uring_queue_exit(&ring);
	return wrong;
}

struct user {
	const char *what;
	int (*use)(int fd);
	pthread_t thread;
	int failures;
	int error;
};

static struct user users[] = {
	{ "reads", reads }, { "snapshots", snapshots }, { "maps", maps },
	{ "stays mapped", stays_mapped }, { "polls", polls }, { "waits", waits },
	{ "waits too", waits }, { "listens", listens }, { "reads PTP", reads_ptp },
	{ "submits", submits },
};

#define USERS ((int)(sizeof(users) / sizeof(users[0])))

static void *use_for_rounds(void *arg)
{
	struct user *user = arg;

	for (int round = 0; round < rounds; round++) {
		int fd, err;

		pthread_barrier_wait(&begin);
		working = false;
		fd = open(node, O_RDONLY | O_CLOEXEC);
		err = fd < 0 ? -errno : user->use(fd);
		if (err)
			user->error = err;
		user->failures += !!err;
		/* Whatever happened: nobody is to wait for us. */
		at_work();
		close(fd);
		pthread_barrier_wait(&end);
	}
	return NULL;
}

bool uses_are_told(int fd, const volatile struct vmclock_page *map)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	return le32toh(map->magic) == VMCLOCK_PAGE_MAGIC_GONE &&
	       ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) == -1 && errno == ENODEV;
}

/* A disruption, or one of the updates after it, the first of which sets the clock. */
static void go_on(struct vmclock_page *page, int i)
{
	if (i % 4 == 0)
		page->disruption_marker = htole64(le64toh(page->disruption_marker) + 1);
	else if (i % 4 == 1)
		page->time_sec = htole64(le64toh(page->time_sec) + 1);
}

/* Updates from outside of the machine, as fast as the link goes. */
static void *update(void *arg)
{
	struct vmclock_page page;

	t_peek(updated, 0, &page, sizeof(page));
	for (int n = 0; !atomic_load(&enough); n++) {
		go_on(&page, n);
		t_publish(updated, &page, 1);
		/* An update takes long by the link, and interrupts are to come all the time. */
		for (int i = 0; i < RINGS && updated == T_PCI_NOTIFIED; i++)
			t_ring_pci();
	}
	return arg;
}

/*
 * By whoever feeds the simulator, while there is one. Who unloads it must find it
 * without one now and then. Its page is another's when it is loaded again.
 */
static void *feed(void *arg)
{
	struct sim_feed feed;

	while (!atomic_load(&enough)) {
		if (sim_feed_open(&feed)) {
			feed.image.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
			for (int n = 0; n < 4; n++) {
				go_on(&feed.image, n);
				sim_publish(&feed);
				sim_ring(&feed);
				usleep(500);
			}
			sim_feed_close(&feed);
		}
		usleep(5000);
	}
	return arg;
}

bool uses_start(int page, int count)
{
	struct vmclock_info info = { .size = sizeof(info) };
	int fd = t_open(page, O_RDONLY);

	if (!t_node(page, node, sizeof(node)) || ioctl(fd, VMCLOCK_IOC_INFO, &info))
		return false;
	close(fd);
	features = info.features;
	rounds = count;
	updated = page;
	since_boot = t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
	timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	/* Whatever the time is: that of the test pages is not of today. */
	t_write_file(PARAMETERS "step_below_s", "4294967295");
	atomic_store(&enough, false);
	signal(SIGIO, SIG_IGN);
	if (pthread_barrier_init(&begin, NULL, USERS + 1) ||
	    pthread_barrier_init(&end, NULL, USERS + 1) ||
	    pthread_create(&updater, NULL, page == T_SIM ? feed : update, NULL))
		return false;
	for (int i = 0; i < USERS; i++)
		if (pthread_create(&users[i].thread, NULL, use_for_rounds, &users[i]))
			return false;
	return true;
}

/* The clock was set since it was asked before. */
static bool was_set(void)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };
	uint64_t count;
	bool set = read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
	return set;
}

void uses_begin(void)
{
	bool sets = round_number++ % 2;
	int tries = 20000;

	t_write_file(PARAMETERS "on_restore", sets ? "step" : "off");
	atomic_store(&busy, 0);
	pthread_barrier_wait(&begin);
	while (atomic_load(&busy) < USERS)
		usleep(1000);
	was_set();
	while (sets && !was_set() && --tries)
		usleep(1000);
	unset += !tries;
	usleep(rand() % 10000);
}

void uses_end(void)
{
	pthread_barrier_wait(&end);
}

static void put_clock_back(void)
{
	int64_t ns = t_clock_ns(CLOCK_BOOTTIME) + since_boot;
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	t_write_file(PARAMETERS "on_restore", "off");
	t_write_file(PARAMETERS "step_below_s", "31622400");
	clock_settime(CLOCK_REALTIME, &ts);
	close(timer);
}

int uses_join(void)
{
	int failures = unset;

	if (unset)
		printf("# %d rounds without the clock being set\n", unset);
	atomic_store(&enough, true);
	pthread_join(updater, NULL);
	put_clock_back();
	for (int i = 0; i < USERS; i++) {
		pthread_join(users[i].thread, NULL);
		failures += users[i].failures;
		if (users[i].failures)
			printf("# %s: %d failures, the last error %d\n", users[i].what,
			       users[i].failures, users[i].error);
	}
	return failures;
}
