// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device goes and comes, while it is used in every way there is at once, and
 * somebody tries to unload the module. REMOVAL_ROUNDS in the environment: how often
 * each of the two pages of the platform bus goes (50); those on PCI functions, and that
 * of the simulator, which is unloaded, go a quarter as often.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "simpage.h"
#include "uses.h"

/* As many files and mappings outlive their device, until others take their place. */
#define KEPT 50

static int rounds = 50;

FIXTURE(removal) {
	char driver[64];
	char device[64];
	struct vmclock_page page;
	int fds[KEPT];
	volatile struct vmclock_page *maps[KEPT];
};

FIXTURE_VARIANT(removal) {
	int page;
	int part;	/* of the rounds: one in so many */
};

FIXTURE_VARIANT_ADD(removal, watched) {
	.page = T_KNOB, .part = 1
};

FIXTURE_VARIANT_ADD(removal, notified) {
	.page = T_NOTIFIED, .part = 1
};

FIXTURE_VARIANT_ADD(removal, pci_watched) {
	.page = T_PCI, .part = 4
};

FIXTURE_VARIANT_ADD(removal, pci_interrupted) {
	.page = T_PCI_NOTIFIED, .part = 4
};

FIXTURE_VARIANT_ADD(removal, simulated) {
	.page = T_SIM, .part = 4
};

static int tell_driver(const char *dir, const char *what, const char *device)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", dir, what);
	return t_write_file(path, device);
}

/* Its own node may just be open. */
static int unload_simulator(void)
{
	int err;

	do {
		usleep(100);
		err = t_unload("vmclock_sim");
	} while (err == -EWOULDBLOCK);
	return err;
}

/* Unbind the device, or unload what it is of. */
static int take_away(int page, const char *dir, const char *device)
{
	return page == T_SIM ? unload_simulator() : tell_driver(dir, "unbind", device);
}

static int bring_back(int page, const char *dir, const char *device)
{
	return page == T_SIM ? t_load(SIM_MODULE, "maxerror_ns=100000 maxerror_ppb=1000") :
	       tell_driver(dir, "bind", device);
}

FIXTURE_SETUP(removal)
{
	if (getenv("REMOVAL_ROUNDS"))
		rounds = atoi(getenv("REMOVAL_ROUNDS"));
	ASSERT_GT(rounds, 0);
	rounds = (rounds + variant->part - 1) / variant->part;
	printf("# %d rounds\n", rounds);
	if (variant->page == T_SIM) {
		ASSERT_EQ(0, bring_back(T_SIM, NULL, NULL));
	} else {
		ASSERT_TRUE(t_driver(variant->page, self->driver, self->device,
				     sizeof(self->device)));
		ASSERT_TRUE(t_peek(variant->page, 0, &self->page, sizeof(self->page)));
	}
	ASSERT_TRUE(uses_start(variant->page, rounds));
}

FIXTURE_TEARDOWN(removal)
{
	if (variant->page == T_SIM) {
		EXPECT_EQ(0, unload_simulator());
		return;
	}
	bring_back(variant->page, self->driver, self->device);
	EXPECT_TRUE(t_poke(variant->page, 0, &self->page, sizeof(self->page)));
}

/* Interrupts come when their device goes, if it has them. Return: false if none came. */
static bool is_interrupted(int page)
{
	int tries = 5000;

	while (page == T_PCI_NOTIFIED && t_interrupt_count(page) <= 0 && --tries)
		usleep(1000);
	return tries;
}

/* All are at work when the device goes, and all are told. */
static int round_of_removal(int page, const char *driver, const char *device)
{
	bool good;
	int err;

	uses_begin();
	good = is_interrupted(page);
	err = take_away(page, driver, device);
	uses_end();
	return good ? err : -ETIMEDOUT;
}

/* Somebody who would unload the module at any moment, if only it were let go. */
struct unloader {
	pthread_t thread;
	atomic_bool enough;
	long attempts;
	int error;	/* other than that it is in use */
};

static void *attempt_to_unload(void *arg)
{
	struct unloader *u = arg;
	int err;

	while (!atomic_load(&u->enough)) {
		err = t_unload("vmclock");
		if (err != -EWOULDBLOCK)
			u->error = err ?: -ENOENT;
		u->attempts++;
		usleep(1000);
	}
	return NULL;
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
	struct unloader unloader = { 0 };

	for (int round = 0; round < rounds; round++) {
		int i = round / 2 % KEPT;

		/* In the others, in which the clock is set, the last user frees the device. */
		if (round % 2 == 0) {
			if (round / 2 >= KEPT)
				EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
			self->fds[i] = t_open(variant->page, O_RDONLY);
			self->maps[i] = uses_map(self->fds[i]);
			ASSERT_NE(NULL, self->maps[i]);
			ASSERT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(self->maps[i]->magic));
		}
		/* From now on there is always a file that holds the module. */
		if (!round)
			ASSERT_EQ(0, pthread_create(&unloader.thread, NULL, attempt_to_unload,
						    &unloader));
		ASSERT_EQ(0, round_of_removal(variant->page, self->driver, self->device));
		ASSERT_EQ(0, bring_back(variant->page, self->driver, self->device));
	}
	EXPECT_EQ(0, uses_join());
	atomic_store(&unloader.enough, true);
	pthread_join(unloader.thread, NULL);
	EXPECT_LE(rounds, unloader.attempts);
	EXPECT_EQ(0, unloader.error);
	for (int i = 0; i < KEPT && 2 * i < rounds; i++)
		EXPECT_TRUE(leave(self->fds[i], self->maps[i]));
}

TEST_HARNESS_MAIN
