// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "guest-counter.h"
#include "log.h"

/* Readings in a row that are no good for the rate. */
#define WIDE_MAX	3

#define CLOCKSOURCE_PATH \
	"/sys/devices/system/clocksource/clocksource0/current_clocksource"

static int check_counter(const struct clock_options *o)
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

static int load_leaps(struct clock *c)
{
	const struct clock_options *o = &c->options;
	int err = leap_list_load(o->leap_list, &c->leaps);

	/* The default one is not always there, and not always needed. */
	if (!err || (err == -ENOENT && !o->leap_list_given))
		return 0;
	log_line("%s: %s", o->leap_list,
		 err == -EPROTO ? "not a leap-seconds.list" : strerror(-err));
	return o->leap_list_given ? err : 0;
}

/* What the kernel's clock says: it knows the second well enough for any source. */
static int choose_scale(struct clock *c, bool wants_utc, struct scale *scale,
			struct source_reading *reading)
{
	const struct clock_options *o = &c->options;
	int err = source_kernel_read(&c->kernel, reading);

	if (err)
		return log_error("reading the kernel's clock", err);
	scale_init(scale, reading, &c->leaps, wants_utc,
		   o->has_tai_offset ? &o->tai_offset_sec : NULL);
	return 0;
}

static void warn_of_utc(struct clock *c, const struct source_reading *reading)
{
	int unused, err = leap_list_offset(&c->leaps, reading->realtime >> 64, &unused);

	if (!c->has_warned)
		log_line("warning: the page will carry UTC: the kernel does not know TAI - UTC, and %s %s; see --tai-offset",
			 c->options.leap_list,
			 err == -ESTALE && c->leaps.count ? "has expired" : "does not help");
	c->has_warned = true;
}

int clock_choose_scale(struct clock *c, bool wants_utc, struct scale *scale)
{
	struct source_reading reading;
	int err = choose_scale(c, wants_utc, scale, &reading);

	if (!err && scale->origin == SCALE_UTC && !wants_utc)
		warn_of_utc(c, &reading);
	return err;
}

static int open_phc(struct clock *c)
{
	const struct clock_options *o = &c->options;
	struct source_reading unused;
	struct scale scale;
	int err = choose_scale(c, false, &scale, &unused);

	if (err)
		return err;
	c->phc = (struct source_phc){
		.bound_ns = o->assumed_ns, .is_utc = o->phc_is_utc,
		.tai_offset = scale.origin == SCALE_OPTION ||
			      scale.origin == SCALE_LIST ? scale.base : 0,
	};
	err = source_phc_open(&c->source, &c->phc, o->source_path);
	if (err)
		log_line("%s: %s", o->source_path,
			 err == -ENOTTY ? "not a PTP hardware clock" : strerror(-err));
	return err;
}

static int open_source(struct clock *c)
{
	const struct clock_options *o = &c->options;

	switch (o->source) {
	case CLOCK_KERNEL:
		source_kernel_open(&c->source, &c->kernel);
		break;
	case CLOCK_CHRONY:
		c->chrony = (struct source_chrony){
			.chronyc = o->chronyc, .socket = o->source_path,
		};
		source_chrony_open(&c->source, &c->chrony);
		break;
	case CLOCK_PHC:
		return open_phc(c);
	}
	return 0;
}

int clock_start(struct clock *c)
{
	int err;

	c->kernel.assumed_ns = c->options.assumed_ns;
	c->rate.drift_ppb = c->options.drift_ppb;
	c->outcome = -EAGAIN;
	c->counter_error = check_counter(&c->options);
	err = load_leaps(c);
	if (err || c->counter_error)
		return err;
	err = open_source(c);
	c->is_open = !err;
	return err;
}

/* The bound would be true only of a reference without any error. */
static void warn_of_error(const struct clock *c)
{
	if (c->options.source == CLOCK_KERNEL && c->kernel.is_told_nothing)
		log_line("warning: the kernel seems to have been told that its clock has no error, as systemd-timesyncd and phc2sys do: then the bound is not true; see --assume-synchronized and --source");
}

static vmclock_u128 without_leaps(const struct source_reading *r)
{
	return r->realtime + ((vmclock_u128)r->kernel_tai << 64);
}

/* As calibrate_feed() does with readings for a line. */
static void measure_rate(struct clock *c)
{
	const struct source_reading *r = &c->reading;

	if (calibrate_rate_is_wide(&c->rate, r->slack) && c->wide++ < WIDE_MAX)
		return;
	c->wide = 0;
	calibrate_rate_add(&c->rate, r->counter, r->slack,
			   without_leaps(r));
}

void clock_give_rate(const struct clock *c, const struct guest_counter *guest,
		     const struct scale *scale, struct calibrate_rate *rate)
{
	struct scale same = *scale;

	/* A reading from before a leap second says nothing of the scale from after it. */
	if (!c->rate.count || c->reading.kernel_tai != scale->kernel_tai)
		return;
	calibrate_rate_inherit(rate, &c->rate, guest,
			       scale_time(&same, &c->reading, NULL, 0) -
			       without_leaps(&c->reading));
}

/* Why the reading, or its absence, is nothing to rely on; or NULL. */
static const char *why_lost(struct clock *c, int err)
{
	if (err == -ENODATA)
		return c->source.why;
	if (c->reading.bounded &&
	    holdover_is_lost(&c->options.holdover, c->reading.maxerror_ns))
		return "the source's own bound is more than half of --holdover-max-bound";
	if (c->reading.bounded || !c->was_bounded)
		return NULL;
	return "the kernel's clock is not synchronized";
}

int clock_tick(struct clock *c)
{
	const char *why;
	int err = -EAGAIN;

	if (c->is_open)
		err = c->source.read(&c->source, &c->reading);
	c->is_reading = err == -EINPROGRESS;
	if (c->is_reading)
		return err;
	c->outcome = err;
	if (err == -EAGAIN)
		return err;
	if (!err)
		measure_rate(c);
	if (err && err != -ENODATA)
		return log_error("reading the kernel's clock", err);
	why = why_lost(c, err);
	if (why && why != c->lost)
		log_line("no reference: %s", why);
	c->lost = why;
	/* What has no bound that is worth it has none. */
	c->reading.bounded &= !why;
	if (!err && c->reading.bounded && !c->was_bounded) {
		warn_of_error(c);
		c->was_bounded = true;
	}
	return err;
}

void clock_stop(struct clock *c)
{
	if (c->is_open && c->source.close)
		c->source.close(&c->source);
	c->is_open = false;
	c->is_reading = false;
}
