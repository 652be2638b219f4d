// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/vmclock-page.h>

#include "leap.h"
#include "reference.h"

#define POST_SEC	600	/* somebody clears the kernel's flag after ten minutes */

/* A PTP hardware clock, NTP in the house, NTP from afar. */
static const struct reference kinds[] = {
	{ .bound_ns = 800, .growth_ppb = 200, .poll_sec = 1, .noise_ns = 2, .slack = 300 },
	{ .bound_ns = 120000, .growth_ppb = 1000, .poll_sec = 64, .noise_ns = 2, .slack = 60 },
	{ .bound_ns = 2500000, .growth_ppb = 500000, .poll_sec = 32, .noise_ns = 2, .slack = 60 },
};

void reference_init(struct reference *r, struct world *w)
{
	*r = kinds[world_random(w) % 3];
	r->last = w->truth;
}

/* What Linux adds to its maximum error. */
#define UNTOLD_PPB	500000

static int64_t bound_now(const struct reference *r, int64_t sec)
{
	bool is_untold = sec >= r->untold_from && sec < r->untold_until;

	return r->bound_ns + sec % r->poll_sec * r->growth_ppb +
	       (is_untold ? (sec - r->untold_from) * UNTOLD_PPB : 0);
}

/*
 * What the reference's own rate is wrong by. The writer can't tell that from the
 * oscillator's, and allows for both together.
 */
#define WANDER_PPB	1000

/* Slowly, now and then at once, and sometimes to the very end of what is allowed. */
static void wander(struct reference *r, struct world *w, int64_t bound)
{
	int64_t limit = bound - r->noise_ns - 1;
	int64_t ms = world_ns_since(w, r->last) / 1000000;

	r->last = w->truth;

	if (world_once_in(w, 2000))
		r->error_ns = world_within(w, limit);
	else if (world_once_in(w, 500))
		r->error_ns = world_once_in(w, 2) ? limit : -limit;
	else
		r->error_ns += world_within(w, WANDER_PPB * (ms < 1000 ? ms : 1000) / 1000);
	if (r->error_ns > limit)
		r->error_ns = limit;
	if (r->error_ns < -limit)
		r->error_ns = -limit;
}

int reference_tai_offset(const struct reference *r, int64_t tai)
{
	int offset = TAI_AT_START;

	for (unsigned int i = 0; i < r->leap_count; i++)
		offset += tai >= r->leaps[i].tai ? r->leaps[i].sign : 0;
	return offset;
}

/*
 * As Linux does: with an inserted second the last one of the day comes twice, its
 * TAI offset changes at the start of the second one. A removed second is skipped.
 */
static void tell_utc(const struct reference *r, s128 tai, struct source_reading *reading)
{
	int64_t sec = tai >> 64;
	int offset = reference_tai_offset(r, sec);

	reading->leap_indicator = VMCLOCK_PAGE_LEAP_NONE;
	for (unsigned int i = 0; i < r->leap_count; i++) {
		const struct leap *leap = &r->leaps[i];
		bool is_insert = leap->sign > 0;
		int64_t end = leap->tai + is_insert;

		if (sec >= end && sec < end + POST_SEC)
			reading->leap_indicator = is_insert ? VMCLOCK_PAGE_LEAP_POST_POS :
							      VMCLOCK_PAGE_LEAP_POST_NEG;
		else if (sec >= leap->tai && sec < end)
			reading->leap_indicator = VMCLOCK_PAGE_LEAP_POS;
		else if (sec < leap->tai && leap_is_last_day(sec - offset) &&
			 leap->tai - sec < 86400)
			reading->leap_indicator = is_insert ? VMCLOCK_PAGE_LEAP_PRE_POS :
							      VMCLOCK_PAGE_LEAP_PRE_NEG;
	}
	reading->kernel_tai = offset - (r->kernel_knows_tai ? 0 : TAI_AT_START);
	reading->realtime = tai - ((s128)offset << 64);
}

bool reference_read(struct reference *r, struct world *w, struct source_reading *reading,
		    int64_t *error_ns)
{
	int64_t sec = w->truth >> WORLD_FRAC, bound = bound_now(r, sec);
	uint64_t slack = sec < r->noisy_until ? 100 * r->slack : r->slack;

	if (sec < r->lost_until)
		return false;
	wander(r, w, bound);
	*error_ns = r->error_ns + world_within(w, r->noise_ns) +
		    (sec < r->lie_until ? r->lie_ns : 0);
	*reading = (struct source_reading){
		.counter = w->counter + world_within(w, slack),
		.slack = slack,
		.bounded = sec >= r->unbounded_until,
		.maxerror_ns = bound,
		.esterror_ns = bound / 10,
	};
	tell_utc(r, (s128)(w->truth >> (WORLD_FRAC - 64)) +
		 *error_ns * (((s128)1 << 64) / NS_PER_SEC), reading);
	return true;
}
