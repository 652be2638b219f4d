// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host/ring.c against a driver that means harm: it may lose its queue, and
 * must not get anything else.
 */
#include "host_fake_driver.h"

/* What the device may write, as it was; for queues of up to 8. */
struct picture {
	uint8_t used[4 + 8 * 8 + 2];
	uint8_t mem[MEM_BYTES];
};

static void take_picture(const struct driver *d, struct picture *p)
{
	memcpy(p->used, d->used, 4 + 8 * d->size + 2);
	memcpy(p->mem, d->mem, MEM_BYTES);
}

static void is_untouched(const struct driver *d, const struct picture *p)
{
	ok(!memcmp(p->used, d->used, 4 + 8 * d->size + 2));
	ok(!memcmp(p->mem, d->mem, MEM_BYTES));
	is_u64(d->dirty_count, 0);
}

/* A ring of up to 8 entries that is dead: whatever is asked of it, it does nothing. */
static void is_dead(struct driver *d, struct ring_chain *held, int error)
{
	struct ring_chain chain;
	struct picture before;
	char byte = 1;

	take_picture(d, &before);
	d->dirty_count = 0;
	is_u64(ring_read(&d->ring, held, &byte, 1), 0);
	is_int(byte, 1);
	is_u64(ring_write(&d->ring, held, &byte, 1), 0);
	ring_insert(&d->ring, held);
	ring_publish(&d->ring);
	ok(!ring_should_notify(&d->ring));
	driver_set_avail_idx(d, d->ring.next_avail + 1);
	is_int(ring_pop(&d->ring, &chain), error);
	is_u64(ring_read(&d->ring, &chain, &byte, 1), 0);
	is_untouched(d, &before);
}

static void jump_breaks(uint16_t taken, uint16_t held, uint16_t idx)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_chain chain = { 0 }, one;

	driver_init(&d, 8);
	need(!driver_start(&d));
	for (unsigned int i = 0; i < taken; i++) {
		driver_desc(&d, i, MEM_ADDR, 4, WRITE, 0);
		driver_offer(&d, i);
		need(ring_pop(&d.ring, &one) == 1);
		if (i < held)
			chain = one;
		else
			ring_insert(&d.ring, &one);
	}
	ring_publish(&d.ring);
	driver_set_avail_idx(&d, idx);
	is_int(ring_pop(&d.ring, &one), -EPROTO);
	is_int(d.ring.state, RING_BROKEN);
	is_dead(&d, &chain, -EPROTO);
}

TAP_TEST(an_index_that_jumps_beyond_the_queue_breaks_it)
{
	jump_breaks(0, 0, 9);
	jump_breaks(0, 0, 0x7fff);
	jump_breaks(0, 0, 0xffff);
	jump_breaks(3, 0, 12);
}

TAP_TEST(an_index_that_goes_back_breaks_the_queue)
{
	jump_breaks(3, 0, 2);
	jump_breaks(8, 0, 0);
}

TAP_TEST(more_chains_than_the_driver_can_have_break_the_queue)
{
	jump_breaks(3, 3, 9);
	jump_breaks(8, 8, 9);
	jump_breaks(8, 1, 16);
}

TAP_TEST(as_many_as_the_queue_has_are_no_jump)
{
	RING(8);
	driver_set_avail_idx(&d, 8);
	is_int(ring_pop(&d.ring, &chain), 1);
}

TAP_TEST(a_head_beyond_the_table_breaks_the_queue)
{
	static const uint16_t heads[] = { 8, 9, 0x7fff, 0xffff };

	for (size_t i = 0; i < 4; i++) {
		RING(8);
		driver_offer(&d, heads[i]);
		is_int(ring_pop(&d.ring, &chain), -EPROTO);
		is_dead(&d, &chain, -EPROTO);
	}
}

TAP_TEST(a_broken_ring_works_again_after_a_restart)
{
	RING(8);
	driver_set_avail_idx(&d, 100);
	need(ring_pop(&d.ring, &chain) == -EPROTO);
	is_u64(ring_stop(&d.ring), 0);
	driver_set_avail_idx(&d, 0);
	need(!driver_start(&d));
	driver_desc(&d, 2, MEM_ADDR, 4, WRITE, 0);
	driver_offer(&d, 2);
	is_int(ring_pop(&d.ring, &chain), 1);
}

TAP_TEST(a_used_index_that_no_device_left_is_refused)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_config config;

	driver_init(&d, 8);
	config = driver_config(&d);
	config.base = 20;
	for (unsigned int idx = 0; idx < 40; idx++) {
		put(d.used + 2, idx, 2);
		is_int(ring_start(&d.ring, &config), idx >= 12 && idx <= 20 ? 0 : -EPROTO);
		ring_stop(&d.ring);
	}
}

TAP_TEST(a_stopped_ring_touches_nothing)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 1);
	driver_desc(&d, 1, MEM_ADDR, 4, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	ring_stop(&d.ring);
	is_dead(&d, &chain, 0);
}

TAP_TEST(a_ring_never_started_touches_nothing)
{
	struct ring ring = { 0 };
	struct ring_chain chain = { 0 };

	is_int(ring_pop(&ring, &chain), 0);
	is_u64(ring_write(&ring, &chain, "x", 1), 0);
	ring_insert(&ring, &chain);
	ring_publish(&ring);
	ok(!ring_should_notify(&ring));
	is_u64(ring_stop(&ring), 0);
}

TAP_TEST(a_chain_of_an_earlier_life_is_dead)
{
	struct picture before;
	struct ring_config config;
	char byte = 1;

	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 1);
	driver_desc(&d, 1, MEM_ADDR, 4, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	config = driver_config(&d);
	config.base = ring_stop(&d.ring);
	need(!ring_start(&d.ring, &config));
	take_picture(&d, &before);
	d.dirty_count = 0;
	is_u64(ring_read(&d.ring, &chain, &byte, 1), 0);
	is_u64(ring_write(&d.ring, &chain, &byte, 1), 0);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_untouched(&d, &before);
}

TAP_TEST(a_chain_is_not_held_after_a_pop_that_gave_none)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	need(ring_pop(&d.ring, &chain) == 0);
	is_u64(ring_write(&d.ring, &chain, "x", 1), 0);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_idx(&d), 0);
}

TAP_TEST(a_chain_inserted_twice_is_inserted_once)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	ring_insert(&d.ring, &chain);
	is_u64(ring_write(&d.ring, &chain, "x", 1), 0);
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_idx(&d), 1);
}

TAP_TEST(scribbling_over_the_used_ring_moves_nothing_but_itself)
{
	RING(8);
	driver_desc(&d, 5, MEM_ADDR, 4, WRITE, 0);
	for (unsigned int i = 0; i < 3; i++) {
		driver_offer(&d, 5);
		memset(d.used, 0xee, 4 + 8 * 8 + 2);
		need(ring_pop(&d.ring, &chain) == 1);
		memset(d.used, 0xdd, 4 + 8 * 8 + 2);
		ring_insert(&d.ring, &chain);
		ring_publish(&d.ring);
		is_u64(driver_used_idx(&d), i + 1);
		is_u64(driver_used_id(&d, i), 5);
	}
}

/* Head 0 has a fault: @error; its descriptor is returned, and head 7 works. */
static void is_returned(struct driver *d, int error)
{
	struct ring_chain chain;
	struct picture before;

	driver_offer(d, 0);
	driver_desc(d, d->size - 1, MEM_ADDR, 4, WRITE, 0);
	driver_offer(d, d->size - 1);
	take_picture(d, &before);
	is_int(ring_pop(&d->ring, &chain), error);
	ok(!memcmp(before.mem, d->mem, MEM_BYTES));
	is_u64(ring_write(&d->ring, &chain, "x", 1), 0);
	is_int(ring_pop(&d->ring, &chain), 1);
	is_u64(chain.head, d->size - 1);
	ring_write(&d->ring, &chain, "good", 4);
	ring_insert(&d->ring, &chain);
	ring_should_notify(&d->ring);
	ring_publish(&d->ring);
	is_u64(driver_used_idx(d), 2);
	is_u64(driver_used_id(d, 0), 0);
	is_u64(driver_used_len(d, 0), 0);
	is_u64(driver_used_id(d, 1), d->size - 1);
	is_u64(driver_used_len(d, 1), 4);
	ok(ring_should_notify(&d->ring));
}

TAP_TEST(a_chain_that_points_to_itself_ends)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 0);
	is_returned(&d, -ELOOP);
}

TAP_TEST(a_cycle_of_empty_buffers_ends)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 0, NEXT | WRITE, 3);
	driver_desc(&d, 3, MEM_ADDR, 0, NEXT | WRITE, 0);
	is_returned(&d, -ELOOP);
}

/* A chain of all of the queue's 8 descriptors; the last one has @flags. */
static int pop_longest(uint16_t flags)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_chain chain;
	int ret;

	driver_init(&d, 8);
	for (unsigned int i = 0; i < 7; i++)
		driver_desc(&d, i, MEM_ADDR, 1, NEXT, i + 1);
	driver_desc(&d, 7, MEM_ADDR, 1, flags, 0);
	driver_offer(&d, 0);
	ok(!driver_start(&d));
	ret = ring_pop(&d.ring, &chain);
	is_u64(ret == 1 ? chain.readable.len : 8, 8);
	return ret;
}

TAP_TEST(a_chain_as_long_as_the_queue_is_none_too_long)
{
	is_int(pop_longest(0), 1);
	is_int(pop_longest(NEXT), -ELOOP);
}

TAP_TEST(a_next_beyond_the_table_is_an_error)
{
	static const uint16_t nexts[] = { 8, 9, 0x8000, 0xffff };

	for (size_t i = 0; i < 4; i++) {
		RING(8);
		driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 1);
		driver_desc(&d, 1, MEM_ADDR, 4, NEXT | WRITE, nexts[i]);
		is_returned(&d, -EBADMSG);
	}
}

TAP_TEST(a_next_without_its_flag_is_not_looked_at)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, 0, 0xffff);
	driver_offer(&d, 0);
	is_int(ring_pop(&d.ring, &chain), 1);
}

TAP_TEST(a_readable_buffer_after_a_writable_one_is_an_error)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 1);
	driver_desc(&d, 1, MEM_ADDR, 4, NEXT | WRITE, 2);
	driver_desc(&d, 2, MEM_ADDR, 4, 0, 0);
	is_returned(&d, -EBADMSG);
}

TAP_TEST(a_readable_buffer_after_a_writable_one_is_an_error_if_empty_too)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 0, NEXT | WRITE, 1);
	driver_desc(&d, 1, MEM_ADDR, 0, 0, 0);
	is_returned(&d, -EBADMSG);
}

static void range_is_bad(uint64_t addr, uint32_t len, uint16_t flags)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, NEXT, 1);
	driver_desc(&d, 1, addr, len, NEXT | flags, 2);
	driver_desc(&d, 2, MEM_ADDR, 4, WRITE, 0);
	is_returned(&d, -EFAULT);
}

TAP_TEST(a_buffer_that_is_not_all_memory_is_an_error)
{
	range_is_bad(HOLE_ADDR, 1, 0);
	range_is_bad(HOLE_ADDR - 1, 2, 0);
	range_is_bad(MEM_ADDR - 1, 2, WRITE);
	range_is_bad(0, 4, WRITE);
	range_is_bad(MEM_ADDR, 0xffffffff, WRITE);
}

TAP_TEST(a_buffer_to_write_in_memory_that_cannot_be_written_is_an_error)
{
	range_is_bad(ROM_ADDR, 1, WRITE);
	range_is_bad(ROM_ADDR - 1, 2, WRITE);
}

TAP_TEST(what_is_only_read_may_be_in_such_memory)
{
	RING(8);
	desc_put(d.mem + (ROM_ADDR - MEM_ADDR), 0, ROM_ADDR, 4, 0, 0);
	driver_desc(&d, 0, ROM_ADDR, 16, INDIRECT | WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.readable.len, 4);
}

TAP_TEST(a_buffer_that_wraps_around_is_an_error)
{
	range_is_bad(0xfffffffffffffffe, 4, 0);
	range_is_bad(0xffffffffffffffff, 1, 0);
	range_is_bad(0xffffffffffffff00, 0xffffffff, WRITE);
}

TAP_TEST(more_bytes_than_used_len_can_say_are_an_error)
{
	RING(8);
	d.all_is_memory = true;
	driver_desc(&d, 0, MEM_ADDR, 0xffffffff, NEXT | WRITE, 1);
	driver_desc(&d, 1, MEM_ADDR, 1, WRITE, 0);
	is_returned(&d, -EBADMSG);
	driver_desc(&d, 0, MEM_ADDR, 0xffffffff, NEXT, 1);
	driver_offer(&d, 0);
	is_int(ring_pop(&d.ring, &chain), 1);
	is_u64(chain.readable.len, 0xffffffff);
	is_u64(chain.writable.len, 1);
}

TAP_TEST(what_is_more_than_can_be_reached_is_checked_and_left_alone)
{
	uint8_t buf[64];

	RING(64);
	for (unsigned int i = 0; i < 40; i++)
		driver_desc(&d, i, MEM_ADDR + i, 1, NEXT | (i < 33 ? 0 : WRITE), i + 1);
	driver_desc(&d, 40, HOLE_ADDR, 0, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.readable.len, 32);
	is_u64(ring_read(&d.ring, &chain, buf, 64), 32);
	is_u64(ring_write(&d.ring, &chain, buf, 64), 7);
	driver_desc(&d, 32, HOLE_ADDR, 1, NEXT, 33);
	driver_offer(&d, 0);
	is_int(ring_pop(&d.ring, &chain), -EFAULT);
}

/* A table of @len bytes at MEM_ADDR, whose descriptors are there already. */
static void table_is_bad(struct driver *d, uint32_t len, int error)
{
	driver_desc(d, 0, MEM_ADDR + 1024, len, INDIRECT, 0);
	is_returned(d, error);
}

TAP_TEST(an_indirect_table_that_was_not_negotiated_is_an_error)
{
	struct ring_config config;

	RING(8);
	ring_stop(&d.ring);
	config = driver_config(&d);
	config.indirect = false;
	need(!ring_start(&d.ring, &config));
	desc_put(d.mem + 1024, 0, MEM_ADDR, 4, 0, 0);
	table_is_bad(&d, 16, -EBADMSG);
}

TAP_TEST(an_indirect_table_of_a_strange_length_is_an_error)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 31, 0xffffffff };

	for (size_t i = 0; i < 6; i++) {
		RING(8);
		table_is_bad(&d, lengths[i], -EBADMSG);
	}
}

TAP_TEST(an_indirect_table_that_is_not_all_memory_is_an_error)
{
	RING(8);
	desc_put(d.mem + 1024, 0, MEM_ADDR, 4, 0, 0);
	table_is_bad(&d, MEM_BYTES, -EFAULT);
	driver_desc(&d, 0, 0xfffffffffffffff8, 16, INDIRECT, 0);
	driver_offer(&d, 0);
	is_int(ring_pop(&d.ring, &chain), -EFAULT);
}

TAP_TEST(an_indirect_table_in_another_is_an_error)
{
	RING(8);
	desc_put(d.mem + 1024, 0, MEM_ADDR + 1024, 16, INDIRECT, 0);
	table_is_bad(&d, 16, -EBADMSG);
}

TAP_TEST(an_indirect_table_with_a_next_one_is_an_error)
{
	RING(8);
	desc_put(d.mem + 1024, 0, MEM_ADDR, 4, 0, 0);
	driver_desc(&d, 0, MEM_ADDR + 1024, 16, INDIRECT | NEXT, 1);
	is_returned(&d, -EBADMSG);
}

TAP_TEST(a_next_beyond_the_indirect_table_is_an_error)
{
	RING(8);
	desc_put(d.mem + 1024, 0, MEM_ADDR, 4, NEXT, 2);
	desc_put(d.mem + 1024, 1, MEM_ADDR, 4, 0, 0);
	desc_put(d.mem + 1024, 2, MEM_ADDR, 4, 0, 0);
	table_is_bad(&d, 32, -EBADMSG);
}

TAP_TEST(a_cycle_in_an_indirect_table_ends)
{
	RING(8);
	desc_put(d.mem + 1024, 0, MEM_ADDR, 4, NEXT, 1);
	desc_put(d.mem + 1024, 1, MEM_ADDR, 4, NEXT, 0);
	table_is_bad(&d, 16 * 8, -ELOOP);
}

/* A chain of @direct descriptors, then of @more in a table of 16. */
static int pop_mixed(unsigned int direct, unsigned int more)
{
	struct driver d __attribute__((cleanup(driver_free)));
	struct ring_chain chain;

	driver_init(&d, 8);
	for (unsigned int i = 0; i < direct; i++)
		driver_desc(&d, i, MEM_ADDR, 1, NEXT, i + 1);
	driver_desc(&d, direct, MEM_ADDR + 1024, 16 * 16, INDIRECT, 0);
	for (unsigned int i = 0; i < more; i++)
		desc_put(d.mem + 1024, i, MEM_ADDR, 1, i + 1 < more ? NEXT : 0, i + 1);
	driver_offer(&d, 0);
	ok(!driver_start(&d));
	return ring_pop(&d.ring, &chain);
}

TAP_TEST(a_chain_is_not_longer_than_the_queue_in_tables_either)
{
	is_int(pop_mixed(0, 8), 1);
	is_int(pop_mixed(0, 9), -ELOOP);
	is_int(pop_mixed(3, 5), 1);
	is_int(pop_mixed(3, 6), -ELOOP);
	is_int(pop_mixed(7, 1), 1);
	is_int(pop_mixed(7, 2), -ELOOP);
}

/* The driver changes its mind while the chain is looked at. */
static void spoil_table(struct driver *d)
{
	memset(d->desc, 0xff, 16 * d->size);
	driver_desc(d, 2, MEM_ADDR + 300, 3, WRITE, 0xffff);
	driver_desc(d, 3, HOLE_ADDR, 3, WRITE, 0xffff);
	d->on_translate = NULL;
}

TAP_TEST(a_descriptor_is_read_once_and_used_as_it_was_then)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR + 100, 8, NEXT, 2);
	driver_desc(&d, 2, MEM_ADDR + 200, 8, NEXT, 3);
	d.on_translate = spoil_table;
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	is_u64(chain.head, 0);
	is_u64(chain.readable.len, 8);
	is_u64(chain.writable.len, 3);
	is_u64(ring_write(&d.ring, &chain, "abcd", 4), 3);
	ok(!memcmp(d.mem + 300, "abc", 4));
	ring_insert(&d.ring, &chain);
	ring_publish(&d.ring);
	is_u64(driver_used_id(&d, 0), 0);
}

TAP_TEST(after_the_walk_the_table_has_no_say)
{
	char buf[8];

	RING(8);
	memcpy(d.mem + 100, "request", 8);
	driver_desc(&d, 0, MEM_ADDR + 100, 8, NEXT, 2);
	driver_desc(&d, 2, MEM_ADDR + 200, 8, WRITE, 0);
	driver_offer(&d, 0);
	need(ring_pop(&d.ring, &chain) == 1);
	memset(d.desc, 0xff, 16 * 8);
	memset(d.avail, 0xff, 4 + 2 * 9);
	is_u64(ring_read(&d.ring, &chain, buf, 8), 8);
	ok(!memcmp(buf, "request", 8));
	is_u64(ring_write(&d.ring, &chain, "12345678", 8), 8);
	ok(!memcmp(d.mem + 200, "12345678", 9));
}

/* A late index is checked like an early one. */
static void jump_late(struct driver *d)
{
	d->on_used_dirty = NULL;
	driver_set_avail_idx(d, d->avail_idx + 100);
}

TAP_TEST(an_index_that_jumps_while_the_kick_is_asked_for_breaks_the_queue)
{
	RING(8);
	d.on_used_dirty = jump_late;
	is_int(ring_pop(&d.ring, &chain), -EPROTO);
}

TAP_TEST(a_used_event_of_any_value_does_no_harm)
{
	RING(8);
	driver_desc(&d, 0, MEM_ADDR, 4, WRITE, 0);
	for (unsigned int event = 0; event < 0x10000; event += 0x111) {
		driver_set_used_event(&d, event);
		driver_offer(&d, 0);
		need(ring_pop(&d.ring, &chain) == 1);
		ring_insert(&d.ring, &chain);
		ring_publish(&d.ring);
		ring_should_notify(&d.ring);
	}
	is_u64(driver_used_idx(&d), 0xffff / 0x111 + 1);
}

int main(void)
{
	return tap_main();
}
