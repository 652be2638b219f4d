// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random system calls on the devices, the simulator's as well, by processes that get
 * killed, with random pages, parameters and faults, and removals. Nothing is expected
 * of a single call. But the kernel must not complain (the machine's log is read),
 * everything must end, and afterwards nobody holds the module, and the device works.
 *
 * FUZZ_SECONDS in the environment: how long (20); FUZZ_SEED: where to begin. What
 * the threads do follows from it, but not when.
 * Run it alone: it unloads the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"
#include "simpage.h"

#define MODULE "/vmclock.ko"
#define PROCESSES 3
#define THREADS 3
#define FILES 12
#define FIRST_FILE 100
#define MAPS 6

/* Of each thread: what it does follows from the seed. */
static __thread uint64_t state;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dULL >> 16;
}

static bool one_in(unsigned int n)
{
	return any() % n == 0;
}

#define ONE_OF(array) ((array)[any() % (sizeof(array) / sizeof((array)[0]))])

/*
 * Shared by a process' threads, without a lock: a descriptor may be closed while
 * another thread uses it. That is the point. Memory is not shared that way, or
 * they would take each other's stack.
 */
static int files[FILES];
static __thread void *maps[MAPS];
static long page_bytes;
/* A readable page, and none after it. */
static char *brink;

static int file(void)
{
	return __atomic_load_n(&files[any() % FILES], __ATOMIC_RELAXED);
}

/*
 * Kept files are numbered from FIRST_FILE on, which rings never are. Linux 6.1 was
 * seen to try for ever, in a process that had been killed, to read a ring that had got
 * the number of a file that was closed. It is ready, but can't be read; no code of a
 * driver is in that loop.
 */
static void keep(int fd)
{
	int kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FILE);
	int old = __atomic_exchange_n(&files[any() % FILES], kept, __ATOMIC_RELAXED);

	if (fd >= 0)
		close(fd);
	if (old >= 0)
		close(old);
}

/*
 * Not PTP clocks: opening and closing them while they go, which calls no function
 * of the driver's, was seen to make Linux 6.1 use freed memory (posix_clock_open()
 * gets a device whose count is 0). removal_test has them open before.
 */
static void open_one(void)
{
	static const int flags[] = { O_RDONLY, O_RDONLY, O_RDONLY | O_NONBLOCK, O_RDWR };
	const char *path;
	glob_t found;

	if (glob("/dev/vmclock*", 0, NULL, &found))
		return;
	path = found.gl_pathv[any() % found.gl_pathc];
	/* Who has this one keeps the others from it. */
	if (strcmp(path, SIM_FEED) || one_in(50))
		keep(open(path, ONE_OF(flags) | O_CLOEXEC));
	globfree(&found);
}

static void close_one(void)
{
	keep(-1);
}

/* An argument that is nearly right, most of the time. */
static void *argument(char *room)
{
	static const uint32_t sizes[] = { 0, 7, 8, 12, 16, 24, 32, 64, 80, 88, 208, 216,
					  1024, 4096, 4097, 0xffffffff };
	static const int64_t timeouts[] = { 0, 1, 1000000, 20000000, INT64_MAX };
	struct vmclock_wait *wait = (void *)room;

	memset(room, 0, 4200);
	wait->size = ONE_OF(sizes);
	wait->timeout_ns = one_in(4) ? 0 : ONE_OF(timeouts);
	if (one_in(20))
		wait->timeout_ns = -(int64_t)any();
	if (one_in(2))
		wait->events = any() & VMCLOCK_EVENT_UPDATE ? any() % 128 : any();
	if (one_in(8))
		room[any() % 64] = any();
	if (one_in(20))
		return brink + page_bytes - (any() % 32);
	return one_in(30) ? (void *)(uintptr_t)any() : room;
}

static unsigned int command(void)
{
	static const unsigned int known[] = {
		VMCLOCK_IOC_INFO, VMCLOCK_IOC_SNAPSHOT, VMCLOCK_IOC_EVENTS,
		VMCLOCK_IOC_EVENTFD, VMCLOCK_IOC_WAIT, VMCLOCK_URING_CANCEL,
	};

	return one_in(30) ? any() : ONE_OF(known);
}

static void use_ioctl(void)
{
	char room[4200];

	ioctl(file(), command(), argument(room));
}

static void use_eventfd(void)
{
	static const uint32_t masks[] = { 0, 1, 4, 127 };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	t_set_eventfd(file(), ONE_OF(masks), one_in(8) ? file() : fd);
	if (one_in(2))
		keep(fd);
	else
		close(fd);
}

static void use_read(void)
{
	char room[8192];
	struct iovec iov[2] = { { room, any() % 5000 }, { argument(room), any() % 300 } };
	int fd = file();

	lseek(fd, any() % 5000, any() % 5);
	preadv2(fd, iov, 1 + one_in(2), one_in(10) ? any() : (off_t)(any() % 4200) - 1,
		one_in(2) ? RWF_NOWAIT : 0);
	posix_fadvise(fd, any() % 8192, any() % 8192, any() % 6);
}

static void use_poll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd p[3];

	for (int i = 0; i < 3; i++)
		p[i] = (struct pollfd){ .fd = file(), .events = any() };
	poll(p, 3, any() % 20);
	if (one_in(2))
		event.events |= one_in(2) ? EPOLLEXCLUSIVE : EPOLLET | EPOLLONESHOT;
	epoll_ctl(epoll, EPOLL_CTL_ADD, file(), &event);
	epoll_ctl(epoll, EPOLL_CTL_ADD, file(), &event);
	epoll_wait(epoll, &event, 1, any() % 20);
	if (one_in(4))
		keep(epoll);
	else
		close(epoll);
}

static void use_flags(void)
{
	const int signals[] = { 0, SIGIO, SIGUSR1, SIGRTMIN };
	int fd = file();

	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, ONE_OF(signals));
	fcntl(fd, F_SETFL, (one_in(2) ? O_ASYNC : 0) | (one_in(3) ? O_NONBLOCK : 0));
	if (one_in(3))
		keep(dup(fd));
}

static void touch(volatile const char *map)
{
	/* Through the kernel: what is not there is an error, and no signal. */
	static __thread int pipes[2];

	if (!pipes[1] && pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
		return;
	if (write(pipes[1], (const char *)map, 64) == 64) {
		char room[64];

		(void)!read(pipes[0], room, sizeof(room));
	}
}

static void map_one(void)
{
	static const int flags[] = { MAP_SHARED, MAP_SHARED, MAP_PRIVATE,
				     MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_LOCKED };
	void **slot = &maps[any() % MAPS];
	void *old = *slot;
	void *map = mmap(NULL, page_bytes << (one_in(8) ? 1 : 0),
			 PROT_READ | (one_in(8) ? PROT_WRITE : 0), ONE_OF(flags), file(),
			 one_in(8) ? page_bytes : 0);

	*slot = map == MAP_FAILED ? NULL : map;
	if (old)
		munmap(old, page_bytes);
}

static void use_map(void)
{
	char *map = maps[any() % MAPS];

	if (!map)
		return;
	touch(map);
	if (one_in(4))
		mprotect(map, page_bytes, any() % 8);
	if (one_in(4))
		madvise(map, page_bytes, any() % 26);
	if (one_in(8))
		mlock(map, page_bytes);
	if (one_in(8))
		mremap(map, one_in(2) ? 0 : page_bytes, page_bytes << any() % 2, MREMAP_MAYMOVE);
	touch(map);
}

/* A child has the files and mappings, and ends with them. */
static void fork_one(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (int i = 0; i < MAPS; i++)
			if (maps[i])
				touch(maps[i]);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* What a thread has of io_uring. Arguments live as long as the process. */
struct uring {
	struct io_uring ring;
	bool open;
	char rooms[8][4200];
};

static __thread struct uring *uring;

static void new_ring(void)
{
	static const unsigned int flags[] = {
		0, 0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SQE128, IORING_SETUP_CQE32, IORING_SETUP_SQPOLL, IORING_SETUP_IOPOLL,
	};

	if (!uring)
		uring = calloc(1, sizeof(*uring));
	if (uring->open)
		io_uring_queue_exit(&uring->ring);
	uring->open = !io_uring_queue_init(32, &uring->ring, ONE_OF(flags));
}

static void prepare(struct io_uring_sqe *sqe)
{
	char *room = uring->rooms[any() % 8];
	struct vmclock_uring cmd = { .id = one_in(2) ? 0 : any() % 4 };
	int fd = file();

	memset(sqe, 0, sizeof(*sqe));
	switch (any() % 8) {
	case 0:
		io_uring_prep_read(sqe, fd, room, any() % 4200, any() % 4200);
		break;
	case 1:
		io_uring_prep_poll_add(sqe, fd, one_in(2) ? POLLIN : POLLPRI);
		break;
	case 2:
		io_uring_prep_poll_multishot(sqe, fd, POLLIN | POLLPRI);
		break;
	default:
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = fd;
		sqe->cmd_op = command();
		cmd.arg = (uintptr_t)(one_in(4) ? NULL : argument(room));
		memcpy(sqe->cmd, &cmd, sizeof(cmd));
	}
	if (one_in(6))
		sqe->flags |= IOSQE_ASYNC;
	if (one_in(12))
		sqe->flags |= IOSQE_IO_LINK;
}

static void use_ring(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	if (!uring || !uring->open || one_in(40))
		new_ring();
	if (!uring->open)
		return;
	for (int i = any() % 6; i >= 0; i--) {
		sqe = io_uring_get_sqe(&uring->ring);
		if (sqe)
			prepare(sqe);
	}
	io_uring_submit(&uring->ring);
	if (one_in(3)) {
		struct __kernel_timespec ts = { .tv_nsec = any() % 5000000 };

		io_uring_wait_cqe_timeout(&uring->ring, &cqe, &ts);
	}
	while (!io_uring_peek_cqe(&uring->ring, &cqe))
		io_uring_cqe_seen(&uring->ring, cqe);
}

static void (*const uses[])(void) = {
	open_one, open_one, close_one, use_ioctl, use_ioctl, use_ioctl, use_eventfd, use_read,
	use_poll, use_flags, map_one, use_map, use_ring, use_ring, use_ring,
};

static void *use_for_ever(void *seed)
{
	state = *(uint64_t *)seed;
	for (;;) {
		ONE_OF(uses)();
		if (one_in(200))
			fork_one();
	}
	return NULL;
}

static void ignore_signals(void)
{
	const int ours[] = { SIGIO, SIGUSR1, SIGRTMIN };

	for (int i = 0; i < 3; i++)
		signal(ours[i], SIG_IGN);
}

static void run_process(uint64_t seed)
{
	static uint64_t seeds[THREADS];
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ignore_signals();
	page_bytes = sysconf(_SC_PAGESIZE);
	brink = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	munmap(brink + page_bytes, page_bytes);
	memset(files, 0xff, sizeof(files));
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = seed * THREADS + i + 1;
		pthread_create(&thread, NULL, use_for_ever, &seeds[i]);
	}
	pthread_join(thread, NULL);
}

static const int numbers[] = { T_KNOB, T_NOTIFIED };
static struct vmclock_page good[2];
static char devices[2][64];
static uint64_t next_seed;
static struct { long updates, removals, refusals, kills, crashes, settings, faults, feeds; } did;

/* Return: the process, or -1. */
static pid_t start_process(void)
{
	pid_t pid = fork();

	if (!pid) {
		run_process(next_seed);
		_exit(1);
	}
	next_seed++;
	return pid;
}

/* One that ended before is a mistake of this program. */
static void end_process(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		did.kills++;
	else
		did.crashes++;
}

/* A page as it was, but for some bytes; its number may be odd, or go back. */
static void change_page(int i)
{
	struct vmclock_page page = good[i];
	unsigned char *bytes = (void *)&page;
	uint32_t seq = any() % 1000;

	if (one_in(3))
		page.disruption_marker = any();
	for (int n = one_in(2) ? 0 : any() % 4; n > 0; n--)
		bytes[any() % sizeof(page)] = any();
	page.seq_count = one_in(4) ? any() : 2 * seq;
	did.updates += t_poke(numbers[i], 0, &page, sizeof(page)) &&
		       (numbers[i] != T_NOTIFIED || t_ring());
}

static void remove_and_bind(int i)
{
	did.removals += !t_write_file(T_DRIVER_DIR "/unbind", devices[i]);
	if (one_in(2))
		t_poke(numbers[i], 0, &good[i], sizeof(good[i]));
	did.refusals += t_write_file(T_DRIVER_DIR "/bind", devices[i]) == -ENODEV;
}

/* Of the module. CLOCK_REALTIME is anything then. */
static void set_parameter(void)
{
	static const struct {
		const char *name;
		const char *values[4];
	} all[] = {
		{ "watch_ms", { "0", "1", "10", "4294967295" } },
		{ "on_restore", { "off", "step", "step", "STEP" } },
		{ "step_above_us", { "0", "1", "1000000", "4294967295" } },
		{ "step_below_s", { "0", "1", "31622400", "4294967295" } },
	};
	int i = any() % 4;
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/vmclock/parameters/%s", all[i].name);
	did.settings += !t_write_file(path, ONE_OF(all[i].values));
}

/* Some bytes of the simulator's page, and a notification. */
static void feed_simulator(void)
{
	struct sim_feed feed = { .shared = MAP_FAILED };
	unsigned char *bytes;

	if (sim_feed_open(&feed)) {
		bytes = (void *)feed.shared;
		for (int n = any() % 8; n > 0; n--)
			bytes[any() % sizeof(*feed.shared)] = any();
		did.feeds += write(feed.fd, bytes, any() % 8) >= 0;
		sim_feed_close(&feed);
	} else if (feed.fd >= 0) {
		close(feed.fd);
	}
}

/* Most of the time there is none, as a storm leaves others little to do. */
static void set_fault(void)
{
	static const char *const names[] = {
		"none", "none", "none", "none", "none", "none", "none", "none", "odd", "torn",
		"magic", "version", "short", "shift", "lost", "storm",
	};

	did.faults += !t_write_file(SIM_FAULT, ONE_OF(names));
}

static void disturb(pid_t *pids)
{
	pid_t *pid = &pids[any() % PROCESSES];
	int i = any() % 2;

	switch (any() % 16) {
	case 0:
		end_process(*pid);
		*pid = start_process();
		break;
	case 1:
	case 2:
		remove_and_bind(i);
		break;
	case 3:
	case 4:
		set_parameter();
		break;
	case 5:
		feed_simulator();
		break;
	case 6:
	case 7:
		set_fault();
		break;
	default:
		change_page(i);
	}
	usleep(any() % 5000);
}

static long number_from(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 0) : otherwise;
}

static void restore(int i)
{
	t_poke(numbers[i], 0, &good[i], sizeof(good[i]));
	t_write_file(T_DRIVER_DIR "/unbind", devices[i]);
	t_write_file(T_DRIVER_DIR "/bind", devices[i]);
}

/* Files of a dead process may be closed by the kernel a bit later. */
static int unload_patiently(const char *name)
{
	int err;

	for (int i = 0; i < 1000; i++) {
		err = t_unload(name);
		if (!err || (err != -EAGAIN && err != -EBUSY && err != -EWOULDBLOCK))
			break;
		usleep(10000);
	}
	return err;
}

FIXTURE(fuzz) {
	long seconds;
	long seed;
	pid_t pids[PROCESSES];
};

FIXTURE_SETUP(fuzz)
{
	self->seconds = number_from("FUZZ_SECONDS", 20);
	self->seed = number_from("FUZZ_SEED", t_clock_ns(CLOCK_REALTIME) & 0xffffff);
	printf("# FUZZ_SEED=%ld FUZZ_SECONDS=%ld\n", self->seed, self->seconds);
	state = next_seed = self->seed + 1;
	ASSERT_EQ(0, t_load(SIM_MODULE, "maxerror_ns=1000000 maxerror_ppb=1000000"));
	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(t_peek(numbers[i], 0, &good[i], sizeof(good[i])));
		ASSERT_TRUE(t_platform_device(numbers[i], devices[i], sizeof(devices[i])));
	}
	for (int i = 0; i < PROCESSES; i++)
		self->pids[i] = start_process();
}

FIXTURE_TEARDOWN(fuzz)
{
}

static bool did_each(void)
{
	return did.updates && did.removals && did.settings && did.faults && did.feeds;
}

/* Longer, within limits, on a machine that is so slow that something has not come yet. */
static void disturb_for(long seconds, pid_t *pids)
{
	int64_t end = t_clock_ns(CLOCK_MONOTONIC) + seconds * NSEC;

	while (t_clock_ns(CLOCK_MONOTONIC) < end ||
	       (!did_each() && t_clock_ns(CLOCK_MONOTONIC) < end + 100 * NSEC))
		disturb(pids);
	for (int i = 0; i < PROCESSES; i++)
		end_process(pids[i]);
	printf("# %ld updates, %ld removals, %ld refusals, %ld processes killed, %ld crashed\n",
	       did.updates, did.removals, did.refusals, did.kills, did.crashes);
	printf("# %ld parameters set, %ld faults, %ld times the simulator was fed\n",
	       did.settings, did.faults, did.feeds);
}

static void set_realtime(int64_t ns)
{
	const struct timespec ts = { ns / NSEC, ns % NSEC };

	clock_settime(CLOCK_REALTIME, &ts);
}

/* The time-out is that of the machine. */
TEST_F_TIMEOUT(fuzz, random_calls_do_no_harm, 1000000)
{
	int64_t ahead = t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	int fd;

	disturb_for(self->seconds, self->pids);
	EXPECT_LT(0, did.updates);
	EXPECT_LT(0, did.removals);
	EXPECT_LT(0, did.settings);
	EXPECT_LT(0, did.faults);
	EXPECT_LT(0, did.feeds);
	EXPECT_EQ(0, did.crashes);
	EXPECT_EQ(0, t_write_file("/sys/module/vmclock/parameters/on_restore", "off"));
	set_realtime(ahead + t_clock_ns(CLOCK_BOOTTIME));
	EXPECT_EQ(0, unload_patiently("vmclock_sim"));

	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
	for (int i = 0; i < 2; i++)
		restore(i);
	/* Nothing holds the module. */
	EXPECT_EQ(0, unload_patiently("vmclock"));
	EXPECT_EQ(0, t_load(MODULE, ""));
	fd = t_open(T_KNOB, O_RDONLY);
	EXPECT_EQ(0, ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap));
	EXPECT_TRUE(snap.valid & VMCLOCK_SNAPSHOT_TIME);
	close(fd);
}

TEST_HARNESS_MAIN
