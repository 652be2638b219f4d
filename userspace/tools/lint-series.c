// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each page against those before it. All arithmetic is exact, so a finding is
 * one: nothing here is a tolerance.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lint.h"
#include "vmclock_math.h"

#define VALUES_MAX	256
#define BRACKETS_MAX	16384	/* older ones are forgotten */
/*
 * Of so many updates a writer can keep the brackets. A straight line through those of
 * an hour would have to follow an oscillator that did not run straight.
 */
#define UPDATES_NESTED	64
#define PATIENCE_NS	1000000000ULL

#define BOUND_FLAGS	(VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID | \
			 VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID)

/* The values that a marker had, the latest last; the oldest are forgotten. */
struct values {
	uint64_t seen[VALUES_MAX];
	unsigned int n;
};

/* What a page, under that number, said of a counter value: the time, and how far off. */
struct bracket {
	uint32_t seq;
	uint64_t counter;
	struct vmclock_time time;
	uint64_t error_ns;
};

/**
 * struct lint_series - what the looks before leave behind
 * @last: the last page that was whole
 * @snap: the same, decoded
 * @started: there is one
 * @markers: those of the page
 * @generations: generation counters
 * @brackets: of the marker in use, a ring
 * @bracket_count: how many there were
 * @latest: the latest time that was told under the promise not to go back
 * @has_latest: there is one
 * @owed: an update has not been notified yet
 * @owed_since_ns: when it was seen, CLOCK_MONOTONIC_RAW
 */
struct lint_series {
	struct trace_look last;
	struct vmclk_snapshot snap;
	bool started;
	struct values markers;
	struct values generations;
	struct bracket brackets[BRACKETS_MAX];
	uint64_t bracket_count;
	struct bracket latest;
	bool has_latest;
	bool owed;
	uint64_t owed_since_ns;
};

struct lint_series *lint_series_new(void)
{
	return calloc(1, sizeof(struct lint_series));
}

/* Return: @value is another one than the last, and had been there before. */
static bool comes_again(struct values *v, uint64_t value)
{
	bool is_old = false;

	if (v->n && v->seen[v->n - 1] == value)
		return false;
	for (unsigned int i = 0; i < v->n; i++)
		is_old |= v->seen[i] == value;
	if (v->n == VALUES_MAX)
		memmove(v->seen, v->seen + 1, --v->n * sizeof(v->seen[0]));
	v->seen[v->n++] = value;
	return is_old;
}

static void lint_markers(struct lint *l, struct lint_series *was,
			 const struct vmclk_snapshot *s)
{
	if (comes_again(&was->markers, s->disruption_marker))
		lint_report(l, LINT_MARKER_AGAIN, "disruption_marker is 0x%" PRIx64,
			    s->disruption_marker);
	if (s->flags & VMCLOCK_PAGE_FLAG_GENERATION_PRESENT &&
	    comes_again(&was->generations, s->vm_generation_counter))
		lint_report(l, LINT_GENERATION_AGAIN, "vm_generation_counter is 0x%" PRIx64,
			    s->vm_generation_counter);
}

/* Even numbers differ by 2 for each update. */
static void lint_sequence(struct lint *l, struct lint_series *was,
			  const struct trace_look *look, const struct vmclk_snapshot *s)
{
	uint32_t step = s->seq_count - was->snap.seq_count;

	if (!step) {
		if (trace_page_differs(look, &was->last))
			lint_report(l, LINT_TORN, "seq_count is %" PRIu32, s->seq_count);
		return;
	}
	l->updates++;
	if (step >> 31)
		lint_report(l, LINT_SEQ_BACK, "seq_count is %" PRIu32 " after %" PRIu32,
			    s->seq_count, was->snap.seq_count);
	else
		l->missed += step / 2 - 1;
	/* In what was missed the promise may have been taken back. */
	if (step != 2)
		was->has_latest = false;
}

static void lint_constants(struct lint *l, const struct lint_series *was,
			   const struct vmclk_snapshot *s)
{
#define SAME(field)								\
	do {									\
		if (s->field != was->snap.field)				\
			lint_report(l, LINT_CONSTANT, #field " is 0x%x after 0x%x", \
				    (unsigned int)s->field, (unsigned int)was->snap.field); \
	} while (0)

	SAME(size);
	SAME(counter_id);
	SAME(time_type);
#undef SAME
}

/*
 * Once an update is seen, a notification has a second to come. One that the same
 * look found counts: it may be about this update, since they coalesce.
 */
static void lint_notifications(struct lint *l, struct lint_series *was, bool is_update,
			       const struct trace_look *look, const struct vmclk_snapshot *s)
{
	if (look->notified != TRACE_SILENT ||
	    !(s->flags & VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT)) {
		was->owed = false;
		return;
	}
	if (was->owed && look->raw_ns - was->owed_since_ns >= PATIENCE_NS) {
		lint_report(l, LINT_SILENT, "seq_count is %" PRIu32, s->seq_count);
		was->owed = false;
	}
	if (is_update && !was->owed) {
		was->owed = true;
		was->owed_since_ns = look->raw_ns;
	}
}

/* A line that says anything of the counter that was read. */
static bool get_line(const struct vmclk_snapshot *s, struct vmclock_line *line)
{
	*line = (struct vmclock_line){
		.counter = s->counter_value,
		.time = { s->time_sec, s->time_frac_sec },
		.period = s->counter_period_frac_sec,
		.period_maxerror = s->counter_period_maxerror_rate_frac_sec,
		.maxerror_ns = s->time_maxerror_nanosec,
		.shift = s->counter_period_shift,
	};
	return s->counter_valid && s->time_type <= VMCLOCK_PAGE_TIME_MONOTONIC &&
	       (s->clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
		s->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING) &&
	       line->period && line->shift <= VMCLOCK_MATH_SHIFT_MAX;
}

static uint64_t apart_ns(const struct vmclock_time *a, const struct vmclock_time *b)
{
	vmclock_u128 x = (vmclock_u128)a->sec << 64 | a->frac;
	vmclock_u128 y = (vmclock_u128)b->sec << 64 | b->frac;

	/* Rounded up, and held against whole nanoseconds: as good as exact. */
	return vmclock_math_duration_ns(x > y ? x - y : y - x);
}

static void lint_nesting(struct lint *l, const struct lint_series *was, uint32_t seq,
			 const struct vmclock_line *line)
{
	uint64_t n = was->bracket_count < BRACKETS_MAX ? was->bracket_count : BRACKETS_MAX;

	for (uint64_t i = 0; i < n; i++) {
		const struct bracket *old = &was->brackets[i];
		struct vmclock_time time = { 0 };

		l->compared++;
		if (!vmclock_math_time(line, old->counter, &time) ||
		    apart_ns(&time, &old->time) > old->error_ns)
			lint_report(l, (seq - old->seq) / 2 <= UPDATES_NESTED ?
				    LINT_NESTING : LINT_NESTING_OLD,
				    "at counter %" PRIu64 ", where +/- %" PRIu64 " ns was said",
				    old->counter, old->error_ns);
	}
}

static void lint_order(struct lint *l, struct lint_series *was,
		       const struct vmclk_snapshot *s, const struct bracket *now)
{
	const struct bracket *old = &was->latest;

	if (!(s->flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC)) {
		was->has_latest = false;
		return;
	}
	/* A counter that went back is not the page's fault. */
	if (was->has_latest && now->counter - old->counter <= INT64_MAX &&
	    (now->time.sec < old->time.sec ||
	     (now->time.sec == old->time.sec && now->time.frac < old->time.frac)))
		lint_report(l, LINT_BACKWARDS, "by %" PRIu64 " ns at counter %" PRIu64,
			    apart_ns(&now->time, &old->time), now->counter);
	was->latest = *now;
	was->has_latest = true;
}

/* Neither promise reaches over a disruption, another scale or UTC's leap seconds. */
static bool starts_anew(const struct lint_series *was, const struct vmclk_snapshot *s)
{
	return s->disruption_marker != was->snap.disruption_marker ||
	       s->time_type != was->snap.time_type || s->counter_id != was->snap.counter_id ||
	       (s->time_type == VMCLOCK_PAGE_TIME_UTC && s->leap_indicator);
}

static void lint_time(struct lint *l, struct lint_series *was, bool is_new,
		      const struct vmclk_snapshot *s)
{
	struct bracket now = { .seq = s->seq_count, .counter = s->counter };
	struct vmclock_line line;

	if (!get_line(s, &line) || !vmclock_math_time(&line, s->counter, &now.time)) {
		was->has_latest = false;
		return;
	}
	if (is_new)
		lint_nesting(l, was, s->seq_count, &line);
	lint_order(l, was, s, &now);
	if ((s->flags & BOUND_FLAGS) != BOUND_FLAGS)
		return;
	now.error_ns = vmclock_math_maxerror_ns(&line, s->counter);
	was->brackets[was->bracket_count++ % BRACKETS_MAX] = now;
}

void lint_series(struct lint *l, const struct trace_look *look,
		 const struct vmclk_snapshot *s)
{
	struct lint_series *was = l->series;
	bool is_new = !was->started || trace_page_differs(look, &was->last);

	if (s->seq_count & 1)
		return;
	if (was->started) {
		lint_sequence(l, was, look, s);
		lint_constants(l, was, s);
		lint_notifications(l, was, is_new, look, s);
		if (starts_anew(was, s)) {
			was->bracket_count = 0;
			was->has_latest = false;
		}
	}
	lint_markers(l, was, s);
	lint_time(l, was, is_new, s);
	was->last = *look;
	was->snap = *s;
	was->started = true;
}
