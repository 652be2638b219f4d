// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "pace.h"

#define NSEC_PER_SEC	1000000000ULL

static volatile sig_atomic_t told_to_stop;

static void stop(int number)
{
	(void)number;
	told_to_stop = 1;
}

uint64_t pace_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

void pace_start(struct pace *p, uint64_t interval_ns, uint64_t duration_ns)
{
	const struct sigaction act = { .sa_handler = stop };
	struct sigaction hang_up;

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	/* Unless nohup(1) has it ignored. */
	if (!sigaction(SIGHUP, NULL, &hang_up) && hang_up.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &act, NULL);
	p->interval_ns = interval_ns;
	p->due_ns = pace_now_ns();
	p->end_ns = duration_ns ? p->due_ns + duration_ns : UINT64_MAX;
}

uint64_t pace_next(uint64_t due_ns, uint64_t interval_ns)
{
	uint64_t now = pace_now_ns();

	due_ns += interval_ns;
	return due_ns + interval_ns < now ? now : due_ns;
}

bool pace_sleep(uint64_t due_ns)
{
	uint64_t now = pace_now_ns(), left = due_ns > now ? due_ns - now : 0;
	const struct timespec timeout = {
		.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC,
	};
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigdelset(&mask, SIGWINCH);
	return ppoll(NULL, 0, &timeout, &mask) >= 0;
}

/* A signal between the test and the sleep is noticed one interval later. */
bool pace_wait(struct pace *p)
{
	p->due_ns = pace_next(p->due_ns, p->interval_ns);
	if (told_to_stop || p->due_ns > p->end_ns)
		return false;
	while (!pace_sleep(p->due_ns))
		if (told_to_stop)
			return false;
	return true;
}
