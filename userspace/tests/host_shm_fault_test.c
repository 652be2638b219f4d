// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that its owner takes away: it costs its own users an error, and
 * nobody else anything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "host_shm.h"

#define SIZE	(8 * page_bytes())

/* Memory that somebody else has, too: who does @fd. */
struct shared {
	struct shm host;
	struct shm guest;
	int fd;
};

static struct shared shared_new(void)
{
	struct shared s = { .fd = memfd_new(SIZE) };
	struct shm shm;

	ok(!shm_map_fd(&shm, s.fd, 0, SIZE) && !shm_build(&shm, &s.host, &s.guest));
	ok(!shm_fill(&s.host, 0, 0xaa, SIZE));
	return s;
}

static void shared_drop(struct shared *s)
{
	shm_put(&s->host);
	shm_put(&s->guest);
	close(s->fd);
}

static int nothing(const struct shm *exclusive, void *arg)
{
	(void)exclusive;
	(void)arg;
	return 0;
}

/* For memory that is gone: not called. */
static int no_contents(const void *bytes, size_t len, void *arg)
{
	(void)bytes;
	(void)len;
	(void)arg;
	ok(false);
	return 0;
}

static void is_broken(struct shared *s)
{
	char byte;

	ok(shm_is_broken(&s->host) && shm_is_broken(&s->guest));
	is_int(shm_read(&s->host, 0, &byte, 1), -EIO);
	is_int(shm_write(&s->host, 0, &byte, 1), -EIO);
	is_int(shm_fill(&s->host, 0, 0, 1), -EIO);
	is_int(shm_zero(&s->host), -EIO);
	is_int(shm_with_exclusivity(&s->host, nothing, NULL), -EIO);
	is_int(shm_with_contents(&s->host, no_contents, NULL), -EIO);
	is_int(shm_lease(&s->guest), -EIO);
	/* Bounds are what they were. */
	is_int(shm_read(&s->host, SIZE, &byte, 1), -ERANGE);
}

static void is_whole(struct shared *s)
{
	uint8_t byte = 0;

	ok(!shm_is_broken(&s->host));
	is_int(shm_fill(&s->host, 1, 0xbb, SIZE - 1), 0);
	is_int(shm_read(&s->host, 0, &byte, 1), 0);
	is_u64(byte, 0xaa);
	is_int(pread(s->fd, &byte, 1, SIZE - 1), 1);
	is_u64(byte, 0xbb);
	is_int(shm_lease(&s->guest), 0);
	ok(shm_range(&s->host, 0, SIZE, 1));
	shm_unlease(&s->guest);
	is_int(shm_with_exclusivity(&s->host, nothing, NULL), 0);
}

TAP_TEST(reading_what_was_cut_off_is_an_error_for_that_handle_alone)
{
	struct shared victim = shared_new(), other = shared_new();
	char bytes[100];

	need(!ftruncate(victim.fd, 0));
	is_int(shm_read(&victim.host, 50, bytes, 100), -EIO);
	is_broken(&victim);
	is_whole(&other);
	shared_drop(&victim);
	is_whole(&other);
	shared_drop(&other);
}

TAP_TEST(writing_what_was_cut_off_is_an_error_and_reaches_nobody)
{
	struct shared victim = shared_new();
	uint8_t byte = 1;

	need(!ftruncate(victim.fd, 0));
	is_int(shm_fill(&victim.host, 0, 0x55, SIZE), -EIO);
	need(!ftruncate(victim.fd, SIZE));
	is_int(shm_write(&victim.host, 0, "x", 1), -EIO);
	is_int(pread(victim.fd, &byte, 1, 0), 1);
	is_u64(byte, 0);
	is_broken(&victim);
	shared_drop(&victim);
}

TAP_TEST(what_is_left_can_be_used_until_what_is_not_was_missed)
{
	struct shared victim = shared_new();
	uint8_t byte = 0;

	need(!ftruncate(victim.fd, page_bytes()));
	is_int(shm_read(&victim.host, 0, &byte, 1), 0);
	is_u64(byte, 0xaa);
	is_int(shm_write(&victim.host, page_bytes() - 1, "xy", 2), -EIO);
	is_broken(&victim);
	/* All of it is out of reach, so that nothing more is changed. */
	is_int(pread(victim.fd, &byte, 1, 0), 1);
	is_u64(byte, 0xaa);
	shared_drop(&victim);
}

TAP_TEST(two_mappings_of_one_file_break_one_by_one)
{
	struct shared victim = shared_new();
	struct shm second;
	char byte;

	need(!shm_map_fd(&second, victim.fd, 100, SIZE - 100));
	need(!ftruncate(victim.fd, 0));
	is_int(shm_read(&victim.host, 0, &byte, 1), -EIO);
	ok(!shm_is_broken(&second));
	is_int(shm_read(&second, 0, &byte, 1), -EIO);
	ok(shm_is_broken(&second));
	shm_put(&second);
	shared_drop(&victim);
}

TAP_TEST(a_range_goes_on_in_memory_that_nobody_sees)
{
	struct shared victim = shared_new();
	volatile char *range;

	need(!shm_lease(&victim.guest));
	range = shm_range(&victim.host, 0, SIZE, 8);
	need(range);
	need(!ftruncate(victim.fd, 0));
	errno = ENOTTY;
	range[5] = 1;
	/* Whatever errno was, it still is. */
	is_int(errno, ENOTTY);
	ok(shm_is_broken(&victim.host));
	is_int(range[5], 1);
	is_int(range[SIZE - 1], 0);
	ok(!shm_range(&victim.host, 0, SIZE, 8));
	shm_unlease(&victim.guest);
	is_broken(&victim);
	shared_drop(&victim);
}

static int cut_and_touch(const struct shm *exclusive, void *arg)
{
	ok(!ftruncate(*(int *)arg, 0));
	((volatile char *)shm_base_ptr(exclusive))[0] = 1;
	return 0;
}

static int cut_and_look(const void *bytes, size_t len, void *arg)
{
	ok(!ftruncate(*(int *)arg, 0));
	return ((const volatile char *)bytes)[len - 1];
}

TAP_TEST(an_exclusive_call_that_lost_its_memory_has_failed)
{
	struct shared a = shared_new(), b = shared_new();

	is_int(shm_with_exclusivity(&a.host, cut_and_touch, &a.fd), -EIO);
	is_broken(&a);
	is_int(shm_with_contents(&b.guest, cut_and_look, &b.fd), -EIO);
	is_broken(&b);
	shared_drop(&a);
	shared_drop(&b);
}

TAP_TEST(zeroing_what_was_cut_off_is_an_error)
{
	struct shared victim = shared_new();

	need(!ftruncate(victim.fd, 0));
	is_int(shm_zero(&victim.guest), -EIO);
	is_broken(&victim);
	shared_drop(&victim);
}

TAP_TEST(a_file_that_never_changes_may_be_cut_off_too)
{
	int fd = memfd_new(SIZE);
	struct shm shm;
	char byte;

	need(!shm_from_file(&shm, fd, SHM_WHOLE));
	need(!ftruncate(fd, 0));
	is_int(shm_read(&shm, 0, &byte, 1), -EIO);
	ok(shm_is_broken(&shm));
	is_int(shm_with_contents(&shm, no_contents, NULL), -EIO);
	shm_put(&shm);
	need(!ftruncate(fd, SIZE) && !shm_from_file(&shm, fd, SHM_WHOLE));
	is_int(shm_with_contents(&shm, cut_and_look, &fd), -EIO);
	shm_put(&shm);
	close(fd);
}

TAP_TEST(the_next_mapping_is_not_broken)
{
	for (int i = 0; i < 50; i++) {
		struct shared s = shared_new();

		is_whole(&s);
		need(!ftruncate(s.fd, 0));
		is_int(shm_fill(&s.host, 0, 0, 1), -EIO);
		shared_drop(&s);
	}
}

static void touch(void *at)
{
	*(volatile char *)at = 1;
}

static void send_sigbus(void *unused)
{
	(void)unused;
	kill(getpid(), SIGBUS);
}

TAP_TEST(other_memory_that_is_cut_off_still_kills)
{
	struct shared watched = shared_new();
	int fd = memfd_new(page_bytes());
	char *map = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ok(!child_run(touch, map).signal);
	need(!ftruncate(fd, 0));
	ok(child_was_killed(child_run(touch, map), SIGBUS));
	munmap(map, page_bytes());
	close(fd);
	shared_drop(&watched);
}

TAP_TEST(where_a_mapping_was_is_not_watched_any_more)
{
	struct shared s = shared_new();
	char *at = shm_base_ptr(&s.host), *map;

	shm_put(&s.host);
	shm_put(&s.guest);
	map = mmap(at, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, s.fd, 0);
	need(map == at);
	need(!ftruncate(s.fd, 0));
	ok(child_was_killed(child_run(touch, map), SIGBUS));
	munmap(map, SIZE);
	close(s.fd);
}

/* As one could be made to look like a fault of the memory at @at. */
static void queue_sigbus(void *at)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	info.si_addr = at;
	syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info);
}

TAP_TEST(a_sigbus_that_somebody_sends_still_kills)
{
	struct shared watched = shared_new();

	ok(child_was_killed(child_run(send_sigbus, NULL), SIGBUS));
	ok(child_was_killed(child_run(queue_sigbus, shm_base_ptr(&watched.host)), SIGBUS));
	shared_drop(&watched);
}

TAP_TEST(a_guard_page_of_broken_memory_is_still_one)
{
	struct shared victim = shared_new();
	struct child_end end;

	need(!ftruncate(victim.fd, 0));
	is_int(shm_fill(&victim.host, 0, 0, SIZE), -EIO);
	end = child_run(touch, (char *)shm_base_ptr(&victim.host) + SIZE);
	ok(child_was_killed(end, SIGSEGV));
	is_u64(end.address, shm_base_addr(&victim.host) + SIZE);
	end = child_run(touch, (char *)shm_base_ptr(&victim.host) - 1);
	ok(child_was_killed(end, SIGSEGV));
	shared_drop(&victim);
}

/*
 * Threads that lose their memory while others map and unmap theirs: the handler
 * walks a list that changes. @victim is cut off while all threads read it.
 */
#define THREADS	4
#define ROUNDS	30

static struct shared victim;
static pthread_barrier_t barrier;
static int stop_mapping;
static unsigned int surprises;

static void *read_until_broken(void *unused)
{
	char bytes[512];
	int err = 0;

	(void)unused;
	pthread_barrier_wait(&barrier);
	for (size_t at = 0; !err; at = (at + 512) % SIZE)
		err = shm_read(&victim.host, at, bytes, sizeof(bytes));
	if (err != -EIO)
		__atomic_fetch_add(&surprises, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *map_and_unmap(void *unused)
{
	int fd = memfd_new(SIZE);

	(void)unused;
	while (!__atomic_load_n(&stop_mapping, __ATOMIC_RELAXED)) {
		struct shm shm;

		if (shm_map_fd(&shm, fd, 0, SIZE) || shm_fill(&shm, 0, 1, SIZE))
			__atomic_fetch_add(&surprises, 1, __ATOMIC_RELAXED);
		else
			shm_put(&shm);
	}
	close(fd);
	return NULL;
}

static void lose_memory_together(void)
{
	pthread_t threads[THREADS];

	victim = shared_new();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, read_until_broken, NULL);
	pthread_barrier_wait(&barrier);
	ok(!ftruncate(victim.fd, 0));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	shared_drop(&victim);
}

TAP_TEST(threads_that_lose_their_memory_together_all_get_an_error)
{
	struct shared other = shared_new();
	pthread_t mapper;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	stop_mapping = 0;
	need(!pthread_create(&mapper, NULL, map_and_unmap, NULL));
	for (int i = 0; i < ROUNDS; i++)
		lose_memory_together();
	__atomic_store_n(&stop_mapping, 1, __ATOMIC_RELAXED);
	pthread_join(mapper, NULL);
	pthread_barrier_destroy(&barrier);
	is_u64(surprises, 0);
	is_whole(&other);
	shared_drop(&other);
}

int main(void)
{
	/* Not the sanitizer's handler, or a child does not die but exit. */
	signal(SIGBUS, SIG_DFL);
	return tap_main();
}
