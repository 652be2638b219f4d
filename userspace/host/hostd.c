// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclock-hostd: puts the host's time into a guest's VMClock page.
 *
 * One thread, one loop: it waits for a signal, the end of the machine, or the
 * time of the next reading. With --publish-us it does not wait.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "feeder.h"
#include "log.h"
#include "options.h"

#define EXIT_STOPPED	0
#define EXIT_CLOCK	1
#define EXIT_SYSTEM	2

#define NSEC_PER_MSEC	1000000LL
#define NSEC_PER_SEC	1000000000LL

/* The signals that end the program, as a file descriptor. */
static int open_signals(void)
{
	/* All whose default is to end the program, but for faults. */
	static const int ending[] = {
		SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM,
		SIGPROF, SIGXCPU, SIGXFSZ, SIGPWR, SIGIO,
	};
	sigset_t set;

	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&set, ending[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/*
 * Waits for the descriptors until @until, or just looks at them. Returns true
 * if one of them says that it is over.
 */
static bool is_over(struct pollfd *fds, int64_t until, bool waits)
{
	int64_t left = waits ? until - now_ns() : 0;

	/* Rounded up: waking too early would only mean waiting again. */
	if (poll(fds, 2, left > 0 ? left / NSEC_PER_MSEC + 1 : 0) <= 0)
		return false;
	if (fds[1].revents)
		log_line("the machine has ended");
	else
		log_line("stopped by a signal");
	return true;
}

static int run(struct feeder *f, int signals)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = f->target.pidfd, .events = POLLIN },
	};
	int64_t next = now_ns();
	int err = 0;

	while (!err && !is_over(fds, next, !f->options.publishes || !f->cal.has_line)) {
		if (now_ns() >= next) {
			err = feeder_tick(f);
			next = now_ns() + feeder_delay_ns(f);
		} else if (f->options.publishes) {
			err = feeder_publish(f);
		}
	}
	return err ? EXIT_CLOCK : EXIT_STOPPED;
}

int main(int argc, char **argv)
{
	static struct feeder feeder;
	enum options_result result = options_parse(&feeder.options, argc, argv);
	int signals, status;

	if (result != OPTIONS_RUN)
		return result == OPTIONS_DONE ? EXIT_STOPPED : EXIT_SYSTEM;
	/* Before the page is touched, so that nothing leaves it half done. */
	signals = open_signals();
	if (signals < 0) {
		log_error("signalfd", -errno);
		return EXIT_SYSTEM;
	}
	if (feeder_start(&feeder))
		return EXIT_SYSTEM;
	status = run(&feeder, signals);
	feeder_stop(&feeder);
	return status;
}
