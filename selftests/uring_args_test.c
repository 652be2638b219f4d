// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring: what a submission must look like, and the arguments of its commands.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"

#define ROOM 8192

/* Newer than liburing's header: promises several completions. */
#ifndef IORING_URING_CMD_MULTISHOT
#define IORING_URING_CMD_MULTISHOT (1U << 1)
#endif

/* Rings with submissions of both sizes, and the operation for those of 128 bytes. */
#ifndef IORING_SETUP_SQE_MIXED
#define IORING_SETUP_SQE_MIXED (1U << 19)
#define IORING_OP_URING_CMD128 64
#endif

struct setting {
	struct io_uring ring;
	int fd;
	uint64_t features;
	unsigned char *buf;	/* ROOM bytes, then a page that is not there */
};

static bool set_up(struct setting *s)
{
	struct vmclock_info info = { .size = sizeof(info) };
	size_t page = getpagesize();

	s->fd = t_open(T_QEMU, O_RDONLY);
	s->buf = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (ioctl(s->fd, VMCLOCK_IOC_INFO, &info) || s->buf == MAP_FAILED ||
	    mprotect(s->buf + ROOM, page, PROT_NONE))
		return false;
	s->features = info.features;
	return !io_uring_queue_init(8, &s->ring, 0);
}

static void tear_down(struct setting *s)
{
	io_uring_queue_exit(&s->ring);
	munmap(s->buf, ROOM + getpagesize());
	close(s->fd);
}

#define NEED_COMMAND(feature) do {						\
	if (!(self->s.features & VMCLOCK_F_URING_SNAPSHOT))			\
		SKIP(return, "this kernel has no commands for drivers");	\
	if (!(self->s.features & (feature)))					\
		SKIP(return, "this kernel can not cancel pending commands");	\
} while (0)

static void set_size(void *buf, uint32_t size)
{
	memcpy(buf, &size, sizeof(size));
}

static uint32_t get_size(const void *buf)
{
	uint32_t size;

	memcpy(&size, buf, sizeof(size));
	return size;
}

/* Submit what was prepared. Return: its result, or -ETIME if there comes none. */
static int complete(struct io_uring *ring)
{
	struct __kernel_timespec patience = { .tv_sec = 20 };
	struct io_uring_cqe *cqe = NULL;
	int ret = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &patience, NULL);

	if (ret < 0 || !cqe)
		return ret ?: -ETIME;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

FIXTURE(submission) {
	struct setting s;
};

FIXTURE_VARIANT(submission) {
	uint32_t op;
	uint32_t size;		/* of the argument, if there is one */
	uint64_t feature;
	int good;		/* what it answers if all is well */
};

FIXTURE_VARIANT_ADD(submission, snapshot) {
	.op = VMCLOCK_URING_SNAPSHOT, .size = sizeof(struct vmclock_snapshot),
	.feature = VMCLOCK_F_URING_SNAPSHOT
};

FIXTURE_VARIANT_ADD(submission, wait) {
	.op = VMCLOCK_URING_WAIT, .size = sizeof(struct vmclock_wait),
	.feature = VMCLOCK_F_URING_WAIT, .good = -EAGAIN
};

FIXTURE_VARIANT_ADD(submission, cancel) {
	.op = VMCLOCK_URING_CANCEL, .feature = VMCLOCK_F_URING_SNAPSHOT, .good = -ENOENT
};

/* There is a buffer that IORING_URING_CMD_FIXED could mean, and nothing new. */
FIXTURE_SETUP(submission)
{
	struct iovec iov;

	ASSERT_TRUE(set_up(&self->s));
	iov = (struct iovec){ self->s.buf, ROOM };
	ASSERT_EQ(0, io_uring_register_buffers(&self->s.ring, &iov, 1));
	ASSERT_EQ(1, pread(self->s.fd, self->s.buf, 1, 0));
}

FIXTURE_TEARDOWN(submission)
{
	tear_down(&self->s);
}

/* In which all is well. */
#define PREPARE(ring) ({								\
	struct io_uring_sqe *prepared = io_uring_get_sqe(ring);			\
	set_size(memset(self->s.buf, 0, ROOM), variant->size);			\
	vmclk__uring_command(prepared, self->s.fd, variant->op,			\
			     variant->size ? self->s.buf : NULL, 0);		\
	prepared; })

/* Of a submission, by place, for they have many names. */
static const struct field {
	const char *name;
	size_t offset;
	size_t size;
	bool hidden;	/* from drivers, before 6.7 */
} fields[] = {
	{ "ioprio", 2, 2 }, { "off", 12, 4 }, { "addr", 16, 8, true }, { "len", 24, 4, true },
	{ "uring_cmd_flags", 28, 4 }, { "buf_index", 40, 2, true }, { "file_index", 44, 4, true },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

TEST_F(submission, refuses_what_it_has_no_use_for)
{
	NEED_COMMAND(variant->feature);
	for (const struct field *f = fields; f < fields + FIELDS; f++) {
		if (f->hidden && !(self->s.features & VMCLOCK_F_URING_WAIT))
			continue;
		for (int bit = 0; bit < 8 * f->size; bit++) {
			unsigned char *sqe = (void *)PREPARE(&self->s.ring);

			sqe[f->offset + bit / 8] |= 1 << bit % 8;
			ASSERT_EQ(-EINVAL, complete(&self->s.ring)) TH_LOG("%s %d", f->name, bit);
			sqe[f->offset + bit / 8] = 0;
		}
	}
	PREPARE(&self->s.ring);
	EXPECT_EQ(variant->good, complete(&self->s.ring));
}

TEST_F(submission, refuses_to_complete_several_times)
{
	struct io_uring_sqe *sqe;
	int ret;

	NEED_COMMAND(variant->feature);
	sqe = PREPARE(&self->s.ring);
	sqe->rw_flags = IORING_URING_CMD_MULTISHOT;
	sqe->flags = IOSQE_BUFFER_SELECT;
	ret = complete(&self->s.ring);
	/* The second is what a kernel says that does not know of it. */
	EXPECT_TRUE(ret == -EINVAL || ret == -EOPNOTSUPP) TH_LOG("%d", ret);
}

TEST_F(submission, refuses_what_is_behind_it_in_a_longer_submission)
{
	static const unsigned int sizes[] = { IORING_SETUP_SQE128, IORING_SETUP_SQE_MIXED };

	NEED_COMMAND(variant->feature);
	for (int i = 0; i < 2; i++) {
		bool mixed = sizes[i] == IORING_SETUP_SQE_MIXED;
		struct io_uring ring;
		unsigned char *sqe;
		int ret = io_uring_queue_init(8, &ring, sizes[i]);

		/* Mixed rings came with 6.19. */
		if (ret == -EINVAL && mixed)
			continue;
		ASSERT_EQ(0, ret);
		for (int byte = 64; byte <= 128; byte++) {
			sqe = (void *)PREPARE(&ring);
			if (mixed) {
				*sqe = IORING_OP_URING_CMD128;
				memset(io_uring_get_sqe(&ring), 0, 64);
			}
			if (byte < 128)
				sqe[byte] = 0x80;
			ASSERT_EQ(byte < 128 ? -EINVAL : variant->good, complete(&ring))
				TH_LOG("%d %d", i, byte);
			memset(sqe + 64, 0, 64);
		}
		io_uring_queue_exit(&ring);
	}
}

FIXTURE(argument) {
	struct setting s;
};

FIXTURE_VARIANT(argument) {
	uint32_t op;
	uint32_t size;
	uint32_t in_end;	/* what comes from here on must be zero */
	uint64_t feature;
};

FIXTURE_VARIANT_ADD(argument, of_snapshot) {
	.op = VMCLOCK_URING_SNAPSHOT, .size = sizeof(struct vmclock_snapshot), .in_end = 8,
	.feature = VMCLOCK_F_URING_SNAPSHOT
};

/* On a new file, the page counts as an update: with all zero, it succeeds. */
FIXTURE_VARIANT_ADD(argument, of_wait) {
	.op = VMCLOCK_URING_WAIT, .size = sizeof(struct vmclock_wait), .in_end = 20,
	.feature = VMCLOCK_F_URING_WAIT
};

FIXTURE_SETUP(argument)
{
	ASSERT_TRUE(set_up(&self->s));
}

FIXTURE_TEARDOWN(argument)
{
	tear_down(&self->s);
}

static int command(struct setting *s, uint32_t op, void *arg)
{
	vmclk__uring_command(io_uring_get_sqe(&s->ring), s->fd, op, arg, 0);
	return complete(&s->ring);
}

TEST_F(argument, of_the_known_size_is_filled)
{
	NEED_COMMAND(variant->feature);
	set_size(self->s.buf, variant->size);
	EXPECT_EQ(0, command(&self->s, variant->op, self->s.buf));
	EXPECT_EQ(variant->size, get_size(self->s.buf));
}

TEST_F(argument, that_is_shorter_gets_what_it_has_room_for)
{
	unsigned char *p = self->s.buf + ROOM - 12;

	NEED_COMMAND(variant->feature);
	set_size(p, 12);
	EXPECT_EQ(0, command(&self->s, variant->op, p));
	EXPECT_EQ(variant->size, get_size(p));
}

TEST_F(argument, that_is_too_small_is_refused)
{
	NEED_COMMAND(variant->feature);
	for (uint32_t size = 0; size < VMCLOCK_ARG_SIZE_MIN; size++) {
		set_size(self->s.buf, size);
		EXPECT_EQ(-EINVAL, command(&self->s, variant->op, self->s.buf));
	}
}

TEST_F(argument, that_is_longer_may_have_a_zero_tail)
{
	NEED_COMMAND(variant->feature);
	set_size(self->s.buf, 4096);
	EXPECT_EQ(0, command(&self->s, variant->op, self->s.buf));
	EXPECT_EQ(variant->size, get_size(self->s.buf));
	for (int i = variant->size; i < 4096; i++)
		ASSERT_EQ(0, self->s.buf[i]);
}

TEST_F(argument, with_an_unknown_tail_or_beyond_the_limit_is_too_big)
{
	NEED_COMMAND(variant->feature);
	set_size(self->s.buf, variant->size + 8);
	self->s.buf[variant->size + 7] = 1;
	EXPECT_EQ(-E2BIG, command(&self->s, variant->op, self->s.buf));
	self->s.buf[variant->size + 7] = 0;
	set_size(self->s.buf, 4097);
	EXPECT_EQ(-E2BIG, command(&self->s, variant->op, self->s.buf));
}

TEST_F(argument, with_an_unknown_flag_is_refused)
{
	NEED_COMMAND(variant->feature);
	for (int bit = 0; bit < 32; bit++) {
		uint32_t flags = 1U << bit;

		set_size(self->s.buf, variant->size);
		memcpy(self->s.buf + 4, &flags, sizeof(flags));
		EXPECT_EQ(-EINVAL, command(&self->s, variant->op, self->s.buf));
	}
}

TEST_F(argument, must_be_zero_behind_its_inputs)
{
	NEED_COMMAND(variant->feature);
	for (uint32_t i = variant->in_end; i < variant->size; i++) {
		set_size(self->s.buf, variant->size);
		self->s.buf[i] = 0x80;
		ASSERT_EQ(-EINVAL, command(&self->s, variant->op, self->s.buf));
		self->s.buf[i] = 0;
	}
}

TEST_F(argument, that_is_no_pointer_faults)
{
	NEED_COMMAND(variant->feature);
	EXPECT_EQ(-EFAULT, command(&self->s, variant->op, NULL));
	EXPECT_EQ(-EFAULT, command(&self->s, variant->op, (void *)-4096L));
}

TEST_F(argument, that_runs_off_its_memory_faults)
{
	unsigned char *p = self->s.buf + ROOM - 12;

	NEED_COMMAND(variant->feature);
	set_size(p, variant->size);
	EXPECT_EQ(-EFAULT, command(&self->s, variant->op, p));
}

TEST_F(argument, that_can_not_be_written_faults)
{
	NEED_COMMAND(variant->feature);
	set_size(self->s.buf, variant->size);
	ASSERT_EQ(0, mprotect(self->s.buf, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, command(&self->s, variant->op, self->s.buf));
}

TEST_HARNESS_MAIN
