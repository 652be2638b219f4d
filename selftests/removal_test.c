// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device goes and comes, a hundred times, while it is used in every way
 * there is at once. REMOVAL_ROUNDS in the environment: how often each of the two
 * pages goes (50).
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"

/* As many files and mappings outlive their device, until others take their place. */
#define KEPT 50
#define PAUSE_US 200

static int rounds = 50;

static char node[64];
static bool can_wait;
static pthread_barrier_t begin, end;
/* Users that have begun to use the device in this round. */
static atomic_int busy;
static __thread bool working;

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

static volatile struct vmclock_page *map_page(int fd)
{
	void *map = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

static void unmap_page(volatile struct vmclock_page *map)
{
	munmap((void *)map, sysconf(_SC_PAGESIZE));
}

/* A fault on each. */
static int maps(int fd)
{
	volatile struct vmclock_page *map;
	uint32_t magic;

	while ((map = map_page(fd))) {
		magic = le32toh(map->magic);
		unmap_page(map);
		if (magic != VMCLOCK_PAGE_MAGIC && magic != VMCLOCK_PAGE_MAGIC_GONE)
			return -EPROTO;
		at_work();
		usleep(PAUSE_US);
	}
	return gone();
}

static int stays_mapped(int fd)
{
	volatile struct vmclock_page *map = map_page(fd);
	uint32_t magic;

	if (!map)
		return -errno;
	while ((magic = le32toh(map->magic)) == VMCLOCK_PAGE_MAGIC) {
		at_work();
		usleep(PAUSE_US);
	}
	unmap_page(map);
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
	} while (!err || err == ETIMEDOUT);
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

/* Return: 1 to go on, 0 if the device has gone, or what is wrong. */
static int judge(enum kind kind, int res)
{
	if (res == -ENODEV || (kind == WAIT && res == -EOPNOTSUPP && !can_wait) ||
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

/* Updates from outside of the machine, as fast as the link goes. */
static void *update(void *arg)
{
	volatile const int *which = arg;
	const int number = *which;
	struct vmclock_page page;

	t_peek(number, 0, &page, sizeof(page));
	while (*which == number) {
		page.disruption_marker = htole64(le64toh(page.disruption_marker) + 1);
		t_publish(number, &page, 1);
	}
	return NULL;
}

FIXTURE(removal) {
	char device[64];
	struct vmclock_page page;
	pthread_t updater;
	volatile int number;
	int fds[KEPT];
	volatile struct vmclock_page *maps[KEPT];
};

FIXTURE_VARIANT(removal) {
	int page;
};

FIXTURE_VARIANT_ADD(removal, watched) {
	.page = T_KNOB
};

FIXTURE_VARIANT_ADD(removal, notified) {
	.page = T_NOTIFIED
};

FIXTURE_SETUP(removal)
{
	struct vmclock_info info = { .size = sizeof(info) };
	int fd = t_open(variant->page, O_RDONLY);

	if (getenv("REMOVAL_ROUNDS"))
		rounds = atoi(getenv("REMOVAL_ROUNDS"));
	ASSERT_GT(rounds, 0);
	printf("# REMOVAL_ROUNDS=%d\n", rounds);
	signal(SIGIO, SIG_IGN);
	self->number = variant->page;
	ASSERT_TRUE(t_platform_device(variant->page, self->device, sizeof(self->device)));
	ASSERT_TRUE(t_node(variant->page, node, sizeof(node)));
	ASSERT_EQ(0, ioctl(fd, VMCLOCK_IOC_INFO, &info));
	can_wait = info.features & VMCLOCK_F_URING_WAIT;
	close(fd);
	ASSERT_TRUE(t_peek(variant->page, 0, &self->page, sizeof(self->page)));
	ASSERT_EQ(0, pthread_barrier_init(&begin, NULL, USERS + 1));
	ASSERT_EQ(0, pthread_barrier_init(&end, NULL, USERS + 1));
	ASSERT_EQ(0, pthread_create(&self->updater, NULL, update, (void *)&self->number));
	for (int i = 0; i < USERS; i++)
		ASSERT_EQ(0, pthread_create(&users[i].thread, NULL, use_for_rounds, &users[i]));
}

FIXTURE_TEARDOWN(removal)
{
	t_write_file(T_DRIVER_DIR "/bind", self->device);
	ASSERT_TRUE(t_poke(variant->page, 0, &self->page, sizeof(self->page)));
}

/* All are at work when the device goes, and all are told. */
static int round_of_removal(const char *device)
{
	int err;

	atomic_store(&busy, 0);
	pthread_barrier_wait(&begin);
	while (atomic_load(&busy) < USERS)
		usleep(1000);
	usleep(rand() % 10000);
	err = t_write_file(T_DRIVER_DIR "/unbind", device);
	pthread_barrier_wait(&end);
	return err;
}

/* What was open and mapped when the device went says so, and goes. */
static bool leave(int fd, volatile struct vmclock_page *map)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	bool good = le32toh(map->magic) == VMCLOCK_PAGE_MAGIC_GONE &&
		    ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) == -1 && errno == ENODEV;

	close(fd);
	unmap_page(map);
	return good;
}

/* The machine's own limit is the one that holds. */
TEST_F_TIMEOUT(removal, under_load_is_survived, 1000000)
{
	for (int round = 0; round < rounds; round++) {
		int i = round % KEPT;

		if (round >= KEPT)
			EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
		self->fds[i] = open(node, O_RDONLY | O_CLOEXEC);
		self->maps[i] = map_page(self->fds[i]);
		ASSERT_NE(NULL, self->maps[i]);
		ASSERT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(self->maps[i]->magic));
		ASSERT_EQ(0, round_of_removal(self->device));
		ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", self->device));
	}
	self->number = -1;
	pthread_join(self->updater, NULL);
	for (int i = 0; i < USERS; i++) {
		pthread_join(users[i].thread, NULL);
		EXPECT_EQ(0, users[i].failures)
			TH_LOG("%s: error %d", users[i].what, users[i].error);
	}
	for (int i = 0; i < KEPT && i < rounds; i++)
		EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
}

TEST_HARNESS_MAIN
