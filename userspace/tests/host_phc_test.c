// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A PTP hardware clock as a source. The device is a stand-in: ioctl() of this
 * program answers for it.
 */
#include <linux/ptp_clock.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <linux/vmclock-page.h>

#include "host_fake_kernel.h"
#include "source-phc.h"
#include "tap.h"

#define SEC		1000000000LL
#define BOUND_NS	5000

/*
 * @error: errno of all, or 0
 * @is_precise: it has hardware that reads both clocks
 * @ahead_ns: of CLOCK_REALTIME
 * @took_ns: for the i-th sample it took so long to read
 * @sec: says this instead, if not 0
 * @nsec: the same
 * @system_ahead_ns: its reading of the system is wrong by so much
 */
static struct {
	int error;
	bool is_precise;
	int64_t ahead_ns;
	int64_t took_ns[PTP_MAX_SAMPLES];
	int64_t sec;
	uint32_t nsec;
	int64_t system_ahead_ns;
} device;

static struct ptp_clock_time to_clock(int64_t ns)
{
	return (struct ptp_clock_time){ .sec = ns / SEC, .nsec = ns % SEC };
}

static int64_t system_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static struct ptp_clock_time device_time(int64_t system)
{
	if (device.sec || device.nsec)
		return (struct ptp_clock_time){ .sec = device.sec, .nsec = device.nsec };
	return to_clock(system + device.ahead_ns);
}

static void extended(struct ptp_sys_offset_extended *o)
{
	for (unsigned int i = 0; i < o->n_samples; i++) {
		int64_t now = system_ns() + device.system_ahead_ns;

		/* Asymmetric: the device was read at the very end. */
		o->ts[i][0] = to_clock(now - device.took_ns[i]);
		o->ts[i][1] = device_time(now);
		o->ts[i][2] = to_clock(now);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	(void)fd;
	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	errno = device.error ? device.error : EOPNOTSUPP;
	if (device.error || (request == PTP_SYS_OFFSET_PRECISE && !device.is_precise))
		return -1;
	if (request == PTP_SYS_OFFSET_PRECISE) {
		struct ptp_sys_offset_precise *o = arg;

		o->sys_realtime = to_clock(system_ns() + device.system_ahead_ns);
		o->device = device_time(system_ns());
	} else if (request == PTP_SYS_OFFSET_EXTENDED) {
		extended(arg);
	}
	return 0;
}

static struct source_phc phc;
static struct source source;
static struct source_reading reading;

static void fresh(void)
{
	fake_reset();
	memset(&device, 0, sizeof(device));
	device.ahead_ns = 37 * SEC + 1234;
	phc = (struct source_phc){ .bound_ns = BOUND_NS };
	is_int(source_phc_open(&source, &phc, "/dev/null"), 0);
}

static int64_t realtime_ns(void)
{
	return (int64_t)(((reading.realtime >> 32) * 1000000000 + (1u << 31)) >> 32);
}

static void end(void)
{
	source.close(&source);
}

TAP_TEST(a_tai_clock_gives_utc_and_the_operators_bound)
{
	fresh();
	is_int(source.read(&source, &reading), 0);
	ok(reading.bounded);
	is_int(realtime_ns(), FAKE_NOW_NS + 1234);
	is_int(reading.kernel_tai, 37);
	ok(reading.maxerror_ns > BOUND_NS && reading.maxerror_ns < BOUND_NS + 100);
	ok(phc.no_precise);
	end();
}

TAP_TEST(hardware_that_reads_both_clocks_is_preferred)
{
	fresh();
	device.is_precise = true;
	is_int(source.read(&source, &reading), 0);
	is_int(realtime_ns(), FAKE_NOW_NS + 1234);
	ok(!phc.no_precise);
	end();
}

TAP_TEST(the_shortest_sample_is_used_and_half_of_it_is_error)
{
	uint64_t least;

	fresh();
	is_int(source.read(&source, &reading), 0);
	least = reading.maxerror_ns;
	for (int i = 0; i < PTP_MAX_SAMPLES; i++)
		device.took_ns[i] = i == 5 ? 2000 : 50000;
	is_int(source.read(&source, &reading), 0);
	/* It was read at the end, and is taken to be of the middle: 1 us of error. */
	is_int(realtime_ns(), FAKE_NOW_NS + 1234 + 1000);
	/* And from there to the reading, the kernel's clock may have been turned. */
	is_u64(reading.maxerror_ns, least + 1000 + 1000 / 8);
	end();
}

TAP_TEST(a_utc_clock_is_taken_as_it_is)
{
	fresh();
	phc.is_utc = true;
	device.ahead_ns = 99;
	is_int(source.read(&source, &reading), 0);
	is_int(realtime_ns(), FAKE_NOW_NS + 99);
	end();
}

TAP_TEST(tai_needs_an_offset_from_somebody)
{
	fresh();
	kernel.tx.tai = 0;
	is_int(source.read(&source, &reading), -ENODATA);
	ok(strstr(source.why, "--tai-offset"));
	phc.tai_offset = 37;
	is_int(source.read(&source, &reading), 0);
	is_int(realtime_ns(), FAKE_NOW_NS + 1234);
	is_int(reading.kernel_tai, 37);
	end();
}

/* In TAI the two agree: the line does not notice a leap second. */
TAP_TEST(when_the_kernel_inserts_a_second_tai_goes_on)
{
	vmclock_u128 before;

	fresh();
	is_int(source.read(&source, &reading), 0);
	before = reading.realtime + ((vmclock_u128)reading.kernel_tai << 64);
	kernel.tx.tai = 38;
	is_int(source.read(&source, &reading), 0);
	ok(reading.realtime + ((vmclock_u128)reading.kernel_tai << 64) - before < 2);
	end();
}

TAP_TEST(a_device_that_fails_is_a_lost_reference)
{
	fresh();
	device.error = ENODEV;
	is_int(source.read(&source, &reading), -ENODATA);
	device.error = 0;
	is_int(source.read(&source, &reading), 0);
	end();
}

static void is_lost_at(int64_t sec, uint32_t nsec)
{
	device.sec = sec;
	device.nsec = nsec;
	for (int precise = 0; precise < 2; precise++) {
		device.is_precise = precise;
		phc.no_precise = false;
		if (!is_int(source.read(&source, &reading), -ENODATA))
			note("at %" PRId64 ".%09u", sec, nsec);
	}
}

TAP_TEST(times_that_are_none_are_refused)
{
	fresh();
	is_lost_at(-1, 0);
	is_lost_at(INT64_MAX, 0);
	is_lost_at(INT64_MIN, 0);
	is_lost_at(1800000000, 1000000000);
	is_lost_at(7258118401, 0);
	/* TAI, but UTC has not begun. */
	is_lost_at(5, 0);
	end();
}

TAP_TEST(a_sample_that_ends_before_it_begins_is_refused)
{
	fresh();
	device.took_ns[3] = -1;
	is_int(source.read(&source, &reading), -ENODATA);
	end();
}

TAP_TEST(a_system_time_of_another_moment_is_tried_again)
{
	fresh();
	device.is_precise = true;
	device.system_ahead_ns = 1000;
	is_int(source.read(&source, &reading), -EAGAIN);
	device.system_ahead_ns = -2 * SEC;
	is_int(source.read(&source, &reading), -EAGAIN);
	end();
}

TAP_TEST(a_system_clock_that_was_set_meanwhile_is_tried_again)
{
	fresh();
	kernel.steps_ns = 1000;
	is_int(source.read(&source, &reading), -EAGAIN);
	end();
}

TAP_TEST(what_is_no_clock_is_not_opened)
{
	fresh();
	end();
	device.error = ENOTTY;
	is_int(source_phc_open(&source, &phc, "/dev/null"), -ENOTTY);
	is_int(source_phc_open(&source, &phc, "/nonexistent"), -ENOENT);
}

int main(void)
{
	return tap_main();
}
