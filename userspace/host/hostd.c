// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclock-hostd: puts the host's time into a guest's VMClock page.
 *
 * One thread, one loop: it waits for a signal, the end of the machine, the
 * vhost-user front-end, or the time of the next reading. With --publish-us it
 * does not wait.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "machine.h"
#include "options.h"
#include "poll-set.h"

#define EXIT_STOPPED	0
#define EXIT_CLOCK	1
#define EXIT_SYSTEM	2

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

/**
 * struct hostd - all there is
 * @clock: where time comes from
 * @machine: the VM
 * @set: what is waited for
 * @signals: a signal that ends the program
 * @signals_fd: the same, in @set
 */
struct hostd {
	struct clock clock;
	struct machine machine;
	struct poll_set set;
	int signals;
	size_t signals_fd;
};

/* Waits until @until, or just looks. Returns true if it is over. */
static bool is_over(struct hostd *h, int64_t until)
{
	poll_set_clear(&h->set);
	if (poll_set_add(&h->set, h->signals, &h->signals_fd) ||
	    machine_prepare(&h->machine, &h->set)) {
		log_error("waiting", -ENOMEM);
		return true;
	}
	h->set.has_work |= h->machine.vm.options.publishes && h->machine.vm.cal.has_line;
	if (!poll_set_wait(&h->set, until - now_ns()))
		return false;
	if (poll_set_revents(&h->set, h->signals_fd))
		log_line("stopped by a signal");
	return poll_set_revents(&h->set, h->signals_fd);
}

/* Returns when the next reading is due. */
static int64_t tick(struct hostd *h)
{
	int err = clock_tick(&h->clock);

	if (err && err != -EAGAIN && err != -ENODATA) {
		clock_stop(&h->clock);
		machine_fail(&h->machine);
	} else {
		machine_tick(&h->machine);
	}
	return now_ns() + (vm_is_warming(&h->machine.vm) ? VM_WARM_NS :
							   h->clock.options.interval_ns);
}

static int run(struct hostd *h)
{
	int64_t next = now_ns();

	while (h->machine.state == MACHINE_RUNNING && !is_over(h, next)) {
		machine_work(&h->machine, &h->set);
		if (now_ns() >= next)
			next = tick(h);
		else
			machine_publish(&h->machine);
	}
	return h->machine.state == MACHINE_FAILED ? EXIT_CLOCK : EXIT_STOPPED;
}

int main(int argc, char **argv)
{
	static struct options options;
	static struct hostd h;
	enum options_result result = options_parse(&options, argc, argv);
	int status;

	if (result != OPTIONS_RUN)
		return result == OPTIONS_DONE ? EXIT_STOPPED : EXIT_SYSTEM;
	/* Before the page is touched, so that nothing leaves it half done. */
	h.signals = open_signals();
	if (h.signals < 0) {
		log_error("signalfd", -errno);
		return EXIT_SYSTEM;
	}
	h.clock.options = options.clock;
	h.machine.vm.options = options.vm;
	if (clock_start(&h.clock))
		return EXIT_SYSTEM;
	if (machine_open(&h.machine, &h.clock)) {
		clock_stop(&h.clock);
		return EXIT_SYSTEM;
	}
	status = run(&h);
	machine_close(&h.machine);
	clock_stop(&h.clock);
	return status;
}
