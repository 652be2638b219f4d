// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's end of vm/restored.py: programs that wait until the page is good again
 * after a disruption, and then read CLOCK_REALTIME.
 *
 *	restore_witness POLICY...
 *
 * For each of the policies of on_restore it starts one program for each way to wait,
 * says "ready", and when a disruption comes, at which moment:
 *
 *	disrupted policy=P at=NS
 *
 * Each program looks at the clock again and again from the event on, for a while, and
 * writes down how often, how often that was outside of the page's bound, and the look
 * that was the quickest: see tell(). Beside all that stamps.c says what is on the page,
 * and answers the host. At the end it says "ready" once more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vmclk.h>
#include <vmclk-stamp.h>

#include "helpers.h"

#define ON_RESTORE "/sys/module/vmclock/parameters/on_restore"
/*
 * Nobody keeps the clock right after it was set, and it runs with the rate that the
 * kernel has found at boot: not for long.
 */
#define A_WHILE_NS	200000000
#define EVERY_US	1000
/* The driver may take a second until it says something. */
#define LOG_PATIENCE	30

/* A look at the clock, between two at the page, in UTC. */
struct look {
	struct vmclk_stamp before, after;
	int64_t real_ns;
};

/* A program, while it waits and after that. */
struct program {
	const char *way, *policy;
	int fd, eventfd, timer;
	int64_t told_ns;
	bool was_set, was_set_late;
	struct look quickest;
	unsigned int looks, outside;
};

static void die(const char *what)
{
	printf("restore_witness: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_device(void)
{
	int fd = t_open(T_QEMU, O_RDONLY);

	if (fd < 0)
		die("the device");
	return fd;
}

/* Has the event come now, or does it come? */
static void by_wait(struct program *p)
{
	struct vmclock_wait wait;

	if (t_wait(p->fd, VMCLOCK_EVENT_RECALIBRATED, -1, &wait))
		die("WAIT");
}

static void by_poll(struct program *p)
{
	struct pollfd file = { .fd = p->fd, .events = POLLIN };

	if (t_set_events(p->fd, VMCLOCK_EVENT_RECALIBRATED) || poll(&file, 1, -1) != 1 ||
	    file.revents != POLLIN)
		die("poll");
}

static void by_eventfd(struct program *p)
{
	uint64_t count;

	if (read(p->eventfd, &count, sizeof(count)) != sizeof(count))
		die("eventfd");
}

static const struct {
	const char *name;
	void (*wait)(struct program *p);
} ways[] = { { "WAIT", by_wait }, { "poll", by_poll }, { "eventfd", by_eventfd } };

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int64_t ns(const struct vmclk_time *t)
{
	return t->sec * INT64_C(1000000000) + t->nsec;
}

static void take(struct vmclk *clk, struct look *look)
{
	int err = vmclk_now(clk, &look->before);

	look->real_ns = t_clock_ns(CLOCK_REALTIME);
	err = err ?: vmclk_now(clk, &look->after);
	err = err ?: vmclk_to_utc(&look->before, &look->before);
	err = err ?: vmclk_to_utc(&look->after, &look->after);
	if (err) {
		printf("restore_witness: the page: %s\n", vmclk_strerror(err));
		exit(1);
	}
}

static bool is_outside(const struct look *look)
{
	return look->real_ns < ns(&look->before.earliest) ||
	       look->real_ns > ns(&look->after.latest);
}

/* Since the last call, or since it was armed. */
static bool was_set(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;
}

/* All but the counters is in ns. */
static void tell(const struct program *p)
{
	const struct look *look = &p->quickest;

	printf("told way=%s policy=%s set=%d late=%d at=%lld looks=%u outside=%u counters=%llu-%llu real=%lld bound=%lld\n",
	       p->way, p->policy, p->was_set, p->was_set_late, (long long)p->told_ns, p->looks,
	       p->outside,
	       (unsigned long long)look->before.counter, (unsigned long long)look->after.counter,
	       (long long)look->real_ns,
	       (long long)(ns(&look->before.latest) - ns(&look->before.earliest)) / 2);
}

static uint64_t width(const struct look *look)
{
	return look->after.counter - look->before.counter;
}

static void look_at_clock(struct vmclk *clk, struct program *p)
{
	struct look look;

	take(clk, &look);
	p->outside += is_outside(&look);
	if (!p->looks++ || width(&look) < width(&p->quickest))
		p->quickest = look;
}

static int arm(void)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };
	int timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
	return timer;
}

/* What was before is not meant. */
static void forget(struct program *p)
{
	struct vmclock_wait wait;

	t_wait(p->fd, VMCLOCK_EVENT_RECALIBRATED, 0, &wait);
	p->eventfd = eventfd(0, EFD_CLOEXEC);
	if (t_set_eventfd(p->fd, VMCLOCK_EVENT_RECALIBRATED, p->eventfd))
		die("EVENTFD");
	p->timer = arm();
}

static void run_program(int way, const char *policy, int ready)
{
	struct program p = { .way = ways[way].name, .policy = policy, .fd = open_device() };
	struct vmclk *clk;

	if (vmclk_open("/dev/vmclock", &clk))
		die("the library");
	forget(&p);
	if (write(ready, "", 1) != 1)
		die("ready");
	ways[way].wait(&p);

	p.was_set = was_set(p.timer);
	p.told_ns = t_clock_ns(CLOCK_MONOTONIC);
	do {
		look_at_clock(clk, &p);
		usleep(EVERY_US);
	} while (t_clock_ns(CLOCK_MONOTONIC) - p.told_ns < A_WHILE_NS);
	p.was_set_late = was_set(p.timer);
	tell(&p);
	exit(0);
}

static void start_programs(const char *policy)
{
	char byte[WAYS];
	int pipes[2];

	if (pipe(pipes))
		die("pipe");
	for (unsigned int i = 0; i < WAYS; i++)
		if (!fork())
			run_program(i, policy, pipes[1]);
	close(pipes[1]);
	for (unsigned int i = 0; i < WAYS; i++)
		if (read(pipes[0], byte, 1) != 1)
			die("a program that does not start");
	close(pipes[0]);
}

/* Return: how often it has said so. */
static int find_in_log(char *line, size_t size)
{
	return t_count_in_log("vmclock: ", "CLOCK_REALTIME", line, size);
}

static void say_what_the_driver_says(int before)
{
	char line[512];

	for (int i = 0; i < LOG_PATIENCE; i++) {
		if (find_in_log(line, sizeof(line)) > before) {
			printf("%s\n", line);
			return;
		}
		usleep(100000);
	}
	printf("the driver has not said anything about CLOCK_REALTIME\n");
}

static void witness(int fd, const char *policy)
{
	struct vmclock_wait wait;
	char line[512];
	int log, status;

	if (t_write_file(ON_RESTORE, policy))
		die(ON_RESTORE);
	log = find_in_log(line, sizeof(line));
	t_wait(fd, VMCLOCK_EVENT_DISRUPTED, 0, &wait);
	start_programs(policy);
	printf("ready\n");
	if (t_wait(fd, VMCLOCK_EVENT_DISRUPTED, -1, &wait))
		die("WAIT for a disruption");
	printf("disrupted policy=%s at=%lld\n", policy,
	       (long long)t_clock_ns(CLOCK_MONOTONIC));
	for (unsigned int i = 0; i < WAYS; i++)
		if (waitpid(-1, &status, 0) < 0 || status)
			die("a program that did not end well");
	if (!strcmp(policy, "step"))
		say_what_the_driver_says(log);
}

int main(int argc, char **argv)
{
	int fd = open_device();
	int status = 1;
	pid_t stamps;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stamps = fork();
	if (!stamps) {
		execl("/vm/stamps", "stamps", NULL);
		_exit(127);
	}
	for (int i = 1; i < argc; i++)
		witness(fd, argv[i]);
	printf("ready\n");
	waitpid(stamps, &status, 0);
	return !!status;
}
