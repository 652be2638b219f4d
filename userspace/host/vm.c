// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "log.h"
#include "vm-internal.h"

#define TRIES_MAX	500
#define BURST_PER_SEC	1000		/* vm_publish() takes 1/1000 s */

void vm_restart_line(struct vm *vm)
{
	const struct clock_options *o = &vm->clock->options;

	calibrate_init(&vm->cal, o->interval_ns, o->drift_ppb);
	vm->left_holds = false;
	vm->tries = 0;
}

void vm_take_rate(struct vm *vm)
{
	if (vm->has_page && !vm->waits_for_counter && !vm->cal.rate.count)
		clock_give_rate(vm->clock, &vm->guest, &vm->scale, &vm->cal.rate);
}

static void take_over_line(struct vm *vm)
{
	struct calibrate_line found;
	bool has_found = publish_found_line(&vm->pub, &vm->scale, &found);

	vm_restart_line(vm);
	if (has_found)
		calibrate_adopt(&vm->cal, &found);
	vm->needs_marker = !vm_page_is_fresh(&vm->pub);
	publish_start(&vm->pub, scale_time_type(&vm->scale), has_found);
}

int vm_start(struct vm *vm, struct clock *clock)
{
	const struct vm_options *o = &vm->options;
	int err;

	vm->clock = clock;
	vm->guest = o->guest;
	vm->offset_error = o->offset_error;
	vm->has_guest = o->has_tsc_offset;
	vm->waits_for_counter = vm_needs_counter(o);
	err = clock_choose_scale(clock, o->wants_utc, &vm->scale);
	if (!err && clock->counter_error)
		return vm_names_page(o) ? clock->counter_error : 0;
	if (!err)
		err = vm_open_page(vm);
	if (err)
		return err;
	vm->has_page = true;
	take_over_line(vm);
	vm_take_rate(vm);
	if (vm->waits_for_counter)
		vm_log_state(vm, VM_WAITING);
	return 0;
}

static void log_start(const struct vm *vm)
{
	const struct clock_options *c = &vm->clock->options;
	const struct vm_options *o = &vm->options;
	static const char *const teller[] = {
		[CLOCK_KERNEL] = "from the kernel",
		[CLOCK_CHRONY] = "from chronyd",
	};
	char page[32], bound[64];
	uint64_t khz = (calibrate_hz(&vm->cal) + 500) / 1000;

	if (o->qemu_pid)
		snprintf(page, sizeof(page), "QEMU process %d", (int)o->qemu_pid);
	else
		snprintf(page, sizeof(page), "the guest, if it comes");
	snprintf(bound, sizeof(bound), "assumed to be within %llu ns",
		 (unsigned long long)c->assumed_ns);
	log_line("page of %s, counter at %llu.%03llu MHz, offset %lld%s, scale %s, bound %s, disruption marker %s",
		 o->file ?: o->ivshmem_socket ?: page,
		 (unsigned long long)khz / 1000, (unsigned long long)khz % 1000,
		 (long long)vm->guest.offset,
		 o->file && !vm->has_guest ? " (the host's own)" : "", scale_describe(&vm->scale),
		 c->assumed_ns ? bound : teller[c->source],
		 vm->needs_marker ? "new" : "kept");
}

void vm_log_state(struct vm *vm, enum vm_state state)
{
	static const char *const text[] = {
		[VM_STARTING] = "starting",
		[VM_SYNCHRONIZED] = "synchronized",
		[VM_UNKNOWN] = "unknown: the clock is not synchronized, or not well enough, no bound is published",
		[VM_STEPPED] = "unreliable: the clock was set, measuring anew",
		[VM_FREERUNNING] = "freerunning: no reference, the bound grows",
		[VM_EXPIRED] = "unreliable: the bound has grown too much",
		[VM_WAITING] = "initializing: the guest's counter is not known",
	};

	if (vm->state == state)
		return;
	vm->state = state;
	log_line("status %s%s", text[state],
		 vm->clock->options.assumed_ns ? " (assumed)" : "");
}

static void log_calibration(const struct vm *vm)
{
	const struct calibrate_line *line = &vm->cal.line;

	if (!vm->clock->options.verbose)
		return;
	log_detail("time %llu.%09u, %llu Hz, slack %llu ticks, error %llu ns%s, rate limited %llu times",
		   (unsigned long long)line->max.time.sec,
		   vmclock_math_nsec(line->max.time.frac),
		   (unsigned long long)calibrate_hz(&vm->cal),
		   (unsigned long long)vm->cal.reading.slack,
		   (unsigned long long)(line->bounded ? line->max.maxerror_ns : 0),
		   !line->bounded ? " (none published)" :
		   vm->clock->options.assumed_ns ? " (assumed)" : "",
		   (unsigned long long)vm->cal.clamped);
}

/* The reading in the guest's counter and the page's scale. */
static void translate(struct vm *vm, const struct source_reading *from,
		      struct calibrate_reading *to)
{
	*to = (struct calibrate_reading){
		.counter = guest_counter_from_host(&vm->guest, from->counter),
		.slack = guest_counter_ticks(&vm->guest, from->slack),
		.bias = vm->offset_error,
		.bounded = from->bounded,
		.maxerror_ns = from->maxerror_ns,
		.esterror_ns = from->esterror_ns,
	};
	to->time = scale_time(&vm->scale, from, vm->cal.has_line ? &vm->cal.line : NULL,
			      to->counter);
}

/* Of one that was just published. */
static enum vm_state state_of_line(const struct vm *vm)
{
	if (vm->pub.fields.clock_status == VMCLOCK_PAGE_STATUS_UNRELIABLE)
		return VM_EXPIRED;
	return vm->cal.line.bounded ? VM_SYNCHRONIZED : VM_UNKNOWN;
}

static int publish_line(struct vm *vm, const struct source_reading *reading)
{
	bool is_first = !vm->has_published, in_time;
	int err;

	if (is_first && vm->cal.is_adopted)
		vm->needs_marker = false;
	if (vm->needs_marker) {
		err = publish_new_marker(&vm->pub);
		if (err)
			return log_error("getrandom", err);
	}
	in_time = publish_calibrated(&vm->pub, &vm->cal, &vm->scale,
				     scale_leap_indicator(&vm->scale, reading));
	if (is_first)
		log_start(vm);
	vm->has_published = true;
	vm->needs_marker = false;
	vm->tries = 0;
	if (in_time)
		vm_log_state(vm, state_of_line(vm));
	log_calibration(vm);
	return 0;
}

static void step(struct vm *vm, const struct source_reading *reading)
{
	publish_unreliable(&vm->pub);
	vm_log_state(vm, VM_STEPPED);
	scale_restart(&vm->scale, reading);
	vm_restart_line(vm);
	vm->needs_marker = true;
}

/* There is no reading: the page says what the line is still worth. */
static void hold(struct vm *vm)
{
	uint64_t counter = guest_counter_read(&vm->guest), silence_ns;

	vm->tries = 0;
	if (!vm->cal.has_line || !vm->has_published)
		return;
	silence_ns = (vmclock_u128)(counter - vm->last_reading) * VMCLOCK_NSEC_PER_SEC /
		     calibrate_hz(&vm->cal);
	switch (holdover_judge(&vm->clock->options.holdover, silence_ns, vm->cal.line.bounded,
			       vmclock_math_maxerror_ns(&vm->cal.line.max, counter))) {
	case HOLDOVER_WAIT:
		break;
	case HOLDOVER_FREERUNNING:
		publish_held(&vm->pub, &vm->cal, &vm->scale);
		vm_log_state(vm, VM_FREERUNNING);
		break;
	case HOLDOVER_UNRELIABLE:
		if (vm->state != VM_EXPIRED)
			publish_unreliable(&vm->pub);
		vm_log_state(vm, VM_EXPIRED);
		break;
	}
}

static int take_reading(struct vm *vm, const struct source_reading *reading)
{
	struct calibrate_reading translated;

	translate(vm, reading, &translated);
	vm->last_reading = translated.counter;
	switch (calibrate_feed(&vm->cal, &translated)) {
	case CALIBRATE_READY:
		return publish_line(vm, reading);
	case CALIBRATE_STEP:
		step(vm, reading);
		return 0;
	case CALIBRATE_BAD_RATE:
		log_line("the counter's frequency, %llu Hz, is none; is --tsc-ratio right?",
			 (unsigned long long)calibrate_hz(&vm->cal));
		return -EIO;
	case CALIBRATE_WARMING:
	case CALIBRATE_DROPPED:
		break;
	}
	return 0;
}

/*
 * A line that has a bound is better than a clock that has none any more, or that is
 * changed whenever it is looked at; but without a line that is waited for.
 */
static bool is_lost(const struct vm *vm)
{
	return vm->clock->outcome == -ENODATA ||
	       (vm->clock->outcome == -EAGAIN && vm->cal.has_line) ||
	       (!vm->clock->reading.bounded && vm->cal.has_line && vm->cal.line.bounded);
}

int vm_tick(struct vm *vm)
{
	int err;

	if (!vm->has_page)
		return 0;
	err = vm_check_page(vm);
	if (err)
		return vm_give_up_page(vm, err);
	target_watch_name(&vm->target);
	if (vm->waits_for_counter)
		return 0;
	if (vm->tries++ == TRIES_MAX) {
		log_line("the clock and the counter show no steady rate");
		return -EIO;
	}
	if (is_lost(vm))
		hold(vm);
	else if (vm->clock->outcome != -EAGAIN)
		return take_reading(vm, &vm->clock->reading);
	return 0;
}

bool vm_is_warming(const struct vm *vm)
{
	return vm->has_page && !vm->cal.has_line && !vm->waits_for_counter &&
	       vm->clock->outcome != -ENODATA;
}

static void wait_until(const struct guest_counter *guest, uint64_t from, uint64_t ticks)
{
	while (guest_counter_read(guest) - from < ticks)
		counter_relax();
}

int vm_publish(struct vm *vm)
{
	const struct guest_counter *guest = &vm->guest;
	uint64_t hz, pause, start, last;

	if (!vm->cal.has_line || vm->state == VM_EXPIRED)
		return 0;
	hz = calibrate_hz(&vm->cal);
	pause = (vmclock_u128)hz * vm->options.publish_us / 1000000;
	start = guest_counter_read(guest);
	do {
		int err = vm_check_page(vm);

		if (err)
			return vm_give_up_page(vm, err);
		last = guest_counter_read(guest);
		publish_rebased(&vm->pub, &vm->cal.line, &vm->scale);
		wait_until(guest, last, pause);
	} while (guest_counter_read(guest) - start < hz / BURST_PER_SEC);
	return 0;
}
