// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a reading of the page costs, beside the counter read it contains.
 *
 * The machine may be shared, so each repetition runs every operation once, in
 * turn, and the table has minima and medians over the repetitions: compare the
 * ratios of one table, not numbers of two.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../tests/pages.h"
#include "vmclk-inline.h"
#include "vmclk-writer.h"

#define CALLS		2000
#define REPETITIONS	1001
#define SLICES		11
#define SLICE_NS	20000000
#define SAMPLES		1000000
#define SAMPLING_NS	3000000000

static struct test_page shared;
static struct vmclk_writer *writer;
static struct vmclk_snapshot fields;
static struct vmclk *clk;
static struct vmclk_snapshot kept;
static struct vmclk_fast fast;
static double ns_per_tick;
static atomic_bool stop;

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(2);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The compiler must take what lies at @p for used. */
static inline void keep(const void *p)
{
	__asm__ volatile("" : : "r" (p) : "memory");
}

static void op_empty(void)
{
	keep(NULL);
}

static void op_counter(void)
{
	uint64_t c = counter_read_ordered();

	keep(&c);
}

static void op_gettime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	keep(&ts);
}

static void op_snapshot(void)
{
	struct vmclk_snapshot snap;

	vmclk_snapshot(clk, &snap);
	keep(&snap);
}

static void op_refresh(void)
{
	vmclk_refresh(clk, &kept);
	keep(&kept);
}

static void op_now(void)
{
	struct vmclk_stamp stamp;

	vmclk_now(clk, &stamp);
	keep(&stamp);
}

static void op_now_from(void)
{
	struct vmclk_stamp stamp;

	vmclk_now_from(clk, &kept, &stamp);
	keep(&stamp);
}

static void op_fast_now(void)
{
	struct vmclk_stamp stamp;

	vmclk_fast_now(&fast, &stamp);
	keep(&stamp);
}

static void op_convert(void)
{
	struct vmclk_stamp stamp;

	vmclk_convert(clk, fields.counter_value + 12345, &stamp);
	keep(&stamp);
}

static void op_write(void)
{
	vmclk_writer_write(writer, &fields);
}

struct op {
	const char *name;
	void (*run)(void);
	double ns[REPETITIONS];
};

#define COUNTER_OP 1

static struct op ops[] = {
	{ .name = "empty loop", .run = op_empty },
	{ .name = "ordered counter read", .run = op_counter },
	{ .name = "clock_gettime(REALTIME)", .run = op_gettime },
	{ .name = "vmclk_snapshot", .run = op_snapshot },
	{ .name = "vmclk_refresh, unchanged", .run = op_refresh },
	{ .name = "vmclk_now", .run = op_now },
	{ .name = "vmclk_now_from, a copy", .run = op_now_from },
	{ .name = "vmclk_fast_now, inline", .run = op_fast_now },
	{ .name = "vmclk_convert", .run = op_convert },
	{ .name = "page write", .run = op_write },
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

/* noinline: each operation is called through the same kind of call. */
static __attribute__((noinline)) double time_op(void (*run)(void))
{
	uint64_t start = counter_read_ordered();

	for (unsigned int i = 0; i < CALLS; i++)
		run();
	return (counter_read_ordered() - start) * ns_per_tick / CALLS;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_calls(void)
{
	double *base = ops[COUNTER_OP].ns;

	for (unsigned int r = 0; r < REPETITIONS; r++)
		for (unsigned int i = 0; i < N_OPS; i++)
			ops[i].ns[r] = time_op(ops[i].run);

	printf("%-26s %8s %8s %8s %8s\n", "ns a call", "min", "ratio", "median", "ratio");
	for (unsigned int i = 0; i < N_OPS; i++)
		qsort(ops[i].ns, REPETITIONS, sizeof(double), compare_doubles);
	for (unsigned int i = 0; i < N_OPS; i++) {
		double *ns = ops[i].ns;

		printf("%-26s %8.1f %8.2f %8.1f %8.2f\n", ops[i].name, ns[0],
		       ns[0] / base[0], ns[REPETITIONS / 2],
		       ns[REPETITIONS / 2] / base[REPETITIONS / 2]);
	}
}

static void pin_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity failed");
}

/**
 * struct reader - a thread that reads until told to stop
 * @thread: the thread
 * @cpu: where it runs
 * @reads: successful reads
 */
struct reader {
	pthread_t thread;
	unsigned int cpu;
	uint64_t reads;
};

static void *read_on(void *arg)
{
	struct reader *me = arg;
	struct vmclk_stamp stamp;
	uint64_t reads = 0;

	pin_to(me->cpu);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		reads += !vmclk_now(clk, &stamp);
	me->reads = reads;
	return NULL;
}

/*
 * Back to back, each update with a reading of the clock that it publishes and,
 * while the page is open, its own reading of the counter.
 */
static void publish_reading(struct vmclk_snapshot *line)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	vmclk_writer_begin(writer);
	line->counter_value = counter_read_ordered();
	line->time_sec = ts.tv_sec;
	line->time_frac_sec = ts.tv_nsec * 18446744073ULL;
	vmclk_writer_commit(writer, line);
}

enum writing { NO_WRITER, BACK_TO_BACK, NO_PAUSE, WRITINGS };

static const char *const writing_names[] = {
	[NO_WRITER] = "no writer", [BACK_TO_BACK] = "writer back to back",
	[NO_PAUSE] = "writer without pause",
};

struct writing_thread {
	enum writing how;
	unsigned int cpu;
	pthread_t thread;
};

static void *write_on(void *arg)
{
	struct writing_thread *me = arg;
	struct vmclk_snapshot line = fields;

	pin_to(me->cpu);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		if (me->how == BACK_TO_BACK)
			publish_reading(&line);
		else
			op_write();
	}
	return NULL;
}

static void start_thread(pthread_t *thread, void *(*body)(void *), void *arg)
{
	if (pthread_create(thread, NULL, body, arg))
		die("no thread to be had");
}

static void start_writing(struct writing_thread *w, enum writing how, unsigned int cpu)
{
	*w = (struct writing_thread){ .how = how, .cpu = cpu };
	atomic_store(&stop, false);
	if (how != NO_WRITER)
		start_thread(&w->thread, write_on, w);
}

static void stop_writing(struct writing_thread *w)
{
	atomic_store(&stop, true);
	if (w->how != NO_WRITER)
		pthread_join(w->thread, NULL);
}

/* Nanoseconds between two reads of all @n readers together. */
static double slice(unsigned int n, enum writing how)
{
	struct reader readers[2] = { { .cpu = 0 }, { .cpu = 1 } };
	const struct timespec nap = { .tv_nsec = SLICE_NS };
	uint64_t reads = 0, t = clock_ns(CLOCK_MONOTONIC);
	struct writing_thread w;

	start_writing(&w, how, n);
	for (unsigned int i = 0; i < n; i++)
		start_thread(&readers[i].thread, read_on, &readers[i]);
	nanosleep(&nap, NULL);
	t = clock_ns(CLOCK_MONOTONIC) - t;
	stop_writing(&w);
	for (unsigned int i = 0; i < n; i++) {
		pthread_join(readers[i].thread, NULL);
		reads += readers[i].reads;
	}
	return (double)t / (reads ? reads : 1);
}

static void print_threads(unsigned int n, enum writing how, double *ns)
{
	double base = ops[COUNTER_OP].ns[0], median = ops[COUNTER_OP].ns[REPETITIONS / 2];
	bool shares = n + (how != NO_WRITER) > sysconf(_SC_NPROCESSORS_ONLN);

	qsort(ns, SLICES, sizeof(double), compare_doubles);
	printf("%u, %-23s %8.1f %8.2f %8.1f %8.2f%s\n", n, writing_names[how], ns[0],
	       ns[0] / base, ns[SLICES / 2], ns[SLICES / 2] / median,
	       shares ? "  (more threads than CPUs)" : "");
}

static void bench_threads(void)
{
	double ns[WRITINGS][2][SLICES];

	for (unsigned int s = 0; s < SLICES; s++)
		for (unsigned int how = 0; how < WRITINGS; how++)
			for (unsigned int n = 1; n <= 2; n++)
				ns[how][n - 1][s] = slice(n, how);

	printf("\n%-26s %8s %8s %8s %8s\n", "readers, ns a vmclk_now", "min", "ratio",
	       "median", "ratio");
	for (unsigned int how = 0; how < WRITINGS; how++)
		for (unsigned int n = 1; n <= 2; n++)
			print_threads(n, how, ns[how][n - 1]);
}

static int compare_ticks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Each sample has the cost of one ordered counter read in it. */
static void bench_latency(enum writing how)
{
	static const double percents[] = { 50, 90, 99, 99.9, 99.99 };
	static uint64_t ticks[SAMPLES];
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + SAMPLING_NS;
	struct writing_thread w;
	struct vmclk_stamp stamp;
	unsigned int n;

	start_writing(&w, how, 1);
	for (n = 0; n < SAMPLES && (n % 64 || clock_ns(CLOCK_MONOTONIC) < deadline); n++) {
		uint64_t t = counter_read_ordered();

		vmclk_now(clk, &stamp);
		ticks[n] = counter_read_ordered() - t;
	}
	stop_writing(&w);

	qsort(ticks, n, sizeof(ticks[0]), compare_ticks);
	printf("%-26s", writing_names[how]);
	for (unsigned int i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		printf(" %8.1f", ticks[(size_t)(n / 100. * percents[i])] * ns_per_tick);
	printf(" %8u\n", n);
}

static void calibrate(void)
{
	const struct timespec nap = { .tv_nsec = 200000000 };
	uint64_t ns = clock_ns(CLOCK_MONOTONIC), ticks = counter_read_ordered();

	nanosleep(&nap, NULL);
	ticks = counter_read_ordered() - ticks;
	ns = clock_ns(CLOCK_MONOTONIC) - ns;
	if (!ticks)
		die("this machine has no counter that a page could name");
	ns_per_tick = (double)ns / ticks;
}

static void print_cpu(void)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "model name", 10)) {
			printf("CPU%s", strchr(line, ':'));
			break;
		}
	if (f)
		fclose(f);
	printf("%ld CPUs, %.3f ns a tick, %u repetitions of %u calls\n\n",
	       sysconf(_SC_NPROCESSORS_ONLN), ns_per_tick, REPETITIONS, CALLS);
}

/* A line through now, so that distances are those of a page in use. */
static void make_page(void)
{
	struct vmclock_page page = good_page();
	struct vmclk_stamp stamp;

	page.counter_value = htole64(counter_read_ordered());
	shared = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	if (vmclk_writer_attach(shared.page, PAGE_BYTES, &writer) ||
	    vmclk_writer_found(writer, &fields) || vmclk_open(shared.path, &clk))
		die("cannot open the page");
	vmclk_fast_init(&fast, clk);
	if (vmclk_now(clk, &stamp))
		die(vmclk_reason_str(stamp.reason));
}

int main(void)
{
	pin_to(0);
	calibrate();
	make_page();
	print_cpu();
	bench_calls();
	bench_threads();
	printf("\n%-26s %8s %8s %8s %8s %8s %8s\n", "vmclk_now and a counter, ns", "p50", "p90", "p99",
	       "p99.9", "p99.99", "samples");
	for (unsigned int how = 0; how < WRITINGS; how++)
		bench_latency(how);
	vmclk_close(clk);
	vmclk_writer_close(writer);
	page_drop(&shared);
	return 0;
}
