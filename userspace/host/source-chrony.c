// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include <linux/vmclock-page.h>

#include "leap.h"
#include "source-chrony.h"

#define NSEC_PER_SEC	1000000000LL

/* On a quiet machine chronyc takes 2 ms. */
#define TIMEOUT_NS	(NSEC_PER_SEC / 2)

/*
 * Like the eight bits of NTP's reach register: after eight intervals without a
 * measurement the server is out of reach. An interval may have been a short one.
 */
#define STALE_INTERVALS	8
#define INTERVAL_MIN_NS	(64 * NSEC_PER_SEC)

/* Numbers of nine places: the offset, dispersion, delay; and the kernel's clock. */
#define ROUNDING_NS	4

const char *chrony_why_lost(const struct chrony_report *report, int64_t utc_ns)
{
	uint64_t interval = report->interval_ns > INTERVAL_MIN_NS ? report->interval_ns :
								     INTERVAL_MIN_NS;
	int64_t age = utc_ns - report->ref_time_ns;

	if (report->leap == CHRONY_LEAP_UNSYNCHRONISED || !report->refid ||
	    !report->stratum || report->stratum > 15)
		return "chronyd is not synchronised";
	/* It claims no error at all, but nobody told it the time. */
	if (report->refid == CHRONY_REFID_LOCAL)
		return "chronyd has only its own clock (local)";
	if (age < -NSEC_PER_SEC)
		return "chronyd's last measurement is in the future";
	if (age > 0 && (uint64_t)age / STALE_INTERVALS > interval)
		return "chronyd's last measurement is too old";
	return NULL;
}

uint64_t chrony_error_ns(const struct chrony_report *report, uint64_t age_ns,
			 bool is_steady, uint64_t *est_ns)
{
	uint64_t rate = report->frequency_ppb + report->residual_ppb + report->skew_ppb;
	uint64_t aged = (vmclock_u128)age_ns * rate / NSEC_PER_SEC + 1;
	uint64_t slewed = SOURCE_STRETCH(age_ns);

	if (is_steady && slewed > (uint64_t)llabs(report->offset_ns))
		slewed = llabs(report->offset_ns);
	*est_ns = report->root_dispersion_ns + aged + slewed + ROUNDING_NS;
	return *est_ns + report->root_delay_ns / 2 + 1;
}

static int start(struct source_chrony *chrony)
{
	const char *argv[8] = { chrony->chronyc, "-c", "-n" };
	int n = 3;

	if (chrony->socket) {
		argv[n++] = "-h";
		argv[n++] = chrony->socket;
	}
	argv[n] = "tracking";
	return child_start(&chrony->child, (char *const *)argv, chrony->answer,
			   sizeof(chrony->answer),
			   chrony->timeout_ns ? chrony->timeout_ns : TIMEOUT_NS);
}

static int take_report(struct source *source, ssize_t length, struct chrony_report *report)
{
	const struct source_chrony *chrony = source->state;

	if (length == -ETIMEDOUT)
		return source_lost(source, "chronyc does not answer");
	if (length == -ECHILD)
		return source_lost(source, "chronyc failed: is chronyd running?");
	if (length < 0 && length != -E2BIG)
		return source_lost(source, "chronyc can't be started");
	if (length < 0 || chrony_report_parse(chrony->answer, length, report))
		return source_lost(source, "chronyc's answer is not a tracking report");
	return 0;
}

/* The kernel knows better, if chronyd lets it insert the second. */
static void add_leap(const struct chrony_report *report, struct source_reading *reading)
{
	if (reading->leap_indicator != VMCLOCK_PAGE_LEAP_NONE ||
	    !leap_is_last_day(reading->realtime >> 64))
		return;
	if (report->leap == CHRONY_LEAP_INSERT)
		reading->leap_indicator = VMCLOCK_PAGE_LEAP_PRE_POS;
	else if (report->leap == CHRONY_LEAP_DELETE)
		reading->leap_indicator = VMCLOCK_PAGE_LEAP_PRE_NEG;
}

static int watch_read(struct source_watch *w, struct source_reading *reading)
{
	int err = source_clock(reading, &w->ns);

	w->tx = (struct timex){ .modes = 0 };
	if (!err && adjtimex(&w->tx) < 0)
		err = -errno;
	return err;
}

static int ask(struct source *source)
{
	struct source_chrony *chrony = source->state;
	struct source_reading unused;
	int err = source_gap_read(&chrony->before.gap);

	if (!err)
		err = watch_read(&chrony->before, &unused);
	if (!err && start(chrony))
		err = source_lost(source, "chronyc can't be started");
	return err;
}

/* Time has passed since the report was made, while others were served. */
static int estimate(struct source *source, const struct chrony_report *report,
		    struct source_reading *reading)
{
	struct source_chrony *chrony = source->state;
	const struct source_watch *before = &chrony->before;
	struct source_watch after;
	uint64_t set_ns = 0, age;
	int err = watch_read(&after, reading);

	if (!err)
		err = source_clock_leap(reading, after.ns);
	/* Last: an inserted second sets the clock, too. */
	if (!err)
		err = source_gap_read(&after.gap);
	if (!err)
		err = source_gap_error(&before->gap, &after.gap, &set_ns);
	if (err)
		return err;

	source->why = chrony_why_lost(report, after.ns + report->offset_ns);
	if (source->why)
		return -ENODATA;
	if (source_estimate(reading, after.ns + report->offset_ns))
		return source_lost(source, "chronyd's time is before 1970");
	age = after.ns - before->ns;
	age += SOURCE_STRETCH(age);
	reading->bounded = true;
	reading->maxerror_ns = set_ns +
		chrony_error_ns(report, age, before->tx.freq == after.tx.freq &&
				before->tx.tick == after.tx.tick, &reading->esterror_ns);
	reading->esterror_ns += set_ns;
	add_leap(report, reading);
	return 0;
}

static int read_source(struct source *source, struct source_reading *reading)
{
	struct source_chrony *chrony = source->state;
	struct chrony_report report;
	ssize_t length;
	int err = chrony->child.pid ? 0 : ask(source);

	if (err)
		return err;
	length = child_work(&chrony->child);
	if (length == -EINPROGRESS) {
		source->fd = chrony->child.fd;
		source->deadline = chrony->child.deadline;
		return -EINPROGRESS;
	}
	err = take_report(source, length, &report);
	return err ? err : estimate(source, &report, reading);
}

static void close_source(struct source *source)
{
	struct source_chrony *chrony = source->state;

	child_kill(&chrony->child);
}

void source_chrony_open(struct source *source, struct source_chrony *chrony)
{
	*source = (struct source){
		.read = read_source, .close = close_source, .state = chrony,
	};
}
