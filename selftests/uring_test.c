// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring, where nothing stays pending: SNAPSHOT, read, poll.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "ring.h"

FIXTURE(uring) {
	struct io_uring ring;
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
	uint64_t features;
};

#define NEED_COMMANDS() do {							\
	if (!(self->features & VMCLOCK_F_URING_SNAPSHOT))			\
		SKIP(return, "this kernel has no commands for drivers");	\
} while (0)

FIXTURE_SETUP(uring)
{
	struct vmclock_info info = { .size = sizeof(info) };

	self->fd = t_open(T_KNOB, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &info));
	self->features = info.features;
	ASSERT_TRUE(t_peek(T_KNOB, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_KNOB, &self->page));
	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, 0));
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	ASSERT_TRUE(t_poke(T_KNOB, 0, &self->before, sizeof(self->before)));
	close(self->fd);
}

static int command(struct io_uring *ring, int fd, uint32_t op, void *arg, uint64_t id)
{
	int ret = ring_command(ring, fd, op, arg, id, 0);

	return ret ?: ring_result(ring, NULL);
}

TEST_F(uring, snapshot_is_that_of_the_ioctl)
{
	struct vmclock_snapshot a = { .size = sizeof(a) }, b = { .size = sizeof(b) };

	NEED_COMMANDS();
	EXPECT_EQ(0, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &a, 0));
	EXPECT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_SNAPSHOT, &b));
	EXPECT_EQ(sizeof(a), a.size);
	EXPECT_EQ(b.valid, a.valid);
	EXPECT_EQ(0, memcmp(&a.page, &b.page, sizeof(a.page)));
	EXPECT_LT(a.counter, b.counter);
	EXPECT_LE(a.before.boottime_ns, b.before.boottime_ns);
}

TEST_F(uring, library_prepares_the_commands)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	struct vmclock_wait wait = { .size = sizeof(wait) };
	struct vmclk *clk;
	char path[64];
	bool can_wait = self->features & VMCLOCK_F_URING_WAIT;

	NEED_COMMANDS();
	ASSERT_TRUE(t_node(T_KNOB, path, sizeof(path)));
	ASSERT_EQ(0, vmclk_open(path, &clk));
	vmclk_uring_prep_snapshot(io_uring_get_sqe(&self->ring), clk, &snap);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(0, ring_result(&self->ring, NULL));
	EXPECT_EQ(0, memcmp(&snap.page, &self->page, sizeof(snap.page)));

	vmclk_uring_prep_wait(io_uring_get_sqe(&self->ring), clk, &wait, 7);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	/* What was there when the file was opened is no event: it would wait 0. */
	EXPECT_EQ(can_wait ? -EAGAIN : -EOPNOTSUPP, ring_result(&self->ring, NULL));
	vmclk_uring_prep_cancel(io_uring_get_sqe(&self->ring), clk, 7);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-ENOENT, ring_result(&self->ring, NULL));
	vmclk_close(clk);
}

/* Before 5.19 the ring itself does not know of commands. */
TEST_F(uring, commands_are_there_as_info_says)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	struct vmclock_wait wait = { .size = sizeof(wait) };
	bool snapshot = self->features & VMCLOCK_F_URING_SNAPSHOT;
	bool can_wait = self->features & VMCLOCK_F_URING_WAIT;

	EXPECT_EQ(snapshot ? 0 : -EINVAL,
		  command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 0));
	EXPECT_EQ(can_wait ? -EAGAIN : snapshot ? -EOPNOTSUPP : -EINVAL,
		  command(&self->ring, self->fd, VMCLOCK_URING_WAIT, &wait, 0));
}

TEST_F(uring, command_with_a_bad_argument_fails)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	NEED_COMMANDS();
	EXPECT_EQ(-EFAULT, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, NULL, 0));
	EXPECT_EQ(-EINVAL, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 1));
	EXPECT_EQ(-EINVAL, command(&self->ring, self->fd, VMCLOCK_URING_CANCEL, &snap, 0));
	EXPECT_EQ(-ENOTTY, command(&self->ring, self->fd, VMCLOCK_IOC_INFO, &snap, 0));
	snap.flags = 1;
	EXPECT_EQ(-EINVAL, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 0));
}

TEST_F(uring, snapshot_that_is_longer_has_a_zero_tail)
{
	struct {
		struct vmclock_snapshot snap;
		uint64_t tail;
	} arg = { .snap.size = sizeof(arg) };

	NEED_COMMANDS();
	EXPECT_EQ(0, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &arg, 0));
	EXPECT_EQ(sizeof(arg.snap), arg.snap.size);
	memset(&arg, 0, sizeof(arg));
	arg.snap.size = sizeof(arg);
	arg.tail = 1;
	EXPECT_EQ(-E2BIG, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &arg, 0));
	arg.snap.size = 4097;
	EXPECT_EQ(-E2BIG, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &arg, 0));
}

TEST_F(uring, snapshot_of_what_is_no_page_fails)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	NEED_COMMANDS();
	ASSERT_TRUE(t_poke_field(T_KNOB, magic, 0));
	EXPECT_EQ(-EPROTO, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 0));
	EXPECT_EQ(0, snap.valid);
}

TEST_F(uring, snapshot_of_a_stuck_update_times_out)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	uint32_t seq = le32toh(self->page.seq_count);

	NEED_COMMANDS();
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	EXPECT_EQ(-ETIMEDOUT, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 0));
	EXPECT_EQ(sizeof(snap), snap.size);
	EXPECT_EQ(0, snap.valid);
}

/*
 * A worker of the ring waits, while the submitter goes on and ends the update. A
 * submitter that is slow, or held up, comes too late each time.
 */
TEST_F(uring, snapshot_waits_for_an_update_elsewhere)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	uint32_t seq = le32toh(self->page.seq_count);
	int ret = -ETIMEDOUT;

	NEED_COMMANDS();
	for (int i = 0; i < 50 && ret == -ETIMEDOUT; i++) {
		seq += 2;
		ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq - 1)));
		ASSERT_EQ(0, ring_command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT,
					  &snap, 0, 0));
		ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq)));
		ret = ring_result(&self->ring, NULL);
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(seq, le32toh(snap.page.seq_count));
}

/*
 * Once submitted, a slot is free for the next submission. The ring's one worker
 * comes to the second command when it has waited for the first.
 */
TEST_F(uring, snapshot_that_waits_does_not_need_its_slot)
{
	static const unsigned int sizes[] = { 0, IORING_SETUP_SQE128 };
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	uint32_t seq = le32toh(self->page.seq_count);
	unsigned int workers[] = { 1, 1 };

	NEED_COMMANDS();
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	for (int i = 0; i < 2; i++) {
		struct io_uring ring;

		ASSERT_EQ(0, io_uring_queue_init(2, &ring, sizes[i]));
		ASSERT_EQ(0, io_uring_register_iowq_max_workers(&ring, workers));
		for (int j = 0; j < 2; j++)
			ASSERT_EQ(0, ring_command(&ring, self->fd, VMCLOCK_URING_SNAPSHOT,
						  &snap, 0, 0));
		memset(ring.sq.sqes, 0xff, 2 * sizeof(*ring.sq.sqes) << !!sizes[i]);
		EXPECT_EQ(-ETIMEDOUT, ring_result(&ring, NULL));
		EXPECT_EQ(-ETIMEDOUT, ring_result(&ring, NULL));
		io_uring_queue_exit(&ring);
	}
}

TEST_F(uring, snapshot_of_a_device_that_is_gone_fails)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	char device[64];

	NEED_COMMANDS();
	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	EXPECT_EQ(-ENODEV, command(&self->ring, self->fd, VMCLOCK_URING_SNAPSHOT, &snap, 0));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
}

/* There is nothing to cancel either, but that is not why. */
TEST_F(uring, cancel_on_a_device_that_is_gone_fails)
{
	char device[64];

	NEED_COMMANDS();
	EXPECT_EQ(-ENOENT, command(&self->ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 7));
	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	EXPECT_EQ(-ENODEV, command(&self->ring, self->fd, VMCLOCK_URING_CANCEL, NULL, 7));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
}

TEST_F(uring, read_without_waiting_does_not_wait)
{
	uint32_t seq = le32toh(self->page.seq_count);
	struct vmclock_page page;
	struct iovec iov = { .iov_base = &page, .iov_len = sizeof(page) };

	EXPECT_EQ(sizeof(page), preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(&page, &self->page, sizeof(page)));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	EXPECT_EQ(-1, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(uring, read_goes_to_several_buffers)
{
	unsigned char a[5], b[sizeof(struct vmclock_page)];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };

	EXPECT_EQ(sizeof(a) + sizeof(b), preadv(self->fd, iov, 2, 0));
	EXPECT_EQ(0, memcmp(a, &self->page, sizeof(a)));
	EXPECT_EQ(0, memcmp(b, (char *)&self->page + sizeof(a), sizeof(b) - sizeof(a)));
}

TEST_F(uring, read_command_reads)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct vmclock_page page;

	io_uring_prep_read(sqe, self->fd, &page, sizeof(page), 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(sizeof(page), ring_result(&self->ring, NULL));
	EXPECT_EQ(0, memcmp(&page, &self->page, sizeof(page)));
}

/* The ring polls the file, and tries again when it is woken. */
TEST_F(uring, read_command_waits_for_the_end_of_an_update)
{
	struct __kernel_timespec ts = { .tv_sec = 20 };
	uint32_t seq = le32toh(self->page.seq_count);
	struct io_uring_cqe *cqe = NULL;
	struct vmclock_page page;

	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_MAINTENANCE));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	io_uring_prep_read(io_uring_get_sqe(&self->ring), self->fd, &page, sizeof(page), 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 2)));
	ASSERT_EQ(0, io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts));
	EXPECT_EQ(sizeof(page), cqe->res);
	EXPECT_EQ(seq + 2, le32toh(page.seq_count));
	io_uring_cqe_seen(&self->ring, cqe);
}

/* Nor does it try again and again, or give up, because of an event from before. */
TEST_F(uring, read_command_waits_though_an_event_is_new)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	struct vmclock_page page;
	uint32_t seq;

	ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
	EXPECT_EQ(1, poll(&p, 1, 0));
	seq = le32toh(self->page.seq_count);
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	EXPECT_EQ(1, poll(&p, 1, 0));
	io_uring_prep_read(io_uring_get_sqe(&self->ring), self->fd, &page, sizeof(page), 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	usleep(300000);
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 2)));
	EXPECT_EQ(sizeof(page), ring_result(&self->ring, NULL));
	EXPECT_EQ(seq + 2, le32toh(page.seq_count));
}

/* Nor does an update have to be finished. */
TEST_F(uring, read_command_goes_on_when_an_update_was_given_up)
{
	uint32_t seq = le32toh(self->page.seq_count);
	struct vmclock_page page;

	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	io_uring_prep_read(io_uring_get_sqe(&self->ring), self->fd, &page, sizeof(page), 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq)));
	EXPECT_EQ(sizeof(page), ring_result(&self->ring, NULL));
	EXPECT_EQ(seq, le32toh(page.seq_count));
}

/* Where nobody would tell it of the end it gives up. */
TEST_F(uring, read_command_of_a_stuck_update_times_out)
{
	uint32_t seq = le32toh(self->page.seq_count);
	struct vmclock_page page;

	ASSERT_EQ(0, t_write_file(T_WATCH_MS, "0"));
	EXPECT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	io_uring_prep_read(io_uring_get_sqe(&self->ring), self->fd, &page, sizeof(page), 0);
	EXPECT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-ETIMEDOUT, ring_result(&self->ring, NULL));
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
}

/* The update may have ended, and been told, right before the ring polls. */
TEST_F(uring, poll_tells_when_to_try_a_read_again)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	uint32_t seq = le32toh(self->page.seq_count);
	struct vmclock_page page;
	struct iovec iov = { .iov_base = &page, .iov_len = sizeof(page) };

	ASSERT_EQ(0, t_set_events(self->fd, VMCLOCK_EVENT_MAINTENANCE));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 1)));
	ASSERT_EQ(-1, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_TRUE(t_poke_field(T_KNOB, seq_count, htole32(seq + 2)));
	/* To open a file is to look. */
	close(t_open(T_KNOB, O_RDONLY));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(sizeof(page), preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0, poll(&p, 1, 0));
}

TEST_F(uring, multishot_poll_tells_each_update)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	char byte;

	io_uring_prep_poll_multishot(sqe, self->fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (int i = 0; i < 3; i++) {
		EXPECT_TRUE(ring_is_quiet(&self->ring));
		ASSERT_TRUE(t_publish(T_KNOB, &self->page, 1));
		EXPECT_EQ(POLLIN, ring_result(&self->ring, NULL));
		ASSERT_EQ(1, pread(self->fd, &byte, 1, 0));
	}
}

/*
 * The ring, not the driver, says if the poll goes on: it does on 6.1, though nothing
 * comes any more. Then it can be removed.
 */
TEST_F(uring, multishot_poll_tells_that_the_device_has_gone)
{
	struct __kernel_timespec ts = { .tv_sec = 20 };
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct io_uring_cqe *cqe = NULL;
	bool more, told, good;
	char device[64];

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	io_uring_prep_poll_multishot(sqe, self->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, 98);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	told = !io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts);
	good = told && cqe->res == (POLLHUP | POLLERR);
	more = told && cqe->flags & IORING_CQE_F_MORE;
	if (told)
		io_uring_cqe_seen(&self->ring, cqe);
	EXPECT_TRUE(ring_is_quiet(&self->ring));
	EXPECT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
	EXPECT_TRUE(good);

	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_poll_remove(sqe, 98);
	io_uring_sqe_set_data64(sqe, 99);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (int i = 0; i <= more; i++) {
		uint64_t id = 0;
		int ret = ring_result(&self->ring, &id);

		EXPECT_EQ(id != 99 ? -ECANCELED : more ? 0 : -ENOENT, ret);
	}
	EXPECT_TRUE(ring_is_quiet(&self->ring));
}

TEST_HARNESS_MAIN
