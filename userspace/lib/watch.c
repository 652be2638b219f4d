// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A watch: the things that can tell of a change, behind one descriptor, and
 * what they tell of. They only say that it is worth looking; what happened is
 * found by comparing the page with the last copy of it.
 *
 * Always in this order: take note of the wake-up, then look. A change after the
 * look wakes again.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

#define NSEC_PER_SEC	1000000000ULL

/* Whose descriptor it is, in the epoll set. */
enum source {
	SOURCE_TIMER,
	SOURCE_PATH,
	SOURCE_DEVICE,
	SOURCES,
};

static int add_source(struct vmclk_watch *w, int fd, enum source source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int arm_timer(struct vmclk_watch *w)
{
	bool seldom = (w->gone || w->device_fd >= 0) && w->interval_ns < SAFETY_NS;
	uint64_t ns = seldom ? SAFETY_NS : w->interval_ns;
	const struct timespec period = {
		.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC,
	};
	const struct itimerspec timer = { .it_interval = period, .it_value = period };

	return timerfd_settime(w->timer_fd, 0, &timer, NULL) ? -errno : 0;
}

static int open_timer(struct vmclk_watch *w)
{
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return w->timer_fd < 0 ? -errno :
				 add_source(w, w->timer_fd, SOURCE_TIMER, EPOLLIN);
}

static bool is_exhausted(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOSPC || errnum == ENOMEM;
}

/* The directory that holds the path's last name. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : slash - path);
}

/*
 * A directory that may be searched and not read can't be watched: then the
 * path is looked at with the page.
 */
static int open_inotify(struct vmclk_watch *w)
{
	const uint32_t changes = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
				 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	char *directory = directory_of(w->clk->path);
	int errnum = 0;

	if (!directory)
		return -ENOMEM;
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify_fd < 0 || inotify_add_watch(w->inotify_fd, directory, changes) < 0)
		errnum = errno;
	free(directory);
	if (errnum)
		return is_exhausted(errnum) ? -errnum : 0;
	return add_source(w, w->inotify_fd, SOURCE_PATH, EPOLLIN);
}

/*
 * A driver that knows of no notifications answers POLLHUP at once, and one
 * without poll can't be in an epoll set.
 *
 * Edge-triggered, since a sequence number that stays odd would look like news
 * all the time; the even number after it comes with a wake-up.
 */
int vmclk__watch_notifier(struct vmclk_watch *w, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int err = poll(&poll_fd, 1, 0) < 0 ? -errno : 0;

	if (!err && !(poll_fd.revents & (POLLHUP | POLLERR)))
		err = add_source(w, fd, SOURCE_DEVICE, EPOLLIN | EPOLLPRI | EPOLLET);
	else if (!err)
		err = -EPERM;
	if (err) {
		close(fd);
		return err == -EPERM ? 0 : err;
	}
	w->device_fd = fd;
	return arm_timer(w);
}

/*
 * What counts as news is remembered for each open file, and read() by anybody
 * who shares it makes it old: hence a file of our own.
 */
static int open_device(struct vmclk_watch *w, const struct stat *st)
{
	char path[32];
	int fd;

	if (!S_ISCHR(st->st_mode))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->clk->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return is_exhausted(errno) ? -errno : 0;
	return vmclk__watch_notifier(w, fd);
}

static struct named_file identity_of(const struct stat *st)
{
	return (struct named_file){ st->st_dev, st->st_ino, st->st_rdev };
}

/*
 * The page's first copy comes after everything that can tell of a change. That
 * a device is still there then also proves that the file opened before is of
 * the same device, not of another that got its number.
 */
static int open_watch(struct vmclk_watch *w)
{
	struct stat st;
	int err;

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0 || fstat(w->clk->fd, &st))
		return -errno;
	w->named = identity_of(&st);
	err = open_timer(w);
	if (!err)
		err = arm_timer(w);
	if (!err && (w->mask & VMCLK_EVENT_REPLACED))
		err = open_inotify(w);
	if (!err)
		err = open_device(w, &st);
	if (!err)
		err = vmclk_snapshot(w->clk, &w->seen);
	if (err)
		return err;

	w->has_generation = w->seen.flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;
	w->generation = w->seen.vm_generation_counter;
	w->word_seen = htole32(w->seen.seq_count);
	vmclk__word_map(w);
	return 0;
}

int vmclk_watch_open(const struct vmclk *clk, unsigned int mask, struct vmclk_watch **watch)
{
	struct vmclk_watch *w;
	int err;

	if (!mask || (mask & ~VMCLK_EVENT_ALL))
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->clk = clk;
	w->mask = mask | VMCLK_EVENT_GONE;
	if (!*clk->path)
		w->mask &= ~VMCLK_EVENT_REPLACED;
	w->interval_ns = VMCLK_WATCH_INTERVAL_DEFAULT_NS;
	w->epoll_fd = -1;
	w->timer_fd = -1;
	w->inotify_fd = -1;
	w->device_fd = -1;

	err = open_watch(w);
	if (err)
		vmclk_watch_close(w);
	else
		*watch = w;
	return err;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vmclk_watch_close(struct vmclk_watch *w)
{
	if (!w)
		return;
	vmclk__word_unmap(w);
	close_if_open(w->device_fd);
	close_if_open(w->inotify_fd);
	close_if_open(w->timer_fd);
	close_if_open(w->epoll_fd);
	free(w);
}

int vmclk_watch_set_interval(struct vmclk_watch *w, uint64_t interval_ns)
{
	int saved = errno, err;

	if (interval_ns < VMCLK_WATCH_INTERVAL_MIN_NS ||
	    interval_ns > VMCLK_WATCH_INTERVAL_MAX_NS)
		return -EINVAL;
	w->interval_ns = interval_ns;
	err = arm_timer(w);
	errno = saved;
	return err;
}

int vmclk_watch_fd(const struct vmclk_watch *w)
{
	return w->epoll_fd;
}

/*
 * Reading makes the driver wake us again. With an update in progress it would
 * have to wait for that to end, but then the end is what wakes us. POLLHUP: the
 * device is going, or does not notify any longer; then the timer has to do.
 */
static void hear_device(struct vmclk_watch *w, uint32_t events)
{
	struct vmclock_page copy;
	uint32_t seq;

	if (events & (EPOLLHUP | EPOLLERR)) {
		close(w->device_fd);
		w->device_fd = -1;
		arm_timer(w);
	} else if (!vmclk__peek(w->clk, &seq) && !(seq & 1)) {
		(void)!pread(w->device_fd, &copy, sizeof(copy), 0);
	}
}

static void hear(struct vmclk_watch *w)
{
	struct epoll_event ready[SOURCES];
	int n = epoll_wait(w->epoll_fd, ready, SOURCES, 0);

	for (int i = 0; i < n; i++) {
		char news[4096];

		if (ready[i].data.u32 == SOURCE_DEVICE)
			hear_device(w, ready[i].events);
		else if (ready[i].data.u32 == SOURCE_PATH)
			(void)!read(w->inotify_fd, news, sizeof(news));
		else
			(void)!read(w->timer_fd, news, sizeof(uint64_t));
	}
}

/* The last one that there was: the page may have been without in between. */
static bool is_cloned(struct vmclk_watch *w, const struct vmclk_snapshot *new)
{
	bool cloned;

	if (!(new->flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT))
		return false;
	cloned = w->has_generation && w->generation != new->vm_generation_counter;
	w->has_generation = true;
	w->generation = new->vm_generation_counter;
	return cloned;
}

static unsigned int bury(struct vmclk_watch *w)
{
	w->gone = true;
	arm_timer(w);
	return VMCLK_EVENT_GONE;
}

/* An update in progress, or updates without a pause: later. */
static int look_at_page(struct vmclk_watch *w, unsigned int *events)
{
	struct vmclk_snapshot new;
	uint32_t seq;
	int err;

	if (w->gone)
		return 0;
	err = vmclk__peek(w->clk, &seq);
	if (!err) {
		/* Before the copy: whatever is not in that has changed the word. */
		w->word_seen = htole32(seq);
		if (seq & 1)
			return 0;
		err = vmclk_snapshot(w->clk, &new);
	}
	if (err == -VMCLK_EGONE)
		*events |= bury(w);
	if (err)
		return err == -VMCLK_EGONE || err == -VMCLK_EBUSY ? 0 : err;

	*events |= vmclk__differences(&w->seen, &new);
	if (is_cloned(w, &new))
		*events |= VMCLK_EVENT_CLONED;
	w->seen = new;
	return 0;
}

static unsigned int look_at_path(struct vmclk_watch *w)
{
	const struct named_file none = { 0 };
	struct stat st;
	struct named_file now = stat(w->clk->path, &st) ? none : identity_of(&st);

	if (now.dev == w->named.dev && now.ino == w->named.ino && now.rdev == w->named.rdev)
		return 0;
	w->named = now;
	return VMCLK_EVENT_REPLACED;
}

int vmclk_watch_read(struct vmclk_watch *w, unsigned int *events)
{
	int saved = errno, err;
	unsigned int found = 0;

	hear(w);
	err = look_at_page(w, &found);
	if (w->mask & VMCLK_EVENT_REPLACED)
		found |= look_at_path(w);
	*events = found & w->mask;
	errno = saved;
	return *events ? 0 : err;
}
