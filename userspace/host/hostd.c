// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclock-hostd: puts the host's time into guests' VMClock pages.
 *
 * One thread, one loop: it waits for a signal, the end of a machine, a vhost-user
 * front-end, a request on the control socket, chronyc's answer, or the time of the next
 * reading. With --publish-us it does not wait.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "control.h"
#include "fleet.h"
#include "log.h"
#include "notify.h"
#include "options.h"
#include "poll-set.h"

#define EXIT_STOPPED	0
#define EXIT_CLOCK	1
#define EXIT_SYSTEM	2

#define NSEC_PER_SEC	1000000000LL

/* The signals that end the program, and SIGHUP, as a file descriptor. */
static int open_signals(void)
{
	/* All whose default is to end the program, but for faults. */
	static const int ending[] = {
		SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM,
		SIGPROF, SIGXCPU, SIGXFSZ, SIGPWR, SIGIO, SIGSTKFLT, SIGHUP,
	};
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	/* Who started us may ignore it: then nobody could wait for a child. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&set, ending[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(&set, number);
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
 * @options: the command line
 * @config: the file, if there is one: what it says of the daemon is in use
 * @clock: where time comes from
 * @fleet: the VMs
 * @control: the control socket
 * @set: what is waited for
 * @signals: signals
 * @signals_at: the same, in @set
 * @is_over: a signal has ended the program
 * @must_reload: another one wants the file to be read again
 */
struct hostd {
	struct options options;
	struct config config;
	struct clock clock;
	struct fleet fleet;
	struct control control;
	struct poll_set set;
	int signals;
	size_t signals_at;
	bool is_over;
	bool must_reload;
};

/* Nothing changes unless the whole file is right. */
static int reload(void *context)
{
	struct hostd *h = context;
	struct config config;
	int err;

	if (!h->options.config) {
		log_line("there is no configuration file to be read again");
		return -ENOENT;
	}
	err = config_load(h->options.config, &config);
	if (err)
		return err;
	if (config_is_same_daemon(&config, &h->config)) {
		err = fleet_apply(&h->fleet, &config);
		if (err)
			log_error(h->options.config, err);
	} else {
		log_line("%s: [daemon] is another one: nothing was changed, restart to use it",
			 h->options.config);
		err = -EINVAL;
	}
	config_free(&config);
	return err;
}

static void take_signals(struct hostd *h)
{
	struct signalfd_siginfo info;

	while (read(h->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			h->must_reload = h->options.config;
		else
			h->is_over = true;
	}
	if (h->is_over)
		log_line("stopped by a signal");
}

static int prepare(struct hostd *h)
{
	int err;

	poll_set_clear(&h->set);
	err = poll_set_add(&h->set, h->signals, &h->signals_at);
	if (!err)
		err = control_prepare(&h->control, &h->set);
	if (!err)
		err = fleet_prepare(&h->fleet, &h->set);
	return err;
}

static bool has_ended(const struct fleet *f)
{
	return f->is_dead ||
	       (f->is_lone && f->members[0]->machine.state != MACHINE_RUNNING);
}

static int run(struct hostd *h)
{
	int64_t wait_ns = 0;

	while (!has_ended(&h->fleet)) {
		if (prepare(h)) {
			log_error("waiting", -ENOMEM);
			return EXIT_SYSTEM;
		}
		poll_set_wait(&h->set, wait_ns);
		if (poll_set_revents(&h->set, h->signals_at))
			take_signals(h);
		if (h->is_over)
			return EXIT_STOPPED;
		fleet_work(&h->fleet, &h->set);
		control_work(&h->control, &h->set);
		if (h->must_reload)
			reload(h);
		h->must_reload = false;
		wait_ns = fleet_feed(&h->fleet, now_ns());
	}
	if (h->fleet.is_dead || h->fleet.members[0]->machine.state == MACHINE_FAILED)
		return EXIT_CLOCK;
	return EXIT_STOPPED;
}

/* Each VM has a descriptor or more, and the default is made for select(2). */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int load(struct hostd *h)
{
	struct options *o = &h->options;
	int err;

	if (!o->config)
		return 0;
	err = config_load(o->config, &h->config);
	if (err == -ENOENT && !strcmp(o->config, OPTIONS_CONFIG_DEFAULT))
		log_line("without it, give one of --qemu-pid, --file and --ivshmem-socket, or --qmp, or one of --vhost-socket and --vhost-fd; see vmclock-hostd --help");
	if (err)
		return err;
	o->clock = h->config.daemon.clock;
	if (!o->control)
		o->control = h->config.daemon.control;
	raise_limit();
	return 0;
}

static int start(struct hostd *h)
{
	const struct control_host host = { &h->fleet, reload, h };
	int err = clock_start(&h->clock);

	h->control.listener = LOCAL_SOCKET_NONE;
	h->fleet.clock = &h->clock;
	/* First: where another daemon listens, no page of its is to be touched. */
	if (!err)
		err = control_open(&h->control, h->options.control, &host);
	if (!err)
		err = h->options.config ? fleet_apply(&h->fleet, &h->config) :
					  fleet_start_lone(&h->fleet, &h->options.vm);
	return err;
}

static void stop(struct hostd *h)
{
	control_close(&h->control);
	fleet_stop(&h->fleet);
	clock_stop(&h->clock);
	config_free(&h->config);
	poll_set_free(&h->set);
}

int main(int argc, char **argv)
{
	static struct hostd h;
	enum options_result result = options_parse(&h.options, argc, argv);
	int status = EXIT_SYSTEM;

	if (result != OPTIONS_RUN)
		return result == OPTIONS_DONE ? EXIT_STOPPED : EXIT_SYSTEM;
	/* Before a page is touched, so that nothing leaves it half done. */
	h.signals = open_signals();
	if (h.signals < 0) {
		log_error("signalfd", -errno);
		return EXIT_SYSTEM;
	}
	if (load(&h))
		return EXIT_SYSTEM;
	h.clock.options = h.options.clock;
	if (!start(&h)) {
		notify_manager("READY=1");
		status = run(&h);
		notify_manager("STOPPING=1");
	}
	stop(&h);
	return status;
}
