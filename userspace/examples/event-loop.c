// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * An event loop that reacts when the clock broke. The loop's own work is a line
 * of standard input; what it knows by the clock is forgotten when that is void.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <vmclk-watch.h>

#define MASK (VMCLK_EVENT_DISRUPTED | VMCLK_EVENT_CLONED | VMCLK_EVENT_STATUS | \
	      VMCLK_EVENT_MAINTENANCE)

/* What a program has to do. Return: false if there is no clock any more. */
static bool react(unsigned int events)
{
	if (events & VMCLK_EVENT_CLONED)
		puts("cloned: another machine has our keys, nonces and leases: drop them");
	if (events & VMCLK_EVENT_DISRUPTED)
		puts("disrupted: stamps from before say nothing of now");
	if (events & VMCLK_EVENT_STATUS)
		puts("status: ask vmclk_now() whether there is a time");
	if (events & VMCLK_EVENT_MAINTENANCE)
		puts("maintenance: a disruption was announced, or called off");
	if (events & VMCLK_EVENT_GONE)
		puts("gone: no clock any more");
	fflush(stdout);
	return !(events & VMCLK_EVENT_GONE);
}

static bool work(void)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	return n > 0 && write(STDOUT_FILENO, line, n) == n;
}

static int loop(struct vmclk_watch *watch)
{
	struct epoll_event clock = { .events = EPOLLIN, .data.fd = vmclk_watch_fd(watch) };
	struct epoll_event input = { .events = EPOLLIN, .data.fd = STDIN_FILENO }, ready;
	int fd = epoll_create1(EPOLL_CLOEXEC), err = 0;
	bool going = fd >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, clock.data.fd, &clock) &&
		     !epoll_ctl(fd, EPOLL_CTL_ADD, input.data.fd, &input);

	while (going && epoll_wait(fd, &ready, 1, -1) == 1) {
		unsigned int events;

		if (ready.data.fd == input.data.fd) {
			going = work();
			continue;
		}
		err = vmclk_watch_read(watch, &events);
		going = !err && react(events);
	}
	close(fd);
	return err;
}

int main(int argc, char **argv)
{
	struct vmclk *clk = NULL;
	struct vmclk_watch *watch = NULL;
	int err = vmclk_open(argc > 1 ? argv[1] : NULL, &clk);

	if (!err)
		err = vmclk_watch_open(clk, MASK, &watch);
	if (!err)
		err = loop(watch);
	if (err)
		fprintf(stderr, "event-loop: %s\n", vmclk_strerror(err));
	vmclk_watch_close(watch);
	vmclk_close(clk);
	return err ? 1 : 0;
}
