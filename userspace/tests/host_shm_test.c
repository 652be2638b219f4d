// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guarded memory: what can be made, what it says of itself, and who may have
 * it when.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "host_shm.h"

#define SIZE	(16 * page_bytes())

static int nothing(const struct shm *exclusive, void *arg)
{
	(void)exclusive;
	(void)arg;
	return 0;
}

static int count(const void *bytes, size_t len, void *arg)
{
	(void)bytes;
	*(size_t *)arg = len;
	return 0;
}

/* A mapping that has been built. */
struct built {
	struct shm host;
	struct shm guest;
};

static struct built built(void)
{
	struct built b = { 0 };
	struct shm shm;

	ok(!shm_new(&shm, SIZE) && !shm_build(&shm, &b.host, &b.guest));
	is_int(shm.kind, SHM_NONE);
	return b;
}

static void drop(struct built *b)
{
	shm_put(&b->host);
	shm_put(&b->guest);
}

TAP_TEST(sizes_that_can_not_be_had_are_refused)
{
	struct shm_limits limits;
	struct shm shm = { 0 };

	shm_limits(&limits);
	is_u64(limits.min, page_bytes());
	is_u64(limits.alignment, page_bytes());
	ok(limits.max <= PTRDIFF_MAX - 2 * page_bytes());
	is_int(shm_new(&shm, 0), -EINVAL);
	is_int(shm_new(&shm, SIZE_MAX), -EINVAL);
	is_int(shm_new(&shm, SIZE_MAX - page_bytes() + 1), -EINVAL);
	is_int(shm_new(&shm, SIZE_MAX - 2 * page_bytes() + 1), -EINVAL);
	is_int(shm_new(&shm, limits.max + page_bytes()), -EINVAL);
	is_int(shm_new(&shm, page_bytes() + 1), -EINVAL);
	is_int(shm_new(&shm, page_bytes() - 1), -EINVAL);
	/* Allowed, but there are not so many addresses. */
	is_int(shm_new(&shm, limits.max), -ENOMEM);
	is_int(shm.kind, SHM_NONE);
}

TAP_TEST(new_memory_is_zero_and_says_what_it_is)
{
	struct shm_region region;
	struct shm shm;
	uint64_t word = 1;

	need(!shm_new(&shm, SIZE));
	is_u64(shm_mem_size(&shm), SIZE);
	is_u64(shm_raw_mem_size(&shm), SIZE + 2 * page_bytes());
	ok((char *)shm_raw_ptr(&shm) + page_bytes() == shm_base_ptr(&shm));
	is_u64(shm_base_addr(&shm), (uintptr_t)shm_base_ptr(&shm));
	is_u64(shm_host_region_base(&shm), shm_base_addr(&shm));
	is_u64(shm_host_region_end(&shm), shm_base_addr(&shm) + SIZE);
	is_int(shm_region(&shm, 0x100000, &region), 0);
	is_u64(region.guest_start, 0x100000);
	is_u64(region.guest_end, 0x100000 + SIZE);
	is_u64(region.host_start, shm_base_addr(&shm));
	is_u64(region.host_end, shm_base_addr(&shm) + SIZE);
	ok(region.is_writable);
	is_int(shm_region(&shm, UINT64_MAX - SIZE, &region), 0);
	is_int(shm_region(&shm, UINT64_MAX - SIZE + 1, &region), -ERANGE);
	is_int(shm_read_u64(&shm, SIZE - 8, &word), 0);
	is_u64(word, 0);
	shm_put(&shm);
}

TAP_TEST(an_empty_handle_offers_nothing)
{
	struct shm_region region;
	struct shm shm = { 0 }, other;
	size_t len;

	ok(!shm_base_ptr(&shm) && !shm_raw_ptr(&shm) && !shm_base_addr(&shm));
	ok(!shm_mem_size(&shm) && !shm_raw_mem_size(&shm));
	ok(!shm_host_region_base(&shm) && !shm_host_region_end(&shm));
	ok(!shm_range(&shm, 0, 0, 1) && !shm_is_broken(&shm));
	is_int(shm_region(&shm, 0, &region), -EPERM);
	is_int(shm_read(&shm, 0, &len, 0), -EPERM);
	is_int(shm_write(&shm, 0, &len, 0), -EPERM);
	is_int(shm_fill(&shm, 0, 0, 0), -EPERM);
	is_int(shm_zero(&shm), -EPERM);
	is_int(shm_with_exclusivity(&shm, nothing, NULL), -EPERM);
	is_int(shm_with_contents(&shm, count, &len), -EPERM);
	is_int(shm_lease(&shm), -EPERM);
	is_int(shm_clone(&shm, &other), -EPERM);
	is_int(shm_build(&shm, &other, &other), -EPERM);
	shm_mark_dirty(&shm, 0, 1);
	shm_unlease(&shm);
	shm_put(&shm);
}

TAP_TEST(shared_memory_is_what_the_file_has)
{
	int fd = memfd_new(3 * page_bytes());
	char bytes[4] = "", in_file[4] = "";
	struct shm shm;

	is_int(pwrite(fd, "abcd", 4, page_bytes() + 1000), 4);
	need(!shm_map_fd(&shm, fd, page_bytes() + 1000, 1003));
	is_u64(shm_mem_size(&shm), 1003);
	is_int(shm_read(&shm, 0, bytes, 4), 0);
	ok(!memcmp(bytes, "abcd", 4));
	is_int(shm_read(&shm, 1000, bytes, 4), -ERANGE);
	is_int(shm_write(&shm, 999, "wxyz", 4), 0);
	is_int(pread(fd, in_file, 4, page_bytes() + 1999), 4);
	ok(!memcmp(in_file, "wxyz", 4));
	close(fd);
	is_int(shm_read(&shm, 999, bytes, 4), 0);
	ok(!memcmp(bytes, "wxyz", 4));
	shm_put(&shm);
}

TAP_TEST(what_is_no_part_of_a_file_is_not_mapped)
{
	int fd = memfd_new(2 * page_bytes()), other;
	struct shm shm = { 0 };
	char path[32];
	int ends[2];

	is_int(shm_map_fd(&shm, fd, 0, 0), -EINVAL);
	is_int(shm_map_fd(&shm, fd, 0, 2 * page_bytes() + 1), -ERANGE);
	is_int(shm_map_fd(&shm, fd, 1, 2 * page_bytes()), -ERANGE);
	is_int(shm_map_fd(&shm, fd, 2 * page_bytes(), 1), -ERANGE);
	is_int(shm_map_fd(&shm, fd, UINT64_MAX, 1), -ERANGE);
	is_int(shm_map_fd(&shm, fd, 1, UINT64_MAX), -ERANGE);
	is_int(shm_map_fd(&shm, fd, UINT64_MAX, UINT64_MAX), -ERANGE);
	is_int(shm_map_fd(&shm, -1, 0, 1), -EBADF);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDONLY | O_CLOEXEC);
	is_int(shm_map_fd(&shm, other, 0, 1), -EACCES);
	close(other);
	need(!pipe(ends));
	is_int(shm_map_fd(&shm, ends[1], 0, 1), -EINVAL);
	is_int(shm_from_file(&shm, ends[0], SHM_WHOLE), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	is_int(shm.kind, SHM_NONE);
}

TAP_TEST(a_file_larger_than_any_mapping_is_too_large)
{
	struct shm_limits limits;
	struct shm shm = { 0 };
	int fd = memfd_new(0);

	shm_limits(&limits);
	if (ftruncate(fd, limits.max + page_bytes()))
		skip("no file is that large here");
	is_int(shm_from_file(&shm, fd, SHM_WHOLE), -EFBIG);
	is_int(shm_map_fd(&shm, fd, 0, limits.max + 1), -EFBIG);
	is_int(shm_map_fd(&shm, fd, 0, limits.max), -ENOMEM);
	close(fd);
}

TAP_TEST(a_copy_of_bytes_never_changes)
{
	char bytes[] = "abc", got[4] = "";
	struct shm shm, host, guest, clone;
	size_t len = 0;

	need(!shm_from_bytes(&shm, bytes, 3, SHM_WHOLE));
	bytes[0] = 'x';
	is_int(shm.kind, SHM_READONLY);
	is_u64(shm_mem_size(&shm), page_bytes());
	is_int(shm_read(&shm, 0, got, 4), 0);
	ok(!memcmp(got, "abc", 4));
	is_int(shm_write(&shm, 0, "x", 1), -EROFS);
	is_int(shm_fill(&shm, 0, 1, 1), -EROFS);
	is_int(shm_zero(&shm), -EROFS);
	is_int(shm_with_exclusivity(&shm, nothing, NULL), -EROFS);
	is_int(shm_with_contents(&shm, count, &len), 0);
	is_u64(len, page_bytes());
	ok(!shm_range(&shm, 0, 1, 1));
	is_int(shm_lease(&shm), -EPERM);
	/* It has no life to begin: all become the same. */
	need(!shm_build(&shm, &host, &guest) && !shm_clone(&shm, &clone));
	ok(host.kind == SHM_READONLY && guest.kind == SHM_READONLY &&
	   clone.kind == SHM_READONLY && shm.kind == SHM_READONLY);
	ok(shm_is_same(&host, &clone) && shm_is_same(&guest, &shm));
	shm_put(&shm);
	shm_put(&host);
	shm_put(&clone);
	is_int(shm_read(&guest, 0, got, 4), 0);
	shm_put(&guest);
}

TAP_TEST(handles_are_the_same_if_their_mapping_is)
{
	struct shm a, b;

	need(!shm_from_bytes(&a, "abc", 3, SHM_WHOLE) &&
	     !shm_from_bytes(&b, "abc", 3, SHM_WHOLE));
	ok(!shm_is_same(&a, &b));
	shm_put(&a);
	shm_put(&b);
}

TAP_TEST(a_guest_may_be_given_less_than_there_is)
{
	int fd = memfd_new(3 * page_bytes());
	struct shm_region region;
	struct shm file, bytes;
	char byte;

	need(!shm_from_file(&file, fd, page_bytes()));
	need(!shm_from_bytes(&bytes, "abc", 3, page_bytes()));
	is_u64(shm_mem_size(&file), 3 * page_bytes());
	is_u64(shm_host_region_end(&file), shm_base_addr(&file) + page_bytes());
	is_u64(shm_host_region_end(&bytes), shm_base_addr(&bytes) + page_bytes());
	is_int(shm_region(&file, 4096, &region), 0);
	is_u64(region.guest_end, 4096 + page_bytes());
	is_u64(region.host_end - region.host_start, page_bytes());
	ok(!region.is_writable);
	is_int(shm_read(&file, 3 * page_bytes() - 1, &byte, 1), 0);
	shm_put(&file);
	shm_put(&bytes);
	close(fd);
}

TAP_TEST(files_and_prefixes_that_are_no_whole_pages_are_refused)
{
	int fd = memfd_new(0);
	struct shm shm = { 0 };
	size_t page = page_bytes();

	is_int(shm_from_file(&shm, fd, SHM_WHOLE), -EINVAL);
	need(!ftruncate(fd, page + 1));
	is_int(shm_from_file(&shm, fd, SHM_WHOLE), -EINVAL);
	need(!ftruncate(fd, 2 * page));
	is_int(shm_from_file(&shm, fd, 0), -EINVAL);
	is_int(shm_from_file(&shm, fd, page - 1), -EINVAL);
	is_int(shm_from_file(&shm, fd, 3 * page), -EINVAL);
	is_int(shm_from_file(&shm, -1, SHM_WHOLE), -EBADF);
	is_int(shm_from_bytes(&shm, "abc", 0, SHM_WHOLE), -EINVAL);
	is_int(shm_from_bytes(&shm, "abc", SIZE_MAX, SHM_WHOLE), -EINVAL);
	is_int(shm_from_bytes(&shm, "abc", 3, 0), -EINVAL);
	is_int(shm_from_bytes(&shm, "abc", 3, 100), -EINVAL);
	is_int(shm_from_bytes(&shm, "abc", 3, 2 * page), -EINVAL);
	is_int(shm.kind, SHM_NONE);
	need(!shm_from_file(&shm, fd, 2 * page));
	shm_put(&shm);
	close(fd);
}

TAP_TEST(each_kind_of_handle_offers_its_own)
{
	struct built b = built();
	struct shm other;
	char byte = 1;

	ok(b.host.kind == SHM_HOST && b.guest.kind == SHM_GUEST);
	is_u64(shm_base_addr(&b.guest), shm_base_addr(&b.host));
	is_u64(shm_mem_size(&b.guest), SIZE);
	is_int(shm_read(&b.guest, 0, &byte, 1), -EPERM);
	is_int(shm_write(&b.guest, 0, &byte, 1), -EPERM);
	is_int(shm_fill(&b.guest, 0, 0, 1), -EPERM);
	is_int(shm_lease(&b.host), -EPERM);
	is_int(shm_clone(&b.guest, &other), -EPERM);
	is_int(shm_build(&b.host, &other, &other), -EPERM);
	is_int(shm_build(&b.guest, &other, &other), -EPERM);
	is_int(shm_log_writes(&b.host, NULL), -EPERM);
	drop(&b);
	need(!shm_new(&other, SIZE));
	is_int(shm_clone(&other, &b.host), -EPERM);
	is_int(shm_lease(&other), -EPERM);
	shm_put(&other);
}

TAP_TEST(clones_share_contents_and_outlive_the_first)
{
	struct built b = built();
	struct shm clone;
	uint32_t value = 0;

	need(!shm_clone(&b.host, &clone));
	ok(shm_is_same(&clone, &b.host) && clone.kind == SHM_HOST);
	is_int(shm_write_u32(&b.host, 100, 0x12345678), 0);
	drop(&b);
	is_int(shm_read_u32(&clone, 100, &value), 0);
	is_u64(value, 0x12345678);
	is_int(shm_fill(&clone, 0, 1, SIZE), 0);
	shm_put(&clone);
}

/* What the body of an exclusive call sees and does. */
struct exclusive_call {
	struct built *b;
	int calls;
	int ret;
};

static int look_around(const struct shm *exclusive, void *arg)
{
	struct exclusive_call *call = arg;
	char byte = 0;

	call->calls++;
	is_int(exclusive->kind, SHM_EXCLUSIVE);
	is_int(shm_fill(exclusive, 0, 5, SIZE), 0);
	ok(shm_range(exclusive, 0, SIZE, 8) == shm_base_ptr(&call->b->host));
	/* All others have to wait, which they do by failing. */
	is_int(shm_read(&call->b->host, 0, &byte, 1), -EBUSY);
	is_int(shm_write(&call->b->host, 0, &byte, 1), -EBUSY);
	is_int(shm_fill(&call->b->host, 0, 0, 1), -EBUSY);
	is_int(shm_zero(&call->b->host), -EBUSY);
	is_int(shm_lease(&call->b->guest), -EBUSY);
	is_int(shm_with_exclusivity(&call->b->host, nothing, NULL), -EBUSY);
	is_int(shm_with_exclusivity(&call->b->guest, nothing, NULL), -EBUSY);
	is_int(shm_with_exclusivity(exclusive, nothing, NULL), 0);
	return call->ret;
}

TAP_TEST(exclusivity_keeps_everybody_else_out)
{
	struct built b = built();
	struct exclusive_call call = { .b = &b };
	uint8_t byte = 0;

	is_int(shm_with_exclusivity(&b.host, look_around, &call), 0);
	call.ret = 42;
	is_int(shm_with_exclusivity(&b.guest, look_around, &call), 42);
	is_int(call.calls, 2);
	/* And they are let in again. */
	is_int(shm_read_u8(&b.host, SIZE - 1, &byte), 0);
	is_u64(byte, 5);
	is_int(shm_lease(&b.guest), 0);
	drop(&b);
}

TAP_TEST(the_exclusive_owner_is_never_refused)
{
	struct shm shm;
	size_t len = 0;

	need(!shm_new(&shm, SIZE));
	is_int(shm_with_exclusivity(&shm, nothing, NULL), 0);
	is_int(shm_with_contents(&shm, count, &len), 0);
	is_u64(len, SIZE);
	ok(shm_range(&shm, 0, SIZE, page_bytes()) == shm_base_ptr(&shm));
	shm_put(&shm);
}

TAP_TEST(exclusivity_is_refused_while_the_guest_has_its_lease)
{
	struct built b = built();
	size_t len = 0;
	char byte;

	is_int(shm_lease(&b.guest), 0);
	is_int(shm_lease(&b.guest), 0);
	shm_unlease(&b.guest);
	is_int(shm_with_exclusivity(&b.host, nothing, NULL), -EBUSY);
	is_int(shm_with_exclusivity(&b.guest, nothing, NULL), -EBUSY);
	is_int(shm_with_contents(&b.host, count, &len), -EBUSY);
	is_int(shm_zero(&b.guest), -EBUSY);
	is_int(shm_read(&b.host, 0, &byte, 1), 0);
	shm_unlease(&b.guest);
	is_int(shm_with_exclusivity(&b.host, nothing, NULL), 0);
	/* One too many takes nothing away from others. */
	shm_unlease(&b.guest);
	is_int(shm_with_exclusivity(&b.host, nothing, NULL), 0);
	drop(&b);
}

/*
 * In the middle of an access: the buffer that is copied to can't be written
 * yet, and the handler of that fault is where this is called from.
 */
static struct {
	struct built b;
	char *buffer;
	int calls;
	int by_host;
	int by_guest;
	int zeroed;
	int read;
} middle;

static void try_in_the_middle(int number)
{
	char byte;

	(void)number;
	middle.calls++;
	middle.by_host = shm_with_exclusivity(&middle.b.host, nothing, NULL);
	middle.by_guest = shm_with_exclusivity(&middle.b.guest, nothing, NULL);
	middle.zeroed = shm_zero(&middle.b.host);
	middle.read = shm_read(&middle.b.host, 0, &byte, 1);
	mprotect(middle.buffer, page_bytes(), PROT_READ | PROT_WRITE);
}

TAP_TEST(exclusivity_is_refused_in_the_middle_of_an_access)
{
	struct sigaction action = { .sa_handler = try_in_the_middle }, old;

	middle.b = built();
	middle.buffer = mmap(NULL, page_bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGSEGV, &action, &old);
	is_int(shm_read(&middle.b.host, 0, middle.buffer, 100), 0);
	sigaction(SIGSEGV, &old, NULL);
	is_int(middle.calls, 1);
	is_int(middle.by_host, -EBUSY);
	is_int(middle.by_guest, -EBUSY);
	is_int(middle.zeroed, -EBUSY);
	/* Other accesses are not in the way of this one. */
	is_int(middle.read, 0);
	is_int(shm_with_exclusivity(&middle.b.host, nothing, NULL), 0);
	munmap(middle.buffer, page_bytes());
	drop(&middle.b);
}

TAP_TEST(a_guest_that_is_put_has_no_lease)
{
	struct built b = built();

	ok(!shm_lease(&b.guest) && !shm_lease(&b.guest));
	shm_put(&b.guest);
	is_int(shm_with_exclusivity(&b.host, nothing, NULL), 0);
	drop(&b);
}

TAP_TEST(a_range_is_inside_aligned_and_leased)
{
	struct built b = built();
	char *base = shm_base_ptr(&b.host);

	ok(!shm_range(&b.host, 0, 1, 1));
	is_int(shm_lease(&b.guest), 0);
	ok(shm_range(&b.host, 0, SIZE, page_bytes()) == base);
	ok(shm_range(&b.host, 4, 12, 4) == base + 4);
	ok(shm_range(&b.host, SIZE, 0, 1) == base + SIZE);
	ok(!shm_range(&b.host, 4, 12, 8));
	ok(!shm_range(&b.host, 1, 2, 2));
	ok(!shm_range(&b.host, 0, 1, 0));
	ok(!shm_range(&b.host, 16, 1, 12));
	ok(!shm_range(&b.host, 0, SIZE + 1, 1));
	ok(!shm_range(&b.host, SIZE, 1, 1));
	ok(!shm_range(&b.host, 8, SIZE_MAX, 1));
	ok(!shm_range(&b.host, SIZE_MAX, 8, 1));
	ok(!shm_range(&b.guest, 0, 1, 1));
	shm_unlease(&b.guest);
	ok(!shm_range(&b.host, 0, 1, 1));
	drop(&b);
}

int main(void)
{
	return tap_main();
}
