// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest writes its counter, IA32_TSC, and what is added to it, IA32_TSC_ADJUST.
 * Under emulation nothing comes of either: userspace/host/LIFE.md rests on that. What
 * the page says afterwards, and whether the counter is where it was, is looked at
 * from outside: by whoever compares the time, and by the second clock exchange.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define IA32_TSC	0x10
#define IA32_TSC_ADJUST	0x3b
/* Hours of any counter: far more than loading a module takes. */
#define JUMP		(1ULL << 45)

static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}

FIXTURE(tamper) {
	cpu_set_t all;
};

FIXTURE_VARIANT(tamper) {
	unsigned int msr;
};

FIXTURE_VARIANT_ADD(tamper, tsc) {
	.msr = IA32_TSC,
};

FIXTURE_VARIANT_ADD(tamper, tsc_adjust) {
	.msr = IA32_TSC_ADJUST,
};

FIXTURE_SETUP(tamper)
{
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(self->all), &self->all));
}

FIXTURE_TEARDOWN(tamper)
{
	sched_setaffinity(0, sizeof(self->all), &self->all);
}

static bool pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

/* Write a register here. Return: 0 or a negative errno, and what it read as then. */
static int write_register(unsigned int msr, uint64_t *after)
{
	char params[64], line[32];
	int err;

	snprintf(params, sizeof(params), "msr=%u add=%llu", msr, JUMP);
	err = t_load("/selftests/tamper.ko", params);
	if (err)
		return err;
	if (!t_read_line("/sys/module/tamper/parameters/after", line, sizeof(line)))
		return -EIO;
	*after = strtoull(line, NULL, 10);
	return t_unload("tamper");
}

TEST_F(tamper, moves_no_counter_under_emulation)
{
	uint64_t before, after, value = 1;

	for (int cpu = 0; cpu < CPU_COUNT(&self->all); cpu++) {
		ASSERT_TRUE(pin(cpu));
		before = tsc();
		ASSERT_EQ(0, write_register(variant->msr, &value));
		after = tsc();
		EXPECT_LT(before, after);
		EXPECT_LT(after - before, JUMP / 2);
		/* The register is not there at all, and nobody says so. */
		EXPECT_EQ(0, value);
	}
}

TEST_HARNESS_MAIN
