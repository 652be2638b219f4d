// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to feed many pages: a fleet as vmclock-hostd has it, with a file and a
 * counter of its own for each page, fed once a second. The seconds are not waited for.
 *
 *	host-bench [PAGES...]		1000 and 10000 by default
 *
 * The odd window is that of every update, from the odd number's visibility to the even
 * number's store: begin and commit are wrapped by the linker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../lib/counter.h"
#include "fleet.h"
#include "wrapped.h"

/* More than calibration remembers: then each update costs what it costs for ever. */
#define WARM_PASSES	160
#define PASSES		40
#define SEC		1000000000LL

static struct {
	uint64_t begun;
	uint32_t *ticks;
	size_t count, room;
	bool is_on;
} windows;

void __wrap_vmclk_writer_begin(struct vmclk_writer *writer)
{
	__real_vmclk_writer_begin(writer);
	windows.begun = counter_read_ordered();
}

void __wrap_vmclk_writer_commit(struct vmclk_writer *writer, const struct vmclk_snapshot *f)
{
	uint64_t ticks;

	__real_vmclk_writer_commit(writer, f);
	ticks = counter_read_ordered() - windows.begun;
	if (windows.is_on && windows.count < windows.room)
		windows.ticks[windows.count++] = ticks > UINT32_MAX ? UINT32_MAX : ticks;
}

static void die(const char *what)
{
	printf("host-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * (uint64_t)SEC + ts.tv_nsec;
}

static double ns_per_tick(void)
{
	uint64_t ns = now_of(CLOCK_MONOTONIC), ticks = counter_read_ordered();

	usleep(200000);
	return (double)(now_of(CLOCK_MONOTONIC) - ns) / (counter_read_ordered() - ticks);
}

static void configure(struct config *config, const char *dir, size_t pages, char (*paths)[64])
{
	config->vms = calloc(pages, sizeof(struct config_vm *));
	for (size_t i = 0; config->vms && i < pages; i++) {
		char name[32];

		snprintf(name, sizeof(name), "vm%08zu", i);
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
		config->vms[i] = config_vm_new(name);
		if (!config->vms[i])
			die("memory");
		config->vms[i]->options.file = paths[i];
		config->vms[i]->options.has_tsc_offset = true;
		config->vms[i]->options.guest = (struct guest_counter){ 1ULL << 48, 48, i << 32 };
		config->count++;
	}
}

/* A pass over all, as the daemon's loop makes it. */
static void pass(struct fleet *fleet, struct poll_set *set, int64_t now_ns)
{
	int64_t left;

	do {
		poll_set_clear(set);
		if (fleet_prepare(fleet, set))
			die("memory");
		poll_set_wait(set, 0);
		fleet_work(fleet, set);
		left = fleet_feed(fleet, now_ns);
	} while (!left);
}

static size_t count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t lines = 0;
	int c;

	while (file && (c = getc(file)) != EOF)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_windows(double tick_ns)
{
	static const double points[] = { 0.5, 0.9, 0.99, 0.999 };

	qsort(windows.ticks, windows.count, sizeof(*windows.ticks), compare);
	printf("    odd window, ns:  p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f\n",
	       tick_ns * windows.ticks[(size_t)(points[0] * windows.count)],
	       tick_ns * windows.ticks[(size_t)(points[1] * windows.count)],
	       tick_ns * windows.ticks[(size_t)(points[2] * windows.count)],
	       tick_ns * windows.ticks[(size_t)(points[3] * windows.count)],
	       tick_ns * windows.ticks[windows.count - 1]);
}

static void warm(struct fleet *fleet, struct poll_set *set, int64_t *now_ns)
{
	for (int i = 0; i < WARM_PASSES; i++) {
		*now_ns += i < WARM_PASSES / 2 ? (int64_t)VM_WARM_NS : SEC;
		pass(fleet, set, *now_ns);
		usleep(i < WARM_PASSES / 2 ? 3000 : 0);
	}
	for (size_t i = 0; i < fleet->count; i++)
		if (fleet->members[i]->machine.vm.state != VM_SYNCHRONIZED)
			die("a page is not synchronized");
}

static void measure(struct fleet *fleet, size_t pages, double tick_ns)
{
	struct poll_set set = { 0 };
	int64_t now_ns = SEC;
	uint64_t cpu;

	warm(fleet, &set, &now_ns);
	windows.is_on = true;
	cpu = now_of(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < PASSES; i++)
		pass(fleet, &set, now_ns += SEC);
	cpu = now_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	windows.is_on = false;
	printf("    an update:       %.0f ns of CPU; %.1f ms of CPU a second\n",
	       (double)cpu / PASSES / pages, cpu / 1e6 / PASSES);
	print_windows(tick_ns);
	poll_set_free(&set);
}

static void run(size_t pages, double tick_ns)
{
	struct clock clock = { .options = options_default.clock };
	struct fleet fleet = { .clock = &clock };
	char dir[] = "/dev/shm/vmclock-bench-XXXXXX", (*paths)[64] = calloc(pages, 64);
	struct config config = { 0 };
	uint64_t cpu;

	clock.options.assumed_ns = 100000;
	clock.options.force_counter = true;
	windows.room = pages * (PASSES + 1);
	windows.count = 0;
	windows.ticks = calloc(windows.room, sizeof(*windows.ticks));
	if (!paths || !windows.ticks || !mkdtemp(dir) || clock_start(&clock))
		die(dir);
	configure(&config, dir, pages, paths);
	cpu = now_of(CLOCK_PROCESS_CPUTIME_ID);
	if (fleet_apply(&fleet, &config))
		die("memory");
	printf("%zu pages\n    the start:       %.1f us of CPU a page; %.1f mappings a page\n", pages,
	       (now_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / pages,
	       (double)count_lines("/proc/self/maps") / pages);
	measure(&fleet, pages, tick_ns);
	fleet_stop(&fleet);
	clock_stop(&clock);
	for (size_t i = 0; i < pages; i++)
		unlink(paths[i]);
	rmdir(dir);
	config_free(&config);
	free(paths);
	free(windows.ticks);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	double tick_ns;

	/* One for each page. */
	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	/* A line for each VM and state: not what is measured. */
	if (!freopen("/dev/null", "w", stderr))
		die("/dev/null");
	tick_ns = ns_per_tick();
	if (argc < 2) {
		run(1000, tick_ns);
		run(10000, tick_ns);
	}
	for (int i = 1; i < argc; i++)
		run(strtoul(argv[i], NULL, 10), tick_ns);
	return 0;
}
