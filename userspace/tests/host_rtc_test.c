// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-rtc requests, byte by byte, and alarms in simulated time.
 */
#include <errno.h>

#include <linux/vmclock-page.h>

#include "rtc.h"
#include "tap.h"

enum { OK = 0, NOT_SUPPORTED = 2, NO_DEVICE = 3, INVALID = 4, IO = 5 };

static struct rtc_reading now[RTC_CLOCK_COUNT];
static int read_error;

static int read_fake(void *context, enum rtc_clock clock, struct rtc_reading *reading)
{
	(void)context;
	*reading = now[clock];
	return read_error;
}

static struct rtc rtc_make(uint8_t counter_id, bool has_alarms)
{
	const struct rtc_clocks clocks = { .read = read_fake, .counter_id = counter_id };
	struct rtc rtc;

	read_error = 0;
	for (int i = 0; i < RTC_CLOCK_COUNT; i++)
		now[i] = (struct rtc_reading){ 0x0102030405060700 + i, 0x1122334455667700 + i, 0 };
	rtc_init(&rtc, &clocks);
	rtc_set_features(&rtc, has_alarms);
	return rtc;
}

/* A request by its type and the bytes after the header; the answer in @answer. */
static uint8_t answer[RTC_RESPONSE_MAX];

static size_t ask_with(struct rtc *rtc, uint16_t type, const void *bytes, size_t n,
		       size_t room)
{
	uint8_t request[RTC_REQUEST_MAX] = { type & 0xff, type >> 8 };

	memcpy(request + 8, bytes, n);
	memset(answer, 0xcc, sizeof(answer));
	return rtc_respond(rtc, request, 8 + n, answer, room);
}

/* About a clock, with as much room as any answer needs: used.len must be exact. */
static void asks(struct rtc *rtc, uint16_t type, uint16_t clock, uint8_t arg, int status,
		 size_t len)
{
	const uint8_t bytes[8] = { clock & 0xff, clock >> 8, arg };

	is_u64(ask_with(rtc, type, bytes, 8, 64), len);
	is_int(answer[0], status);
}

static void asks_alarm(struct rtc *rtc, uint64_t time, uint16_t clock, uint8_t flags,
		       int status)
{
	uint8_t bytes[16] = { 0 };

	for (int i = 0; i < 8; i++)
		bytes[i] = time >> (8 * i);
	bytes[8] = clock & 0xff;
	bytes[9] = clock >> 8;
	bytes[10] = flags;
	is_u64(ask_with(rtc, 0x1004, bytes, 16, 64), 8);
	is_int(answer[0], status);
}

static uint64_t u64_at(unsigned int offset)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | answer[offset + i];
	return v;
}

TAP_TEST(there_are_three_clocks_whose_types_are_their_ids)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, false);
	const uint8_t cfg[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 3 };

	is_u64(ask_with(&rtc, 0x1000, "", 0, 16), 16);
	ok(!memcmp(answer, cfg, 16));
	for (unsigned int id = 0; id < 3; id++) {
		asks(&rtc, 0x1001, id, 0, OK, 16);
		is_int(answer[8], id);
		is_int(answer[9] | answer[10], 0);
	}
	asks(&rtc, 0x1001, 3, 0, NO_DEVICE, 8);
	asks(&rtc, 0x1001, 0xffff, 0, NO_DEVICE, 8);
}

TAP_TEST(each_clock_is_read)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, false);

	for (unsigned int id = 0; id < 3; id++) {
		asks(&rtc, 0x0001, id, 0, OK, 16);
		is_u64(u64_at(8), 0x0102030405060700 + id);
	}
	asks(&rtc, 0x0001, 3, 0, NO_DEVICE, 8);
	read_error = -EAGAIN;
	asks(&rtc, 0x0001, 0, 0, IO, 8);
	is_u64(u64_at(8), 0xcccccccccccccccc);
}

TAP_TEST(cross_timestamps_are_offered_only_for_the_counter_that_is_known)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_X86_TSC, false);

	asks(&rtc, 0x1002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, OK, 16);
	is_int(answer[8], 1);
	asks(&rtc, 0x1002, 1, VMCLOCK_PAGE_COUNTER_ARM_VCT, OK, 16);
	is_int(answer[8], 0);
	asks(&rtc, 0x1002, 1, 0xff, NOT_SUPPORTED, 8);
	asks(&rtc, 0x1002, 3, VMCLOCK_PAGE_COUNTER_X86_TSC, NO_DEVICE, 8);

	asks(&rtc, 0x0002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, OK, 24);
	is_u64(u64_at(8), 0x0102030405060701);
	is_u64(u64_at(16), 0x1122334455667701);
	asks(&rtc, 0x0002, 1, VMCLOCK_PAGE_COUNTER_ARM_VCT, NOT_SUPPORTED, 8);

	rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, false);
	asks(&rtc, 0x1002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, OK, 16);
	is_int(answer[8], 0);
	asks(&rtc, 0x0002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, NOT_SUPPORTED, 8);
}

static bool counter_is_known;

static bool says_known(void *context)
{
	(void)context;
	return counter_is_known;
}

TAP_TEST(a_counter_that_is_not_known_at_present_is_not_offered)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_X86_TSC, false);

	rtc.clocks.has_counter = says_known;
	for (int i = 0; i < 2; i++) {
		counter_is_known = i;
		asks(&rtc, 0x1002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, OK, 16);
		is_int(answer[8], i);
		asks(&rtc, 0x0002, 1, VMCLOCK_PAGE_COUNTER_X86_TSC, i ? OK : NOT_SUPPORTED,
		     i ? 24 : 8);
		rtc_reset(&rtc);
	}
}

TAP_TEST(a_counter_that_has_become_another_one_may_be_less)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_X86_TSC, false);

	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	now[RTC_CLOCK_UTC].counter = 5;
	now[RTC_CLOCK_UTC].epoch++;
	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	is_u64(u64_at(16), 5);
	now[RTC_CLOCK_UTC].counter = 4;
	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	is_u64(u64_at(16), 5);
}

TAP_TEST(a_later_reading_is_not_before_an_earlier_one)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_X86_TSC, false);

	asks(&rtc, 0x0001, RTC_CLOCK_MONOTONIC, 0, OK, 16);
	now[RTC_CLOCK_MONOTONIC].ns -= 5;
	now[RTC_CLOCK_MONOTONIC].counter += 5;
	asks(&rtc, 0x0001, RTC_CLOCK_MONOTONIC, 0, OK, 16);
	is_u64(u64_at(8), 0x0102030405060702);

	/* UTC may be set back; its counter may not. */
	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	now[RTC_CLOCK_UTC].ns -= 5;
	now[RTC_CLOCK_UTC].counter += 5;
	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	is_u64(u64_at(8), 0x0102030405060700 - 5);
	now[RTC_CLOCK_UTC].counter -= 1;
	now[RTC_CLOCK_UTC].ns += 100;
	asks(&rtc, 0x0002, RTC_CLOCK_UTC, 1, OK, 24);
	is_u64(u64_at(8), 0x0102030405060700 - 5);
	is_u64(u64_at(16), 0x1122334455667705);
}

/* Every length of request and of room, for every message: never more than room. */
TAP_TEST(short_requests_and_answers_get_the_status_that_fits)
{
	static const struct {
		uint16_t type;
		size_t request, response;
	} sizes[] = {
		{ 0x0001, 16, 16 }, { 0x0002, 16, 24 }, { 0x1000, 8, 16 }, { 0x1001, 16, 16 },
		{ 0x1002, 16, 16 }, { 0x1003, 16, 24 }, { 0x1004, 24, 8 }, { 0x1005, 16, 8 },
	};
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_ARM_VCT, true);

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t len = 0; len <= RTC_REQUEST_MAX; len++)
			for (size_t room = 0; room <= 32; room++) {
				uint8_t request[RTC_REQUEST_MAX] = { sizes[i].type & 0xff,
								     sizes[i].type >> 8 };
				bool fits = len >= sizes[i].request && room >= sizes[i].response;
				size_t want = fits ? sizes[i].response : room < 8 ? room : 8;

				memset(answer, 0xcc, sizeof(answer));
				is_u64(rtc_respond(&rtc, request, len, answer, room), want);
				if (room)
					is_int(answer[0], fits ? OK : INVALID);
			}
}

TAP_TEST(an_unknown_message_is_not_supported)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	for (uint32_t type = 0; type < 0x10000; type++) {
		bool known = type == 1 || type == 2 || (type >= 0x1000 && type <= 0x1005);

		if (!known)
			asks(&rtc, type, 0, 0, NOT_SUPPORTED, 8);
	}
	is_u64(ask_with(&rtc, 0x7777, "", 0, 1), 1);
	is_int(answer[0], NOT_SUPPORTED);
	is_int(answer[1], 0xcc);
}

/* Takes the one notification that is due, of @clock. */
static void notifies(struct rtc *rtc, unsigned int clock)
{
	uint8_t want[RTC_NOTIFICATION_SIZE] = { 0x00, 0x20, [8] = clock };
	uint8_t got[RTC_NOTIFICATION_SIZE];

	need(rtc_has_notification(rtc));
	rtc_take_notification(rtc, got);
	ok(!memcmp(got, want, sizeof(got)));
}

static void at(struct rtc *rtc, unsigned int clock, uint64_t ns)
{
	now[clock].ns = ns;
	rtc_look(rtc);
}

TAP_TEST(without_the_feature_there_are_no_alarms)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, false);

	asks_alarm(&rtc, 0, 0, 1, NO_DEVICE);
	asks(&rtc, 0x1003, 0, 0, NO_DEVICE, 8);
	asks(&rtc, 0x1005, 0, 1, NO_DEVICE, 8);
	ok(!rtc_has_notification(&rtc));
	rtc_set_features(&rtc, true);
	asks(&rtc, 0x1001, 2, 0, OK, 16);
	is_int(answer[10], 1);
}

TAP_TEST(an_alarm_goes_off_once_when_its_time_comes)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	is_u64(rtc_delay_ns(&rtc), UINT64_MAX);
	at(&rtc, RTC_CLOCK_TAI, 1000);
	asks_alarm(&rtc, 5000, RTC_CLOCK_TAI, 1, OK);
	asks(&rtc, 0x1003, RTC_CLOCK_TAI, 0, OK, 24);
	is_u64(u64_at(8), 5000);
	is_int(answer[16], 1);
	is_u64(rtc_delay_ns(&rtc), 4000);
	at(&rtc, RTC_CLOCK_TAI, 4999);
	ok(!rtc_has_notification(&rtc));
	at(&rtc, RTC_CLOCK_TAI, 5000);
	notifies(&rtc, RTC_CLOCK_TAI);
	at(&rtc, RTC_CLOCK_TAI, 6000);
	ok(!rtc_has_notification(&rtc));
	is_u64(rtc_delay_ns(&rtc), UINT64_MAX);
}

TAP_TEST(it_can_go_off_again_after_the_clock_stepped_back)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	at(&rtc, RTC_CLOCK_UTC, 1000);
	asks_alarm(&rtc, 5000, RTC_CLOCK_UTC, 1, OK);
	at(&rtc, RTC_CLOCK_UTC, 9000);
	notifies(&rtc, RTC_CLOCK_UTC);
	at(&rtc, RTC_CLOCK_UTC, 3000);
	is_u64(rtc_delay_ns(&rtc), 2000);
	at(&rtc, RTC_CLOCK_UTC, 5001);
	/* Not sent yet when the clock steps back: obsolete. */
	at(&rtc, RTC_CLOCK_UTC, 4000);
	ok(!rtc_has_notification(&rtc));
	at(&rtc, RTC_CLOCK_UTC, 5000);
	notifies(&rtc, RTC_CLOCK_UTC);
}

TAP_TEST(an_alarm_in_the_past_goes_off_when_set_or_enabled)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	at(&rtc, RTC_CLOCK_UTC, 1000);
	asks_alarm(&rtc, 1000, RTC_CLOCK_UTC, 1, OK);
	notifies(&rtc, RTC_CLOCK_UTC);
	asks_alarm(&rtc, 0, RTC_CLOCK_UTC, 0, OK);
	ok(!rtc_has_notification(&rtc));
	asks(&rtc, 0x1005, RTC_CLOCK_UTC, 1, OK, 8);
	notifies(&rtc, RTC_CLOCK_UTC);
	asks_alarm(&rtc, UINT64_MAX, RTC_CLOCK_UTC, 1, OK);
	ok(!rtc_has_notification(&rtc));
	is_u64(rtc_delay_ns(&rtc), UINT64_MAX - 1000);
}

TAP_TEST(disabling_or_setting_anew_stops_a_pending_notification)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	at(&rtc, RTC_CLOCK_UTC, 1000);
	asks_alarm(&rtc, 500, RTC_CLOCK_UTC, 1, OK);
	asks(&rtc, 0x1005, RTC_CLOCK_UTC, 0, OK, 8);
	ok(!rtc_has_notification(&rtc));
	asks(&rtc, 0x1003, RTC_CLOCK_UTC, 0, OK, 24);
	is_u64(u64_at(8), 500);
	is_int(answer[16], 0);
	asks_alarm(&rtc, 500, RTC_CLOCK_UTC, 1, OK);
	asks_alarm(&rtc, 2000, RTC_CLOCK_UTC, 1, OK);
	ok(!rtc_has_notification(&rtc));
	rtc_reset(&rtc);
	at(&rtc, RTC_CLOCK_UTC, 3000);
	ok(!rtc_has_notification(&rtc));
}

TAP_TEST(each_clock_has_an_alarm_of_its_own)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);

	for (unsigned int id = 0; id < 3; id++)
		asks_alarm(&rtc, 1, id, 1, OK);
	for (unsigned int id = 0; id < 3; id++)
		notifies(&rtc, id);
	ok(!rtc_has_notification(&rtc));
}

TAP_TEST(a_state_is_loaded_as_it_was_saved)
{
	struct rtc rtc = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true);
	struct rtc other = rtc_make(VMCLOCK_PAGE_COUNTER_NONE, true), untouched = other;
	uint8_t state[RTC_STATE_SIZE + 1], again[RTC_STATE_SIZE];

	asks_alarm(&rtc, 1, RTC_CLOCK_UTC, 1, OK);
	asks_alarm(&rtc, UINT64_MAX, RTC_CLOCK_TAI, 1, OK);
	asks_alarm(&rtc, 7, RTC_CLOCK_MONOTONIC, 0, OK);
	rtc_save(&rtc, state);
	is_int(rtc_load(&other, state, RTC_STATE_SIZE), 0);
	rtc_save(&other, again);
	ok(!memcmp(again, state, sizeof(again)));
	notifies(&other, RTC_CLOCK_UTC);

	other = untouched;
	is_int(rtc_load(&other, state, RTC_STATE_SIZE - 1), -EPROTO);
	is_int(rtc_load(&other, state, RTC_STATE_SIZE + 1), -EPROTO);
	state[0] ^= 1;
	is_int(rtc_load(&other, state, RTC_STATE_SIZE), -EPROTO);
	state[0] ^= 1;
	state[4]++;
	is_int(rtc_load(&other, state, RTC_STATE_SIZE), -EPROTO);
	ok(!memcmp(&other, &untouched, sizeof(other)));
}

int main(void)
{
	return tap_main();
}
