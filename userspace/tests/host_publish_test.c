// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Re-basing a published line without a new reading, around a leap second.
 */
#include <endian.h>

#include "publish.h"
#include "tap.h"

#define MIDNIGHT	1483228800	/* 2017-01-01 00:00:00 UTC, after 23:59:60 */

/*
 * A page whose line has its reference point @before seconds before midnight,
 * 3 seconds ago by a counter of 2^30 Hz, re-based to now. Return: its time.
 */
static uint64_t rebased_sec(enum scale_origin origin, uint8_t leap_indicator, int before)
{
	static struct vmclock_page page;
	int base = origin == SCALE_UTC ? 0 : 36;
	struct guest_counter guest = { .ratio = 1ULL << 48, .frac_bits = 48 };
	struct scale scale = { .origin = origin, .base = base };
	struct calibrate_line line = {
		.max = {
			.counter = guest_counter_read(&guest) - (3ULL << 30),
			.time.sec = MIDNIGHT + base - before,
			.period = 1ULL << 63, .shift = 29,
		},
		.bounded = true,
	};
	struct vmclk_writer *writer = NULL;
	struct publish pub;

	is_int(vmclk_writer_format(&page, sizeof(page)), 0);
	is_int(vmclk_writer_attach(&page, sizeof(page), &writer), 0);
	is_int(publish_attach(&pub, writer, &guest), 0);
	pub.fields.leap_indicator = leap_indicator;
	pub.fields.time_sec = line.max.time.sec;
	pub.fields.tai_offset_sec = -base;
	pub.fields.flags = base ? VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID : 0;
	publish_rebased(&pub, &line, &scale);
	vmclk_writer_close(writer);
	return le64toh(page.time_sec) - base;
}

TAP_TEST(the_reference_point_follows_the_counter)
{
	ok(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_NONE, 2) >= MIDNIGHT + 1);
	ok(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_NONE, 2) >= MIDNIGHT + 1);
	ok(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_PRE_POS, 1000) >= MIDNIGHT - 997);
}

TAP_TEST(it_does_not_pass_an_announced_leap_second)
{
	is_u64(rebased_sec(SCALE_UTC, VMCLOCK_PAGE_LEAP_PRE_POS, 2), MIDNIGHT - 2);
	is_u64(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_POS, 2), MIDNIGHT - 2);
	is_u64(rebased_sec(SCALE_LIST, VMCLOCK_PAGE_LEAP_PRE_NEG, 3), MIDNIGHT - 3);
}

int main(void)
{
	return tap_main();
}
