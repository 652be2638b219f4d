// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vhost-user device while the machine is migrated: what it marks where, and
 * that it lets go of a log before it says so.
 */
#define _GNU_SOURCE
#include "host_front.h"
#include "host_front_end.h"

#define LOG_BYTES	0x40	/* covers 2 MiB */
#define LOG_BIT		VHOST_F_LOG_ALL

static uint64_t features(struct front_end *fe, uint64_t bits)
{
	return fe_set(fe, VHOST_SET_FEATURES, RING_BITS | bits);
}

/* SET_LOG_BASE; gives the size of the answer, or -1 if its bytes differ. */
static int set_log(struct front_end *fe, const struct front *log, uint64_t size)
{
	const uint64_t words[2] = { size, 0 };
	uint64_t answer[2] = { 0 };
	int len;

	fe_send(fe, VHOST_SET_LOG_BASE, 0, words, sizeof(words), &log->fd, 1);
	len = fe_receive(fe, VHOST_SET_LOG_BASE, answer, sizeof(answer), NULL);
	if (len == 16)
		ok(!memcmp(words, answer, sizeof(words)));
	return len;
}

/* As QEMU does it. */
static void log_on(struct front_end *fe, const struct front *log)
{
	is_int(set_log(fe, log, log->size), 16);
	is_u64(features(fe, LOG_BIT), 0);
	is_u64(fe_addr(fe, 0, 1), 0);
	is_u64(fe_addr(fe, 1, 1), 0);
}

static void log_off(struct front_end *fe)
{
	is_u64(features(fe, 0), 0);
	is_u64(fe_addr(fe, 0, 0), 0);
	is_u64(fe_addr(fe, 1, 0), 0);
}

static unsigned int count_bits(const struct front *log)
{
	unsigned int count = 0;

	for (size_t i = 0; i < log->size; i++)
		count += __builtin_popcount(log->bytes[i]);
	return count;
}

static bool take_bit(const struct front *log, uint64_t gpa)
{
	uint64_t page = gpa / PAGE;
	uint8_t bit = 1 << page % 8;

	return __atomic_fetch_and(&log->bytes[page / 8], ~bit, __ATOMIC_ACQUIRE) & bit;
}

TAP_TEST(responses_and_used_rings_are_marked_and_nothing_else)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);

	fe_start(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	log_on(fe, &log);
	is_u64(count_bits(&log), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	ok(take_bit(&log, GUEST_GPA + RESPONSE_AT));
	ok(take_bit(&log, LOG_USED_AT(0)));
	is_u64(count_bits(&log), 0);

	/* Every time again. */
	is_u64(guest_read_clock(fe, 0), 1000000000);
	ok(take_bit(&log, GUEST_GPA + RESPONSE_AT));
	ok(take_bit(&log, LOG_USED_AT(0)));
	is_u64(count_bits(&log), 0);
	front_end(&log);
}

TAP_TEST(the_used_ring_is_marked_at_its_own_log_address_if_asked_for)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = {
		0, 1, GUEST_USER + DESC_AT(0), GUEST_USER + USED_AT(0),
		GUEST_USER + AVAIL_AT(0), 0x5000,
	};

	fe_start(fe);
	log_on(fe, &log);
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	ok(take_bit(&log, 0x5000));
	ok(take_bit(&log, GUEST_GPA + RESPONSE_AT));
	is_u64(count_bits(&log), 0);

	a.flags = 0;
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	ok(take_bit(&log, GUEST_GPA + RESPONSE_AT));
	is_u64(count_bits(&log), 0);

	/* Where the log does not reach it can't be. */
	a.flags = 1;
	a.log = LOG_BYTES * 8 * PAGE;
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1);
	front_end(&log);
}

TAP_TEST(logging_is_switched_off_and_on_again)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);

	fe_start(fe);
	for (int i = 0; i < 3; i++) {
		log_on(fe, &log);
		is_u64(guest_read_clock(fe, 0), 1000000000);
		is_u64(count_bits(&log), 2);
		memset(log.bytes, 0, log.size);
		log_off(fe);
		is_u64(guest_read_clock(fe, 0), 1000000000);
		is_u64(count_bits(&log), 0);
	}
	front_end(&log);
}

TAP_TEST(the_old_log_is_not_touched_after_the_answer)
{
	FRONT_END();
	struct front old = front_new(LOG_BYTES), next = front_new(LOG_BYTES);

	fe_start(fe);
	log_on(fe, &old);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_int(set_log(fe, &next, LOG_BYTES), 16);
	memset(old.bytes, 0, old.size);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(count_bits(&old), 0);
	is_u64(count_bits(&next), 2);
	ok(take_bit(&next, LOG_USED_AT(0)));
	ok(take_bit(&next, GUEST_GPA + RESPONSE_AT));
	front_end(&old);
	front_end(&next);
}

TAP_TEST(a_log_that_is_too_small_is_refused_and_the_old_one_stays)
{
	FRONT_END();
	struct front old = front_new(LOG_BYTES), small = front_new(LOG_BYTES);

	fe_start(fe);
	log_on(fe, &old);
	is_int(set_log(fe, &small, 0x20), 8);
	is_int(set_log(fe, &small, LOG_BYTES + 1), 8);
	is_int(set_log(fe, &small, 0), 8);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(count_bits(&old), 2);
	is_u64(count_bits(&small), 0);
	front_end(&old);
	front_end(&small);
}

/* Addresses are everybody's: one front-end must not have all of them. */
TAP_TEST(a_log_for_more_than_all_memory_there_can_be_is_refused)
{
	FRONT_END();
	struct front log = { .fd = memfd_new(1ULL << 46) };

	fe_handshake(fe);
	is_int(set_log(fe, &log, 1ULL << 46), 8);
	is_int(set_log(fe, &log, 1ULL << 37), 16);
	close(log.fd);
}

TAP_TEST(memory_that_comes_later_is_logged_and_must_be_covered)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);
	int fd = memfd_new(0x1000);

	fe_start(fe);
	log_on(fe, &log);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, LOG_BYTES * 8 * PAGE, 0x1000, 0, 0, fd), 1);
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0x8000, 0x1000, 0, 0, fd), 0);

	/* A response there. */
	guest_desc(fe, 0, 4, GUEST_GPA + REQUEST_AT, 16, 1, 5);
	guest_desc(fe, 0, 5, 0x8000, 64, 2, 0);
	guest_offer(fe, 0, 4);
	guest_kick(fe, 0);
	ok(take_bit(&log, 0x8000));
	ok(take_bit(&log, LOG_USED_AT(0)));
	is_u64(count_bits(&log), 0);
	front_end(&log);
	close(fd);
}

TAP_TEST(a_log_without_the_feature_for_it_is_refused)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);

	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_PROTOCOL_FEATURES, VHOST_P_REPLY_ACK), 0);
	/* Nor has it an answer then: who did not ask for one would take it for the next. */
	is_int(set_log(fe, &log, LOG_BYTES), -1);
	is_u64(fe_set(fe, VHOST_SET_LOG_BASE, 0x1000), 1);
	is_u64(fe_get(fe, VHOST_GET_QUEUE_NUM), 2);
	front_end(&log);
}

TAP_TEST(a_log_that_is_cut_off_costs_the_log_only)
{
	FRONT_END();
	struct front log = front_new(LOG_BYTES);

	fe_start(fe);
	log_on(fe, &log);
	ok(!ftruncate(log.fd, 0));
	is_u64(guest_read_clock(fe, 0), 1000000000);
	ok(!fe->server.vhost.memory.log.log);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	close(log.fd);
	munmap(log.bytes, log.size);
}

int main(void)
{
	return tap_main();
}
