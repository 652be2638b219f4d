// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "common.h"
#include "counter.h"

#define NSEC_PER_SEC	1000000000LL
#define PAUSE_NS	100000L
/* With the pause, more than the 100 ms that Linux's driver waits for an update. */
#define TRIES		1000

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/*
 * Edge-triggered: only what wakes a waiter is reported, not that a look would
 * find news, which the driver would say without a notification too.
 */
static int watch_device(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_fd < 0)
		return -1;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		close(epoll_fd);
		return -1;
	}
	epoll_wait(epoll_fd, &event, 1, 0);
	return epoll_fd;
}

/*
 * Where a page of the kernel is larger than the device's, our driver has nothing to
 * map, and the in-tree driver maps what lies in front of it: then it is read. The
 * magic decides, and whether it is a good one does not matter here. To read is to
 * have our driver look, which wakes waiters without a notification: then none is
 * listened to.
 */
static int map_device(struct capture *c)
{
	void *map = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, c->fd, 0);
	uint32_t magic;

	if (map == MAP_FAILED && errno != EOPNOTSUPP)
		return -errno;
	if (map == MAP_FAILED)
		return 0;
	if (pread(c->fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	    magic != __atomic_load_n((uint32_t *)map, __ATOMIC_RELAXED)) {
		munmap(map, sysconf(_SC_PAGESIZE));
		return 0;
	}
	c->map = map;
	c->epoll_fd = watch_device(c->fd);
	return 0;
}

int capture_open(struct capture *c, const char *path)
{
	struct stat st;
	int err = 0;

	*c = (struct capture){ .path = path ? path : "/dev/vmclock", .epoll_fd = -1 };
	/* O_NONBLOCK: not to wait for the writer of a FIFO. */
	c->fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 && errno == ENOENT && !path) {
		c->path = "/dev/vmclock0";
		c->fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (c->fd < 0)
		return page_open_error(path, -errno);
	if (fstat(c->fd, &st))
		err = -errno;
	else if (S_ISCHR(st.st_mode))
		err = map_device(c);
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	if (!err)
		return EXIT_OK;
	capture_close(c);
	return page_open_error(path, err);
}

/* By words, each loaded once; a file by system calls, whose loads are this CPU's. */
static ssize_t copy_page(const struct capture *c, struct vmclock_page *page)
{
	uint64_t words[sizeof(*page) / sizeof(uint64_t)];
	ssize_t n;

	memset(page, 0, sizeof(*page));
	if (!c->map) {
		n = pread(c->fd, page, sizeof(*page), 0);
		return n < 0 ? -errno : n;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = __atomic_load_n(&c->map[i], __ATOMIC_RELAXED);
	memcpy(page, words, sizeof(*page));
	return sizeof(*page);
}

/*
 * The reader's half of the sequence protocol, as in the library's window.h: the
 * first copy only has the number; its fence pairs with the writer's before the
 * even number (write.c, W3), that before the last copy with the one after the odd
 * number (W1). counter_barrier() keeps the counter's reading in front of the last.
 */
static ssize_t try_look(const struct capture *c, struct trace_look *look, bool *is_whole)
{
	struct vmclock_page first, last;
	ssize_t n = copy_page(c, &first);

	if (n < 0)
		return n;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R1, with write.c */
	n = copy_page(c, &look->page);
	look->realtime_ns = clock_ns(CLOCK_REALTIME);
	look->counter = counter_read_ordered();
	counter_barrier();
	look->realtime_after_ns = clock_ns(CLOCK_REALTIME);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* R3, with write.c */
	if (n < 0 || copy_page(c, &last) < 0)
		return n < 0 ? n : -EIO;
	look->raw_ns = clock_ns(CLOCK_MONOTONIC_RAW);
	look->len = n;
	*is_whole = !(le32toh(first.seq_count) & 1) && first.seq_count == last.seq_count &&
		    first.seq_count == look->page.seq_count;
	return 0;
}

static enum trace_notified was_notified(const struct capture *c)
{
	struct epoll_event event;

	if (c->epoll_fd < 0)
		return TRACE_UNSEEN;
	return epoll_wait(c->epoll_fd, &event, 1, 0) > 0 ? TRACE_NOTIFIED : TRACE_SILENT;
}

int capture_look(const struct capture *c, struct trace_look *look)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	bool is_whole = false;

	/* First: what it was about is then in this look, or in an earlier one. */
	look->notified = was_notified(c);
	for (unsigned int tries = 0; tries < TRIES && !is_whole; tries++) {
		ssize_t err;

		if (tries)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		err = try_look(c, look, &is_whole);
		if (err) {
			complain(c->path, "%s", strerror(-err));
			return EXIT_SYSTEM;
		}
	}
	if (!is_whole)
		look->page.seq_count |= htole32(1);
	return EXIT_OK;
}

void capture_close(struct capture *c)
{
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->map)
		munmap((void *)c->map, sysconf(_SC_PAGESIZE));
	if (c->fd >= 0)
		close(c->fd);
}
