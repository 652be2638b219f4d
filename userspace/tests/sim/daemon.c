// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>

#include <linux/vmclock-page.h>

#include "sim-counter.h"
#include "daemon.h"

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "sim: %s\n", what);
	exit(2);
}

void daemon_init(struct daemon *d)
{
	need(!vmclk_writer_format(&d->page, sizeof(d->page)), "no page");
}

static bool is_fresh(const struct publish *pub)
{
	return pub->fields.counter_id == VMCLOCK_PAGE_COUNTER_NONE &&
	       pub->fields.disruption_marker && !pub->was_torn;
}

void daemon_start(struct daemon *d, const struct source_reading *reading)
{
	struct calibrate_line found;
	bool has_found;

	need(!vmclk_writer_attach(&d->page, sizeof(d->page), &d->writer) &&
	     !publish_attach(&d->pub, d->writer, &d->memory, NULL, &d->guest), "no page");
	scale_init(&d->scale, reading, &d->list, d->wants_utc,
		   d->has_tai_offset ? &d->tai_offset : NULL);
	calibrate_init(&d->cal, d->interval_ns, DRIFT_PPB);
	has_found = publish_found_line(&d->pub, &d->scale, &found);
	if (has_found)
		calibrate_adopt(&d->cal, &found);
	d->needs_marker = !is_fresh(&d->pub);
	d->has_published = false;
	d->is_expired = false;
	publish_start(&d->pub, scale_time_type(&d->scale), has_found);
}

void daemon_kill(struct daemon *d)
{
	vmclk_writer_close(d->writer);
}

bool daemon_is_warming(const struct daemon *d)
{
	return !d->cal.has_line;
}

static void translate(struct daemon *d, const struct source_reading *from,
		      struct calibrate_reading *to)
{
	*to = (struct calibrate_reading){
		.counter = guest_counter_from_host(&d->guest, from->counter),
		.slack = guest_counter_ticks(&d->guest, from->slack),
		.bias = d->offset_error,
		.bounded = from->bounded,
		.maxerror_ns = from->maxerror_ns,
		.esterror_ns = from->esterror_ns,
	};
	to->time = scale_time(&d->scale, from, d->cal.has_line ? &d->cal.line : NULL,
			      to->counter);
}

static void publish_line(struct daemon *d, const struct source_reading *reading)
{
	if (!d->has_published && d->cal.is_adopted)
		d->needs_marker = false;
	if (d->needs_marker)
		need(!publish_new_marker(&d->pub), "no marker");
	if (publish_calibrated(&d->pub, &d->cal, &d->scale,
			       scale_leap_indicator(&d->scale, reading)))
		d->is_expired = false;
	d->has_published = true;
	d->needs_marker = false;
}

static void step(struct daemon *d, const struct source_reading *reading)
{
	publish_unreliable(&d->pub);
	scale_restart(&d->scale, reading);
	calibrate_init(&d->cal, d->interval_ns, DRIFT_PPB);
	d->needs_marker = true;
}

void daemon_reading(struct daemon *d, const struct source_reading *reading,
		    void (*delay)(void *), void *opaque)
{
	struct calibrate_reading translated;

	if (!reading->bounded && d->cal.has_line && d->cal.line.bounded) {
		daemon_hold(d);
		return;
	}
	translate(d, reading, &translated);
	d->last_reading = translated.counter;
	switch (calibrate_feed(&d->cal, &translated)) {
	case CALIBRATE_READY:
		delay(opaque);
		publish_line(d, reading);
		break;
	case CALIBRATE_STEP:
		step(d, reading);
		break;
	case CALIBRATE_BAD_RATE:
		need(false, "the frequency of the simulated counter was refused");
	case CALIBRATE_WARMING:
	case CALIBRATE_DROPPED:
		break;
	}
}

void daemon_hold(struct daemon *d)
{
	uint64_t counter = guest_counter_read(&d->guest), silence_ns;

	if (!d->cal.has_line || !d->has_published)
		return;
	silence_ns = (vmclock_u128)(counter - d->last_reading) * VMCLOCK_NSEC_PER_SEC /
		     calibrate_hz(&d->cal);
	switch (holdover_judge(&d->limits, silence_ns, d->cal.line.bounded,
			       vmclock_math_maxerror_ns(&d->cal.line.max, counter))) {
	case HOLDOVER_WAIT:
		break;
	case HOLDOVER_FREERUNNING:
		publish_held(&d->pub, &d->cal, &d->scale);
		break;
	case HOLDOVER_UNRELIABLE:
		if (!d->is_expired)
			publish_unreliable(&d->pub);
		d->is_expired = true;
		break;
	}
}

void daemon_publish_again(struct daemon *d)
{
	if (d->cal.has_line && d->has_published && !d->is_expired)
		publish_rebased(&d->pub, &d->cal.line, &d->scale);
}
