// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the vhost-user device is between its queues' work: alarms, reset, status,
 * suspended, saved and loaded, in flight.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "host_front_end.h"

/* Seconds until something that waits for ever has failed. */
#define PATIENCE	60

#define BUFFER_AT(i)	(0x28000U + 64 * (i))

/* SET_ALARM through the ring. */
static void guest_set_alarm(struct front_end *fe, uint64_t time, uint8_t clock, uint8_t flags)
{
	uint8_t request[24] = { 0x04, 0x10 };

	memcpy(request + 8, &time, 8);
	request[16] = clock;
	request[18] = flags;
	guest_request(fe, request, sizeof(request));
	guest_kick(fe, 0);
	is_int(fe->mem[RESPONSE_AT], 0);
}

static void guest_offer_buffer(struct front_end *fe, unsigned int i, uint32_t len)
{
	guest_desc(fe, 1, i, GUEST_GPA + BUFFER_AT(i), len, 2, 0);
	guest_offer(fe, 1, i);
	guest_kick(fe, 1);
}

/* Time for the device's timer, which looks at the clocks once a second. */
static void wait_for_alarm(struct front_end *fe, uint16_t used)
{
	struct pollfd timer = { .fd = fe->server.vhost.timer, .events = POLLIN };

	for (int i = 0; i < 60 && guest_used(fe, 1) != used; i++) {
		poll(&timer, 1, 1000);
		fe_pump(fe);
	}
}

/* Stops a queue; gives its base. */
static uint32_t stop(struct front_end *fe, uint32_t i)
{
	uint32_t words[2] = { i, 0 };

	fe_send(fe, VHOST_GET_VRING_BASE, 0, words, 8, NULL, 0);
	is_int(fe_receive(fe, VHOST_GET_VRING_BASE, words, 8, NULL), 8);
	is_u64(words[0], i);
	return words[1];
}

TAP_TEST(a_due_alarm_takes_a_buffer_and_no_other_does)
{
	FRONT_END();

	fe_start(fe);
	guest_offer_buffer(fe, 0, 16);
	guest_offer_buffer(fe, 1, 16);
	is_u64(fe->server.vhost.queues[1].ring.next_avail, 0);
	fe_events(fe->call[1]);
	guest_set_alarm(fe, fake_now[0].ns, 0, 1);
	is_u64(guest_used(fe, 1), 1);
	is_u64(guest_get(fe, USED_AT(1) + 8, 4), 16);
	is_u64(guest_get(fe, BUFFER_AT(0), 2), 0x2000);
	is_u64(guest_get(fe, BUFFER_AT(0) + 8, 2), 0);
	is_u64(fe_events(fe->call[1]), 1);
	is_u64(fe->server.vhost.queues[1].ring.next_avail, 1);
}

TAP_TEST(a_notification_waits_for_a_buffer_that_is_long_enough)
{
	FRONT_END();

	fe_start(fe);
	guest_set_alarm(fe, 0, 2, 1);
	is_u64(guest_used(fe, 1), 0);
	guest_offer_buffer(fe, 0, 15);
	is_u64(guest_used(fe, 1), 1);
	is_u64(guest_get(fe, USED_AT(1) + 8, 4), 0);
	guest_offer_buffer(fe, 1, 17);
	is_u64(guest_used(fe, 1), 2);
	is_u64(guest_get(fe, BUFFER_AT(1) + 8, 2), 2);
}

TAP_TEST(an_alarm_that_becomes_due_is_noticed)
{
	FRONT_END();

	fe_start(fe);
	guest_offer_buffer(fe, 0, 16);
	guest_set_alarm(fe, fake_now[1].ns + 20000000, 1, 1);
	is_u64(guest_used(fe, 1), 0);
	fake_now[1].ns += 20000000;
	wait_for_alarm(fe, 1);
	is_u64(guest_used(fe, 1), 1);
	is_u64(guest_get(fe, BUFFER_AT(0) + 8, 2), 1);
}

TAP_TEST(a_clock_that_is_set_is_noticed_by_its_alarms)
{
	FRONT_END();

	fe_start(fe);
	guest_offer_buffer(fe, 0, 16);
	guest_set_alarm(fe, fake_now[0].ns + 3600000000000, 0, 1);
	fake_now[0].ns += 7200000000000;
	wait_for_alarm(fe, 1);
	is_u64(guest_used(fe, 1), 1);
}

TAP_TEST(a_suspended_device_writes_nothing_and_notifies_nobody)
{
	FRONT_END();
	static uint8_t before[GUEST_SIZE];

	fe_start(fe);
	guest_offer_buffer(fe, 0, 16);
	guest_set_alarm(fe, fake_now[0].ns + 1000, 0, 1);
	is_u64(stop(fe, 0), 1);
	is_u64(stop(fe, 1), 0);
	ok(!fe->server.vhost.memory.is_leased);
	fe_events(fe->call[0]);
	fe_events(fe->call[1]);
	memcpy(before, fe->mem, GUEST_SIZE);
	fake_now[0].ns += 1000;
	vhost_work(&fe->server.vhost);
	is_u64(fe_get(fe, VHOST_GET_FEATURES), VHOST_FEATURES);
	ok(!memcmp(before, fe->mem, GUEST_SIZE));
	is_u64(fe_events(fe->call[0]) + fe_events(fe->call[1]), 0);

	/* It was remembered. */
	fe_queue(fe, 1, 0);
	is_u64(guest_used(fe, 1), 1);
}

TAP_TEST(reset_stops_disables_and_forgets)
{
	FRONT_END();

	fe_start(fe);
	guest_set_alarm(fe, 0, 0, 1);
	is_u64(fe_set(fe, VHOST_SET_STATUS, 15), 0);
	is_u64(fe_get(fe, VHOST_RESET_DEVICE), 0);
	is_u64(fe_get(fe, VHOST_GET_STATUS), 0);
	is_u64(guest_read_clock(fe, 0), 0);
	ok(!fe->server.vhost.queues[0].is_enabled && !fe->server.vhost.queues[0].is_started);
	ok(!rtc_has_notification(&fe->server.vhost.rtc));
	ok(!fe->server.vhost.rtc.alarms[0].is_enabled);
}

TAP_TEST(status_is_kept_and_0_stops_but_keeps_alarms)
{
	FRONT_END();

	fe_start(fe);
	is_u64(fe_set(fe, VHOST_SET_STATUS, 15), 0);
	is_u64(fe_get(fe, VHOST_GET_STATUS), 15);
	is_u64(fe_set(fe, VHOST_SET_STATUS, 256), 1);
	is_u64(fe_get(fe, VHOST_GET_STATUS), 15);
	guest_set_alarm(fe, 5000000000, 0, 1);
	is_u64(fe_set(fe, VHOST_SET_STATUS, 0), 0);
	is_u64(fe_get(fe, VHOST_GET_STATUS), 0);
	is_u64(guest_read_clock(fe, 0), 0);
	ok(fe->server.vhost.rtc.alarms[0].is_enabled);
}

/* SET_DEVICE_STATE_FD with one end of a pipe; the other one is @mine. */
static uint64_t transfer(struct front_end *fe, uint32_t direction, uint32_t phase, int *mine)
{
	const uint32_t words[2] = { direction, phase };
	uint64_t answer;
	int ends[2];

	ok(!pipe(ends));
	answer = fe_ask(fe, VHOST_SET_DEVICE_STATE_FD, words, 8, &ends[!direction], 1);
	close(ends[!direction]);
	*mine = ends[direction != 0];
	return answer;
}

TAP_TEST(the_state_goes_to_another_device)
{
	FRONT_END();
	uint8_t state[200];
	int fd;

	fe_start(fe);
	guest_set_alarm(fe, 0x123456789abcdef, 1, 1);
	is_u64(transfer(fe, 0, 0, &fd), 0x101);	/* not while it runs */
	close(fd);
	stop(fe, 0);
	stop(fe, 1);
	is_u64(transfer(fe, 0, 0, &fd), 0x100);
	is_int(read(fd, state, sizeof(state)), RTC_STATE_SIZE);
	is_int(read(fd, state + RTC_STATE_SIZE, 1), 0);
	close(fd);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 0);

	is_u64(fe_get(fe, VHOST_RESET_DEVICE), 0);
	ok(!fe->server.vhost.rtc.alarms[1].is_enabled);
	is_u64(transfer(fe, 1, 0, &fd), 0x100);
	/* In pieces. */
	is_int(write(fd, state, 10), 10);
	fe_pump(fe);
	is_int(write(fd, state + 10, RTC_STATE_SIZE - 10), RTC_STATE_SIZE - 10);
	close(fd);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 0);
	ok(fe->server.vhost.rtc.alarms[1].is_enabled);
	is_u64(fe->server.vhost.rtc.alarms[1].time, 0x123456789abcdef);
}

TAP_TEST(a_state_that_is_none_is_refused)
{
	FRONT_END();
	uint8_t state[200] = { 0 };
	int fd;

	fe_handshake(fe);
	is_u64(transfer(fe, 1, 1, &fd), 0x101);
	close(fd);
	is_u64(transfer(fe, 2, 0, &fd), 0x101);
	close(fd);
	for (size_t len = 0; len <= sizeof(state); len += 8) {
		is_u64(transfer(fe, 1, 0, &fd), 0x100);
		is_int(write(fd, state, len), len);
		close(fd);
		is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 1);
		/* Told once. */
		is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 0);
	}
	/* A good one, and a byte more. */
	rtc_save(&fe->server.vhost.rtc, state);
	is_u64(transfer(fe, 1, 0, &fd), 0x100);
	is_int(write(fd, state, RTC_STATE_SIZE + 1), RTC_STATE_SIZE + 1);
	close(fd);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 1);
	/* One whose end does not come. */
	is_u64(transfer(fe, 1, 0, &fd), 0x100);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 1);
	close(fd);
}

TAP_TEST(a_state_comes_through_a_pipe_and_nobody_waits_for_it)
{
	FRONT_END();
	const uint32_t save[2] = { 0 }, load[2] = { 1, 0 };
	int ends[2], file = memfd_new(RTC_STATE_SIZE);

	fe_handshake(fe);
	alarm(PATIENCE);
	/* Not to wait is a matter of ours, and not of who has the pipe as well. */
	need(!pipe(ends));
	is_u64(fe_ask(fe, VHOST_SET_DEVICE_STATE_FD, load, 8, &ends[0], 1), 0x100);
	ok(!fcntl(ends[0], F_SETFL, 0));
	fe_pump(fe);
	close(ends[0]);
	close(ends[1]);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 1);

	is_u64(fe_ask(fe, VHOST_SET_DEVICE_STATE_FD, load, 8, &file, 1), 0x100);
	is_u64(fe_get(fe, VHOST_CHECK_DEVICE_STATE), 1);
	is_u64(fe_ask(fe, VHOST_SET_DEVICE_STATE_FD, save, 8, &file, 1), 0x101);
	close(file);

	/* And the other way: one that nobody reads. */
	need(!pipe(ends));
	close(ends[0]);
	is_u64(fe_ask(fe, VHOST_SET_DEVICE_STATE_FD, save, 8, &ends[1], 1), 0x101);
	close(ends[1]);
	alarm(0);
}

struct area {
	uint64_t size, offset;
	uint16_t queues, entries;
};

TAP_TEST(the_inflight_area_follows_the_used_ring)
{
	FRONT_END();
	struct area area = { .queues = 2, .entries = QUEUE_SIZE };
	const size_t bytes = 16 + 16 * QUEUE_SIZE;
	const size_t next = (bytes + 63) / 64 * 64;
	uint16_t words[4];
	int fd = -1;

	fe_handshake(fe);
	fe_send(fe, VHOST_GET_INFLIGHT_FD, 0, &area, 20, NULL, 0);
	is_int(fe_receive(fe, VHOST_GET_INFLIGHT_FD, &area, 20, &fd), 20);
	need(fd >= 0);
	is_u64(area.size, 2 * next);
	is_u64(area.offset, 0);
	is_int(pread(fd, words, 8, next + 8), 8);
	is_u64(words[0], 1);
	is_u64(words[1], QUEUE_SIZE);
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 0);

	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	fe_queue(fe, 0, 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_int(pread(fd, words, 8, 8), 8);
	is_u64(words[3], 2);

	/* Nor does it matter if it goes away. */
	ok(!ftruncate(fd, 0));
	is_u64(guest_read_clock(fe, 0), 1000000000);
	close(fd);
}

TAP_TEST(an_inflight_area_that_is_none_is_refused)
{
	FRONT_END();
	struct area area = { .queues = 3, .entries = 16 };
	uint64_t answer;
	int fd = memfd_new(4096);

	fe_handshake(fe);
	fe_send(fe, VHOST_GET_INFLIGHT_FD, 0, &area, 20, NULL, 0);
	is_int(fe_receive(fe, VHOST_GET_INFLIGHT_FD, &answer, 8, NULL), 8);
	area = (struct area){ .queues = 2, .entries = 0, .size = 4096 };
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 1);
	area = (struct area){ .queues = 2, .entries = 128, .size = 4096 };
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 1);
	area = (struct area){ .queues = 2, .entries = 128, .size = 8192 };
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 1);
	area = (struct area){ .queues = 1, .entries = 16, .size = 4096, .offset = 4000 };
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 1);
	area = (struct area){ .queues = 1, .entries = 16, .size = 320 };
	is_u64(fe_ask(fe, VHOST_SET_INFLIGHT_FD, &area, 20, &fd, 1), 0);
	close(fd);
}

TAP_TEST(after_a_crash_the_successor_takes_again_what_was_not_finished)
{
	FRONT_END();
	const uint8_t request[16] = { 1 };

	/* One was answered; two more are available. */
	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	for (int i = 0; i < 3; i++)
		guest_request(fe, request, sizeof(request));
	guest_put(fe, USED_AT(0) + 2, 1, 2);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	fe_events(fe->call[0]);
	fe_queue(fe, 0, 1);
	is_u64(guest_used(fe, 0), 3);
	ok(fe_events(fe->call[0]));
}

int main(void)
{
	return tap_main();
}
