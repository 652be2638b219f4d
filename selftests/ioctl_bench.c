// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a snapshot by ioctl costs, beside an ioctl that the driver does not know:
 * the way into the kernel and back. No test; "make bench-vm" runs it. In an
 * emulated machine only the ratio says something.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "helpers.h"

#define CALLS	200
#define ROUNDS	101

static void ask_nothing(int fd)
{
	if (!ioctl(fd, _IO(VMCLOCK_IOC_MAGIC, 0xff)) || errno != ENOTTY)
		exit(1);
}

static void ask_info(int fd)
{
	struct vmclock_info info = { .size = sizeof(info) };

	if (ioctl(fd, VMCLOCK_IOC_INFO, &info))
		exit(1);
}

static void ask_snapshot(int fd)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	if (ioctl(fd, VMCLOCK_IOC_SNAPSHOT, &snap) || !(snap.valid & VMCLOCK_SNAPSHOT_TIME))
		exit(1);
}

static struct {
	const char *name;
	void (*ask)(int fd);
	int64_t ns[ROUNDS];
} asked[] = {
	{ "ioctl, unknown", ask_nothing },
	{ "VMCLOCK_IOC_INFO", ask_info },
	{ "VMCLOCK_IOC_SNAPSHOT", ask_snapshot },
};

#define KINDS	(sizeof(asked) / sizeof(asked[0]))

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* In turn, so that what disturbs the machine disturbs all alike. */
static void measure(int fd)
{
	for (int round = 0; round < ROUNDS; round++)
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			int64_t start = t_clock_ns(CLOCK_MONOTONIC);

			for (int i = 0; i < CALLS; i++)
				asked[kind].ask(fd);
			asked[kind].ns[round] = t_clock_ns(CLOCK_MONOTONIC) - start;
		}
}

int main(void)
{
	int fd = open("/dev/vmclock", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		perror("/dev/vmclock");
		return 1;
	}
	measure(fd);
	for (unsigned int kind = 0; kind < KINDS; kind++)
		qsort(asked[kind].ns, ROUNDS, sizeof(asked[kind].ns[0]), compare);
	printf("%-24s %10s %8s %10s %8s\n", "ns a call", "min", "ratio", "median", "ratio");
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		double min = asked[kind].ns[0], median = asked[kind].ns[ROUNDS / 2];

		printf("%-24s %10.1f %8.2f %10.1f %8.2f\n", asked[kind].name, min / CALLS,
		       min / asked[0].ns[0], median / CALLS, median / asked[0].ns[ROUNDS / 2]);
	}
	return 0;
}
