// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's watches on a device: updates, removal and return, and what is
 * made of a page that was read.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <vmclk-watch.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define PATIENCE_NS	60000000000ULL
#define PATIENCE_MS	60000

FIXTURE(watch) {
	struct vmclk *clk;
	struct vmclk_watch *watch;
	struct vmclk_snapshot snap;
	char path[64];
};

FIXTURE_SETUP(watch)
{
	ASSERT_TRUE(t_node(T_KNOB, self->path, sizeof(self->path)));
	ASSERT_EQ(0, vmclk_open(self->path, &self->clk));
	ASSERT_EQ(0, vmclk_snapshot(self->clk, &self->snap));
	ASSERT_EQ(0, vmclk_watch_open(self->clk, VMCLK_EVENT_ALL, &self->watch));
}

FIXTURE_TEARDOWN(watch)
{
	vmclk_watch_close(self->watch);
	vmclk_close(self->clk);
}

/* An update by the host, @seq even before it. */
static bool disrupt(uint32_t seq, uint64_t marker)
{
	return t_poke_field(T_KNOB, seq_count, htole32(seq + 1)) &&
	       t_poke_field(T_KNOB, disruption_marker, htole64(marker)) &&
	       t_poke_field(T_KNOB, seq_count, htole32(seq + 2));
}

TEST_F(watch, tells_of_an_update)
{
	uint64_t marker = self->snap.disruption_marker;
	unsigned int events = 0;

	ASSERT_TRUE(disrupt(self->snap.seq_count, ~marker));
	EXPECT_EQ(0, vmclk_wait(self->watch, PATIENCE_NS, &events));
	EXPECT_EQ(VMCLK_EVENT_UPDATE | VMCLK_EVENT_DISRUPTED, events);
	ASSERT_TRUE(disrupt(self->snap.seq_count + 2, marker));
	EXPECT_EQ(0, vmclk_wait(self->watch, PATIENCE_NS, &events));
	EXPECT_EQ(VMCLK_EVENT_UPDATE | VMCLK_EVENT_DISRUPTED, events);
}

TEST_F(watch, wakes_an_event_loop)
{
	struct pollfd fd = { .fd = vmclk_watch_fd(self->watch), .events = POLLIN };
	uint64_t marker = self->snap.disruption_marker;
	unsigned int events = 0;

	ASSERT_TRUE(disrupt(self->snap.seq_count, marker));
	while (!events) {
		ASSERT_EQ(1, poll(&fd, 1, PATIENCE_MS));
		ASSERT_EQ(0, vmclk_watch_read(self->watch, &events));
	}
	EXPECT_EQ(VMCLK_EVENT_UPDATE, events);
}

TEST_F(watch, tells_of_removal_and_of_return)
{
	unsigned int events = 0, all = 0;
	char device[64];

	ASSERT_TRUE(t_platform_device(T_KNOB, device, sizeof(device)));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", device));
	while (all != (VMCLK_EVENT_GONE | VMCLK_EVENT_REPLACED)) {
		EXPECT_EQ(0, vmclk_wait(self->watch, PATIENCE_NS, &events));
		if (!events)
			break;
		all |= events;
	}
	EXPECT_EQ(VMCLK_EVENT_GONE | VMCLK_EVENT_REPLACED, all);
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", device));
	EXPECT_EQ(0, vmclk_wait(self->watch, PATIENCE_NS, &events));
	EXPECT_EQ(VMCLK_EVENT_REPLACED, events);
}

TEST_F(watch, what_was_read_is_what_a_snapshot_has)
{
	struct vmclk_snapshot decoded = { .seq_count = 77 };
	struct vmclock_page copy;
	ssize_t n;

	memset(&copy, 0xcc, sizeof(copy));
	n = pread(vmclk_fd(self->clk), &copy, sizeof(copy), 0);
	ASSERT_EQ(sizeof(copy), n);
	ASSERT_EQ(0, vmclk_decode(self->clk, &copy, n, &decoded));
	EXPECT_EQ(self->snap.counter_valid, decoded.counter_valid);
	EXPECT_GE(decoded.counter, self->snap.counter);
	decoded.counter = self->snap.counter;
	/* Behind the last field there is padding. */
	EXPECT_EQ(0, memcmp(&self->snap, &decoded,
			    offsetof(struct vmclk_snapshot, boot_unknown) + 1));
}

TEST_HARNESS_MAIN
