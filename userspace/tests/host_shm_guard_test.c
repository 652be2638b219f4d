// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guard pages: who runs off the memory dies there, exactly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/memfd.h>

#include "host_shm.h"

#define HUGE	(2UL << 20)

static void read_byte(void *at)
{
	*(volatile char *)at;
}

static void write_byte(void *at)
{
	*(volatile char *)at = 1;
}

static void execute(void *at)
{
	((void (*)(void))at)();
}

/* Three ways to die at an address. */
static void is_deadly(char *at)
{
	static void (*const ways[])(void *) = { read_byte, write_byte, execute };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct child_end end = child_run(ways[i], at);

		ok(child_was_killed(end, SIGSEGV));
		is_u64(end.address, (uintptr_t)at);
	}
}

/* Both ends of both guard pages; what they guard can be read. */
static void is_guarded(const struct shm *shm)
{
	char *raw = shm_raw_ptr(shm), *end = raw + shm_raw_mem_size(shm);
	size_t page = page_bytes();

	ok((char *)shm_base_ptr(shm) >= raw + page);
	ok((char *)shm_base_ptr(shm) + shm_mem_size(shm) <= end - page);
	is_deadly(raw);
	is_deadly(raw + page - 1);
	is_deadly(end - page);
	is_deadly(end - 1);
	is_int(child_run(read_byte, raw + page).signal, 0);
	is_int(child_run(read_byte, end - page - 1).signal, 0);
}

TAP_TEST(private_memory_has_a_guard_page_on_either_side)
{
	struct shm shm;

	need(!shm_new(&shm, 3 * page_bytes()));
	is_u64(shm_raw_mem_size(&shm), 5 * page_bytes());
	is_u64(shm_base_addr(&shm) - (uintptr_t)shm_raw_ptr(&shm), page_bytes());
	is_guarded(&shm);
	shm_put(&shm);
}

TAP_TEST(shared_memory_has_a_guard_page_on_either_side)
{
	int fd = memfd_new(2 * page_bytes());
	struct shm shm;

	need(!shm_map_fd(&shm, fd, 0, 2 * page_bytes()));
	is_guarded(&shm);
	shm_put(&shm);
	close(fd);
}

TAP_TEST(the_guard_is_behind_the_last_rounded_page)
{
	int fd = memfd_new(3 * page_bytes());
	struct shm shm;

	/* From the middle of the first page to the middle of the second. */
	need(!shm_map_fd(&shm, fd, 100, page_bytes()));
	is_u64(shm_raw_mem_size(&shm), 4 * page_bytes());
	is_u64(shm_base_addr(&shm) - (uintptr_t)shm_raw_ptr(&shm), page_bytes() + 100);
	is_guarded(&shm);
	shm_put(&shm);
	close(fd);
}

TAP_TEST(a_copy_that_never_changes_has_a_guard_page_on_either_side)
{
	struct shm shm;

	need(!shm_from_bytes(&shm, "abc", 3, SHM_WHOLE));
	is_u64(shm_raw_mem_size(&shm), 3 * page_bytes());
	is_guarded(&shm);
	shm_put(&shm);
}

TAP_TEST(a_file_that_never_changes_has_a_guard_page_on_either_side)
{
	int fd = memfd_new(2 * page_bytes());
	struct shm shm;

	need(!shm_from_file(&shm, fd, page_bytes()));
	is_u64(shm_raw_mem_size(&shm), 4 * page_bytes());
	is_guarded(&shm);
	shm_put(&shm);
	close(fd);
}

TAP_TEST(memory_that_never_changes_can_not_be_written)
{
	int fd = memfd_new(page_bytes());
	struct shm bytes, file;
	struct child_end end;

	need(!shm_from_bytes(&bytes, "abc", 3, SHM_WHOLE));
	need(!shm_from_file(&file, fd, SHM_WHOLE));
	end = child_run(write_byte, shm_base_ptr(&bytes));
	ok(child_was_killed(end, SIGSEGV));
	is_u64(end.address, shm_base_addr(&bytes));
	end = child_run(write_byte, shm_base_ptr(&file));
	ok(child_was_killed(end, SIGSEGV));
	is_u64(end.address, shm_base_addr(&file));
	shm_put(&bytes);
	shm_put(&file);
	close(fd);
}

TAP_TEST(no_memory_can_be_executed)
{
	int fd = memfd_new(page_bytes());
	struct shm private, shared;

	need(!shm_new(&private, page_bytes()));
	need(!shm_map_fd(&shared, fd, 0, page_bytes()));
	is_u64(child_run(execute, shm_base_ptr(&private)).address, shm_base_addr(&private));
	is_u64(child_run(execute, shm_base_ptr(&shared)).address, shm_base_addr(&shared));
	shm_put(&private);
	shm_put(&shared);
	close(fd);
}

/* Pages of 2 MiB; whether the system has any to give makes no difference here. */
static int huge_memfd(off_t size)
{
	int fd = memfd_create("shm-huge", MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

TAP_TEST(huge_pages_keep_their_alignment_and_have_guards)
{
	int fd = huge_memfd(3 * HUGE);
	char *raw, *end;
	struct shm shm;

	if (fd < 0)
		skip("this kernel has no huge pages of 2 MiB");
	need(!shm_map_fd(&shm, fd, HUGE, HUGE + 100));
	is_u64(shm_base_addr(&shm) % HUGE, 0);
	is_u64(shm_mem_size(&shm), HUGE + 100);
	is_u64(shm_raw_mem_size(&shm), 2 * HUGE + 2 * page_bytes());
	raw = shm_raw_ptr(&shm);
	end = raw + shm_raw_mem_size(&shm);
	is_u64(shm_base_addr(&shm) - (uintptr_t)raw, page_bytes());
	is_deadly(raw);
	is_deadly(raw + page_bytes() - 1);
	is_deadly(end - page_bytes());
	is_deadly(end - 1);
	shm_put(&shm);
	/* And where the memory starts within one. */
	need(!shm_map_fd(&shm, fd, HUGE + 4096, HUGE));
	is_u64(shm_base_addr(&shm) % HUGE, 4096);
	is_u64(shm_raw_mem_size(&shm), 2 * HUGE + 2 * page_bytes());
	shm_put(&shm);
	close(fd);
}

TAP_TEST(a_huge_page_that_is_not_to_be_had_is_an_error)
{
	int fd = huge_memfd(HUGE), err;
	struct shm shm;

	if (fd < 0)
		skip("this kernel has no huge pages of 2 MiB");
	need(!shm_map_fd(&shm, fd, 0, HUGE));
	err = shm_fill(&shm, 0, 1, HUGE);
	ok(!err || err == -EIO);
	is_int(shm_is_broken(&shm), err == -EIO);
	shm_put(&shm);
	close(fd);
}

static bool is_mapped(const void *at)
{
	unsigned char unused;

	return !mincore((void *)((uintptr_t)at & -page_bytes()), 1, &unused);
}

TAP_TEST(all_of_the_mapping_goes_with_the_last_handle)
{
	struct shm shm, host, guest, clone;
	char *raw, *last;

	need(!shm_new(&shm, 16 * page_bytes()));
	raw = shm_raw_ptr(&shm);
	last = raw + shm_raw_mem_size(&shm) - 1;
	need(!shm_build(&shm, &host, &guest) && !shm_clone(&host, &clone));
	shm_put(&guest);
	shm_put(&host);
	ok(is_mapped(raw) && is_mapped(raw + page_bytes()) && is_mapped(last));
	is_int(shm_fill(&clone, 0, 7, 16 * page_bytes()), 0);
	shm_put(&clone);
	ok(!is_mapped(raw) && !is_mapped(raw + page_bytes()) && !is_mapped(last));
}

static uint64_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	ok(file && fscanf(file, "%lu", &pages) == 1);
	if (file)
		fclose(file);
	return pages * page_bytes();
}

TAP_TEST(nothing_is_left_of_what_alignment_needed_nor_of_failures)
{
	int fd = huge_memfd(HUGE), small = memfd_new(page_bytes());
	uint64_t before = address_space();
	void *in_the_way[200];
	struct shm shm;

	if (fd < 0)
		skip("this kernel has no huge pages of 2 MiB");
	for (int i = 0; i < 200; i++) {
		/* So that there is something to give back at either end. */
		in_the_way[i] = mmap(NULL, (i + 1) * 16 * page_bytes(), PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(!shm_map_fd(&shm, fd, 0, HUGE));
		shm_put(&shm);
		is_int(shm_from_file(&shm, fd, 100), -EINVAL);
		is_int(shm_from_bytes(&shm, "a", 1, 100), -EINVAL);
		is_int(shm_from_file(&shm, small, 100), -EINVAL);
	}
	for (int i = 0; i < 200; i++)
		munmap(in_the_way[i], (i + 1) * 16 * page_bytes());
	ok(address_space() < before + (64 << 20));
	close(fd);
	close(small);
}

int main(void)
{
	/* Not the sanitizer's handler, or a child does not die but exit. */
	signal(SIGBUS, SIG_DFL);
	return tap_main();
}
