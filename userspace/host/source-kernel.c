// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

#include <linux/vmclock-page.h>

#include "leap.h"
#include "source-kernel.h"

#define NSEC_PER_USEC	1000LL
#define NSEC_PER_SEC	1000000000LL

/* To get a quiet set of readings. */
#define TRIES	8

/* The kernel's limit of a PLL offset. */
#define SLEW_MAX_USEC	500000

/* adjtime() is applied in pieces of at most so much, one each second. */
#define ADJTIME_PIECE_USEC	500

/*
 * The kernel adds the oscillator's tolerance (500 ppm) to maxerror once a
 * second, so what it says is old by up to a second.
 */
#define STALENESS_USEC	500

/* CLOCK_REALTIME rounds down to ns. */
#define CLOCK_ROUNDING_NS	1

int64_t source_slew_ns(const struct timex *tx, uint64_t *error_ns)
{
	int64_t offset = tx->offset;
	int tc = tx->constant < 0 ? 0 : tx->constant > 10 ? 10 : tx->constant;

	*error_ns = 0;
	if (!(tx->status & STA_NANO)) {
		/*
		 * Kernels since 5.1 divide a negative number of ns as if it
		 * were an unsigned one of 32 bits.
		 */
		bool wrapped = offset > SLEW_MAX_USEC;

		if (offset)
			*error_ns = NSEC_PER_USEC;
		offset = offset * NSEC_PER_USEC - (wrapped ? 1LL << 32 : 0);
	}
	/*
	 * Once a second the kernel takes a part of 1/2^(2 + constant) out of
	 * the offset and spreads it over that second: so much of what is to
	 * be added does not show.
	 */
	*error_ns += llabs(offset) / ((4LL << tc) - 1) + (offset != 0);
	return offset;
}

uint8_t source_leap_indicator(int state, int status, int64_t utc)
{
	switch (state) {
	case TIME_INS:
	case TIME_DEL:
		/* The kernel acts at the end of the day, whichever it is. */
		if (!leap_is_last_day(utc))
			return VMCLOCK_PAGE_LEAP_NONE;
		return state == TIME_INS ? VMCLOCK_PAGE_LEAP_PRE_POS :
					   VMCLOCK_PAGE_LEAP_PRE_NEG;
	case TIME_OOP:
		return VMCLOCK_PAGE_LEAP_POS;
	case TIME_WAIT:
		if (status & STA_INS)
			return VMCLOCK_PAGE_LEAP_POST_POS;
		if (status & STA_DEL)
			return VMCLOCK_PAGE_LEAP_POST_NEG;
	}
	return VMCLOCK_PAGE_LEAP_NONE;
}

/* What is left of an adjtime(), and the error of that. */
static int read_adjtime(struct source_kernel *source, int64_t *ns, uint64_t *error_ns)
{
	struct timex tx = { .modes = ADJ_OFFSET_SS_READ };
	struct timespec now;

	if (adjtimex(&tx) < 0 || clock_gettime(CLOCK_MONOTONIC, &now))
		return -errno;
	*ns = tx.offset * NSEC_PER_USEC;
	if (tx.offset)
		source->adjtime_until = now.tv_sec + 2;
	if (now.tv_sec < source->adjtime_until)
		*error_ns += ADJTIME_PIECE_USEC * NSEC_PER_USEC;
	return 0;
}

static void fill_bound(const struct source_kernel *source, const struct timex *tx,
		       bool is_error, uint64_t error_ns, struct source_reading *reading)
{
	reading->bounded = source->assumed_ns ||
			   !(is_error || tx->status & STA_UNSYNC);
	error_ns += CLOCK_ROUNDING_NS;
	if (source->assumed_ns) {
		reading->maxerror_ns = source->assumed_ns + error_ns;
		reading->esterror_ns = reading->maxerror_ns;
		return;
	}
	reading->maxerror_ns = (llabs(tx->maxerror) + STALENESS_USEC) * NSEC_PER_USEC +
			       error_ns;
	reading->esterror_ns = llabs(tx->esterror) * NSEC_PER_USEC + error_ns;
	if (reading->esterror_ns > reading->maxerror_ns)
		reading->esterror_ns = reading->maxerror_ns;
}

/* One try; -EAGAIN if somebody changed the clock in its course. */
static int try_read(struct source_kernel *source, struct source_reading *reading)
{
	struct timex before = { .modes = 0 }, after = { .modes = 0 };
	int64_t ns = 0, slew_before, slew_after, adjtime_ns = 0, total;
	uint64_t error_ns, ignored;
	int state, state_after, err;

	state = adjtimex(&before);
	if (state < 0)
		return -errno;
	err = source_clock(reading, &ns);
	if (err)
		return err;
	state_after = adjtimex(&after);
	if (state_after < 0)
		return -errno;
	slew_before = source_slew_ns(&before, &ignored);
	slew_after = source_slew_ns(&after, &error_ns);
	if (state != state_after || before.status != after.status ||
	    before.tai != after.tai || slew_before != slew_after ||
	    before.maxerror != after.maxerror)
		return -EAGAIN;
	err = read_adjtime(source, &adjtime_ns, &error_ns);
	if (err)
		return err;

	total = ns + slew_after + adjtime_ns;
	err = source_estimate(reading, ns < 0 ? ns : total);
	if (err)
		return err;
	reading->kernel_tai = after.tai;
	reading->leap_indicator = source_leap_indicator(state, after.status,
							ns / NSEC_PER_SEC);
	fill_bound(source, &after, state == TIME_ERROR, error_ns, reading);
	/*
	 * Each second the kernel adds the same. A multiple of that is what becomes of
	 * an error of 0, and of one in 500 that were measured.
	 */
	source->is_told_nothing = !source->assumed_ns && !(after.maxerror % STALENESS_USEC);
	return 0;
}

int source_kernel_read(struct source_kernel *source, struct source_reading *reading)
{
	int err = -EAGAIN, i;

	for (i = 0; i < TRIES && err == -EAGAIN; i++)
		err = try_read(source, reading);
	return err;
}

static int read_source(struct source *source, struct source_reading *reading)
{
	return source_kernel_read(source->state, reading);
}

void source_kernel_open(struct source *source, struct source_kernel *kernel)
{
	*source = (struct source){ .read = read_source, .state = kernel };
}
