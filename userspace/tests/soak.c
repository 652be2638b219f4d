// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random updates by the hundred million, readers beside them, and a writer that
 * is killed and started again. TAP on stdout: soak UPDATES [SEED]
 *
 * Three invariants hold between the fields of every update:
 *
 * - the generation counter is a hash of all the others, so no copy that holds
 *   parts of two updates passes for one;
 * - the line is drawn at the counter's present value, where the line before it
 *   was, so that a clock computed from the page never runs backwards until the
 *   disruption marker changes;
 * - true time is a fixed line, so an interval that does not contain it is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "pages.h"
#include "tap.h"
#include "vmclk.h"
#include "vmclk-writer.h"
#include "vmclock_math.h"

#define READERS		2
#define READS_MIN	100000
#define KILLS_MIN	20

/* 2.5 GHz as section 8 normalises it, and the rates that the writer wanders in. */
#define PERIOD		0xdbe6fecebdedd5be
#define SHIFT		31
#define WANDER		(PERIOD / 5000)		/* 200 ppm */

#define FLAGS (VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID |	\
	       VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID | \
	       VMCLOCK_PAGE_FLAG_TIME_MONOTONIC |	\
	       VMCLOCK_PAGE_FLAG_GENERATION_PRESENT)

/**
 * struct counts - what one reader has seen
 * @reads: copies that passed for whole
 * @lines: of which another update than the one before
 * @epochs: of which after another marker
 * @busy: reads that found no gap between updates
 * @torn: copies of parts of two updates
 * @backwards: times earlier than the one before
 * @outside: intervals without the true time
 * @errors: anything else that went wrong
 */
struct counts {
	uint64_t reads, lines, epochs, busy;
	uint64_t torn, backwards, outside, errors;
};

/* What the processes share; each line has one writer at a time. */
static struct shared {
	_Alignas(64) _Atomic uint64_t updates;
	_Alignas(64) uint64_t markers;
	_Alignas(64) _Atomic bool stop;
	_Alignas(64) struct counts counts[READERS];
} *state;

static struct test_page shared;
static struct vmclock_line truth;

static uint64_t next_random(uint64_t *at)
{
	uint64_t z = *at += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9fb21c651e98df25;
	return h ^ (h >> 29);
}

static uint64_t hash(const struct vmclk_snapshot *s)
{
	uint64_t h = mix(s->disruption_marker, s->flags);

	h = mix(h, s->counter_value);
	h = mix(h, s->counter_period_frac_sec);
	h = mix(h, s->counter_period_esterror_rate_frac_sec);
	h = mix(h, s->counter_period_maxerror_rate_frac_sec);
	h = mix(h, s->time_sec);
	h = mix(h, s->time_frac_sec);
	h = mix(h, s->time_esterror_nanosec);
	h = mix(h, s->time_maxerror_nanosec);
	return mix(h, (uint64_t)(uint16_t)s->tai_offset_sec << 48 | s->clock_status << 24 |
		   s->smear_hint << 16 | s->leap_indicator << 8 | s->counter_period_shift);
}

static struct vmclock_line line_of(const struct vmclk_snapshot *s)
{
	return (struct vmclock_line){
		.counter = s->counter_value,
		.time = { s->time_sec, s->time_frac_sec },
		.period = s->counter_period_frac_sec,
		.shift = s->counter_period_shift,
	};
}

static vmclock_u128 whole(struct vmclock_time t)
{
	return (vmclock_u128)t.sec << 64 | t.frac;
}

/* Another rate from here on, towards the truth more often than away from it. */
static void draw_line(struct vmclk_snapshot *s, uint64_t counter, uint64_t *random)
{
	struct vmclock_line old = line_of(s);
	struct vmclock_time here = old.time, true_time = truth.time;
	uint64_t wander = next_random(random) % WANDER, odds = next_random(random) % 4;
	bool ahead;

	vmclock_math_time(&old, counter, &here);
	vmclock_math_time(&truth, counter, &true_time);
	ahead = whole(here) > whole(true_time);
	s->counter_value = counter;
	s->time_sec = here.sec;
	s->time_frac_sec = here.frac;
	s->time_maxerror_nanosec = 1 + vmclock_math_duration_ns(
		ahead ? whole(here) - whole(true_time) : whole(true_time) - whole(here));
	s->counter_period_frac_sec = PERIOD + (ahead == !!odds ? -wander : wander);
	s->counter_period_maxerror_rate_frac_sec = wander + 1;
}

static void draw_rest(struct vmclk_snapshot *s, uint64_t random)
{
	s->counter_period_esterror_rate_frac_sec = random * 3;
	s->time_esterror_nanosec = random * 5;
	s->tai_offset_sec = random >> 8;
	s->smear_hint = random >> 24;
	s->leap_indicator = random >> 32;
	s->clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED + (random >> 40) % 2;
}

/*
 * What a writer finds may be half of an update: it starts where the truth is,
 * and says by a new marker that what was promised before is void.
 */
static void start_epoch(struct vmclk_snapshot *s)
{
	*s = (struct vmclk_snapshot){
		.disruption_marker = ++state->markers, .flags = FLAGS,
		.counter_id = (uint8_t)COUNTER_ID, .time_type = VMCLOCK_PAGE_TIME_TAI,
		.counter_value = truth.counter, .time_sec = truth.time.sec,
		.counter_period_frac_sec = PERIOD, .counter_period_shift = SHIFT,
	};
}

static void write_on(uint64_t random)
{
	struct vmclk_writer *writer;
	struct vmclk_snapshot s;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (vmclk_writer_attach(shared.page, PAGE_BYTES, &writer))
		_exit(1);
	start_epoch(&s);
	for (;;) {
		draw_rest(&s, next_random(&random));
		vmclk_writer_begin(writer);
		draw_line(&s, counter_read_ordered(), &random);
		s.vm_generation_counter = hash(&s);
		vmclk_writer_commit(writer, &s);
		atomic_fetch_add_explicit(&state->updates, 1, memory_order_relaxed);
		for (uint64_t pause = next_random(&random) % 8; pause; pause--)
			counter_relax();
	}
}

static bool is_before(const struct vmclk_time *a, const struct vmclk_time *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec < b->nsec);
}

static void check_stamp(const struct vmclk_snapshot *s, struct vmclk_stamp *last,
			struct counts *counts)
{
	struct vmclk_stamp stamp;
	struct vmclk_time true_time;
	struct vmclock_time t;
	struct vmclk_snapshot mine = *s;

	/* Whether the kernel trusts the counter is not what this is about. */
	mine.counter_valid = 1;
	if (vmclk_stamp_at(&mine, s->counter, &stamp) ||
	    !vmclock_math_time(&truth, s->counter, &t)) {
		counts->errors++;
		return;
	}
	true_time = (struct vmclk_time){ (int64_t)t.sec, vmclock_math_nsec(t.frac) };
	counts->outside += is_before(&true_time, &stamp.earliest) ||
			    is_before(&stamp.latest, &true_time);
	if (last->disruption_marker == stamp.disruption_marker)
		counts->backwards += is_before(&stamp.point, &last->point);
	else
		counts->epochs++;
	*last = stamp;
}

/*
 * From the first update on: before it the page has no hash. A dead writer's odd
 * number lasts until the next one begins.
 */
static void read_on(struct counts *counts)
{
	struct vmclk_stamp last = { 0 };
	struct vmclk_snapshot s;
	uint64_t seq = 1;
	struct vmclk *clk;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!state->updates)
		sched_yield();
	if (vmclk_open(shared.path, &clk))
		_exit(1);
	while (!state->stop) {
		int err = vmclk_snapshot(clk, &s);

		if (err) {
			counts->busy += err == -VMCLK_EBUSY;
			counts->errors += err != -VMCLK_EBUSY;
			sched_yield();
			continue;
		}
		counts->reads++;
		counts->lines += s.seq_count != seq;
		seq = s.seq_count;
		counts->torn += s.vm_generation_counter != hash(&s);
		check_stamp(&s, &last, counts);
	}
	_exit(0);
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("Bail out! fork");
		exit(1);
	}
	return pid;
}

/* Kills one writer after the other until there were enough updates. */
static unsigned int run_writers(uint64_t enough, uint64_t *random)
{
	unsigned int kills = 0;

	for (; state->updates < enough || kills < KILLS_MIN; kills++) {
		struct timespec life = { .tv_nsec = next_random(random) % 100000000 };
		uint64_t seed = next_random(random);
		pid_t writer = start();
		int status;

		if (!writer)
			write_on(seed);
		nanosleep(&life, NULL);
		kill(writer, SIGKILL);
		waitpid(writer, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
			printf("Bail out! a writer ended by itself\n");
			exit(1);
		}
	}
	return kills;
}

static uint64_t enough_updates, seed;

TAP_TEST(random_updates_by_writers_that_die_are_never_misread)
{
	struct vmclock_page page = good_page();
	uint64_t random = seed;
	pid_t readers[READERS];
	unsigned int kills;

	shared = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(state != MAP_FAILED);
	truth = (struct vmclock_line){ counter_read_ordered(), { 1767225637, 0 },
				       .period = PERIOD, .shift = SHIFT };
	for (int i = 0; i < READERS; i++) {
		readers[i] = start();
		if (!readers[i])
			read_on(&state->counts[i]);
	}
	kills = run_writers(enough_updates, &random);
	state->stop = true;

	note("%" PRIu64 " updates, %u writers killed", (uint64_t)state->updates, kills);
	for (int i = 0; i < READERS; i++) {
		const struct counts *c = &state->counts[i];
		int status = -1;

		waitpid(readers[i], &status, 0);
		is_int(status, 0);
		note("reader %d: %" PRIu64 " reads of %" PRIu64 " lines in %" PRIu64 " epochs, %" PRIu64 " waited in vain",
		     i, c->reads, c->lines, c->epochs, c->busy);
		is_u64(c->torn, 0);
		is_u64(c->backwards, 0);
		is_u64(c->outside, 0);
		is_u64(c->errors, 0);
		ok(c->reads >= READS_MIN && c->lines >= READS_MIN / 10);
		ok(c->epochs >= KILLS_MIN / 4);
	}
	ok(state->updates >= enough_updates);
}

int main(int argc, char **argv)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	enough_updates = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)now.tv_nsec << 20 ^ now.tv_sec;
	if (!enough_updates) {
		fprintf(stderr, "usage: soak UPDATES [SEED]\n");
		return 2;
	}
	printf("# %" PRIu64 " updates, seed %" PRIu64 "\n", enough_updates, seed);
	return tap_main();
}
