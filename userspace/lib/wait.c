// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waiting for the events of a watch.
 *
 * Where nothing notifies, the sequence word can be waited for as a futex: the
 * kernel compares it with the value that was seen, so a change in between, or a
 * wake-up by a writer that knows of us, ends the wait at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include "watch.h"

#define NSEC_PER_SEC	1000000000ULL

/*
 * A file that the handle does not map, since it could be truncated, is mapped
 * here for its address only: in the kernel a page that is not there is an error.
 */
void vmclk__word_map(struct vmclk_watch *w)
{
	size_t len = sysconf(_SC_PAGESIZE);
	struct stat st;
	void *p;

	if (w->clk->page) {
		w->word = (const char *)w->clk->page + offsetof(struct vmclock_page, seq_count);
		return;
	}
	if (fstat(w->clk->fd, &st) || !S_ISREG(st.st_mode))
		return;
	/* A file of huge pages is mapped, and unmapped, by those. */
	if ((size_t)st.st_blksize > len)
		len = st.st_blksize;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, w->clk->fd, 0);
	if (p == MAP_FAILED)
		return;
	w->word = (char *)p + offsetof(struct vmclock_page, seq_count);
	w->word_len = len;
}

void vmclk__word_unmap(struct vmclk_watch *w)
{
	if (w->word_len)
		munmap((char *)w->word - offsetof(struct vmclock_page, seq_count), w->word_len);
	w->word = NULL;
	w->word_len = 0;
}

/* Nanoseconds, which last for 584 years of uptime. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
}

static int sleep_on_poll(struct vmclk_watch *w, uint64_t ns)
{
	struct pollfd poll_fd = { .fd = w->epoll_fd, .events = POLLIN };
	struct timespec timeout = to_timespec(ns);

	return ppoll(&poll_fd, 1, &timeout, NULL) < 0 ? -errno : 0;
}

/*
 * Nothing else wakes us here, inotify included, so the page and the path are
 * looked at in time.
 */
static int sleep_on_word(struct vmclk_watch *w, uint64_t ns)
{
	bool seldom = w->inotify_fd >= 0 && w->interval_ns > SAFETY_NS;
	uint64_t most = seldom ? SAFETY_NS : w->interval_ns;
	struct timespec timeout = to_timespec(ns < most ? ns : most);

	if (!syscall(SYS_futex, w->word, FUTEX_WAIT, w->word_seen, &timeout, NULL, 0))
		return 0;
	switch (errno) {
	case EAGAIN:
	case ETIMEDOUT:
		return 0;
	case EINTR:
		return -EINTR;
	default:	/* no memory that can be waited for: a device, a truncated file */
		vmclk__word_unmap(w);
		return 0;
	}
}

static int sleep_for(struct vmclk_watch *w, uint64_t ns)
{
	int saved = errno, err;

	if (w->word && w->device_fd < 0 && !w->gone)
		err = sleep_on_word(w, ns);
	else
		err = sleep_on_poll(w, ns);
	errno = saved;
	return err;
}

int vmclk_wait(struct vmclk_watch *w, uint64_t timeout_ns, unsigned int *events)
{
	uint64_t now = now_ns();
	uint64_t deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;

	for (;;) {
		bool was_gone = w->gone;
		int err = vmclk_watch_read(w, events);

		if (err || *events)
			return err;
		if (was_gone && !(w->mask & VMCLK_EVENT_REPLACED))
			return -VMCLK_EGONE;
		now = now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		err = sleep_for(w, deadline - now);
		if (err)
			return err;
	}
}
