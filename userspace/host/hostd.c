// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclock-hostd: puts the host's time into a guest's VMClock page.
 *
 * One thread, one loop: it waits for a signal, the end of the machine, the
 * vhost-user front-end, or the time of the next reading. With --publish-us it
 * does not wait.
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
#include "rtc-clocks.h"
#include "vhost-server.h"

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

/**
 * struct hostd - all there is
 * @feeder: the page
 * @server: the vhost-user device, if @has_server
 * @has_server: there is one
 * @source: its clocks
 * @fds: what is waited for: signals, the machine's end, the device
 */
struct hostd {
	struct feeder feeder;
	struct vhost_server server;
	bool has_server;
	struct rtc_source source;
	struct pollfd fds[2 + VHOST_SERVER_FDS];
};

#define SIGNALS	0
#define MACHINE	1
#define DEVICE	2

static void lend_page(void *context, int fd, uint64_t offset, const struct dirty *dirty)
{
	feeder_lend_page(context, fd, offset, dirty);
}

static void take_page(void *context)
{
	feeder_return_page(context);
}

static int open_server(struct hostd *h)
{
	const struct options *o = &h->feeder.options;
	const struct vhost_page_user user = { lend_page, take_page, &h->feeder };
	struct rtc_clocks clocks;
	int err;

	if (!o->vhost_socket && o->vhost_fd < 0)
		return 0;
	rtc_clocks_init(&h->source, &h->feeder, &clocks);
	err = vhost_server_open(&h->server, o->vhost_socket, o->vhost_fd, &clocks, &user);
	h->has_server = !err;
	return err;
}

/* Waits until @until, or just looks. Returns true if it is over. */
static bool is_over(struct hostd *h, int64_t until, bool waits)
{
	int64_t left;

	if (h->has_server && vhost_server_prepare(&h->server, h->fds + DEVICE))
		waits = false;
	left = waits ? until - now_ns() : 0;
	/* Rounded up: waking too early would only mean waiting again. */
	if (poll(h->fds, h->has_server ? DEVICE + VHOST_SERVER_FDS : DEVICE,
		 left > 0 ? left / NSEC_PER_MSEC + 1 : 0) < 0)
		return false;
	if (h->fds[MACHINE].revents)
		log_line("the machine has ended");
	else if (h->fds[SIGNALS].revents)
		log_line("stopped by a signal");
	return h->fds[MACHINE].revents || h->fds[SIGNALS].revents;
}

static int feed(struct feeder *f, int64_t *next)
{
	int err = 0;

	if (now_ns() >= *next) {
		err = feeder_tick(f);
		*next = now_ns() + feeder_delay_ns(f);
	} else if (f->options.publishes) {
		err = feeder_publish(f);
	}
	return err;
}

/*
 * A machine may not survive that its device goes away: whatever happens to the
 * page, that one goes on, with the kernel's clock.
 */
static int run(struct hostd *h)
{
	struct feeder *f = &h->feeder;
	int64_t next = now_ns();

	while (!is_over(h, next, !f->options.publishes || !f->cal.has_line)) {
		if (h->has_server)
			vhost_server_work(&h->server, h->fds + DEVICE);
		if (h->has_server && vhost_server_is_over(&h->server))
			return EXIT_STOPPED;
		if (!feed(f, &next))
			continue;
		if (!h->has_server)
			return EXIT_CLOCK;
		log_line("no page is fed any more; the device goes on with the kernel's clock");
		feeder_stop(f);
	}
	return EXIT_STOPPED;
}

int main(int argc, char **argv)
{
	static struct hostd h;
	enum options_result result = options_parse(&h.feeder.options, argc, argv);
	int signals, status;

	if (result != OPTIONS_RUN)
		return result == OPTIONS_DONE ? EXIT_STOPPED : EXIT_SYSTEM;
	/* Before the page is touched, so that nothing leaves it half done. */
	signals = open_signals();
	if (signals < 0) {
		log_error("signalfd", -errno);
		return EXIT_SYSTEM;
	}
	if (feeder_start(&h.feeder))
		return EXIT_SYSTEM;
	h.fds[SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
	h.fds[MACHINE] = (struct pollfd){
		.fd = h.feeder.has_page ? h.feeder.target.pidfd : -1, .events = POLLIN,
	};
	status = open_server(&h) ? EXIT_SYSTEM : run(&h);
	/* In this order: the guest's page is given back first. */
	if (h.has_server)
		vhost_server_close(&h.server);
	feeder_stop(&h.feeder);
	return status;
}
