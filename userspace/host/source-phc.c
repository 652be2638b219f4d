// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "source-phc.h"

#define NSEC_PER_SEC	1000000000LL

/* Readings of which the shortest is used. */
#define SAMPLES	8

/* The device's time may not be more than this after the kernel's was read. */
#define PAIR_AGE_MAX_NS	NSEC_PER_SEC

/* Years from 1970 to 2200: sums and differences stay far from 64 bits. */
#define SEC_MAX	7258118400LL

/**
 * struct pair - the device's time and CLOCK_REALTIME at one instant
 * @device: ns
 * @system: ns
 * @error: ns, +/-
 */
struct pair {
	int64_t device;
	int64_t system;
	uint64_t error;
};

static bool to_ns(const struct ptp_clock_time *t, int64_t *ns)
{
	if (t->sec < 0 || t->sec > SEC_MAX || t->nsec >= NSEC_PER_SEC)
		return false;
	*ns = t->sec * NSEC_PER_SEC + t->nsec;
	return true;
}

/* Hardware that latches both clocks: no error but that of rounding. */
static int read_precise(int fd, struct pair *pair)
{
	struct ptp_sys_offset_precise o = { 0 };

	if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &o))
		return -errno;
	pair->error = 1;
	if (!to_ns(&o.device, &pair->device) || !to_ns(&o.sys_realtime, &pair->system))
		return -ERANGE;
	return 0;
}

/* The shortest of several readings of the device between two of the system. */
static int read_extended(int fd, struct pair *pair)
{
	struct ptp_sys_offset_extended o = { .n_samples = SAMPLES };
	int64_t before, device, after, best = INT64_MAX;
	int i;

	if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &o))
		return -errno;
	for (i = 0; i < SAMPLES; i++) {
		if (!to_ns(&o.ts[i][0], &before) || !to_ns(&o.ts[i][1], &device) ||
		    !to_ns(&o.ts[i][2], &after) || after < before)
			return -ERANGE;
		if (after - before >= best)
			continue;
		best = after - before;
		pair->device = device;
		pair->system = before + best / 2;
		pair->error = best - best / 2 + 1;
	}
	return 0;
}

static int read_pair(struct source_phc *phc, struct pair *pair)
{
	if (!phc->no_precise) {
		int err = read_precise(phc->fd, pair);

		if (err != -EOPNOTSUPP && err != -ENOTTY)
			return err;
		phc->no_precise = true;
	}
	return read_extended(phc->fd, pair);
}

/* The device's time is TAI, or UTC; the reading's is UTC. */
static int to_utc(struct source *source, struct source_reading *reading, int64_t *ns)
{
	const struct source_phc *phc = source->state;

	if (phc->is_utc)
		return 0;
	if (phc->tai_offset)
		reading->kernel_tai = phc->tai_offset;
	if (reading->kernel_tai < SOURCE_TAI_MIN)
		return source_lost(source, "the kernel does not know TAI - UTC; see --tai-offset");
	/* By the offset that goes with the reading: its TAI is the device's again. */
	*ns -= reading->kernel_tai * NSEC_PER_SEC;
	return 0;
}

static int read_source(struct source *source, struct source_reading *reading)
{
	struct source_phc *phc = source->state;
	struct source_gap before, after;
	uint64_t set_ns = 0;
	int64_t now, ns;
	struct pair pair;
	int err = source_gap_read(&before);

	if (err)
		return err;
	if (read_pair(phc, &pair))
		return source_lost(source, "the PTP hardware clock does not answer, or not sensibly");
	err = source_clock(reading, &now);
	if (!err)
		err = source_clock_leap(reading, now);
	/* Last: an inserted second sets the clock, too. */
	if (!err)
		err = source_gap_read(&after);
	if (!err)
		err = source_gap_error(&before, &after, &set_ns);
	if (err)
		return err;
	if (now < pair.system || now - pair.system > PAIR_AGE_MAX_NS)
		return -EAGAIN;

	ns = pair.device + (now - pair.system);
	err = to_utc(source, reading, &ns);
	if (err)
		return err;
	if (source_estimate(reading, ns))
		return source_lost(source, "the PTP hardware clock is before 1970");
	reading->bounded = true;
	reading->maxerror_ns = phc->bound_ns + pair.error + set_ns + 1 +
			       SOURCE_STRETCH(now - pair.system);
	reading->esterror_ns = reading->maxerror_ns;
	return 0;
}

static void close_source(struct source *source)
{
	struct source_phc *phc = source->state;

	close(phc->fd);
}

int source_phc_open(struct source *source, struct source_phc *phc, const char *path)
{
	struct ptp_clock_caps caps;
	int err;

	*source = (struct source){
		.read = read_source, .close = close_source, .state = phc,
	};
	phc->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (phc->fd < 0)
		return -errno;
	if (!ioctl(phc->fd, PTP_CLOCK_GETCAPS, &caps))
		return 0;
	err = -errno;
	close(phc->fd);
	return err == -EINVAL ? -ENOTTY : err;
}
