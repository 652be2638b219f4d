// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guarded memory: copying, filling, numbers, zeroing, what is marked dirty.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>

#include "dirty.h"
#include "host_shm.h"

#define SIZE	(4 * page_bytes())

/* One test's memory: through an EXCLUSIVE handle, or through a HOST one. */
static struct shm mem, mem_guest;

static void mem_new(bool is_host)
{
	struct shm shm;

	ok(!shm_new(&shm, SIZE));
	if (is_host)
		ok(!shm_build(&shm, &mem, &mem_guest));
	else
		mem = shm;
}

static void mem_end(void)
{
	shm_put(&mem);
	shm_put(&mem_guest);
}

static void both_kinds(void (*test)(void))
{
	for (int is_host = 0; is_host < 2; is_host++) {
		mem_new(is_host);
		test();
		mem_end();
	}
}

/* The memory as it is, not as shm_read() tells. */
static const uint8_t *bytes(void)
{
	return shm_base_ptr(&mem);
}

static bool all_are(size_t offset, size_t len, uint8_t value)
{
	for (size_t i = offset; i < offset + len; i++)
		if (bytes()[i] != value)
			return false;
	return true;
}

static void fill_quarters(void)
{
	size_t quarter = SIZE / 4;

	for (int i = 0; i < 4; i++)
		is_int(shm_fill(&mem, i * quarter, i + 1, quarter), 0);
	for (int i = 0; i < 4; i++)
		ok(all_are(i * quarter, quarter, i + 1));
	is_int(shm_fill(&mem, 0, 9, SIZE), 0);
	ok(all_are(0, SIZE, 9));
	is_int(shm_fill(&mem, 0, 8, SIZE + 1), -ERANGE);
	is_int(shm_fill(&mem, SIZE - 1, 8, 2), -ERANGE);
	is_int(shm_fill(&mem, SIZE, 8, 1), -ERANGE);
	is_int(shm_fill(&mem, SIZE, 8, 0), 0);
	is_int(shm_fill(&mem, SIZE + 1, 8, 0), -ERANGE);
	ok(all_are(0, SIZE, 9));
	is_int(shm_fill(&mem, SIZE - 1, 8, 1), 0);
	is_u64(bytes()[SIZE - 1], 8);
}

TAP_TEST(filling_quarters_the_whole_and_past_the_end)
{
	both_kinds(fill_quarters);
}

/* Every accessor refuses an offset and a length, and changes nothing. */
static void is_outside(size_t offset, size_t len)
{
	char buffer[16] = { 0 };

	is_int(shm_read(&mem, offset, buffer, len), -ERANGE);
	is_int(shm_write(&mem, offset, buffer, len), -ERANGE);
	is_int(shm_fill(&mem, offset, 1, len), -ERANGE);
}

static void bounds(void)
{
	static const size_t far[] = {
		SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 7, SIZE_MAX - 8, SIZE_MAX / 2,
		SIZE_MAX / 2 + 1,
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		is_outside(far[i], 0);
		is_outside(far[i], 1);
		is_outside(far[i], 8);
		is_outside(0, far[i]);
		is_outside(1, far[i]);
		is_outside(SIZE, far[i]);
		for (size_t k = 0; k < sizeof(far) / sizeof(far[0]); k++)
			is_outside(far[i], far[k]);
		is_int(shm_read_u64(&mem, far[i], &value), -ERANGE);
		is_int(shm_write_u64(&mem, far[i], 1), -ERANGE);
	}
	/* The sum is small again after it overflowed. */
	is_outside(SIZE - 8, SIZE_MAX - SIZE + 16);
	is_outside(SIZE, 1);
	is_outside(SIZE - 1, 2);
	is_outside(SIZE + 1, 0);
	is_outside(0, SIZE + 1);
	ok(all_are(0, SIZE, 0));
}

TAP_TEST(offsets_and_lengths_near_the_largest_are_outside)
{
	both_kinds(bounds);
}

static void copy_ends(void)
{
	static const char text[] = "sixteen letters!";
	const size_t places[] = { 0, SIZE / 2, SIZE - 16, SIZE - 17, 1, page_bytes() - 8 };
	char got[16];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		is_int(shm_write(&mem, places[i], text, 16), 0);
		ok(!memcmp(bytes() + places[i], text, 16));
		memset(got, 0, sizeof(got));
		is_int(shm_read(&mem, places[i], got, 16), 0);
		ok(!memcmp(got, text, 16));
	}
	is_outside(SIZE - 15, 16);
	is_outside(SIZE, 16);
	is_outside(SIZE + 1000, 16);
	is_outside(0, SIZE + 16);
	is_int(shm_read(&mem, SIZE, got, 0), 0);
	is_int(shm_write(&mem, SIZE, got, 0), 0);
	is_int(shm_read(&mem, 0, got, 0), 0);
}

TAP_TEST(copies_at_start_end_and_middle_and_beyond)
{
	both_kinds(copy_ends);
}

static void copy_all(void)
{
	uint8_t *out = malloc(SIZE), *in = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		in[i] = i * 7 + i / 251;
	is_int(shm_write(&mem, 0, in, SIZE), 0);
	is_int(shm_read(&mem, 0, out, SIZE), 0);
	ok(!memcmp(in, out, SIZE) && !memcmp(in, bytes(), SIZE));
	free(out);
	free(in);
}

TAP_TEST(all_of_it_can_be_copied)
{
	both_kinds(copy_all);
}

/* Copies @len bytes to and from @offset, and looks at those around them too. */
static void copy_exactly(size_t offset, size_t len, bool fills)
{
	uint8_t in[320], out[320];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = fills ? 0x5a : i + 1;
	shm_fill(&mem, 0, 0xee, SIZE);
	if (fills)
		is_int(shm_fill(&mem, offset, 0x5a, len), 0);
	else
		is_int(shm_write(&mem, offset, in + 1, len), 0);
	ok(!memcmp(bytes() + offset, fills ? in : in + 1, len));
	ok(all_are(0, offset, 0xee) && all_are(offset + len, 64, 0xee));
	memset(out, 0xdd, sizeof(out));
	is_int(shm_read(&mem, offset, out + 3, len), 0);
	ok(!memcmp(out + 3, bytes() + offset, len));
	ok(out[2] == 0xdd && out[3 + len] == 0xdd);
}

static void alignments(void)
{
	static const size_t odd[] = { 16, 17, 31, 33, 37, 63, 65, 127, 129, 255, 257 };

	for (size_t start = 64; start < 80; start++)
		for (int fills = 0; fills < 2; fills++) {
			for (size_t len = 0; len < 16; len++)
				copy_exactly(start, len, fills);
			for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
				copy_exactly(start, odd[i], fills);
		}
	copy_exactly(7, 37, false);
	copy_exactly(7, 37, true);
	copy_exactly(0, 16, false);
	copy_exactly(0, 16, true);
}

TAP_TEST(every_alignment_and_length_is_exact)
{
	both_kinds(alignments);
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 16;
}

static void numbers_at_random(void)
{
	const size_t places[] = { 0, SIZE / 2, SIZE - 4 };
	uint64_t state = 20261121;

	for (int i = 0; i < 3000; i++) {
		size_t at = i % 4 < 3 ? places[i % 4] : random_next(&state) % (SIZE - 3);
		int32_t in = random_next(&state), out = ~in;

		is_int(shm_write_s32(&mem, at, in), 0);
		is_int(shm_read_s32(&mem, at, &out), 0);
		is_int(out, in);
		at = SIZE - 3 + random_next(&state) % (SIZE_MAX - SIZE);
		is_int(shm_write_s32(&mem, at, in), -ERANGE);
		is_int(shm_read_s32(&mem, at, &out), -ERANGE);
	}
}

TAP_TEST(numbers_come_back_and_none_from_outside)
{
	both_kinds(numbers_at_random);
}

#define round_trip(name, type, number) \
	do { \
		type got = 0; \
		is_int(shm_write_##name(&mem, 16, (type)(number)), 0); \
		is_int(shm_read_##name(&mem, 16, &got), 0); \
		is_u64((uint64_t)got, (uint64_t)(type)(number)); \
	} while (0)

static void every_type(void)
{
	static const uint8_t le[] = { 8, 7, 6, 5, 4, 3, 2, 1 };

	round_trip(u8, uint8_t, 0xf1);
	round_trip(u16, uint16_t, 0xf1e2);
	round_trip(u32, uint32_t, 0xf1e2d3c4);
	round_trip(u64, uint64_t, 0xf1e2d3c4b5a69788);
	round_trip(s8, int8_t, -2);
	round_trip(s16, int16_t, -300);
	round_trip(s32, int32_t, -70000);
	round_trip(s64, int64_t, -5000000000);
	round_trip(size, size_t, SIZE_MAX - 1);
	is_int(shm_write_u64(&mem, 32, 0x0102030405060708), 0);
	ok(!memcmp(bytes() + 32, le, 8));
	is_int(shm_write_u16(&mem, 32, 0x0102), 0);
	is_u64(bytes()[32], 2);
	is_u64(bytes()[33], 1);
	is_u64(bytes()[34], 6);
}

TAP_TEST(numbers_of_every_type_are_little_endian)
{
	both_kinds(every_type);
}

static void zeroing(void)
{
	is_int(shm_fill(&mem, 0, 1, SIZE), 0);
	is_int(shm_zero(&mem), 0);
	ok(all_are(0, SIZE, 0));
	/* Locked memory can't be given back. */
	is_int(shm_fill(&mem, 0, 1, SIZE), 0);
	if (!mlock(shm_base_ptr(&mem), SIZE)) {
		is_int(shm_zero(&mem), 0);
		munlock(shm_base_ptr(&mem), SIZE);
		ok(all_are(0, SIZE, 0));
	}
}

TAP_TEST(private_memory_is_zeroed)
{
	both_kinds(zeroing);
}

TAP_TEST(zeroing_shared_memory_zeroes_what_others_see)
{
	int fd = memfd_new(SIZE);
	struct shm shm;
	char *view = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	memset(view, 1, SIZE);
	need(!shm_map_fd(&shm, fd, 100, SIZE - 200));
	is_int(shm_zero(&shm), 0);
	for (size_t i = 0; i < SIZE; i++)
		if (view[i] != (i < 100 || i >= SIZE - 100))
			need(ok(i == SIZE));
	shm_put(&shm);
	munmap(view, SIZE);
	close(fd);
}

static int sum(const void *contents, size_t len, void *arg)
{
	for (size_t i = 0; i < len; i++)
		*(uint64_t *)arg += ((const uint8_t *)contents)[i];
	return 7;
}

static void contents(void)
{
	uint64_t total = 0;

	is_int(shm_fill(&mem, 0, 3, SIZE), 0);
	is_int(shm_with_contents(&mem, sum, &total), 7);
	is_u64(total, 3 * SIZE);
}

TAP_TEST(contents_are_all_of_the_bytes)
{
	both_kinds(contents);
}

/*
 * A thread writes numbers whose halves are the same, others read them: an
 * aligned number is never torn. Nor does anything here race, for a sanitizer.
 */
#define NUMBERS	20000

static int stop_writing;

static void *write_numbers(void *arg)
{
	for (uint32_t n = 0; !__atomic_load_n(&stop_writing, __ATOMIC_RELAXED); n++) {
		shm_write_u64(arg, 64, (uint64_t)n << 32 | n);
		shm_write_u32(arg, 72, (n & 0xffff) << 16 | (n & 0xffff));
		shm_write_u16(arg, 76, (n & 0xff) << 8 | (n & 0xff));
	}
	return NULL;
}

TAP_TEST(aligned_numbers_are_not_torn)
{
	unsigned int torn = 0, errors = 0, changes = 0;
	pthread_t thread;
	uint64_t u64 = 0, last = 0;
	uint32_t u32 = 0;
	uint16_t u16 = 0;

	mem_new(true);
	stop_writing = 0;
	need(!pthread_create(&thread, NULL, write_numbers, &mem));
	while (changes < NUMBERS && !errors) {
		errors += shm_read_u64(&mem, 64, &u64) || shm_read_u32(&mem, 72, &u32) ||
			  shm_read_u16(&mem, 76, &u16);
		changes += u64 != last;
		last = u64;
		torn += u64 >> 32 != (uint32_t)u64 || u32 >> 16 != (uint16_t)u32 ||
			u16 >> 8 != (uint8_t)u16;
	}
	__atomic_store_n(&stop_writing, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	is_u64(torn, 0);
	is_u64(errors, 0);
	mem_end();
}

static int add_one(const struct shm *exclusive, void *arg)
{
	uint64_t *number = shm_range(exclusive, 64, 8, 8);

	(void)arg;
	/* Plain accesses, one after the other: nobody else makes any. */
	for (int i = 0; i < 20; i++)
		*(volatile uint64_t *)number += 1;
	return 0;
}

static struct {
	unsigned int added;
	unsigned int refused;
} adders;

/* Until there were enough, and both were in each other's way. */
static void *add_exclusively(void *unused)
{
	uint64_t number;

	(void)unused;
	while (__atomic_load_n(&adders.added, __ATOMIC_RELAXED) < NUMBERS ||
	       !__atomic_load_n(&adders.refused, __ATOMIC_RELAXED)) {
		int err = shm_with_exclusivity(&mem, add_one, NULL);

		__atomic_fetch_add(err ? &adders.refused : &adders.added, 1, __ATOMIC_RELAXED);
		shm_read_u64(&mem, 64, &number);
	}
	return NULL;
}

TAP_TEST(exclusive_calls_of_several_threads_exclude_each_other)
{
	pthread_t threads[2];
	uint64_t number = 0;

	mem_new(true);
	for (int i = 0; i < 2; i++)
		need(!pthread_create(&threads[i], NULL, add_exclusively, NULL));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	is_int(shm_read_u64(&mem, 64, &number), 0);
	is_u64(number, 20ULL * adders.added);
	note("%u calls, %u refused", adders.added, adders.refused);
	mem_end();
}

/* Memory at guest address 0x100000, logged; the log is a memfd's first bytes. */
#define GUEST_PAGE	0x100

static struct {
	struct dirty dirty;
	const uint8_t *log;
	int fd;
} logged;

static void logged_new(struct shm *shm)
{
	struct dirty_window window;
	struct dirty_log *log;

	logged.fd = memfd_new(4096);
	logged.log = mmap(NULL, 4096, PROT_READ, MAP_SHARED, logged.fd, 0);
	ok(!dirty_default(&logged.dirty) && !shm_new(shm, 8 * DIRTY_PAGE_SIZE) &&
	   !shm_log_writes(shm, &logged.dirty));
	ok(!dirty_log_open(&log, logged.fd, 0, 100) &&
	   !dirty_window_init(&window, log, GUEST_PAGE * 4096, 8 * DIRTY_PAGE_SIZE));
	dirty_log_put(log);
	dirty_replace(&logged.dirty, &window);
}

static uint8_t logged_take(void)
{
	uint8_t bits = logged.log[GUEST_PAGE / 8];

	is_int(pwrite(logged.fd, "", 1, GUEST_PAGE / 8), 1);
	return bits;
}

static void logged_end(struct shm *shm)
{
	shm_put(shm);
	dirty_put(&logged.dirty);
	munmap((void *)logged.log, 4096);
	close(logged.fd);
}

static void writes_are_logged(const struct shm *shm)
{
	char buffer[5000] = { 0 };

	is_int(shm_read(shm, 0, buffer, 5000), 0);
	is_u64(logged_take(), 0);
	is_int(shm_write(shm, 4090, buffer, 10), 0);
	is_u64(logged_take(), 3);
	is_int(shm_write(shm, 2 * 4096, buffer, 5000), 0);
	is_u64(logged_take(), 0x0c);
	is_int(shm_write_u16(shm, 5 * 4096, 1), 0);
	is_u64(logged_take(), 0x20);
	is_int(shm_fill(shm, 6 * 4096, 1, 4096), 0);
	is_u64(logged_take(), 0x40);
	is_int(shm_write(shm, 7 * 4096, buffer, 0), 0);
	is_int(shm_write(shm, 7 * 4096, buffer, 5000), -ERANGE);
	shm_mark_dirty(shm, 7 * 4096, 5000);
	is_u64(logged_take(), 0);
	shm_mark_dirty(shm, 7 * 4096, 4096);
	is_u64(logged_take(), 0x80);
	is_int(shm_zero(shm), 0);
	is_u64(logged_take(), 0xff);
}

TAP_TEST(what_is_written_is_marked_and_nothing_else)
{
	struct shm shm, host, guest;

	logged_new(&shm);
	writes_are_logged(&shm);
	need(!shm_build(&shm, &host, &guest));
	writes_are_logged(&host);
	shm_mark_dirty(&guest, 0, 1);
	is_u64(logged_take(), 0);
	shm_put(&guest);
	logged_end(&host);
}

TAP_TEST(another_log_may_be_given_before_anybody_else_has_the_memory)
{
	struct dirty other;
	struct shm shm;

	logged_new(&shm);
	need(!dirty_default(&other) && !shm_log_writes(&shm, &other));
	is_int(shm_fill(&shm, 0, 1, 4096), 0);
	is_u64(logged_take(), 0);
	dirty_put(&other);
	logged_end(&shm);
}

int main(void)
{
	return tap_main();
}
