// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's end of vm/restored.py: waits for disruptions and their end, and
 * writes down what CLOCK_REALTIME was then.
 *
 *	restore_witness POLICY...
 *
 * For each of the policies of on_restore it says "ready", waits for a disruption,
 * and then, as soon as the page is told to be good again, writes one line of what
 * it reads. Beside it clock-peer answers the host.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helpers.h"

#define ON_RESTORE "/sys/module/vmclock/parameters/on_restore"

static void die(const char *what)
{
	printf("restore_witness: %s: %s\n", what, strerror(errno));
	exit(1);
}

static pid_t start_peer(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/vm/clock-peer", "clock-peer", NULL);
		_exit(127);
	}
	return pid;
}

static bool was_set(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;
}

static int arm(void)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };
	int timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
	return timer;
}

/* UTC of the page, ns. */
static int64_t page_ns(const struct vmclock_snapshot *snap)
{
	int64_t sec = snap->time_sec;

	if (snap->page.time_type == VMCLOCK_PAGE_TIME_TAI)
		sec += (int16_t)le16toh(snap->page.tai_offset_sec);
	return sec * 1000000000LL + snap->time_nsec;
}

static void look(int fd, const char *policy, int64_t wrong_ns, bool set)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	if (ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap))
		die("SNAPSHOT");
	printf("told policy=%s valid=%u counter=%llu real=%lld page=%lld bound=%llu wrong=%lld set=%d\n",
	       policy, snap.valid, snap.counter, snap.before.realtime_ns,
	       (long long)page_ns(&snap), snap.maxerror_ns, (long long)wrong_ns, set);
}

static void say_what_the_driver_said(void)
{
	char line[512];

	sleep(2);	/* it may take a second until it says it */
	if (t_count_in_log("vmclock: ", "CLOCK_REALTIME", line, sizeof(line)))
		printf("%s\n", line);
}

static void witness(int fd, const char *policy)
{
	struct vmclock_wait wait;
	int64_t start;
	pid_t peer;
	int timer;

	if (t_write_file(ON_RESTORE, policy))
		die(ON_RESTORE);
	timer = arm();
	t_wait(fd, VMCLOCK_EVENT_DISRUPTED, 0, &wait);
	printf("ready\n");
	if (t_wait(fd, VMCLOCK_EVENT_DISRUPTED, -1, &wait))
		die("WAIT for a disruption");
	start = t_clock_ns(CLOCK_MONOTONIC);
	peer = start_peer();
	if (!(wait.events & VMCLOCK_EVENT_RECALIBRATED) &&
	    t_wait(fd, VMCLOCK_EVENT_RECALIBRATED, -1, &wait))
		die("WAIT for its end");
	look(fd, policy, t_clock_ns(CLOCK_MONOTONIC) - start, was_set(timer));
	say_what_the_driver_said();
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	close(timer);
}

int main(int argc, char **argv)
{
	int fd = t_open(T_QEMU, O_RDONLY);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fd < 0)
		die("the device");
	for (int i = 1; i < argc; i++)
		witness(fd, argv[i]);
	return 0;
}
