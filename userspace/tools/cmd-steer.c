// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl steer: keep CLOCK_REALTIME on the page's UTC, by its rate.
 *
 * The kernel's own loop is not used, only the frequency: so whatever else is
 * found in the kernel's state was put there by somebody else, and two who steer
 * are worse than none.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "common.h"
#include "pace.h"
#include "rivals.h"
#include "steer.h"
#include "vmclk-stamp.h"

#define NSEC_PER_SEC	1000000000LL
#define LOCK_FILE	"/run/vmclockctl-steer.lock"
/* The best of so many readings of both clocks counts. */
#define READINGS	5
/* A page that knows no better is not worth following. */
#define BOUND_MAX_NS	(NSEC_PER_SEC / 10)
/* Later than that nobody steers. */
#define SEC_MAX		9000000000LL
/* With --step: further off than this is set, not steered. */
#define STEP_ABOVE_NS	(NSEC_PER_SEC / 10)
/* What the kernel's own loop would have left in its status. */
#define LOOP_FLAGS	(STA_PLL | STA_FLL | STA_PPSFREQ | STA_PPSTIME)

enum state { STARTING, FOLLOWING, NO_TIME, DISRUPTED, LEAPING, TOO_WIDE };

static const char *const state_names[] = {
	[STARTING] = "starting", [FOLLOWING] = "following", [NO_TIME] = "no time",
	[DISRUPTED] = "disrupted", [LEAPING] = "leap second", [TOO_WIDE] = "bound too wide",
};

/**
 * struct reading - both clocks
 * @utc: the page's stamp, in UTC
 * @offset_ns: what has to be added to the system's clock
 * @slack_ns: how wrong @offset_ns can be by the way it was read
 * @bound_ns: how wrong the page can be
 */
struct reading {
	struct vmclk_stamp utc;
	int64_t offset_ns;
	int64_t slack_ns;
	int64_t bound_ns;
};

/**
 * struct daemon - what is kept from one round to the next
 * @clk: the page
 * @snap: a copy of it
 * @steer: the loop
 * @state: what the last round was
 * @err: why the page gave no time then
 * @is_known: there was a round with a copy
 * @marker: its disruption marker, and
 * @generation: its generation, of the last round
 * @seq: the sequence number that came with a disruption
 * @may_step: the clock may be set, the next time there is a reading
 * @kernel: the kernel's state, as we left it
 */
struct daemon {
	struct vmclk *clk;
	struct vmclk_snapshot snap;
	struct steer steer;
	enum state state;
	int err;
	bool is_known;
	uint64_t marker;
	uint64_t generation;
	uint32_t seq;
	bool may_step;
	struct timex kernel;
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static int64_t time_ns(const struct vmclk_time *t)
{
	return t->sec * NSEC_PER_SEC + t->nsec;
}

static int read_once(struct daemon *d, struct reading *r, struct vmclk_stamp *stamp)
{
	int64_t before = clock_ns(CLOCK_REALTIME), after;
	int err = vmclk_now_from(d->clk, &d->snap, stamp);

	after = clock_ns(CLOCK_REALTIME);
	if (err || after < before)
		return err ? err : -EAGAIN;
	err = vmclk_to_utc(stamp, &r->utc);
	if (err)
		return err;
	if (r->utc.earliest.sec < 0 || r->utc.latest.sec > SEC_MAX)
		return -ERANGE;
	r->slack_ns = (after - before + 1) / 2;
	r->offset_ns = time_ns(&r->utc.point) - (before + r->slack_ns);
	r->bound_ns = (time_ns(&r->utc.latest) - time_ns(&r->utc.earliest) + 1) / 2;
	return 0;
}

/* @stamp: the last one; it has the markers also where there is no time. */
static int read_both(struct daemon *d, struct reading *best, struct vmclk_stamp *stamp)
{
	int ret = -EAGAIN;

	best->slack_ns = INT64_MAX;
	for (int i = 0; i < READINGS; i++) {
		struct reading r;
		int err = read_once(d, &r, stamp);

		if (!err && r.slack_ns < best->slack_ns)
			*best = r;
		if (!err || ret)
			ret = err;
	}
	return ret;
}

/*
 * After a disruption the line that came with it may be the old one, and only an
 * update that came later counts. Looks at the snapshot of the last reading.
 */
static bool is_disrupted(struct daemon *d)
{
	uint64_t generation = d->snap.flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT ?
			      d->snap.vm_generation_counter : 0;
	bool changed = d->is_known && (d->marker != d->snap.disruption_marker ||
				       d->generation != generation);

	d->is_known = d->snap.size;
	d->marker = d->snap.disruption_marker;
	d->generation = generation;
	if (changed)
		d->seq = d->snap.seq_count;
	return changed || (d->state == DISRUPTED && d->seq == d->snap.seq_count);
}

static enum state judge(struct daemon *d, struct reading *r)
{
	struct vmclk_stamp stamp;

	d->err = read_both(d, r, &stamp);
	if (is_disrupted(d))
		return DISRUPTED;
	if (d->err)
		return d->state == DISRUPTED ? DISRUPTED : NO_TIME;
	if (r->utc.valid & VMCLK_STAMP_LEAP_SECOND ||
	    steer_is_ambiguous(r->utc.leap_indicator, r->utc.point.sec))
		return LEAPING;
	return r->bound_ns > BOUND_MAX_NS ? TOO_WIDE : FOLLOWING;
}

static int change(struct daemon *d, struct timex *tx)
{
	if (adjtimex(tx) < 0) {
		complain("adjtimex", "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	d->kernel = *tx;
	return EXIT_OK;
}

/* Take what the kernel's loop has left away, and keep the frequency. */
static int take_over(struct daemon *d)
{
	struct timex tx = { .modes = ADJ_OFFSET_SINGLESHOT };
	int status;

	if (change(d, &tx))
		return EXIT_SYSTEM;
	tx = (struct timex){ .modes = ADJ_STATUS | ADJ_OFFSET, .status = STA_PLL };
	if (change(d, &tx))
		return EXIT_SYSTEM;
	tx = (struct timex){ .modes = ADJ_STATUS | ADJ_TICK, .status = STA_UNSYNC,
			     .tick = 1000000 / sysconf(_SC_CLK_TCK) };
	status = change(d, &tx);
	d->steer.base = tx.freq;
	return status;
}

/* In /proc, and in the kernel's state. A clock that was set is another matter. */
static int see_rivals(struct daemon *d)
{
	struct timex tx = { .modes = 0 };
	char name[64];

	if (rivals_find("/proc", name, sizeof(name))) {
		complain(name, "it steers the clock, too: stop it, or have it read the page: vmclock(4)");
		return EXIT_SYSTEM;
	}
	if (adjtimex(&tx) < 0 || (d->state != STARTING &&
				  (tx.freq != d->kernel.freq || tx.tick != d->kernel.tick ||
				   tx.offset || tx.status & LOOP_FLAGS))) {
		complain("adjtimex", "somebody else steers the clock: frequency %ld, not %ld; status 0x%x. Giving up",
			 tx.freq, d->kernel.freq, tx.status);
		return EXIT_SYSTEM;
	}
	return EXIT_OK;
}

/* How far TAI is ahead, where the page has both. */
static void tell_tai(const struct daemon *d, const struct reading *r, struct timex *tx)
{
	if (d->snap.time_type == VMCLOCK_PAGE_TIME_TAI &&
	    r->utc.leap_indicator == VMCLOCK_PAGE_LEAP_NONE &&
	    r->utc.tai_offset_sec != -d->kernel.tai) {
		tx->modes |= ADJ_TAI;
		tx->constant = -r->utc.tai_offset_sec;
	}
}

static int follow(struct daemon *d, const struct reading *r, uint64_t interval_ns)
{
	struct timex tx = {
		.modes = ADJ_FREQUENCY | ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR,
		.freq = steer_round(&d->steer, r->offset_ns, interval_ns),
		.status = steer_leap(r->utc.leap_indicator, r->utc.reference_sec,
				     r->utc.point.sec),
		.maxerror = steer_error_us(llabs(r->offset_ns) + r->slack_ns + r->bound_ns),
		.esterror = steer_error_us(llabs(r->offset_ns) + r->slack_ns),
	};

	if (tx.maxerror == STEER_ERROR_MAX_US)
		tx.status |= STA_UNSYNC;
	tell_tai(d, r, &tx);
	return change(d, &tx);
}

/* The clock goes on as it last was right; the kernel adds to its maxerror. */
static int hold(struct daemon *d)
{
	struct timex tx = {
		.modes = ADJ_FREQUENCY, .freq = d->steer.base,
	};

	if (d->state == DISRUPTED) {
		tx.modes |= ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR;
		tx.status = STA_UNSYNC;
		tx.maxerror = tx.esterror = STEER_ERROR_MAX_US;
	}
	return change(d, &tx);
}

static int step(struct daemon *d, struct reading *r)
{
	int64_t sec = r->offset_ns / NSEC_PER_SEC, nsec = r->offset_ns % NSEC_PER_SEC;
	struct timex tx = { .modes = ADJ_SETOFFSET | ADJ_NANO };

	tx.time.tv_sec = nsec < 0 ? sec - 1 : sec;
	tx.time.tv_usec = nsec < 0 ? nsec + NSEC_PER_SEC : nsec;
	complain(vmclk_path(d->clk), "the clock is set by %+.6f s",
		 (double)r->offset_ns / NSEC_PER_SEC);
	r->offset_ns = 0;
	return change(d, &tx);
}

static void print_round(const struct daemon *d, const struct reading *r, bool json,
			enum state before)
{
	bool is_good = d->state == FOLLOWING;

	if (json)
		printf("{\"state\":\"%s\",\"offset_ns\":\"%" PRId64 "\",\"bound_ns\":\"%" PRId64
		       "\",\"freq_ppb\":%.3f,\"maxerror_us\":%ld,\"synchronized\":%s}\n",
		       state_names[d->state], is_good ? r->offset_ns : 0,
		       is_good ? r->bound_ns : 0, d->kernel.freq / 65.536, d->kernel.maxerror,
		       d->kernel.status & STA_UNSYNC ? "false" : "true");
	else if (d->state != before && is_good)
		printf("%s: the clock lacks %+.9f s\n", state_names[d->state],
		       (double)r->offset_ns / NSEC_PER_SEC);
	else if (d->state != before)
		printf("%s%s%s: the clock goes on at %+.3f ppm\n", state_names[d->state],
		       d->state == NO_TIME ? ": " : "",
		       d->state == NO_TIME ? vmclk_strerror(d->err) : "",
		       d->steer.base / 65536.0);
}

static void warn_of_distance(const struct daemon *d, const struct reading *r)
{
	if (llabs(r->offset_ns) > STEP_ABOVE_NS)
		complain(vmclk_path(d->clk), "the clock lacks %+.3f s, which takes %.1f hours at 500 ppm; --step sets it",
			 (double)r->offset_ns / NSEC_PER_SEC,
			 (double)llabs(r->offset_ns) / NSEC_PER_SEC / 1.8);
}

static int do_round(struct daemon *d, const struct options *opt)
{
	enum state before = d->state;
	struct reading r = { .offset_ns = 0 };
	int status;

	d->state = judge(d, &r);
	if (d->err == -VMCLK_EGONE) {
		hold(d);
		return page_error(d->clk, d->err);
	}
	if (before == STARTING || d->state == DISRUPTED)
		d->may_step = opt->step;
	if (d->state != FOLLOWING) {
		status = hold(d);
	} else {
		status = EXIT_OK;
		if (d->may_step && llabs(r.offset_ns) > STEP_ABOVE_NS)
			status = step(d, &r);
		else if (before != FOLLOWING)
			warn_of_distance(d, &r);
		d->may_step = false;
		if (!status)
			status = follow(d, &r, opt->interval_ns);
	}
	if (status)
		return status;
	print_round(d, &r, opt->json, before);
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	hold(d);
	return EXIT_SYSTEM;	/* main() says why */
}

static int run(struct daemon *d, const struct options *opt)
{
	struct pace pace;
	int status = see_rivals(d);

	if (!status)
		status = take_over(d);
	pace_start(&pace, opt->interval_ns, opt->duration_ns);
	for (uint64_t n = 0; !status && (!opt->count || n < opt->count); n++) {
		status = do_round(d, opt);
		if (status || !pace_wait(&pace))
			break;
		status = see_rivals(d);
	}
	/* Not with the part of the rate that was to make up for an offset. */
	if (!status && d->state == FOLLOWING)
		status = hold(d);
	return status;
}

/* One at a time. The file is left: who removed it would let two in. */
static bool lock(void)
{
	int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		return true;
	complain(LOCK_FILE, "%s", fd >= 0 && errno == EWOULDBLOCK ?
		 "another 'vmclockctl steer' is running" : strerror(errno));
	return false;
}

int cmd_steer(const struct options *opt)
{
	struct daemon d = { .state = STARTING };
	int status;

	if (!lock())
		return EXIT_SYSTEM;
	/* Who reads what it prints may go; the clock must not be left to that. */
	signal(SIGPIPE, SIG_IGN);
	status = page_open(opt->path, &d.clk);
	if (status)
		return status;
	status = run(&d, opt);
	vmclk_close(d.clk);
	return status;
}
