// SPDX-License-Identifier: GPL-2.0-or-later
#include <time.h>

#include <linux/vmclock-page.h>

#include "rtc-clocks.h"
#include "vmclk-stamp.h"

#define NSEC_PER_SEC	1000000000ULL

/* Of the kernel's clock, between two readings of the counter. */
#define BRACKETS	4

static uint64_t to_ns(int64_t sec, uint32_t nsec)
{
	/* Before 1970 there is no number for it. */
	return sec < 0 ? 0 : sec * NSEC_PER_SEC + nsec;
}

/* What the page says at a counter; false if it gives no time. */
static bool read_page(const struct vm *vm, enum rtc_clock id, uint64_t counter,
		      uint64_t *ns)
{
	struct vmclk_snapshot page = vm->pub.fields;
	struct vmclk_stamp stamp;

	page.size = sizeof(struct vmclock_page);
	page.counter_valid = 1;
	if (!vm->cal.has_line || vmclk_stamp_at(&page, counter, &stamp) ||
	    (id == RTC_CLOCK_UTC ? vmclk_to_utc(&stamp, &stamp) : vmclk_to_tai(&stamp, &stamp)))
		return false;
	*ns = to_ns(stamp.point.sec, stamp.point.nsec);
	return true;
}

/* The kernel's clock, and the counter in the middle of the shortest try. */
static uint64_t read_kernel(const struct vm *vm, clockid_t clock, uint64_t *counter)
{
	uint64_t best = UINT64_MAX, before, after, ns = 0;
	struct timespec ts;

	for (int i = 0; i < BRACKETS; i++) {
		before = guest_counter_read(&vm->guest);
		clock_gettime(clock, &ts);
		after = guest_counter_read(&vm->guest);
		if (i && after - before >= best)
			continue;
		best = after - before;
		*counter = before + best / 2;
		ns = to_ns(ts.tv_sec, ts.tv_nsec);
	}
	return ns;
}

static int tai_minus_utc(const struct vm *vm)
{
	int16_t offset;

	return scale_tai_offset(&vm->scale, &offset) ? -offset : 0;
}

/*
 * The line in the scale of calibration, which has no leap seconds. It need not be
 * synchronized to count seconds.
 */
static bool read_line(const struct vm *vm, uint64_t counter, uint64_t *ns)
{
	struct vmclock_time t;

	if (!vm->cal.has_line || !vmclock_math_time(&vm->cal.line.max, counter, &t))
		return false;
	*ns = to_ns(t.sec, vmclock_math_nsec(t.frac));
	return true;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Goes on from the last reading when the line is another one: what has passed
 * since is known from the kernel's clock, which is never set.
 */
static uint64_t read_monotonic(struct rtc_source *s, uint64_t *counter)
{
	const struct vm *vm = s->vm;
	uint64_t boot_ns = read_kernel(vm, CLOCK_BOOTTIME, counter), now = boot_ns;
	bool on_line = read_line(vm, *counter, &now);
	uint64_t marker = on_line ? vm->pub.fields.disruption_marker : 0;

	if (!s->has_last || on_line != s->on_line || marker != s->marker) {
		s->start_ns = s->has_last ? s->last_ns + later(boot_ns, s->last_boot_ns) -
			      s->last_boot_ns : boot_ns;
		s->from_ns = now;
		s->on_line = on_line;
		s->marker = marker;
	}
	s->last_ns = s->start_ns + later(now, s->from_ns) - s->from_ns;
	s->last_boot_ns = boot_ns;
	s->has_last = true;
	return s->last_ns;
}

static int read_clock(void *context, enum rtc_clock id, struct rtc_reading *reading)
{
	struct rtc_source *s = context;
	const struct vm *vm = s->vm;

	reading->epoch = vm->disruptions;
	if (id == RTC_CLOCK_MONOTONIC) {
		reading->ns = read_monotonic(s, &reading->counter);
		return 0;
	}
	reading->counter = guest_counter_read(&vm->guest);
	if (read_page(vm, id, reading->counter, &reading->ns))
		return 0;
	reading->ns = read_kernel(vm, CLOCK_REALTIME, &reading->counter);
	if (id == RTC_CLOCK_TAI)
		reading->ns += tai_minus_utc(vm) * NSEC_PER_SEC;
	return 0;
}

static bool has_counter(void *context)
{
	struct rtc_source *s = context;

	return s->vm->has_guest;
}

void rtc_clocks_init(struct rtc_source *source, const struct vm *vm,
		     struct rtc_clocks *clocks)
{
	*source = (struct rtc_source){ .vm = vm };
	*clocks = (struct rtc_clocks){
		.read = read_clock,
		.context = source,
		.counter_id = guest_counter_exists() ? COUNTER_ID : VMCLOCK_PAGE_COUNTER_NONE,
		.has_counter = has_counter,
	};
}
