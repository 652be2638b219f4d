// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device goes while programs wait for its events, in every way there is.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define ROUNDS 25
#define WAITERS 4

FIXTURE(waiters) {
	char device[64];
	struct vmclock_page page;
};

FIXTURE_VARIANT(waiters) {
	int page;
};

FIXTURE_VARIANT_ADD(waiters, watched) {
	.page = T_KNOB
};

FIXTURE_VARIANT_ADD(waiters, notified) {
	.page = T_NOTIFIED
};

FIXTURE_SETUP(waiters)
{
	ASSERT_TRUE(t_platform_device(variant->page, self->device, sizeof(self->device)));
	ASSERT_TRUE(t_peek(variant->page, 0, &self->page, sizeof(self->page)));
}

FIXTURE_TEARDOWN(waiters)
{
	t_write_file(T_DRIVER_DIR "/bind", self->device);
	ASSERT_TRUE(t_poke(variant->page, 0, &self->page, sizeof(self->page)));
}

struct waiter {
	int fd;
	pid_t tid;
	int ret;
	pthread_t thread;
};

static void *in_poll(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = poll(&p, 1, -1) < 0 ? -errno : p.revents;
	return NULL;
}

static void *in_wait(void *arg)
{
	struct waiter *w = arg;
	struct vmclock_wait wait;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = t_wait(w->fd, 0, -1, &wait);
	return NULL;
}

/* The page may be odd for long, if the host is slow in the middle of an update. */
static void read_patiently(int fd)
{
	char byte;

	while (pread(fd, &byte, 1, 0) < 0 && errno == ETIMEDOUT)
		;
}

/* Return: does it sleep? It may have an answer already. */
static bool start(struct waiter *w, int page, void *(*how)(void *))
{
	memset(w, 0, sizeof(*w));
	w->fd = t_open(page, O_RDONLY);
	read_patiently(w->fd);
	if (pthread_create(&w->thread, NULL, how, w))
		ksft_exit_fail_msg("no thread\n");
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		usleep(100);
	return t_sleeps(w->tid);
}

TEST_F(waiters, are_woken_and_told)
{
	struct waiter poller, waiter;

	ASSERT_TRUE(start(&poller, variant->page, in_poll));
	ASSERT_TRUE(start(&waiter, variant->page, in_wait));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
	pthread_join(poller.thread, NULL);
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(POLLHUP | POLLERR, poller.ret);
	EXPECT_EQ(-ENODEV, waiter.ret);
	close(poller.fd);
	close(waiter.fd);
}

TEST_F(waiters, by_epoll_are_woken_and_told)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0), fd = t_open(variant->page, O_RDONLY);
	char byte;

	ASSERT_EQ(1, read(fd, &byte, 1));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, -1));
	EXPECT_EQ(EPOLLHUP | EPOLLERR, event.events);
	close(epoll);
	close(fd);
}

TEST_F(waiters, by_eventfd_and_signal_are_told)
{
	int fd = t_open(variant->page, O_RDONLY), efd = eventfd(0, EFD_NONBLOCK);
	const struct timespec patience = { 20, 0 };
	siginfo_t info = { };
	uint64_t count = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_EQ(0, t_set_eventfd(fd, VMCLOCK_EVENT_LEAP, efd));
	ASSERT_EQ(0, t_set_events(fd, VMCLOCK_EVENT_LEAP));
	ASSERT_EQ(0, fcntl(fd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(fd, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_ASYNC));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
	EXPECT_EQ(8, read(efd, &count, 8));
	EXPECT_EQ(SIGRTMIN, sigtimedwait(&set, &info, &patience));
	EXPECT_TRUE(info.si_band & POLLHUP);
	/* Released after the device has gone. */
	EXPECT_EQ(0, close(fd));
	close(efd);
}

TEST_F(waiters, can_not_begin_to_wait_afterwards)
{
	int fd = t_open(variant->page, O_RDONLY), efd = eventfd(0, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct vmclock_wait wait;

	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
	EXPECT_EQ(-ENODEV, t_wait(fd, 0, -1, &wait));
	EXPECT_EQ(-ENODEV, t_wait(fd, 0, 0, &wait));
	EXPECT_EQ(-ENODEV, t_set_events(fd, VMCLOCK_EVENT_UPDATE));
	EXPECT_EQ(-ENODEV, t_set_eventfd(fd, VMCLOCK_EVENT_UPDATE, efd));
	EXPECT_EQ(1, poll(&p, 1, -1));
	EXPECT_EQ(POLLHUP | POLLERR, p.revents);
	EXPECT_EQ(-1, fcntl(fd, F_SETFL, O_ASYNC));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
	close(efd);
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

/* Whatever comes first, event or end. */
static bool answer_is_right(const struct waiter *w, bool polls)
{
	return polls ? w->ret & (POLLIN | POLLHUP) : !w->ret || w->ret == -ENODEV;
}

TEST_F_TIMEOUT(waiters, survive_many_rounds_under_updates, 200)
{
	volatile int page = variant->page;
	struct waiter w[WAITERS];
	pthread_t updater;
	int fds[ROUNDS];

	ASSERT_EQ(0, pthread_create(&updater, NULL, update, (void *)&page));
	for (int round = 0; round < ROUNDS; round++) {
		int efd = eventfd(0, 0);

		fds[round] = t_open(variant->page, O_RDONLY);
		ASSERT_EQ(0, t_set_eventfd(fds[round], VMCLOCK_EVENT_UPDATE, efd));
		for (int i = 0; i < WAITERS; i++)
			start(&w[i], variant->page, i & 1 ? in_poll : in_wait);
		ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", self->device));
		for (int i = 0; i < WAITERS; i++) {
			pthread_join(w[i].thread, NULL);
			EXPECT_TRUE(answer_is_right(&w[i], i & 1))
				TH_LOG("%s: %d", i & 1 ? "poll" : "wait", w[i].ret);
			close(w[i].fd);
		}
		close(efd);
		ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", self->device));
	}
	page = -1;
	pthread_join(updater, NULL);
	for (int round = 0; round < ROUNDS; round++)
		close(fds[round]);
}

TEST_HARNESS_MAIN
