// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host/ring.c against a driver that keeps the rules; host_ring_hostile_test.c
 * has one that does not.
 */
#include "host_fake_driver.h"

TAP_TEST(sizes_are_those_of_the_split_format)
{
	is_u64(ring_desc_size(8), 128);
	is_u64(ring_avail_size(8), 22);
	is_u64(ring_used_size(8), 70);
	is_u64(ring_used_size(RING_SIZE_MAX), 262150);
}

static int start_with(struct ring_config *config)
{
	struct ring ring = { 0 };
	int ret = ring_start(&ring, config);

	is_int(ring.state, ret ? RING_STOPPED : RING_RUNNING);
	return ret;
}

/* A ring of @size entries, one of its lengths changed by @more bytes. */
static int start_sized(size_t size, size_t which, int more)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;
	struct ring_range *ranges[] = { &config.desc, &config.avail, &config.used };

	driver_init(&d, size + 1);
	config = driver_config(&d);
	config.desc.len = ring_desc_size(size);
	config.avail.len = ring_avail_size(size);
	config.used.len = ring_used_size(size);
	ranges[which]->len += more;
	return start_with(&config);
}

TAP_TEST(every_power_of_two_up_to_32768_is_a_size)
{
	for (size_t size = 1; size <= 32768; size *= 2)
		is_int(start_sized(size, 0, 0), 0);
}

TAP_TEST(other_sizes_are_refused)
{
	is_int(start_sized(0, 0, 0), -EINVAL);
	is_int(start_sized(3, 0, 0), -EINVAL);
	is_int(start_sized(12, 0, 0), -EINVAL);
	is_int(start_sized(32767, 0, 0), -EINVAL);
	is_int(start_sized(65536, 0, 0), -EINVAL);
}

TAP_TEST(a_range_that_is_not_exactly_as_long_as_the_queue_asks_is_refused)
{
	for (size_t which = 0; which < 3; which++) {
		for (int more = -8; more <= 8; more++)
			is_int(start_sized(8, which, more), more ? -EINVAL : 0);
	}
	is_int(start_sized(8, 0, 128), -EINVAL);
	is_int(start_sized(8, 1, 16), -EINVAL);
	is_int(start_sized(8, 2, 64), -EINVAL);
}

/* The three ranges moved to an odd place, one at a time. */
static int start_shifted(size_t which, size_t by)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;
	struct ring_range *ranges[] = { &config.desc, &config.avail, &config.used };

	driver_init(&d, 8);
	config = driver_config(&d);
	ranges[which]->base = d.mem + by;
	return start_with(&config);
}

TAP_TEST(a_range_that_is_not_aligned_is_refused)
{
	static const size_t align[] = { 16, 2, 4 };

	for (size_t which = 0; which < 3; which++) {
		for (size_t by = 0; by <= 16; by++)
			is_int(start_shifted(which, by), by % align[which] ? -EINVAL : 0);
	}
}

TAP_TEST(a_range_that_is_nowhere_is_refused)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;

	driver_init(&d, 8);
	config = driver_config(&d);
	config.desc.base = NULL;
	is_int(start_with(&config), -EINVAL);
	config = driver_config(&d);
	config.avail.base = NULL;
	is_int(start_with(&config), -EINVAL);
	config = driver_config(&d);
	config.used.base = NULL;
	is_int(start_with(&config), -EINVAL);
}

TAP_TEST(start_asks_for_kicks_and_says_what_it_wrote)
{
	struct driver d __attribute__((cleanup(driver_free)));

	driver_init(&d, 8);
	put(d.used, 0xffff, 2);
	put(d.used + 4 + 8 * 8, 0xffff, 2);
	need(!driver_start(&d));
	is_u64(ring_size(&d.ring), 8);
	is_u64(get(d.used, 2), 0);
	is_u64(driver_avail_event(&d), 0);
	is_u64(d.dirty_count, 2);
	is_u64(d.dirty[0].at, 0);
	is_u64(d.dirty[0].len, 2);
	is_u64(d.dirty[1].at, 68);
	is_u64(d.dirty[1].len, 2);
}

TAP_TEST(an_empty_ring_gives_nothing)
{
	RING(8);
	is_int(ring_pop(&d.ring, &chain), 0);
	is_int(ring_pop(&d.ring, &chain), 0);
}

TAP_TEST(chains_are_seen_in_their_order_and_returned_in_any_other)
{
	struct ring_chain second;

	RING(8);
	driver_desc(&d, 3, MEM_ADDR, 4, NEXT, 5);
	driver_desc(&d, 5, MEM_ADDR + 64, 16, WRITE, 0);
	driver_desc(&d, 1, MEM_ADDR + 128, 8, WRITE, 0);
	driver_offer(&d, 3);
	driver_offer(&d, 1);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.head, 3);
	is_u64(chain.readable.len, 4);
	is_u64(chain.writable.len, 16);
	need(ring_pop(&d.ring, &second) == 1);
	is_u64(second.head, 1);
	is_u64(second.readable.len, 0);
	is_u64(second.writable.len, 8);
	is_int(ring_pop(&d.ring, &(struct ring_chain){ 0 }), 0);

	is_u64(ring_write(&d.ring, &chain, "0123456789abcdef", 16), 16);
	ring_insert(&d.ring, &second);
	ring_insert(&d.ring, &chain);
	is_u64(driver_used_idx(&d), 0);
	ring_publish(&d.ring);
	is_u64(driver_used_idx(&d), 2);
	is_u64(driver_used_id(&d, 0), 1);
	is_u64(driver_used_len(&d, 0), 0);
	is_u64(driver_used_id(&d, 1), 3);
	is_u64(driver_used_len(&d, 1), 16);
	ok(!memcmp(d.mem + 64, "0123456789abcdef", 16));
}

/* Eight bytes to read in three buffers, six to write in two, one more empty. */
static void offer_split(struct driver *d)
{
	memcpy(d->mem + 100, "abc", 3);
	memcpy(d->mem + 7, "d", 1);
	memcpy(d->mem + 200, "efgh", 4);
	driver_desc(d, 0, MEM_ADDR + 100, 3, NEXT, 2);
	driver_desc(d, 2, MEM_ADDR + 7, 1, NEXT, 4);
	driver_desc(d, 4, HOLE_ADDR, 0, NEXT, 1);
	driver_desc(d, 1, MEM_ADDR + 200, 4, NEXT, 6);
	driver_desc(d, 6, MEM_ADDR + 301, 5, NEXT | WRITE, 7);
	driver_desc(d, 7, MEM_ADDR + 400, 1, WRITE, 0);
	driver_offer(d, 0);
}

TAP_TEST(a_request_is_put_together_from_its_pieces)
{
	char buf[16] = "................";

	RING(8);
	offer_split(&d);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.readable.len, 8);
	is_u64(ring_read(&d.ring, &chain, buf, 8), 8);
	ok(!memcmp(buf, "abcdefgh........", 16));
}

TAP_TEST(reading_goes_on_where_it_ended_and_ends_with_the_part)
{
	char buf[16] = "................";

	RING(8);
	offer_split(&d);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(ring_read(&d.ring, &chain, buf, 2), 2);
	is_u64(chain.readable.len, 6);
	is_u64(ring_read(&d.ring, &chain, buf + 2, 0), 0);
	is_u64(ring_read(&d.ring, &chain, buf + 2, 14), 6);
	is_u64(chain.readable.len, 0);
	is_u64(ring_read(&d.ring, &chain, buf + 8, 8), 0);
	ok(!memcmp(buf, "abcdefgh........", 16));
}

TAP_TEST(the_next_chain_has_nothing_of_the_one_before)
{
	char buf[16];

	RING(8);
	for (unsigned int i = 0; i < 2; i++) {
		memset(buf, '.', sizeof(buf));
		offer_split(&d);
		need(ring_pop(&d.ring, &chain) == 1);
		is_u64(ring_read(&d.ring, &chain, buf, 16), 8);
		ok(!memcmp(buf, "abcdefgh........", 16));
		is_u64(ring_write(&d.ring, &chain, "1234567", 7), 6);
		ring_insert(&d.ring, &chain);
		ring_publish(&d.ring);
		is_u64(driver_used_len(&d, i), 6);
	}
}

TAP_TEST(a_response_is_spread_over_its_pieces_and_ends_with_the_part)
{
	RING(8);
	offer_split(&d);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.writable.len, 6);
	is_u64(ring_write(&d.ring, &chain, "12", 2), 2);
	is_u64(chain.writable.len, 4);
	is_u64(ring_write(&d.ring, &chain, "3456789", 7), 4);
	is_u64(ring_write(&d.ring, &chain, "x", 1), 0);
	ok(!memcmp(d.mem + 300, "\00012345\0", 7));
	ok(!memcmp(d.mem + 400, "6\0", 2));
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_len(&d, 0), 6);
}

static void is_dirty(const struct driver *d, unsigned int i, uint64_t at, size_t len)
{
	if (!ok(i < d->dirty_count))
		return;
	is_u64(d->dirty[i].at, at);
	is_u64(d->dirty[i].len, len);
}

TAP_TEST(everything_written_is_told_and_nothing_else)
{
	RING(8);
	offer_split(&d);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(d.dirty_count, 0);
	ring_write(&d.ring, &chain, "12", 2);
	ring_write(&d.ring, &chain, "3456", 4);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	ring_publish(&d.ring);
	ring_should_notify(&d.ring);
	is_u64(d.dirty_count, 5);
	is_dirty(&d, 0, MEM_ADDR + 301, 2);
	is_dirty(&d, 1, MEM_ADDR + 303, 3);
	is_dirty(&d, 2, MEM_ADDR + 400, 1);
	is_dirty(&d, 3, 4, 8);
	is_dirty(&d, 4, 2, 2);
	is_int(ring_pop(&d.ring, &chain), 0);
	is_u64(d.dirty_count, 6);
	is_dirty(&d, 5, 68, 2);
}

TAP_TEST(a_log_is_optional)
{
	static const struct ring_ops silent = { .translate = driver_translate };
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_chain chain;
	struct ring_config config;

	driver_init(&d, 8);
	config = driver_config(&d);
	config.ops = &silent;
	need(!ring_start(&d.ring, &config));
	offer_split(&d);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(ring_write(&d.ring, &chain, "123456", 6), 6);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_len(&d, 0), 6);
}

/* One chain through the ring; its head, or -1. */
static int pass_one(struct driver *d, uint16_t head)
{
	struct ring_chain chain;

	driver_desc(d, head, MEM_ADDR, 1, WRITE, 0);
	driver_offer(d, head);
	if (ring_pop(&d->ring, &chain) != 1)
		return -1;
	ring_write(&d->ring, &chain, "x", 1);
	ring_insert(&d->ring, &chain);
	ring_publish(&d->ring);
	return driver_used_id(d, driver_used_idx(d) - 1);
}

TAP_TEST(indices_wrap)
{
	RING(4);
	for (unsigned int i = 0; i < 70000; i++) {
		if (!ok(pass_one(&d, i * 3 % 4) == (int)(i * 3 % 4)))
			return;
	}
	is_u64(driver_used_idx(&d), 70000 % 65536);
	is_int(ring_pop(&d.ring, &chain), 0);
	is_u64(driver_avail_event(&d), 70000 % 65536);
	is_u64(ring_stop(&d.ring), 70000 % 65536);
}

TAP_TEST(a_full_queue_is_taken_whole_and_returned_whole)
{
	struct ring_chain chains[8];

	RING(8);
	for (unsigned int i = 0; i < 8; i++) {
		driver_desc(&d, i, MEM_ADDR + i, 1, WRITE, 0);
		driver_offer(&d, i);
	}
	for (unsigned int i = 0; i < 8; i++)
		need(ring_pop(&d.ring, &chains[i]) == 1);
	is_int(ring_pop(&d.ring, &chain), 0);
	for (unsigned int i = 0; i < 8; i++)
		ring_insert(&d.ring, &chains[7 - i]);
	ring_publish(&d.ring);
	is_u64(driver_used_idx(&d), 8);
	for (unsigned int i = 0; i < 8; i++)
		is_u64(driver_used_id(&d, i), 7 - i);
}

TAP_TEST(a_successor_goes_on_where_the_ring_was_stopped)
{
	struct ring_config config;

	RING(4);
	for (unsigned int i = 0; i < 6; i++)
		need(pass_one(&d, i % 4) == (int)(i % 4));
	driver_desc(&d, 2, MEM_ADDR, 1, WRITE, 0);
	driver_offer(&d, 2);
	config = driver_config(&d);
	config.base = ring_stop(&d.ring);
	is_u64(config.base, 6);
	need(!ring_start(&d.ring, &config));
	is_u64(driver_avail_event(&d), 6);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.head, 2);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_idx(&d), 7);
	is_u64(driver_used_id(&d, 6), 2);
}

TAP_TEST(chains_lost_with_a_predecessor_count_as_the_drivers_loss)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;
	struct ring_chain chain;

	driver_init(&d, 4);
	put(d.used + 2, 0xfffe, 2);
	config = driver_config(&d);
	config.base = 1;
	driver_set_avail_idx(&d, 1);
	need(!ring_start(&d.ring, &config));
	is_int(pass_one(&d, 2), 2);
	is_u64(driver_used_idx(&d), 0xffff);
	/* Three of the four are gone: two more can't be. */
	driver_set_avail_idx(&d, 4);
	is_int(ring_pop(&d.ring, &chain), -EPROTO);
}

/* The chain of pass_one(), published; is the driver told? */
static bool tells(struct driver *d)
{
	is_int(pass_one(d, 0), 0);
	return ring_should_notify(&d->ring);
}

/* A ring without EVENT_IDX that has told the driver once already. */
static int start_plain(struct driver *d)
{
	struct ring_config config = driver_config(d);
	int ret;

	config.event_idx = false;
	ret = ring_start(&d->ring, &config);
	ring_should_notify(&d->ring);
	return ret;
}

TAP_TEST(the_first_question_after_a_start_is_answered_with_yes)
{
	RING(4);
	driver_set_used_event(&d, 1000);
	ok(ring_should_notify(&d.ring));
	ok(!ring_should_notify(&d.ring));
}

TAP_TEST(a_driver_without_event_index_is_told_unless_its_flag_says_no)
{
	RING(4);
	ring_stop(&d.ring);
	need(!start_plain(&d));
	ok(!ring_should_notify(&d.ring));
	ok(tells(&d));
	ok(!ring_should_notify(&d.ring));
	put(d.avail, 0xfffe, 2);
	ok(tells(&d));
	put(d.avail, 1, 2);
	ok(!tells(&d));
	put(d.avail, 0xffff, 2);
	ok(!tells(&d));
	put(d.avail, 0, 2);
	ok(tells(&d));
}

TAP_TEST(the_event_index_means_nothing_where_it_was_not_negotiated)
{
	RING(4);
	ring_stop(&d.ring);
	put(d.used + 4 + 8 * 4, 0xabcd, 2);
	need(!start_plain(&d));
	driver_set_used_event(&d, 1000);
	ok(tells(&d));
	is_int(ring_pop(&d.ring, &chain), 0);
	is_u64(driver_avail_event(&d), 0xabcd);
}

TAP_TEST(the_flag_means_nothing_where_the_event_index_was_negotiated)
{
	RING(4);
	ring_should_notify(&d.ring);
	put(d.avail, 1, 2);
	ok(tells(&d));
	driver_set_used_event(&d, 7);
	put(d.avail, 0, 2);
	ok(!tells(&d));
}

/* @count chains published after used index @old: is @event one of them? */
static void check_window(unsigned int old, unsigned int count, uint16_t event)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;
	bool wanted = false;

	driver_init(&d, 8);
	put(d.used + 2, old, 2);
	config = driver_config(&d);
	config.base = old;
	driver_set_avail_idx(&d, old);
	need(!ring_start(&d.ring, &config));
	ring_should_notify(&d.ring);
	driver_set_used_event(&d, event);
	for (unsigned int i = 0; i < count; i++) {
		wanted |= (uint16_t)(old + i) == event;
		pass_one(&d, 0);
	}
	if (!ok(ring_should_notify(&d.ring) == wanted))
		note("old %u, %u more, event %u", old, count, event);
}

TAP_TEST(a_batch_is_told_of_if_it_holds_the_event)
{
	for (unsigned int old = 0xfff8; old <= 0x10008; old++) {
		for (unsigned int count = 0; count <= 9; count++) {
			for (unsigned int event = old - 12; event <= old + 12; event++)
				check_window(old & 0xffff, count, event);
		}
	}
}

TAP_TEST(too_many_to_look_back_on_are_told_of)
{
	RING(4);
	for (unsigned int count = 65535; count <= 65537; count++) {
		ring_should_notify(&d.ring);
		for (unsigned int i = 0; i < count; i++)
			pass_one(&d, 0);
		/* The one event of 65536 that these 65535 do not hold. */
		driver_set_used_event(&d, driver_used_idx(&d));
		ok(ring_should_notify(&d.ring) == (count > 65535));
	}
}

TAP_TEST(a_chain_given_back_unused_has_length_0_and_is_told_of)
{
	RING(4);
	ring_should_notify(&d.ring);
	driver_desc(&d, 3, MEM_ADDR, 16, WRITE, 0);
	driver_offer(&d, 3);
	need(ring_pop(&d.ring, &chain) == 1);
	ring_insert(&d.ring, &chain);
	ok(!ring_should_notify(&d.ring));
	ring_publish(&d.ring);
	ok(ring_should_notify(&d.ring));
	is_u64(driver_used_id(&d, 0), 3);
	is_u64(driver_used_len(&d, 0), 0);
}

TAP_TEST(the_driver_is_asked_for_a_kick_when_the_ring_is_empty)
{
	RING(4);
	for (unsigned int i = 0; i < 6; i++) {
		pass_one(&d, 0);
		is_u64(driver_avail_event(&d), i);
		is_int(ring_pop(&d.ring, &chain), 0);
		is_u64(driver_avail_event(&d), i + 1);
	}
}

/* A chain that comes when the ring was seen empty, and before the kick is asked for. */
static void offer_late(struct driver *d)
{
	d->on_used_dirty = NULL;
	driver_desc(d, 1, MEM_ADDR, 1, WRITE, 0);
	driver_offer(d, 1);
}

TAP_TEST(a_chain_that_comes_before_its_kick_was_asked_for_is_found)
{
	RING(4);
	d.on_used_dirty = offer_late;
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.head, 1);
}

TAP_TEST(a_chain_in_an_indirect_table_is_like_any_other)
{
	char buf[4];

	RING(4);
	memcpy(d.mem + 64, "req", 3);
	/* Tables are aligned to nothing; the flag of their descriptor says nothing. */
	desc_put(d.mem + 1001, 0, MEM_ADDR + 64, 3, NEXT, 2);
	desc_put(d.mem + 1001, 2, MEM_ADDR + 128, 2, WRITE, 9);
	driver_desc(&d, 3, MEM_ADDR + 1001, 48, INDIRECT | WRITE, 77);
	driver_offer(&d, 3);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.head, 3);
	is_u64(ring_read(&d.ring, &chain, buf, 4), 3);
	ok(!memcmp(buf, "req", 3));
	is_u64(ring_write(&d.ring, &chain, "12345", 5), 2);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_id(&d, 0), 3);
	is_u64(driver_used_len(&d, 0), 2);
}

TAP_TEST(an_indirect_table_may_follow_other_descriptors)
{
	RING(4);
	desc_put(d.mem + 1024, 0, MEM_ADDR + 64, 3, NEXT, 1);
	desc_put(d.mem + 1024, 1, MEM_ADDR + 128, 2, WRITE, 0);
	driver_desc(&d, 0, MEM_ADDR, 5, NEXT, 1);
	driver_desc(&d, 1, MEM_ADDR + 1024, 32, INDIRECT, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.readable.len, 8);
	is_u64(chain.writable.len, 2);
}

int main(void)
{
	return tap_main();
}
