// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl feed-chrony: the page as a reference clock of chronyd, through the
 * socket of its SOCK driver.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "common.h"
#include "pace.h"
#include "vmclk-stamp.h"

#define NSEC_PER_SEC	1000000000LL

/* Looks of which the one with the shortest time between two clock readings is used. */
#define TRIES		8

/* What chronyd reads from the socket, see chrony.conf(5), "refclock", SOCK. */
#define SAMPLE_MAGIC	0x534f434b
struct sample {
	struct timeval tv;	/* the system's clock */
	double offset;		/* what is to be added to it, s */
	int pulse;
	int leap;		/* 1: a second will be inserted, 2: removed */
	int pad;
	int magic;
};

/**
 * struct feed - one page, and one chronyd
 * @clk: the page
 * @fd: a datagram socket
 * @to: where chronyd listens
 * @sent: samples so far
 * @err: why no sample was sent last; 0: one was. Below 0: of the library, or of the
 *	page; above 0: what sending answered
 */
struct feed {
	const struct vmclk *clk;
	int fd;
	struct sockaddr_un to;
	uint64_t sent;
	int err;
};

static int64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* UTC - CLOCK_REALTIME; far apart it may be rounded, chronyd has to step then. */
static double offset_sec(const struct vmclk_time *utc, int64_t realtime)
{
	return (double)(utc->sec - realtime / NSEC_PER_SEC) +
	       ((int64_t)utc->nsec - realtime % NSEC_PER_SEC) / 1e9;
}

/* Around an inserted second UTC has no number that chronyd could take. */
static int judge(struct vmclk_stamp *stamp)
{
	int err = vmclk_trusts(NULL, stamp);

	if (!err)
		err = vmclk_to_utc(stamp, stamp);
	if (!err && stamp->valid & VMCLK_STAMP_LEAP_SECOND)
		err = -VMCLK_EUTC;
	return err;
}

static int look(const struct vmclk *clk, struct vmclk_stamp *best, int64_t *realtime)
{
	int64_t shortest = INT64_MAX;
	int err = 0;

	for (int i = 0; i < TRIES && !err; i++) {
		int64_t before = realtime_ns(), after;
		struct vmclk_stamp stamp;

		err = vmclk_now(clk, &stamp);
		after = realtime_ns();
		/* A clock that was set meanwhile tells nothing. */
		if (err || after < before || after - before >= shortest)
			continue;
		shortest = after - before;
		*realtime = before + shortest / 2;
		*best = stamp;
	}
	return err ? err : shortest == INT64_MAX ? -EAGAIN : judge(best);
}

static int send_sample(const struct feed *f)
{
	static const int leaps[] = {
		[VMCLOCK_PAGE_LEAP_PRE_POS] = 1, [VMCLOCK_PAGE_LEAP_PRE_NEG] = 2,
	};
	struct sample sample = { .magic = SAMPLE_MAGIC };
	struct vmclk_stamp stamp;
	int64_t realtime = 0;
	int err = look(f->clk, &stamp, &realtime);

	if (err)
		return err;
	sample.tv.tv_sec = realtime / NSEC_PER_SEC;
	sample.tv.tv_usec = realtime % NSEC_PER_SEC / 1000;
	sample.offset = offset_sec(&stamp.point, realtime);
	if (stamp.leap_indicator < sizeof(leaps) / sizeof(leaps[0]))
		sample.leap = leaps[stamp.leap_indicator];
	/* A chronyd that does not keep up misses some. */
	if (sendto(f->fd, &sample, sizeof(sample), MSG_DONTWAIT,
		   (const struct sockaddr *)&f->to, sizeof(f->to)) != sizeof(sample))
		return errno;
	return 0;
}

/* Says what is new, once. */
static void report(const struct feed *f, int err)
{
	if (err == f->err)
		return;
	if (!err)
		complain(f->to.sun_path, "gets samples");
	else if (err > 0)
		complain(f->to.sun_path, "no samples: %s%s", strerror(err),
			 err == ENOENT || err == ECONNREFUSED ?
			 ": is chronyd running, with 'refclock SOCK' for this path?" : "");
	else
		complain(vmclk_path(f->clk), "no samples: %s", vmclk_strerror(err));
}

static int feed(struct feed *f, const struct options *opt)
{
	struct pace pace;

	pace_start(&pace, opt->interval_ns, opt->duration_ns);
	do {
		int err = send_sample(f);

		report(f, err);
		if (err == -VMCLK_EGONE)
			return EXIT_UNUSABLE;
		f->err = err;
		f->sent += !err;
	} while ((!opt->count || f->sent < opt->count) && pace_wait(&pace));
	return f->sent ? EXIT_OK : EXIT_UNUSABLE;
}

static int feed_socket(struct feed *f, const struct options *opt)
{
	int status;

	f->to.sun_family = AF_UNIX;
	memcpy(f->to.sun_path, opt->socket, strlen(opt->socket) + 1);
	f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0) {
		complain("socket", "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	status = feed(f, opt);
	close(f->fd);
	return status;
}

int cmd_feed_chrony(const struct options *opt)
{
	struct feed f = { .err = INT_MIN };
	struct vmclk *clk;
	int status;

	if (!opt->socket || strlen(opt->socket) >= sizeof(f.to.sun_path)) {
		complain("feed-chrony", "%s", opt->socket ? "the socket's path is too long" :
			 "say where chronyd listens (--socket=PATH)");
		return EXIT_SYSTEM;
	}
	status = page_open(opt->path, &clk);
	if (status)
		return status;
	f.clk = clk;
	status = feed_socket(&f, opt);
	vmclk_close(clk);
	return status;
}
