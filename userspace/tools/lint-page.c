// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One page, whatever was before.
 */
#include <endian.h>
#include <inttypes.h>

#include "lint.h"
#include "vmclock_math.h"

#define FLAG(name)	VMCLOCK_PAGE_FLAG_##name
#define KNOWN_FLAGS	((FLAG(NOTIFICATION_PRESENT) << 1) - 1)
/* UTC was 10 s behind TAI when leap seconds began. */
#define TAI_OFFSET_1972	(-10)
#define SHIFT_USEFUL	63

/* Report @finding, with the value of the field as its detail. */
#define FOUND_IF(cond, lint, finding, field, value)				\
	do {									\
		if (cond)							\
			lint_report(lint, LINT_##finding, "%s is 0x%" PRIx64, field, \
				    (uint64_t)(value));				\
	} while (0)

static bool is_trusted(const struct vmclk_snapshot *s)
{
	return s->clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
	       s->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING;
}

/* The first of these makes the others, and all the rest, mean nothing. */
static bool lint_header(struct lint *l, const struct trace_look *look,
			const struct vmclk_snapshot *s)
{
	uint32_t magic = le32toh(look->page.magic);

	if (look->len < VMCLOCK_PAGE_SIZE_MIN) {
		lint_report(l, LINT_SHORT, "it has %zu bytes", look->len);
		return false;
	}
	if (magic != VMCLOCK_PAGE_MAGIC) {
		lint_report(l, LINT_MAGIC, "magic is 0x%" PRIx32 "%s", magic,
			    magic == VMCLOCK_PAGE_MAGIC_GONE ? ": the page was given up" : "");
		return false;
	}
	if (s->version != VMCLOCK_PAGE_VERSION) {
		lint_report(l, LINT_VERSION, "version is %u", s->version);
		return false;
	}
	if (s->size < VMCLOCK_PAGE_SIZE_MIN ||
	    (look->len < sizeof(look->page) && s->size > look->len)) {
		lint_report(l, LINT_SIZE, "size is 0x%" PRIx32, s->size);
		return false;
	}
	return true;
}

static void lint_flags(struct lint *l, const struct vmclk_snapshot *s)
{
#define VOUCHES(flag, field) \
	FOUND_IF((s->flags & FLAG(flag)) && !VMCLOCK_PAGE_HAS(s->size, field), \
		 l, FLAG_ALONE, #flag " is set, and size", s->size)

	VOUCHES(TAI_OFFSET_VALID, tai_offset_sec);
	VOUCHES(PERIOD_ESTERROR_VALID, counter_period_esterror_rate_frac_sec);
	VOUCHES(PERIOD_MAXERROR_VALID, counter_period_maxerror_rate_frac_sec);
	VOUCHES(TIME_ESTERROR_VALID, time_esterror_nanosec);
	VOUCHES(TIME_MAXERROR_VALID, time_maxerror_nanosec);
	VOUCHES(GENERATION_PRESENT, vm_generation_counter);
#undef VOUCHES
	FOUND_IF(s->flags & ~KNOWN_FLAGS, l, FLAGS, "flags", s->flags);
	FOUND_IF(s->vm_generation_counter && !(s->flags & FLAG(GENERATION_PRESENT)),
		 l, GENERATION, "vm_generation_counter", s->vm_generation_counter);
}

static void lint_values(struct lint *l, const struct trace_look *look,
			const struct vmclk_snapshot *s)
{
	const __u8 *reserved = look->page.reserved;

	FOUND_IF(!VMCLOCK_PAGE_HAS(s->size, vm_generation_counter), l, FIELDS, "size", s->size);
	FOUND_IF(s->counter_id > VMCLOCK_PAGE_COUNTER_X86_TSC &&
		 s->counter_id != VMCLOCK_PAGE_COUNTER_NONE,
		 l, COUNTER, "counter_id", s->counter_id);
	FOUND_IF(s->time_type > VMCLOCK_PAGE_TIME_MONOTONIC, l, SCALE, "time_type",
		 s->time_type);
	FOUND_IF(VMCLOCK_PAGE_HAS(s->size, reserved) && (reserved[0] || reserved[1]),
		 l, RESERVED, "pad", reserved[0] | reserved[1] << 8);
	FOUND_IF(s->clock_status > VMCLOCK_PAGE_STATUS_UNRELIABLE, l, STATUS,
		 "clock_status", s->clock_status);
	FOUND_IF(s->leap_indicator > VMCLOCK_PAGE_LEAP_POST_NEG, l, LEAP,
		 "leap_indicator", s->leap_indicator);
	FOUND_IF(s->leap_indicator == VMCLOCK_PAGE_LEAP_POS &&
		 s->time_type != VMCLOCK_PAGE_TIME_UTC, l, LEAP_SCALE, "time_type",
		 s->time_type);
	FOUND_IF(s->smear_hint > VMCLOCK_PAGE_SMEAR_UTC_SLS, l, SMEAR,
		 "leap_second_smearing_hint", s->smear_hint);
}

static void lint_tai_offset(struct lint *l, const struct vmclk_snapshot *s)
{
	if (!(s->flags & FLAG(TAI_OFFSET_VALID))) {
		FOUND_IF(is_trusted(s) && s->time_type <= VMCLOCK_PAGE_TIME_TAI, l, NO_TAI,
			 "flags", s->flags);
		return;
	}
	if (s->tai_offset_sec > 0)
		lint_report(l, LINT_TAI_SIGN, "tai_offset_sec is %d", s->tai_offset_sec);
	else if (s->tai_offset_sec > TAI_OFFSET_1972)
		lint_report(l, LINT_TAI_VALUE, "tai_offset_sec is %d", s->tai_offset_sec);
}

static void lint_errors(struct lint *l, const struct vmclk_snapshot *s)
{
	const uint64_t both = FLAG(TIME_MAXERROR_VALID) | FLAG(PERIOD_MAXERROR_VALID);
	bool bounded = (s->flags & both) == both;

	FOUND_IF(is_trusted(s) && !bounded, l, NO_BOUND, "flags", s->flags);
	FOUND_IF(is_trusted(s) && bounded && !s->time_maxerror_nanosec, l, ZERO_BOUND,
		 "time_maxerror_nanosec", s->time_maxerror_nanosec);
	FOUND_IF(is_trusted(s) && bounded && !s->counter_period_maxerror_rate_frac_sec,
		 l, ZERO_BOUND, "counter_period_maxerror_rate_frac_sec",
		 s->counter_period_maxerror_rate_frac_sec);
	FOUND_IF(bounded && (s->flags & FLAG(TIME_ESTERROR_VALID)) &&
		 s->time_esterror_nanosec > s->time_maxerror_nanosec, l, ESTIMATE,
		 "time_esterror_nanosec", s->time_esterror_nanosec);
	FOUND_IF(bounded && (s->flags & FLAG(PERIOD_ESTERROR_VALID)) &&
		 s->counter_period_esterror_rate_frac_sec >
		 s->counter_period_maxerror_rate_frac_sec, l, ESTIMATE,
		 "counter_period_esterror_rate_frac_sec",
		 s->counter_period_esterror_rate_frac_sec);
}

/* Of a line that is there, whether it is to be trusted or not. */
static void lint_line(struct lint *l, const struct vmclk_snapshot *s)
{
	FOUND_IF(s->time_type == VMCLOCK_PAGE_TIME_UTC, l, UTC, "time_type", s->time_type);
	FOUND_IF(s->counter_period_shift > VMCLOCK_MATH_SHIFT_MAX, l, SHIFT,
		 "counter_period_shift", s->counter_period_shift);
	FOUND_IF(s->counter_period_shift > SHIFT_USEFUL &&
		 s->counter_period_shift <= VMCLOCK_MATH_SHIFT_MAX, l, SHIFT_WIDE,
		 "counter_period_shift", s->counter_period_shift);
	FOUND_IF(is_trusted(s) && !s->counter_period_frac_sec, l, PERIOD,
		 "counter_period_frac_sec", s->counter_period_frac_sec);
	FOUND_IF(s->counter_period_frac_sec && !(s->counter_period_frac_sec >> 63), l,
		 PERIOD_COARSE, "counter_period_frac_sec", s->counter_period_frac_sec);
	lint_errors(l, s);
}

bool lint_page(struct lint *l, const struct trace_look *look,
	       const struct vmclk_snapshot *s)
{
	if (!lint_header(l, look, s))
		return false;
	if (s->seq_count & 1) {
		lint_report(l, LINT_ODD, "seq_count is %" PRIu32, s->seq_count);
		return true;	/* what else is there may be half of an update */
	}
	lint_flags(l, s);
	lint_values(l, look, s);
	if (s->counter_id != VMCLOCK_PAGE_COUNTER_NONE) {
		lint_tai_offset(l, s);
		lint_line(l, s);
	}
	return true;
}
