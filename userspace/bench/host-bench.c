// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to feed many pages, each with a file and a counter of its own, once a
 * second: first in this process, a fleet as vmclock-hostd has it, whose seconds are not
 * waited for; then by a vmclock-hostd, whose seconds are.
 *
 *	host-bench [--seconds=N] [--warm=N] [PAGES...]
 *
 * The daemon has the most of PAGES. It is the one that is beside this program; but for
 * the odd windows it is hostd-windows, the same objects with a counter reading before and
 * after each update (windows.h), after the seconds of the first.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../lib/counter.h"
#include "daemon.h"
#include "fleet.h"
#include "windows.h"

/* More than calibration remembers: then each update costs what it costs for ever. */
#define WARM_PASSES	160
#define PASSES		40
#define SIZES_MAX	16
#define SEC		1000000000LL

static char scratch[] = "/dev/shm/vmclock-bench-XXXXXX";

/**
 * struct bench - what is to be done, and what was found
 * @pages: how many, in each run
 * @pass_ns: CPU of a pass over them, the median
 * @count: runs
 * @daemon: what is run with the most pages
 * @tick_ns: the counter's
 */
struct bench {
	size_t pages[SIZES_MAX];
	double pass_ns[SIZES_MAX];
	size_t count;
	struct daemon_plan daemon;
	double tick_ns;
};

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

static int compare_ticks(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_windows(const struct bench *b, struct windows *seen)
{
	static const double points[] = { 0.5, 0.99, 0.999 };

	if (!seen->count) {
		printf("\nhost-bench: no update was seen\n");
		exit(1);
	}
	qsort(seen->ticks, seen->count, sizeof(*seen->ticks), compare_ticks);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		printf(" %7.0f", b->tick_ns * seen->ticks[(size_t)(points[i] * seen->count)]);
	printf(" %9.0f\n", b->tick_ns * seen->ticks[seen->count - 1]);
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

/* CPU of a pass; the median, for others use this machine as well. */
static double measure(struct fleet *fleet)
{
	struct poll_set set = { 0 };
	uint64_t cpu[PASSES];
	int64_t now_ns = SEC;

	warm(fleet, &set, &now_ns);
	windows_switch(1);
	for (int i = 0; i < PASSES; i++) {
		cpu[i] = now_of(CLOCK_PROCESS_CPUTIME_ID);
		pass(fleet, &set, now_ns += SEC);
		cpu[i] = now_of(CLOCK_PROCESS_CPUTIME_ID) - cpu[i];
	}
	poll_set_free(&set);
	qsort(cpu, PASSES, sizeof(*cpu), compare_ns);
	return cpu[PASSES / 2];
}

static void run(struct bench *b, size_t at)
{
	struct clock clock = { .options = options_default.clock };
	struct fleet fleet = { .clock = &clock };
	size_t pages = b->pages[at];
	char (*paths)[64] = calloc(pages, 64), windows[128];
	struct config config = { 0 };
	struct windows *seen;
	double maps;
	uint64_t cpu;

	snprintf(windows, sizeof(windows), "%s/windows", b->daemon.dir);
	seen = windows_open(windows, pages * (PASSES + 1));
	unlink(windows);
	clock.options.assumed_ns = 100000;
	clock.options.force_counter = true;
	if (!paths || !seen || clock_start(&clock))
		die("the start");
	configure(&config, b->daemon.dir, pages, paths);
	cpu = now_of(CLOCK_PROCESS_CPUTIME_ID);
	if (fleet_apply(&fleet, &config))
		die("memory");
	cpu = now_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	maps = count_lines("/proc/self/maps");
	b->pass_ns[at] = measure(&fleet);
	printf("%9zu %9.1f %9.1f %9.0f %9.1f", pages, cpu / 1e3 / pages, maps / pages,
	       b->pass_ns[at] / pages, b->pass_ns[at] / 1e6);
	print_windows(b, seen);
	fleet_stop(&fleet);
	clock_stop(&clock);
	for (size_t i = 0; i < pages; i++)
		unlink(paths[i]);
	config_free(&config);
	windows_close();
	free(paths);
}

/* A line through all of them, by least squares; and the ends, for who trusts no line. */
static void print_fit(const struct bench *b)
{
	double x = 0, y = 0, xx = 0, xy = 0, slope, most, least;
	size_t n = b->count, last = n - 1;

	for (size_t i = 0; i < n; i++) {
		x += b->pages[i] / (double)n;
		y += b->pass_ns[i] / n;
	}
	for (size_t i = 0; i < n; i++) {
		xx += (b->pages[i] - x) * (b->pages[i] - x);
		xy += (b->pages[i] - x) * (b->pass_ns[i] - y);
	}
	if (!xx)
		return;
	slope = xy / xx;
	least = b->pass_ns[0] / b->pages[0];
	most = b->pass_ns[last] / b->pages[last];
	printf("a line through these: %.0f ns a page, and %.0f us a pass;\n", slope,
	       (y - slope * x) / 1e3);
	printf("    an update with %zu pages costs %.2f times that with %zu\n",
	       b->pages[last], most / least, b->pages[0]);
}

/* A program that was built beside this one. */
static void beside(const char *name, char *path)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *end;

	if (len < 0)
		die("/proc/self/exe");
	path[len] = '\0';
	end = strrchr(path, '/') + 1;
	if ((size_t)(path + PATH_MAX - end) <= strlen(name))
		die(path);
	strcpy(end, name);
}

static void print_cost(const struct daemon_plan *plan, const struct daemon_cost *cost)
{
	double seconds = cost->elapsed_ns / 1e9;

	printf("%9zu %9.1f %9.0f %5u-%-3u %9.0f %9.1f\n", plan->pages,
	       cost->start_cpu_ns / 1e3 / plan->pages, cost->updates / seconds, cost->fewest,
	       cost->most, (double)cost->cpu_ns / cost->updates, cost->cpu_ns / 1e6 / seconds);
}

static void run_daemon(const struct bench *b)
{
	struct daemon_plan plan = b->daemon;
	struct daemon_cost cost;
	char program[PATH_MAX];

	beside("vmclock-hostd", program);
	plan.program = program;
	printf("vmclock-hostd, %u s once a second, after %u s\n"
	       "    pages us/start updates/s each      ns/update  CPU ms/s\n",
	       plan.seconds, plan.warm_sec);
	if (daemon_run(&plan, &cost))
		exit(1);
	print_cost(&plan, &cost);
}

static void run_windows(const struct bench *b)
{
	struct daemon_plan plan = b->daemon;
	struct daemon_cost cost;
	struct windows *seen;
	char program[PATH_MAX], windows[128];

	beside("hostd-windows", program);
	snprintf(windows, sizeof(windows), "%s/windows", plan.dir);
	plan.program = program;
	plan.windows = windows;
	plan.warm_sec = 0;
	/* And those of the start, and one more. */
	seen = windows_open(windows, plan.pages * (plan.seconds + 30));
	if (!seen)
		die(windows);
	if (daemon_run(&plan, &cost))
		exit(1);
	printf("its odd window, ns, of %llu updates:  p50     p99   p99.9       max\n%36s",
	       (unsigned long long)seen->count, "");
	print_windows(b, seen);
	windows_close();
	unlink(windows);
}

static void run_all(struct bench *b)
{
	printf("in one process, %d passes at once\n"
	       "    pages  us/start maps/page ns/update  CPU ms/s    odd: p50   p99   p99.9       max\n",
	       PASSES);
	for (size_t i = 0; i < b->count; i++) {
		run(b, i);
		if (b->pages[i] > b->daemon.pages)
			b->daemon.pages = b->pages[i];
	}
	print_fit(b);
	run_daemon(b);
	run_windows(b);
}

static void usage(void)
{
	printf("Usage: host-bench [--seconds=N] [--warm=N] [PAGES...]\n");
	exit(2);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "warm", required_argument, NULL, 'w' },
		{ }
	};
	static const size_t sizes[] = { 100, 1000, 3000, 10000 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			b->daemon.seconds = strtoul(optarg, NULL, 10);
		else if (c == 'w')
			b->daemon.warm_sec = strtoul(optarg, NULL, 10);
		else
			usage();
	}
	for (; optind < argc && b->count < SIZES_MAX; optind++)
		b->pages[b->count++] = strtoul(argv[optind], NULL, 10);
	if (!b->count) {
		b->count = sizeof(sizes) / sizeof(sizes[0]);
		memcpy(b->pages, sizes, sizeof(sizes));
	}
	for (size_t i = 0; i < b->count; i++)
		if (!b->pages[i])
			usage();
}

/* Also where something has failed. */
static void clean_up(void)
{
	char path[sizeof(scratch) + 16];

	snprintf(path, sizeof(path), "%s/windows", scratch);
	unlink(path);
	rmdir(scratch);
}

/* One for each page; the daemon has the same limit. */
static void raise_limit(const struct bench *b)
{
	struct rlimit limit;
	rlim_t need = 0;

	for (size_t i = 0; i < b->count; i++)
		if (b->pages[i] + 64 > need)
			need = b->pages[i] + 64;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	if (limit.rlim_max < need)
		limit.rlim_max = need;
	limit.rlim_cur = limit.rlim_max;
	if (!setrlimit(RLIMIT_NOFILE, &limit))
		return;
	printf("host-bench: %llu open files are more than is allowed here\n",
	       (unsigned long long)need);
	exit(1);
}

int main(int argc, char **argv)
{
	/* What calibration remembers are 64 lines. */
	struct bench b = { .daemon = { .warm_sec = 75, .seconds = 30 } };

	parse(&b, argc, argv);
	raise_limit(&b);
	/* A line for each VM and state: not what is measured. */
	if (!freopen("/dev/null", "w", stderr))
		die("/dev/null");
	if (!mkdtemp(scratch))
		die(scratch);
	atexit(clean_up);
	b.daemon.dir = scratch;
	b.tick_ns = ns_per_tick();
	run_all(&b);
	return 0;
}
