// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The dirty log: which bits, when, and in which log. One for a VM as well:
 * everything or nothing, on and off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "dirty.h"
#include "host_front.h"

static bool is_clean(const struct front *f)
{
	for (size_t i = 0; i < f->size; i++)
		if (__atomic_load_n(&f->bytes[i], __ATOMIC_RELAXED))
			return false;
	return true;
}

/* A struct dirty for a region, with a window of a front-end's log. */
static struct dirty region(const struct front *f, uint64_t start, uint64_t len)
{
	struct dirty_log *log = front_log(f);
	struct dirty_window window;
	struct dirty dirty = { 0 };

	ok(!dirty_default(&dirty) && !dirty_window_init(&window, log, start, len));
	dirty_replace(&dirty, &window);
	ok(!window.log);
	dirty_log_put(log);
	return dirty;
}

/* Does a region fit a log of so many bytes? */
static int fit(size_t log_size, uint64_t start, uint64_t len)
{
	struct front f = front_new(log_size);
	struct dirty_log *log = front_log(&f);
	struct dirty_window window;
	int err = dirty_window_init(&window, log, start, len);

	if (!err)
		dirty_window_put(&window);
	dirty_log_put(log);
	front_end(&f);
	return err;
}

TAP_TEST(a_region_fits_a_log_that_reaches_its_last_page)
{
	is_int(fit(2, 0, 16 * PAGE), 0);
	is_int(fit(2, 0, 16 * PAGE + 1), -EINVAL);
	is_int(fit(2, 0, 17 * PAGE), -EINVAL);
	is_int(fit(2, 0, 15 * PAGE), 0);
	is_int(fit(2, 0, 3 * PAGE), 0);
	is_int(fit(1, 0, 1), 0);
	is_int(fit(1, 7 * PAGE, PAGE), 0);
	is_int(fit(1, 8 * PAGE, 1), -EINVAL);
	is_int(fit(1, 7 * PAGE + 4095, 2), -EINVAL);
	/* Sizes seen with QEMU: no multiple of a page, and its clock's page. */
	is_int(fit(0x1fe00, 0xfeffb000, 0x1000), 0);
	is_int(fit(0x1fdff, 0xfeffb000, 0x1000), -EINVAL);
}

TAP_TEST(what_is_no_region_fits_no_log)
{
	is_int(fit(100, 0, 0), -EINVAL);
	is_int(fit(100, UINT64_MAX, 2), -EINVAL);
	is_int(fit(100, 1, UINT64_MAX), -EINVAL);
	is_int(fit(100, PAGE, UINT64_MAX), -EINVAL);
	is_int(fit(100, 0, UINT64_MAX), -EINVAL);
	is_int(fit(100, UINT64_MAX - 100, 100), -EINVAL);
}

TAP_TEST(a_log_that_is_not_in_its_file_is_refused)
{
	struct front f = front_new(5000);
	struct dirty_log *log = NULL;
	struct dirty_window window;

	is_int(dirty_log_open(&log, f.fd, 0, 5001), -ERANGE);
	is_int(dirty_log_open(&log, f.fd, 4999, 2), -ERANGE);
	is_int(dirty_log_open(&log, f.fd, UINT64_MAX, 2), -ERANGE);
	is_int(dirty_log_open(&log, f.fd, 0, 0), -EINVAL);
	is_int(dirty_log_open(&log, -1, 0, 1), -EBADF);
	ok(!log);
	/* At any offset, though. */
	is_int(dirty_log_open(&log, f.fd, 4097, 2), 0);
	need(!dirty_window_init(&window, log, 0, 16 * PAGE));
	dirty_log_put(log);
	struct dirty dirty;

	need(!dirty_default(&dirty));
	dirty_replace(&dirty, &window);
	dirty_mark(&dirty, 9 * PAGE, 1);
	is_u64(front_take(&f, 4098), 2);
	ok(is_clean(&f));
	dirty_put(&dirty);
	front_end(&f);
}

TAP_TEST(without_a_window_nothing_is_dirty)
{
	struct dirty dirty;

	need(!dirty_with_len(&dirty, 12345));
	dirty_mark(&dirty, 0, 100 * PAGE);
	ok(!dirty_at(&dirty, 0));
	dirty_replace(&dirty, NULL);
	dirty_put(&dirty);
	dirty_put(&dirty);
}

TAP_TEST(bits_are_by_guest_address_lowest_first)
{
	struct front f = front_new(16);
	struct dirty dirty = region(&f, 3 * PAGE, 20 * PAGE);

	dirty_mark(&dirty, 0, 1);
	is_u64(front_take(&f, 0), 1 << 3);
	dirty_mark(&dirty, 4 * PAGE, 1);
	is_u64(front_take(&f, 0), 1 << 7);
	dirty_mark(&dirty, 5 * PAGE + 4095, 1);
	is_u64(front_take(&f, 1), 1);
	dirty_mark(&dirty, 19 * PAGE, 1);
	is_u64(front_take(&f, 2), 1 << 6);
	ok(is_clean(&f));
	dirty_put(&dirty);
	front_end(&f);
}

TAP_TEST(any_offset_and_length_marks_the_pages_it_touches)
{
	struct front f = front_new(16);
	struct dirty dirty = region(&f, 0, 32 * PAGE);

	dirty_mark(&dirty, 4095, 1);
	is_u64(front_take(&f, 0), 1);
	dirty_mark(&dirty, 4095, 2);
	is_u64(front_take(&f, 0), 3);
	dirty_mark(&dirty, PAGE + 1, PAGE);
	is_u64(front_take(&f, 0), 6);
	dirty_mark(&dirty, PAGE, PAGE);
	is_u64(front_take(&f, 0), 2);
	dirty_mark(&dirty, 6 * PAGE + 4095, 2 * PAGE + 2);
	is_u64(front_take(&f, 0), 0xc0);
	is_u64(front_take(&f, 1), 0x03);
	dirty_mark(&dirty, 3 * PAGE, 0);
	ok(is_clean(&f));
	dirty_put(&dirty);
	front_end(&f);
}

TAP_TEST(nothing_beyond_the_region_is_marked)
{
	struct front f = front_new(16);
	struct dirty dirty = region(&f, 8 * PAGE, 8 * PAGE);

	dirty_mark(&dirty, 7 * PAGE, 100 * PAGE);
	is_u64(front_take(&f, 1), 0x80);
	dirty_mark(&dirty, 0, UINT64_MAX);
	is_u64(front_take(&f, 1), 0xff);
	dirty_mark(&dirty, 8 * PAGE, 1);
	dirty_mark(&dirty, 1000 * PAGE, PAGE);
	dirty_mark(&dirty, UINT64_MAX, UINT64_MAX);
	dirty_mark(&dirty, UINT64_MAX - 8 * PAGE, 1);
	ok(is_clean(&f));
	memset(f.bytes, 0xff, f.size);
	ok(dirty_at(&dirty, 0) && dirty_at(&dirty, 8 * PAGE - 1));
	ok(!dirty_at(&dirty, 8 * PAGE) && !dirty_at(&dirty, UINT64_MAX) &&
	   !dirty_at(&dirty, UINT64_MAX - 8 * PAGE));
	dirty_put(&dirty);
	front_end(&f);
}

TAP_TEST(a_last_page_of_which_the_region_has_a_part_counts)
{
	struct front f = front_new(2);
	struct dirty dirty = region(&f, 0, 8 * PAGE + 1);
	struct dirty odd = region(&f, 2 * PAGE + 100, PAGE);

	dirty_mark(&dirty, 8 * PAGE, 1);
	is_u64(front_take(&f, 1), 1);
	dirty_mark(&dirty, 7 * PAGE, 2 * PAGE);
	is_u64(front_take(&f, 0), 0x80);
	is_u64(front_take(&f, 1), 1);
	/* A region that starts within a page lies in two. */
	dirty_mark(&odd, 0, 1);
	is_u64(front_take(&f, 0), 4);
	dirty_mark(&odd, PAGE - 100, 1);
	is_u64(front_take(&f, 0), 8);
	ok(is_clean(&f));
	dirty_put(&dirty);
	dirty_put(&odd);
	front_end(&f);
}

TAP_TEST(two_regions_in_one_byte_do_not_disturb_each_other)
{
	struct front f = front_new(2);
	struct dirty low = region(&f, 0, 11 * PAGE), high = region(&f, 14 * PAGE, PAGE);

	dirty_mark(&low, 10 * PAGE, 100 * PAGE);
	is_u64(f.bytes[1], 1 << 2);
	ok(dirty_at(&low, 10 * PAGE) && !dirty_at(&high, 0));
	dirty_mark(&high, 0, 100 * PAGE);
	is_u64(f.bytes[1], 1 << 2 | 1 << 6);
	is_u64(front_take(&f, 1), 1 << 2 | 1 << 6);
	ok(!dirty_at(&low, 10 * PAGE) && !dirty_at(&high, 0));
	dirty_mark(&high, 0, 1);
	is_u64(f.bytes[1], 1 << 6);
	ok(!dirty_at(&low, 10 * PAGE) && dirty_at(&high, 0));
	dirty_put(&low);
	dirty_put(&high);
	front_end(&f);
}

TAP_TEST(a_slice_is_the_same_further_on)
{
	struct front f = front_new(4), g = front_new(4);
	struct dirty whole = region(&f, 0, 16 * PAGE), half, quarter, far;
	struct dirty_window window;
	struct dirty_log *log = front_log(&g);

	dirty_slice_at(&whole, 8 * PAGE, &half);
	dirty_slice_at(&half, 4 * PAGE, &quarter);
	dirty_slice_at(&half, UINT64_MAX, &far);
	dirty_mark(&half, 0, 1);
	dirty_mark(&quarter, 0, 100 * PAGE);
	dirty_mark(&far, 0, 1);
	dirty_mark(&far, 1, UINT64_MAX);
	dirty_mark(&half, UINT64_MAX, 1);
	is_u64(front_take(&f, 1), 0xf1);
	ok(is_clean(&f));
	dirty_mark(&whole, 9 * PAGE, 1);
	ok(dirty_at(&half, PAGE) && !dirty_at(&half, 0) && !dirty_at(&far, 0));
	/* What is put in for one is put in for all. */
	need(!dirty_window_init(&window, log, 0, 16 * PAGE));
	dirty_replace(&whole, &window);
	dirty_put(&whole);
	dirty_mark(&quarter, 0, 1);
	is_u64(g.bytes[1], 0x10);
	is_u64(f.bytes[1], 0x02);
	dirty_put(&half);
	dirty_put(&quarter);
	dirty_put(&far);
	dirty_log_put(log);
	front_end(&f);
	front_end(&g);
}

TAP_TEST(clones_share_the_slot)
{
	struct front f = front_new(4);
	struct dirty dirty = region(&f, 0, 8 * PAGE), clone;

	dirty_clone(&dirty, &clone);
	dirty_put(&dirty);
	dirty_mark(&clone, 0, 1);
	is_u64(front_take(&f, 0), 1);
	dirty_replace(&clone, NULL);
	dirty_mark(&clone, 0, 1);
	ok(is_clean(&f) && !dirty_at(&clone, 0));
	dirty_put(&clone);
	front_end(&f);
}

TAP_TEST(a_log_that_is_cut_off_is_noticed_and_survived)
{
	struct front f = front_new(4096);
	struct dirty_log *log = front_log(&f);
	struct dirty dirty = region(&f, 0, 8 * PAGE);
	struct dirty_window window;

	need(!dirty_window_init(&window, log, 0, 8 * PAGE));
	dirty_replace(&dirty, &window);
	dirty_mark(&dirty, 0, 1);
	ok(!dirty_log_is_broken(log));
	need(!ftruncate(f.fd, 0));
	dirty_mark(&dirty, 0, 1);
	ok(dirty_log_is_broken(log));
	dirty_put(&dirty);
	dirty_log_put(log);
	front_end(&f);
}

/*
 * Threads. What is final when dirty_replace() returns must stay so, while
 * others mark all the time.
 */
static struct {
	struct dirty dirty;
	int stop;
	unsigned int marks;
} marking;

static void *mark_on(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; !__atomic_load_n(&marking.stop, __ATOMIC_RELAXED); i++) {
		dirty_mark(&marking.dirty, i % 64 * PAGE, 3 * PAGE);
		__atomic_fetch_add(&marking.marks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void wait_for_marks(unsigned int more)
{
	unsigned int from = __atomic_load_n(&marking.marks, __ATOMIC_RELAXED);

	while (__atomic_load_n(&marking.marks, __ATOMIC_RELAXED) - from < more)
		sched_yield();
}

/* Puts a new log in as a front-end does, and gives what the old one has then. */
static uint64_t swap_logs(struct front *front)
{
	struct front next = front_new(8);
	struct dirty_log *log = front_log(&next);
	struct dirty_window window;
	uint64_t bits;

	ok(!dirty_window_init(&window, log, 0, 64 * PAGE));
	dirty_log_put(log);
	dirty_replace(&marking.dirty, &window);
	bits = __atomic_load_n((uint64_t *)front->bytes, __ATOMIC_RELAXED);
	wait_for_marks(20);
	is_u64(__atomic_load_n((uint64_t *)front->bytes, __ATOMIC_RELAXED), bits);
	front_end(front);
	*front = next;
	return bits;
}

TAP_TEST(a_log_that_was_replaced_is_never_touched_again)
{
	struct front front = front_new(8);
	unsigned int with_bits = 0;
	pthread_t threads[2];

	marking.dirty = region(&front, 0, 64 * PAGE);
	marking.stop = 0;
	for (int i = 0; i < 2; i++)
		need(!pthread_create(&threads[i], NULL, mark_on, NULL));
	wait_for_marks(100);
	for (int i = 0; i < 500; i++)
		with_bits += !!swap_logs(&front);
	__atomic_store_n(&marking.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ok(with_bits > 100);
	dirty_put(&marking.dirty);
	front_end(&front);
}

static void *replace_by_nothing(void *has_returned)
{
	dirty_replace(&marking.dirty, NULL);
	__atomic_store_n((int *)has_returned, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *is_let_in(void *unused)
{
	(void)unused;
	if (pthread_rwlock_tryrdlock(&marking.dirty.slot->lock))
		return NULL;
	pthread_rwlock_unlock(&marking.dirty.slot->lock);
	return &marking;
}

/* The patience is for failing: a lock that prefers markers lets them in for ever. */
TAP_TEST(who_replaces_waits_for_markers_and_keeps_new_ones_out)
{
	struct front front = front_new(8);
	pthread_t replacer, marker;
	void *let_in = &marking;
	int has_returned = 0;

	marking.dirty = region(&front, 0, 64 * PAGE);
	need(!pthread_rwlock_rdlock(&marking.dirty.slot->lock));
	need(!pthread_create(&replacer, NULL, replace_by_nothing, &has_returned));
	for (int i = 0; i < 10000 && let_in; i++) {
		usleep(1000);
		need(!pthread_create(&marker, NULL, is_let_in, NULL));
		pthread_join(marker, &let_in);
	}
	ok(!let_in);
	is_int(__atomic_load_n(&has_returned, __ATOMIC_RELAXED), 0);
	pthread_rwlock_unlock(&marking.dirty.slot->lock);
	pthread_join(replacer, NULL);
	is_int(has_returned, 1);
	dirty_put(&marking.dirty);
	front_end(&front);
}

/* Each thread has a page of its own in one byte; none of their bits is lost. */
static struct front bits;

static void *mark_own_bit(void *number)
{
	struct dirty dirty = region(&bits, (uintptr_t)number * PAGE, PAGE);
	unsigned int lost = 0;

	for (int i = 0; i < 20000; i++) {
		uint8_t bit = 1 << (uintptr_t)number;

		dirty_mark(&dirty, 0, 1);
		lost += !dirty_at(&dirty, 0);
		__atomic_fetch_and(&bits.bytes[0], ~bit, __ATOMIC_RELAXED);
		lost += dirty_at(&dirty, 0);
	}
	dirty_put(&dirty);
	return (void *)(uintptr_t)lost;
}

TAP_TEST(no_bit_is_lost_among_threads_that_share_a_byte)
{
	pthread_t threads[4];
	void *lost;

	bits = front_new(1);
	for (uintptr_t i = 0; i < 4; i++)
		need(!pthread_create(&threads[i], NULL, mark_own_bit, (void *)i));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &lost);
		is_u64((uintptr_t)lost, 0);
	}
	front_end(&bits);
}

int main(void)
{
	return tap_main();
}
