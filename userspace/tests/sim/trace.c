// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trace.h"

void trace_begin(struct trace *t, const struct world *w, const struct reference *r,
		 const struct daemon *d, uint64_t seed)
{
	const struct clock_options *o = &d->clock.options;
	const int counter = COUNTER_ID;

	t->start = w->truth;
	if (t->is_text) {
		fprintf(t->out, "vmclock-trace 1\ncounter %s\n# seed %" PRIu64 "\n",
			counter == VMCLOCK_PAGE_COUNTER_ARM_VCT ? "arm" : "tsc", seed);
		return;
	}
	fprintf(t->out, "vmclock-sim 1 seed=%" PRIu64 " interval_ns=%" PRIu64
		" after_ns=%" PRIu64 " max_bound_ns=%" PRIu64 " drift_ppb=%" PRIu64 " offset_error=%" PRIu64
		" hz=%" PRIu64 " tai=%d leaps=",
		seed, o->interval_ns, o->holdover.after_ns, o->holdover.max_bound_ns, o->drift_ppb,
		d->vm.options.offset_error, w->hz, TAI_AT_START);
	for (unsigned int i = 0; i < r->leap_count; i++)
		fprintf(t->out, "%s%" PRId64 ":%d", i ? "," : "", r->leaps[i].tai,
			r->leaps[i].sign);
	fputc('\n', t->out);
}

static void put(struct trace *t, char kind, const struct world *w)
{
	fputc(kind, t->out);
	fwrite(&w->truth, sizeof(w->truth), 1, t->out);
}

static void put_u64(struct trace *t, uint64_t value)
{
	fwrite(&value, sizeof(value), 1, t->out);
}

/* True time stands in for CLOCK_REALTIME. */
static void write_look(struct trace *t, const struct world *w, uint64_t counter)
{
	int64_t ns = world_ns_since(w, t->start);
	int64_t utc = (int64_t)(t->start >> WORLD_FRAC) - TAI_AT_START;
	uint64_t real = utc * NS_PER_SEC + ns;

	fprintf(t->out, "s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " -\n",
		counter, real, real, ns);
}

void trace_sample(struct trace *t, const struct world *w, uint64_t counter)
{
	if (t->is_text) {
		/* A look is one at a page. */
		if (t->published.magic)
			write_look(t, w, counter);
		return;
	}
	put(t, 'S', w);
	put_u64(t, counter);
}

void trace_update(struct trace *t, const struct world *w, const struct vmclock_page *page,
		  uint64_t before, uint64_t after)
{
	const unsigned char *bytes = (const void *)page;

	if (!memcmp(page, &t->published, sizeof(*page)))
		return;
	t->published = *page;
	if (t->is_text) {
		fputs("p ", t->out);
		for (size_t i = 0; i < sizeof(*page); i++)
			fprintf(t->out, "%02x", bytes[i]);
		fputc('\n', t->out);
		return;
	}
	put(t, 'U', w);
	put_u64(t, before);
	put_u64(t, after);
	fwrite(page, sizeof(*page), 1, t->out);
}

void trace_reading(struct trace *t, const struct world *w,
		   const struct source_reading *reading, int64_t error_ns)
{
	if (t->is_text)
		return;
	put(t, reading ? 'R' : 'N', w);
	if (!reading)
		return;
	put_u64(t, error_ns);
	put_u64(t, reading->maxerror_ns);
	put_u64(t, reading->bounded);
}

void trace_kill(struct trace *t, const struct world *w)
{
	if (!t->is_text)
		put(t, 'K', w);
}

void trace_restart(struct trace *t, const struct world *w)
{
	if (!t->is_text)
		put(t, 'X', w);
}

bool trace_end(struct trace *t, const struct world *w)
{
	if (!t->is_text)
		put(t, 'E', w);
	return !fflush(t->out) && !ferror(t->out);
}
