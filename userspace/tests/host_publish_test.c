// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Re-basing a published line without a new reading, around a leap second; and
 * the dirty log of a page that is a guest's memory.
 */
#define _GNU_SOURCE
#include <endian.h>

#include "host_front.h"
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
	struct shm memory = { 0 };
	struct publish pub;

	is_int(vmclk_writer_format(&page, sizeof(page)), 0);
	is_int(vmclk_writer_attach(&page, sizeof(page), &writer), 0);
	is_int(publish_attach(&pub, writer, &memory, &guest), 0);
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

/* Where QEMU has its page, and the log it sends for that. */
#define GUEST_ADDRESS	0xfeffb000
#define LOG_SIZE	0x1fe00
#define LOG_BYTE	(GUEST_ADDRESS / 4096 / 8)
#define LOG_BIT		(1 << GUEST_ADDRESS / 4096 % 8)

static struct shm logged_new(int fd, const struct front *front)
{
	struct dirty_log *log = front_log(front);
	struct dirty_window window;
	struct dirty dirty;
	struct shm shm;

	ok(!shm_map_fd(&shm, fd, 0, 4096) && !dirty_default(&dirty) &&
	   !shm_log_writes(&shm, &dirty));
	ok(!dirty_window_init(&window, log, GUEST_ADDRESS, 4096));
	dirty_replace(&dirty, &window);
	dirty_log_put(log);
	dirty_put(&dirty);
	return shm;
}

TAP_TEST(every_update_of_a_page_that_is_logged_marks_it)
{
	struct guest_counter guest = { .ratio = 1ULL << 48, .frac_bits = 48 };
	struct calibrate_line line = { .max = { .period = 1ULL << 63, .shift = 29 } };
	struct scale scale = { .origin = SCALE_UTC };
	struct front front = front_new(LOG_SIZE);
	int fd = memfd_new(4096);
	struct shm memory = logged_new(fd, &front);
	void *page = shm_range(&memory, 0, 4096, 8);
	struct vmclk_writer *writer;
	struct publish pub;

	need(!vmclk_writer_format(page, 4096) && !vmclk_writer_attach(page, 4096, &writer));
	is_int(publish_attach(&pub, writer, &memory, &guest), 0);
	is_u64(front_take(&front, LOG_BYTE), 0);
	publish_start(&pub, VMCLOCK_PAGE_TIME_UTC, false);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	publish_rebased(&pub, &line, &scale);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	publish_unreliable(&pub);
	is_u64(front_take(&front, LOG_BYTE), LOG_BIT);
	vmclk_writer_close(writer);
	shm_put(&memory);
	close(fd);
	front_end(&front);
}

int main(void)
{
	return tap_main();
}
