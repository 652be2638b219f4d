// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "feeder.h"
#include "log.h"

#define CLOCKSOURCE_PATH \
	"/sys/devices/system/clocksource/clocksource0/current_clocksource"

#define WARM_DELAY_NS	10000000ULL	/* between readings without a line */
#define TRIES_MAX	500
#define BURST_PER_SEC	1000		/* feeder_publish() takes 1/1000 s */

static bool names_page(const struct options *o)
{
	return o->file || o->qemu_pid;
}

static int open_target(struct feeder *f)
{
	const struct options *o = &f->options;
	int err;

	if (o->file)
		err = target_file_open(&f->target, o->file, o->replace);
	else if (o->qemu_pid)
		err = target_qemu_open(&f->target, o->qemu_pid);
	else
		err = target_private_open(&f->target);
	if (err)
		return err;
	err = publish_attach(&f->pub, f->target.writer, &f->target.shm, &o->guest);
	if (err) {
		if (!target_check(&f->target))
			log_line("the page: %s", vmclk_strerror(err));
		target_close(&f->target);
	}
	return err;
}

static int check_counter(const struct options *o)
{
	if (!guest_counter_exists()) {
		log_line("a page has no name for this processor's counter");
		return -EOPNOTSUPP;
	}
	if (o->force_counter ||
	    guest_counter_is_trusted(CLOCKSOURCE_PATH, "/proc/cpuinfo"))
		return 0;
	log_line("the counter: not the kernel's clocksource, and not known to be constant; --force-counter uses it all the same");
	return -EOPNOTSUPP;
}

static int load_leaps(struct feeder *f)
{
	const struct options *o = &f->options;
	int err = leap_list_load(o->leap_list, &f->leaps);

	/* The default one is not always there, and not always needed. */
	if (!err || (err == -ENOENT && !o->leap_list_given))
		return 0;
	log_line("%s: %s", o->leap_list,
		 err == -EPROTO ? "not a leap-seconds.list" : strerror(-err));
	return o->leap_list_given ? err : 0;
}

static int choose_scale(struct feeder *f)
{
	const struct options *o = &f->options;
	struct source_reading reading;
	/* The kernel knows the second well enough, whatever the source is. */
	int unused, err = source_kernel_read(&f->kernel, &reading);

	if (err)
		return log_error("reading the kernel's clock", err);
	scale_init(&f->scale, &reading, &f->leaps, o->wants_utc,
		   o->has_tai_offset ? &o->tai_offset_sec : NULL);
	if (f->scale.origin == SCALE_UTC && !o->wants_utc)
		log_line("warning: the page will carry UTC: the kernel does not know TAI - UTC, and %s %s; see --tai-offset",
			 o->leap_list,
			 leap_list_offset(&f->leaps, reading.realtime >> 64, &unused) == -ESTALE &&
			 f->leaps.count ? "has expired" : "does not help");
	return 0;
}

/* A page that never had a line has nothing to be disrupted. */
static bool is_fresh(const struct publish *pub)
{
	return pub->fields.counter_id == VMCLOCK_PAGE_COUNTER_NONE &&
	       pub->fields.disruption_marker && !pub->was_torn;
}

int feeder_start(struct feeder *f)
{
	struct calibrate_line found;
	bool has_found;
	int err, counter_err = check_counter(&f->options);

	f->kernel.assumed_ns = f->options.assumed_ns;
	err = names_page(&f->options) ? counter_err : 0;
	if (!err)
		err = load_leaps(f);
	if (!err)
		err = choose_scale(f);
	if (!err && counter_err)
		return 0;
	if (!err)
		err = feeder_open_source(f);
	if (err)
		return err;
	err = open_target(f);
	if (err) {
		feeder_close_source(f);
		return err;
	}
	f->has_page = true;

	calibrate_init(&f->cal, f->options.interval_ns, f->options.drift_ppb);
	has_found = publish_found_line(&f->pub, &f->scale, &found);
	if (has_found)
		calibrate_adopt(&f->cal, &found);
	f->needs_marker = !is_fresh(&f->pub);
	publish_start(&f->pub, scale_time_type(&f->scale), has_found);
	return 0;
}

static void log_start(const struct feeder *f)
{
	const struct options *o = &f->options;
	static const char *const teller[] = {
		[OPTIONS_KERNEL] = "from the kernel",
		[OPTIONS_CHRONY] = "from chronyd",
	};
	char page[32], bound[64];
	uint64_t khz = (calibrate_hz(&f->cal) + 500) / 1000;

	if (o->qemu_pid)
		snprintf(page, sizeof(page), "QEMU process %d", (int)o->qemu_pid);
	else
		snprintf(page, sizeof(page), "the guest, if it comes");
	snprintf(bound, sizeof(bound), "assumed to be within %llu ns",
		 (unsigned long long)o->assumed_ns);
	log_line("page of %s, counter at %llu.%03llu MHz, offset %lld, scale %s, bound %s, disruption marker %s",
		 o->file ? o->file : page,
		 (unsigned long long)khz / 1000, (unsigned long long)khz % 1000,
		 (long long)o->guest.offset, scale_describe(&f->scale),
		 o->assumed_ns ? bound : teller[o->source],
		 f->needs_marker ? "new" : "kept");
}

static void log_state(struct feeder *f, enum feeder_state state)
{
	static const char *const text[] = {
		[FEEDER_STARTING] = "starting",
		[FEEDER_SYNCHRONIZED] = "synchronized",
		[FEEDER_UNKNOWN] = "unknown: the kernel's clock is not synchronized, no bound is published",
		[FEEDER_STEPPED] = "unreliable: the clock was set, measuring anew",
		[FEEDER_FREERUNNING] = "freerunning: no reference, the bound grows",
		[FEEDER_EXPIRED] = "unreliable: no reference, and the bound has grown too much",
	};

	if (f->state == state)
		return;
	f->state = state;
	log_line("status %s%s", text[state],
		 f->options.assumed_ns ? " (assumed)" : "");
}

static void log_calibration(const struct feeder *f)
{
	const struct calibrate_line *line = &f->cal.line;

	if (!f->options.verbose)
		return;
	log_line("time %llu.%09u, %llu Hz, slack %llu ticks, error %llu ns%s, rate limited %llu times",
		 (unsigned long long)line->max.time.sec,
		 vmclock_math_nsec(line->max.time.frac),
		 (unsigned long long)calibrate_hz(&f->cal),
		 (unsigned long long)f->cal.reading.slack,
		 (unsigned long long)(line->bounded ? line->max.maxerror_ns : 0),
		 !line->bounded ? " (none published)" :
		 f->options.assumed_ns ? " (assumed)" : "",
		 (unsigned long long)f->cal.clamped);
}

/* The reading in the guest's counter and the page's scale. */
static void translate(struct feeder *f, const struct source_reading *from,
		      struct calibrate_reading *to)
{
	const struct guest_counter *guest = &f->options.guest;
	struct vmclock_time t;
	vmclock_u128 expected;

	*to = (struct calibrate_reading){
		.counter = guest_counter_from_host(guest, from->counter),
		.slack = guest_counter_ticks(guest, from->slack),
		.bias = f->options.offset_error,
		.bounded = from->bounded,
		.maxerror_ns = from->maxerror_ns,
		.esterror_ns = from->esterror_ns,
	};
	if (f->cal.has_line && vmclock_math_time(&f->cal.line.max, to->counter, &t)) {
		expected = (vmclock_u128)t.sec << 64 | t.frac;
		to->time = scale_time(&f->scale, from, &expected);
	} else {
		to->time = scale_time(&f->scale, from, NULL);
	}
}

static int publish_line(struct feeder *f, const struct source_reading *reading)
{
	bool is_first = !f->has_published, in_time;
	int err;

	if (is_first && f->cal.is_adopted)
		f->needs_marker = false;
	if (f->needs_marker) {
		err = publish_new_marker(&f->pub);
		if (err)
			return log_error("getrandom", err);
	}
	in_time = publish_calibrated(&f->pub, &f->cal, &f->scale,
				     scale_leap_indicator(&f->scale, reading));
	if (is_first)
		log_start(f);
	f->has_published = true;
	f->needs_marker = false;
	f->tries = 0;
	if (in_time)
		log_state(f, f->cal.line.bounded ? FEEDER_SYNCHRONIZED : FEEDER_UNKNOWN);
	log_calibration(f);
	return 0;
}

static void step(struct feeder *f, const struct source_reading *reading)
{
	publish_unreliable(&f->pub);
	log_state(f, FEEDER_STEPPED);
	scale_restart(&f->scale, reading);
	calibrate_init(&f->cal, f->options.interval_ns, f->options.drift_ppb);
	f->needs_marker = true;
	f->left_holds = false;
}

/*
 * Is the page there, and did nobody else write it? If so that was most likely
 * QEMU, which restored a machine.
 */
static int check_page(const struct feeder *f)
{
	bool is_ours = publish_is_ours(&f->pub);
	int err = target_check(&f->target);

	if (err || is_ours)
		return err;
	log_line("the page was written by somebody else: if the machine was restored, its counter has another offset now");
	return -ESTALE;
}

/* If somebody else wrote, what they wrote stays, but not its status. */
static void leave_page(struct feeder *f)
{
	bool is_ours = publish_is_ours(&f->pub);

	if (is_ours || !publish_attach(&f->pub, f->target.writer, &f->target.shm,
				       &f->options.guest))
		publish_unreliable(&f->pub);
	if (f->is_lent) {
		f->left = f->pub.fields;
		f->left_holds = is_ours && f->cal.has_line;
	}
	target_close(&f->target);
}

/* Nobody wrote since we did, and it was the same line. */
static bool is_as_left(const struct feeder *f)
{
	const struct vmclk_snapshot *now = &f->pub.fields, *then = &f->left;

	return f->left_holds && !f->pub.was_torn &&
	       now->disruption_marker == then->disruption_marker &&
	       now->vm_generation_counter == then->vm_generation_counter &&
	       now->counter_value == then->counter_value &&
	       now->time_sec == then->time_sec && now->time_frac_sec == then->time_frac_sec;
}

static void enter_page(struct feeder *f, const struct vmclk_snapshot *before)
{
	bool needs_marker = !is_fresh(&f->pub) && !is_as_left(f);

	/* What has expired is not taken anywhere: the next reading brings it back. */
	if (f->cal.has_line && f->state != FEEDER_EXPIRED &&
	    (!needs_marker || !publish_new_marker(&f->pub))) {
		publish_take_over(&f->pub, before, &f->cal.line, &f->scale);
		return;
	}
	f->needs_marker = needs_marker;
	publish_start(&f->pub, scale_time_type(&f->scale), false);
}

/* From one page to another, with the line there is. @target is ours on success. */
static int move(struct feeder *f, const struct target *target)
{
	struct vmclk_snapshot before = f->pub.fields;
	struct publish pub;
	int err = publish_attach(&pub, target->writer, &f->target.shm, &f->options.guest);

	if (err)
		return err;
	leave_page(f);
	f->target = *target;
	f->pub = pub;
	enter_page(f, &before);
	return 0;
}

void feeder_lend_page(struct feeder *f, int fd, uint64_t offset, const struct dirty *dirty)
{
	struct target target;

	if (!f->has_page || f->is_lent)
		return;
	if (target_is_same(&f->target, fd, offset)) {
		shm_log_writes(&f->target.shm, dirty);
		return;
	}
	if (names_page(&f->options) || !f->options.has_tsc_offset) {
		log_line("the guest's page is not fed: %s", names_page(&f->options) ?
			 "another one was asked for" : "its counter is not known, see --tsc-offset");
		return;
	}
	if (target_lent_open(&target, fd, offset))
		return;
	shm_log_writes(&target.shm, dirty);
	if (move(f, &target)) {
		target_close(&target);
		return;
	}
	f->is_lent = true;
	log_line("feeding the guest's page");
}

void feeder_return_page(struct feeder *f)
{
	struct target target;

	if (!f->is_lent)
		return;
	/* Without memory for a page of our own there is no line any more either. */
	if (target_private_open(&target) || move(f, &target))
		feeder_stop(f);
	f->is_lent = false;
}

/* What is wrong with a page that was lent is not the end of everything. */
static int give_up_page(struct feeder *f, int err)
{
	if (!f->is_lent)
		return err;
	feeder_return_page(f);
	f->left_holds = false;
	return 0;
}

static int read_source(struct feeder *f, struct source_reading *reading)
{
	int err = f->source.read(&f->source, reading);

	/* A line that has a bound is better than a clock that has none any more. */
	if (!err && !reading->bounded && f->cal.has_line && f->cal.line.bounded)
		return source_lost(&f->source, "the kernel's clock is not synchronized");
	return err;
}

/* There is no reading: the page says what the line is still worth. */
static void hold(struct feeder *f)
{
	uint64_t counter = guest_counter_read(&f->options.guest), silence_ns;

	if (f->lost != f->source.why)
		log_line("no reference: %s", f->source.why);
	f->lost = f->source.why;
	f->tries = 0;
	if (!f->cal.has_line || !f->has_published)
		return;
	silence_ns = (vmclock_u128)(counter - f->last_reading) * VMCLOCK_NSEC_PER_SEC /
		     calibrate_hz(&f->cal);
	switch (holdover_judge(&f->options.holdover, silence_ns, f->cal.line.bounded,
			       vmclock_math_maxerror_ns(&f->cal.line.max, counter))) {
	case HOLDOVER_WAIT:
		break;
	case HOLDOVER_FREERUNNING:
		publish_held(&f->pub, &f->cal, &f->scale);
		log_state(f, FEEDER_FREERUNNING);
		break;
	case HOLDOVER_UNRELIABLE:
		if (f->state != FEEDER_EXPIRED)
			publish_unreliable(&f->pub);
		log_state(f, FEEDER_EXPIRED);
		break;
	}
}

int feeder_tick(struct feeder *f)
{
	struct source_reading reading;
	struct calibrate_reading translated;
	int err;

	if (!f->has_page)
		return 0;
	err = check_page(f);
	if (err)
		return give_up_page(f, err);
	if (f->tries++ == TRIES_MAX) {
		log_line("the clock and the counter show no steady rate");
		return -EIO;
	}
	err = read_source(f, &reading);
	if (err == -EAGAIN)
		return 0;
	if (err == -ENODATA) {
		hold(f);
		return 0;
	}
	if (err)
		return log_error("reading the kernel's clock", err);

	f->lost = NULL;
	translate(f, &reading, &translated);
	f->last_reading = translated.counter;
	switch (calibrate_feed(&f->cal, &translated)) {
	case CALIBRATE_READY:
		return publish_line(f, &reading);
	case CALIBRATE_STEP:
		step(f, &reading);
		return 0;
	case CALIBRATE_BAD_RATE:
		log_line("the counter's frequency, %llu Hz, is none; is --tsc-ratio right?",
			 (unsigned long long)calibrate_hz(&f->cal));
		return -EIO;
	case CALIBRATE_WARMING:
	case CALIBRATE_DROPPED:
		break;
	}
	return 0;
}

uint64_t feeder_delay_ns(const struct feeder *f)
{
	bool waits = f->cal.has_line || !f->has_page || f->lost;

	return waits ? f->options.interval_ns : WARM_DELAY_NS;
}

static void wait_until(const struct guest_counter *guest, uint64_t from, uint64_t ticks)
{
	while (guest_counter_read(guest) - from < ticks)
		counter_relax();
}

int feeder_publish(struct feeder *f)
{
	const struct guest_counter *guest = &f->options.guest;
	uint64_t hz, pause, start, last;

	if (!f->cal.has_line || f->state == FEEDER_EXPIRED)
		return 0;
	hz = calibrate_hz(&f->cal);
	pause = (vmclock_u128)hz * f->options.publish_us / 1000000;
	start = guest_counter_read(guest);
	do {
		int err = check_page(f);

		if (err)
			return give_up_page(f, err);
		last = guest_counter_read(guest);
		publish_rebased(&f->pub, &f->cal.line, &f->scale);
		wait_until(guest, last, pause);
	} while (guest_counter_read(guest) - start < hz / BURST_PER_SEC);
	return 0;
}

void feeder_stop(struct feeder *f)
{
	if (!f->has_page)
		return;
	f->has_page = false;
	leave_page(f);
	f->cal.has_line = false;
	feeder_close_source(f);
}
