// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device goes and comes, a hundred times, while it is used in every way
 * there is at once. REMOVAL_ROUNDS in the environment: how often each of the two
 * pages goes (50).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "uses.h"

/* As many files and mappings outlive their device, until others take their place. */
#define KEPT 50

static int rounds = 50;

FIXTURE(removal) {
	char device[64];
	struct vmclock_page page;
	int fds[KEPT];
	volatile struct vmclock_page *maps[KEPT];
};

FIXTURE_VARIANT(removal) {
	int page;
};

FIXTURE_VARIANT_ADD(removal, watched) {
	.page = T_KNOB
};

FIXTURE_VARIANT_ADD(removal, notified) {
	.page = T_NOTIFIED
};

FIXTURE_SETUP(removal)
{
	if (getenv("REMOVAL_ROUNDS"))
		rounds = atoi(getenv("REMOVAL_ROUNDS"));
	ASSERT_GT(rounds, 0);
	printf("# REMOVAL_ROUNDS=%d\n", rounds);
	ASSERT_TRUE(t_platform_device(variant->page, self->device, sizeof(self->device)));
	ASSERT_TRUE(t_peek(variant->page, 0, &self->page, sizeof(self->page)));
	ASSERT_TRUE(uses_start(variant->page, rounds));
}

FIXTURE_TEARDOWN(removal)
{
	t_write_file(T_DRIVER_DIR "/bind", self->device);
	ASSERT_TRUE(t_poke(variant->page, 0, &self->page, sizeof(self->page)));
}

/* All are at work when the device goes, and all are told. */
static int round_of_removal(const char *device)
{
	int err;

	uses_begin();
	err = t_write_file(T_DRIVER_DIR "/unbind", device);
	uses_end();
	return err;
}

/* What was open and mapped when the device went says so, and goes. */
static bool leave(int fd, volatile struct vmclock_page *map)
{
	bool good = uses_are_told(fd, map);

	close(fd);
	uses_unmap(map);
	return good;
}

/* The machine's own limit is the one that holds. */
TEST_F_TIMEOUT(removal, under_load_is_survived, 1000000)
{
	for (int round = 0; round < rounds; round++) {
		int i = round % KEPT;

		if (round >= KEPT)
			EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
		self->fds[i] = t_open(variant->page, O_RDONLY);
		self->maps[i] = uses_map(self->fds[i]);
		ASSERT_NE(NULL, self->maps[i]);
		ASSERT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(self->maps[i]->magic));
		ASSERT_EQ(0, round_of_removal(self->device));
		ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", self->device));
	}
	EXPECT_EQ(0, uses_join());
	for (int i = 0; i < KEPT && i < rounds; i++)
		EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
}

TEST_HARNESS_MAIN
