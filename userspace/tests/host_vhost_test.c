// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vhost-user device, talked to as front-ends do: what it offers, memory,
 * and queues from their start to their stop.
 */
#define _GNU_SOURCE
#include "host_front_end.h"

TAP_TEST(the_handshake_is_answered)
{
	FRONT_END();

	fe_handshake(fe);
	is_u64(fe->server.vhost.protocol, VHOST_PROTOCOL_FEATURES);
	is_u64(VHOST_FEATURES, 1ULL << 32 | 1 << 30 | 1 << 29 | 1 << 28 | 1 << 26 | 1);
	is_u64(VHOST_PROTOCOL_FEATURES, 1 << 0 | 1 << 1 | 1 << 3 | 1 << 12 | 1 << 13 | 1 << 15 |
	       1 << 16 | 1 << 19);
}

TAP_TEST(bits_that_were_not_offered_are_refused)
{
	FRONT_END();

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS | 1ULL << 34), 1);
	is_u64(fe->server.vhost.features, 0);
	is_u64(fe_set(fe, VHOST_SET_PROTOCOL_FEATURES, VHOST_PROTOCOL_FEATURES | 1 << 9), 1);
	is_u64(fe->server.vhost.protocol, VHOST_PROTOCOL_FEATURES);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	is_u64(fe->server.vhost.features, RING_BITS);
}

TAP_TEST(nothing_is_acknowledged_before_that_was_negotiated)
{
	FRONT_END();
	const uint64_t bits = VHOST_P_REPLY_ACK;

	fe_send(fe, VHOST_SET_OWNER, NEED_REPLY, "", 0, NULL, 0);
	ok(!fe_has_answer(fe));
	fe_send(fe, VHOST_SET_PROTOCOL_FEATURES, 0, &bits, 8, NULL, 0);
	fe_send(fe, VHOST_SET_OWNER, 0, "", 0, NULL, 0);
	ok(!fe_has_answer(fe));
	is_u64(fe_get(fe, VHOST_SET_OWNER), 0);
}

TAP_TEST(requests_are_answered_through_the_ring)
{
	FRONT_END();

	fe_start(fe);
	fe_events(fe->call[0]);
	is_u64(guest_read_clock(fe, RTC_CLOCK_UTC), 1000000000);
	is_u64(fe_events(fe->call[0]), 1);
	is_u64(guest_read_clock(fe, RTC_CLOCK_TAI), 2000000000);
	is_u64(guest_read_clock(fe, RTC_CLOCK_MONOTONIC), 3000000000);
	is_u64(guest_used(fe, 0), 3);
	is_u64(guest_get(fe, USED_AT(0) + 4, 4), 0);
	is_u64(guest_get(fe, USED_AT(0) + 8, 4), 16);
}

TAP_TEST(with_the_event_index_too)
{
	FRONT_END();

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS | VHOST_F_EVENT_IDX), 0);
	fe_memory(fe);
	fe_queue(fe, 0, 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	for (int i = 1; i < 5; i++) {
		is_u64(guest_read_clock(fe, 0), 1000000000);
		/* The device asks to be told of the next one. */
		is_u64(guest_get(fe, USED_AT(0) + 4 + 8 * QUEUE_SIZE, 2), i);
	}
}

TAP_TEST(a_ring_whose_kick_is_old_is_served_when_it_is_enabled)
{
	FRONT_END();
	const uint8_t request[16] = { 1 };

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	guest_request(fe, request, sizeof(request));
	fe_queue(fe, 0, 0);
	/* Started, and not enabled: it stays where it is. */
	is_u64(guest_used(fe, 0), 0);
	guest_kick(fe, 0);
	is_u64(guest_used(fe, 0), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	is_u64(guest_used(fe, 0), 1);
}

TAP_TEST(a_kick_descriptor_starts_a_ring_that_is_enabled)
{
	FRONT_END();
	const uint8_t request[16] = { 1 };

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	guest_request(fe, request, sizeof(request));
	fe_queue(fe, 0, 0);
	is_u64(guest_used(fe, 0), 1);
}

TAP_TEST(without_protocol_features_all_rings_are_enabled)
{
	FRONT_END();

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS & ~VHOST_F_PROTOCOL), 0);
	fe_memory(fe);
	fe_queue(fe, 0, 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 0), 0);
	is_u64(guest_read_clock(fe, 0), 0);
}

TAP_TEST(get_vring_base_stops_and_the_next_start_goes_on_there)
{
	FRONT_END();
	uint8_t before[GUEST_PAGE];
	uint32_t words[2];

	fe_start(fe);
	for (int i = 0; i < 20; i++)
		is_u64(guest_read_clock(fe, 0), 1000000000);
	words[0] = words[1] = 0;
	fe_send(fe, VHOST_GET_VRING_BASE, 0, words, 8, NULL, 0);
	is_int(fe_receive(fe, VHOST_GET_VRING_BASE, words, 8, NULL), 8);
	is_u64(words[0], 0);
	is_u64(words[1], 20);

	is_int(fe->server.vhost.queues[0].kick, -1);
	/* Stopped: neither the kick nor a message moves it. */
	memcpy(before, fe->mem + USED_AT(0), GUEST_PAGE);
	is_u64(guest_read_clock(fe, 0), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	ok(!memcmp(before, fe->mem + USED_AT(0), GUEST_PAGE));

	fe_events(fe->kick[0]);
	fe_queue(fe, 0, 20);
	is_u64(guest_used(fe, 0), 21);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(a_base_that_the_used_ring_contradicts_starts_nothing)
{
	FRONT_END();

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	fe_queue(fe, 0, 1000);
	ok(fe->server.vhost.queues[0].ring.state == RING_STOPPED);
	ok(fe_events(fe->error[0]));
	ok(!fe->server.vhost.memory.is_leased);
}

TAP_TEST(memory_is_replaced_under_running_rings)
{
	FRONT_END();
	const uint32_t count[2] = { 1, 0 };
	uint64_t table[5] = { 0, GUEST_GPA, GUEST_SIZE, GUEST_USER, GUEST_OFFSET };

	memcpy(table, count, sizeof(count));
	fe_start(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(fe_ask(fe, VHOST_SET_MEM_TABLE, table, sizeof(table), &fe->mem_fd, 1), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);

	/* One that has not got the rings stops them; they come back with it. */
	table[3] += GUEST_SIZE;
	is_u64(fe_ask(fe, VHOST_SET_MEM_TABLE, table, sizeof(table), &fe->mem_fd, 1), 0);
	is_u64(guest_read_clock(fe, 0), 0);
	table[3] -= GUEST_SIZE;
	is_u64(fe_ask(fe, VHOST_SET_MEM_TABLE, table, sizeof(table), &fe->mem_fd, 1), 0);
	is_u64(guest_used(fe, 0), 3);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(slots_come_and_go)
{
	FRONT_END();
	int fd = memfd_new(0x3000);

	fe_start(fe);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x1000, 0x2000, 0x1000, 0x1000, fd), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	/* Not twice, not overlapping, not beyond the file, not empty, not around the end. */
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x1000, 0x2000, 0x9000, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x2fff, 1, 0x9000, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x3000, 1, 0x2fff, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x8000, 0x3000, 0x9000, 1, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x8000, 0, 0x9000, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, UINT64_MAX, 2, 0x9000, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x8000, 2, UINT64_MAX, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x8000, 1, 0x9000, 0, fe->kick[0]), 1);
	/* All of it has to match. */
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, 0x1000, 0x1000, 0x1000, 0, -1), 1);
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, 0x1000, 0x2000, 0x2000, 0, -1), 1);
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, 0x1000, 0x2000, 0x1000, 0, fd), 0);
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, 0x1000, 0x2000, 0x1000, 0, -1), 1);

	/* And the one with the rings. */
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, GUEST_GPA, GUEST_SIZE, GUEST_USER, 0, -1), 0);
	is_u64(guest_read_clock(fe, 0), 0);
	fe_memory(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	close(fd);
}

TAP_TEST(there_are_as_many_slots_as_it_says)
{
	FRONT_END();
	int fd = memfd_new(0x1000);
	uint64_t slots;

	fe_handshake(fe);
	slots = fe_get(fe, VHOST_GET_MAX_MEM_SLOTS);
	for (uint64_t i = 0; i < slots; i++)
		is_u64(fe_region(fe, VHOST_ADD_MEM_REG, i << 12, 4096, i << 12, 0, fd), 0);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, slots << 12, 4096, slots << 12, 0, fd), 1);
	close(fd);
}

/* The file costs its owner nothing, but others want addresses too. */
TAP_TEST(a_front_end_has_no_more_than_its_share_of_addresses)
{
	FRONT_END();
	const uint64_t half = 1ULL << 44;
	int fd = memfd_new(4 * half);

	fe_start(fe);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0, 4 * half, 0, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, half, half, half, 0, fd), 0);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 2 * half, half, 2 * half, 0, fd), 1);
	/* What it had of the one half is in use already. */
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 2 * half, half - GUEST_SIZE, 2 * half, 0, fd), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, half, half, half, 0, -1), 0);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, half, half, half, 0, fd), 0);
	close(fd);
}

TAP_TEST(the_guests_page_is_lent_while_a_ring_runs)
{
	FRONT_END();
	int fd = memfd_new(4096);
	const uint32_t words[2] = { 0, 0 }, other[2] = { 1, 0 };

	fe_start(fe);
	is_u64(fe->lent, 0);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0xfeffb000, 4096, 0x1000, 0, fd), 0);
	is_u64(fe->lent, 1);
	fe_send(fe, VHOST_GET_VRING_BASE, 0, words, 8, NULL, 0);
	is_u64(fe->taken, 0);
	fe_send(fe, VHOST_GET_VRING_BASE, 0, other, 8, NULL, 0);
	is_u64(fe->taken, 1);
	is_u64(fe->lent, 1);
	close(fd);
}

TAP_TEST(a_page_that_could_not_be_fed_is_offered_again)
{
	FRONT_END();
	const uint32_t words[2] = { 0, 0 }, other[2] = { 1, 0 };
	int fd = memfd_new(4096);

	fe->refuses = true;
	fe_start(fe);
	vhost_server_tick(&fe->server);
	is_u64(fe->refused, 0);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0xfeffb000, 4096, 0x1000, 0, fd), 0);
	is_u64(fe->refused, 1);
	vhost_server_tick(&fe->server);
	is_u64(fe->refused, 2);
	fe->refuses = false;
	vhost_server_tick(&fe->server);
	vhost_server_tick(&fe->server);
	is_u64(fe->lent, 1);
	/* Not without a queue that runs. */
	fe_send(fe, VHOST_GET_VRING_BASE, 0, words, 8, NULL, 0);
	fe_send(fe, VHOST_GET_VRING_BASE, 0, other, 8, NULL, 0);
	vhost_server_tick(&fe->server);
	is_u64(fe->lent, 1);
	is_u64(fe->taken, 1);
	close(fd);
}

int main(void)
{
	return tap_main();
}
