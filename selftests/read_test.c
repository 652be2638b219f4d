// SPDX-License-Identifier: GPL-2.0-only
/*
 * read() and pread() of the page.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define REGION 0x1000

FIXTURE(read) {
	int fd;
	unsigned char buf[2 * REGION];
};

FIXTURE_SETUP(read)
{
	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	memset(self->buf, 0xcc, sizeof(self->buf));
}

FIXTURE_TEARDOWN(read)
{
	close(self->fd);
}

TEST_F(read, gives_the_region_and_not_more)
{
	struct vmclock_page *page = (void *)self->buf;

	EXPECT_EQ(REGION, read(self->fd, self->buf, sizeof(self->buf)));
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(page->magic));
	EXPECT_EQ(0x2222, le64toh(page->vm_generation_counter));
	EXPECT_EQ(0xcc, self->buf[REGION]);
}

TEST_F(read, goes_on_where_it_stopped)
{
	uint32_t word = 0;

	EXPECT_EQ(4, read(self->fd, &word, 4));
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(word));
	EXPECT_EQ(4, read(self->fd, &word, 4));
	EXPECT_EQ(REGION, le32toh(word));
}

TEST_F(read, ends_at_the_end)
{
	EXPECT_EQ(1, pread(self->fd, self->buf, 16, REGION - 1));
	EXPECT_EQ(0xcc, self->buf[1]);
	EXPECT_EQ(0, pread(self->fd, self->buf, 16, REGION));
	EXPECT_EQ(0, pread(self->fd, self->buf, 16, INT64_MAX - 16));
}

TEST_F(read, takes_any_offset)
{
	unsigned char whole[sizeof(struct vmclock_page)];

	ASSERT_EQ(sizeof(whole), pread(self->fd, whole, sizeof(whole), 0));
	for (size_t i = 0; i < sizeof(whole) - 3; i++) {
		ASSERT_EQ(3, pread(self->fd, self->buf, 3, i));
		ASSERT_EQ(0, memcmp(whole + i, self->buf, 3));
	}
}

TEST_F(read, seeks_within_the_region)
{
	EXPECT_EQ(REGION, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(-1, lseek(self->fd, 1, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(read, of_a_small_region_ends_with_it)
{
	int fd = t_open(9, O_RDONLY);

	EXPECT_EQ(0x80, read(fd, self->buf, sizeof(self->buf)));
	close(fd);
	fd = t_open(8, O_RDONLY);
	EXPECT_EQ(0x68, read(fd, self->buf, sizeof(self->buf)));
	close(fd);
}

TEST_F(read, into_a_bad_pointer_faults)
{
	void *volatile nowhere = (void *)8;

	EXPECT_EQ(-1, read(self->fd, nowhere, 16));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(read, can_not_be_turned_around)
{
	int fd = t_open(T_KNOB, O_RDWR);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-1, write(fd, self->buf, 16));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST_F(read, times_out_on_an_update_that_never_ends)
{
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	EXPECT_EQ(-1, read(self->fd, self->buf, 16));
	EXPECT_EQ(ETIMEDOUT, errno);
	EXPECT_GE(t_clock_ns(CLOCK_MONOTONIC) - start, 100000000);
	EXPECT_EQ(0xcc, self->buf[0]);
	/* There is nothing to wait for. */
	EXPECT_EQ(0, pread(self->fd, self->buf, 16, REGION));
	EXPECT_EQ(0, read(self->fd, self->buf, 0));

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(2)));
	EXPECT_EQ(16, pread(self->fd, self->buf, 16, 0));
}

static void on_signal(int sig)
{
}

/* Not begun anew, or signals in a row would keep it for ever. */
TEST_F(read, of_an_update_that_never_ends_ends_with_a_signal)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
	const struct itimerval never = { };

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(3)));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_EQ(-1, read(self->fd, self->buf, 16));
	EXPECT_EQ(EINTR, errno);
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_EQ(0xcc, self->buf[0]);
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(2)));
}

TEST_F(read, has_no_place_outside_of_the_region)
{
	EXPECT_EQ(-1, pread(self->fd, self->buf, 16, -1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, -1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
