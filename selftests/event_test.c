// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being told without waiting: eventfd, SIGIO, uevents, the log, tracepoints.
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
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

FIXTURE(event) {
	int fd;
	int eventfd;
	struct vmclock_page page;
	struct vmclock_page before;
};

FIXTURE_VARIANT(event) {
	int page;
};

FIXTURE_VARIANT_ADD(event, watched) {
	.page = T_KNOB
};

FIXTURE_VARIANT_ADD(event, notified) {
	.page = T_NOTIFIED
};

FIXTURE_SETUP(event)
{
	self->fd = t_open(variant->page, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(t_peek(variant->page, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, variant->page, &self->page));
	self->eventfd = eventfd(0, EFD_CLOEXEC);
}

FIXTURE_TEARDOWN(event)
{
	/* The driver sees the old page as the last one. */
	t_set_eventfd(self->fd, 0, 0);
	ASSERT_TRUE(t_poke(variant->page, 0, &self->before, sizeof(self->before)));
	read(self->fd, &self->page, sizeof(self->page));
	close(self->fd);
	close(self->eventfd);
}

/* Has something come within @ms? */
static bool comes(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

TEST_F(event, signals_an_eventfd)
{
	uint64_t count = 0;

	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_STATUS, self->eventfd));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_FALSE(comes(self->eventfd, 100));
	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_TRUE(comes(self->eventfd, -1));
	ASSERT_EQ(8, read(self->eventfd, &count, 8));
	EXPECT_EQ(1, count);
}

TEST_F(event, does_not_signal_an_eventfd_after_it_was_taken_back)
{
	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, self->eventfd));
	ASSERT_EQ(0, t_set_eventfd(self->fd, 0, 0));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_FALSE(comes(self->eventfd, 100));
}

TEST_F(event, replaces_an_eventfd)
{
	int second = eventfd(0, EFD_CLOEXEC);

	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, self->eventfd));
	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, second));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_TRUE(comes(second, -1));
	EXPECT_FALSE(comes(self->eventfd, 0));
	close(second);
}

TEST_F(event, forgets_a_file_that_was_closed)
{
	int file = t_open(variant->page, O_RDONLY);

	ASSERT_EQ(0, t_set_eventfd(file, VMCLOCK_EVENT_UPDATE, self->eventfd));
	ASSERT_EQ(0, close(file));
	ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, self->eventfd));
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_TRUE(comes(self->eventfd, -1));
}

TEST_F(event, refuses_what_is_no_eventfd)
{
	EXPECT_EQ(-EBADF, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, -1));
	EXPECT_EQ(-EINVAL, t_set_eventfd(self->fd, VMCLOCK_EVENT_UPDATE, self->fd));
	for (int bit = 7; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, t_set_eventfd(self->fd, 1U << bit, self->eventfd));
	EXPECT_EQ(-EINVAL, t_set_eventfd(self->fd, 0, self->eventfd));
}

/* Nobody has to look for the watch to begin, or to become faster. */
TEST_F(event, signals_an_eventfd_once_there_is_a_watch)
{
	const char *const before[] = { "0", "60000" };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, t_write_file(T_WATCH_MS, before[i]));
		ASSERT_EQ(0, t_set_eventfd(self->fd, VMCLOCK_EVENT_STATUS, self->eventfd));
		usleep(200000);
		ASSERT_EQ(0, t_write_file(T_WATCH_MS, "10"));
		self->page.clock_status ^= 1;
		ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
		EXPECT_TRUE(comes(self->eventfd, 20000));
		ASSERT_EQ(0, t_set_eventfd(self->fd, 0, 0));
		close(self->eventfd);
		self->eventfd = eventfd(0, EFD_CLOEXEC);
	}
}

static bool signal_comes(int sig, int ms, siginfo_t *info)
{
	struct timespec timeout = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, info, &timeout) == sig;
}

TEST_F(event, sends_sigio)
{
	siginfo_t info = { };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_DISRUPTED));
	ASSERT_EQ(0, fcntl(self->fd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->fd, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_ASYNC));

	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_FALSE(signal_comes(SIGRTMIN, 100, &info));
	self->page.disruption_marker = htole64(0x8888);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	EXPECT_TRUE(signal_comes(SIGRTMIN, 20000, &info));
	EXPECT_EQ(self->fd, info.si_fd);
	EXPECT_TRUE(info.si_band & POLLPRI);
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
}

static bool disrupt(int page, struct vmclock_page *p, int fd)
{
	char byte;

	p->disruption_marker = htole64(le64toh(p->disruption_marker) + 1);
	return t_publish(page, p, 1) && pread(fd, &byte, 1, 0) == 1;
}

/* What came before is told up to a second late: wait until all of it has been. */
static void let_it_all_be_told(int sock, const char *node)
{
	while (t_uevent_comes(sock, node, "VMCLOCK_EVENT=disrupted", 2500))
		;
}

TEST_F(event, sends_a_uevent_and_a_log_line_per_disruption)
{
	char node[64], text[80], line[256];
	int sock = t_uevent_socket(), lines;

	ASSERT_GE(sock, 0);
	ASSERT_TRUE(t_node(variant->page, node, sizeof(node)));
	let_it_all_be_told(sock, node);
	snprintf(text, sizeof(text), "vmclock: %s: the counter was", node + strlen("/dev/"));
	lines = t_count_in_log(text, "disrupted", line, sizeof(line));

	ASSERT_TRUE(disrupt(variant->page, &self->page, self->fd));
	EXPECT_TRUE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=disrupted", 20000));
	EXPECT_FALSE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=generation", 0));
	EXPECT_EQ(lines + 1, t_count_in_log(text, "disrupted", line, sizeof(line)));

	self->page.vm_generation_counter = htole64(0x9999);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	read(self->fd, text, 1);
	EXPECT_TRUE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=generation", 20000));
	close(sock);
}

/* None in the second after one; then one, for all that came meanwhile. */
TEST_F(event, holds_a_storm_of_uevents_and_log_lines_back)
{
	char node[64], text[80], line[256];
	int sock = t_uevent_socket(), lines;
	int64_t first, last, second;

	ASSERT_TRUE(t_node(variant->page, node, sizeof(node)));
	let_it_all_be_told(sock, node);
	snprintf(text, sizeof(text), "vmclock: %s: the counter was", node + strlen("/dev/"));
	lines = t_count_in_log(text, "disrupted", line, sizeof(line));
	ASSERT_TRUE(disrupt(variant->page, &self->page, self->fd));
	ASSERT_TRUE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=disrupted", 20000));
	first = t_clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < 5; i++)
		ASSERT_TRUE(disrupt(variant->page, &self->page, self->fd));
	last = t_clock_ns(CLOCK_MONOTONIC);
	ASSERT_TRUE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=disrupted", 20000));
	second = t_clock_ns(CLOCK_MONOTONIC);
	EXPECT_LT(700000000, second - first);
	/* Unless the machine was so slow that the five took longer than that. */
	if (last - first < 700000000) {
		EXPECT_FALSE(t_uevent_comes(sock, node, "VMCLOCK_EVENT=disrupted", 1500));
		EXPECT_EQ(lines + 2, t_count_in_log(text, "disrupted", line, sizeof(line)));
	}
	close(sock);
}

FIXTURE(trace) {
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
};

FIXTURE_SETUP(trace)
{
	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_KNOB, &self->page));
	ASSERT_TRUE(t_trace("", true));
}

FIXTURE_TEARDOWN(trace)
{
	t_trace("", false);
	ASSERT_TRUE(t_poke(T_KNOB, 0, &self->before, sizeof(self->before)));
	pread(self->fd, &self->page, 16, 0);
	close(self->fd);
}

TEST_F(trace, shows_updates_and_disruptions)
{
	char byte;

	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(1, t_count_in_trace("vmclock_update: index=1 seq=6 last_seq=4",
				    "events=update\n"));
	EXPECT_EQ(0, t_count_in_trace("vmclock_disruption:", ""));
	ASSERT_TRUE(disrupt(T_KNOB, &self->page, self->fd));
	EXPECT_EQ(1, t_count_in_trace("vmclock_update:", "events=update|disrupted"));
	EXPECT_EQ(1, t_count_in_trace("vmclock_disruption: index=1",
				    "marker=0x1112 last_marker=0x1111 generation=0x2222"));
}

TEST_F(trace, shows_a_timeout)
{
	char byte;

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(5)));
	EXPECT_EQ(-1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(ETIMEDOUT, errno);
	EXPECT_EQ(1, t_count_in_trace("vmclock_timeout: index=1 seq=5", "tries="));
	EXPECT_EQ(0, t_count_in_trace("vmclock_retry:", ""));
}

struct reader {
	pthread_t thread;
	int fd;
	ssize_t n;
};

static void *read_a_byte(void *arg)
{
	struct reader *reader = arg;
	char byte;

	reader->n = pread(reader->fd, &byte, 1, 0);
	return NULL;
}

/* One that reads while the page is odd. Return: what it got. */
static ssize_t read_in_update(int fd, uint32_t seq)
{
	struct reader reader = { .fd = fd, .n = -1 };

	if (!t_poke_field(T_KNOB, seq_count, htole32(seq - 1)) ||
	    pthread_create(&reader.thread, NULL, read_a_byte, &reader))
		return -1;
	usleep(20000);
	t_poke_field(T_KNOB, seq_count, htole32(seq));
	pthread_join(reader.thread, NULL);
	return reader.n;
}

/* A machine that is held up ends the update too late, or has it read too late. */
TEST_F(trace, shows_a_retry)
{
	uint32_t seq = le32toh(self->page.seq_count);
	char text[64];
	int told = 0;

	for (int i = 0; i < 50 && !told; i++) {
		seq += 2;
		snprintf(text, sizeof(text), "index=1 seq=%u tries=", seq);
		if (read_in_update(self->fd, seq) == 1)
			told = t_count_in_trace("vmclock_retry:", text);
	}
	EXPECT_EQ(1, told);
	EXPECT_EQ(0, t_count_in_trace("vmclock_timeout:", text));
}

TEST_HARNESS_MAIN
