// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl check: can this page be trusted?
 *
 * The library gives the first reason for which there is no time. Here all of
 * them are wanted, and what makes a time doubtful besides.
 */
#include <stdio.h>

#include <linux/vmclock-page.h>

#include "common.h"

#define SHIFT_MAX	127
#define FINDINGS_MAX	16

struct findings {
	const char *text[FINDINGS_MAX];
	unsigned int n;
};

static void add_if(struct findings *f, bool found, const char *text)
{
	if (found && f->n < FINDINGS_MAX)
		f->text[f->n++] = text;
}

static void find_counter(struct findings *bad, const struct vmclk_snapshot *s)
{
	if (s->counter_id == VMCLOCK_PAGE_COUNTER_NONE)
		add_if(bad, true, vmclk_reason_str(VMCLK_NO_COUNTER));
	else
		add_if(bad, !s->counter_valid, vmclk_reason_str(VMCLK_WRONG_COUNTER));
}

static void find_status(struct findings *bad, const struct vmclk_snapshot *s)
{
	switch (s->clock_status) {
	case VMCLOCK_PAGE_STATUS_SYNCHRONIZED:
	case VMCLOCK_PAGE_STATUS_FREERUNNING:
		break;
	case VMCLOCK_PAGE_STATUS_INITIALIZING:
		add_if(bad, true, "status: the clock is still initializing");
		break;
	case VMCLOCK_PAGE_STATUS_UNRELIABLE:
		add_if(bad, true, "status: the clock is unreliable");
		break;
	default:
		add_if(bad, true, "status: it is unknown whether the clock is synchronized");
	}
}

static void find_line(struct findings *bad, const struct vmclk_snapshot *s)
{
	add_if(bad, s->time_type > VMCLOCK_PAGE_TIME_MONOTONIC,
	       vmclk_reason_str(VMCLK_BAD_SCALE));
	add_if(bad, !s->counter_period_frac_sec, "period: the length of a tick is 0");
	add_if(bad, s->counter_period_shift > SHIFT_MAX, "period: the shift is above 127");
	add_if(bad, !(s->flags & VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID),
	       "bound: the worst-case error of the time is not given");
	add_if(bad, !(s->flags & VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID),
	       "bound: the worst-case error of the period is not given");
}

/* UTC has been behind TAI since 1972. Some producers had the sign wrong. */
static void find_tai_offset(struct findings *bad, const struct vmclk_snapshot *s)
{
	add_if(bad, (s->flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID) && s->tai_offset_sec > 0,
	       "TAI offset: it is positive, but UTC - TAI is negative: the producer has the sign wrong");
}

static void find_bad(struct findings *bad, const struct vmclk_snapshot *s)
{
	struct vmclk_stamp stamp;

	if (!VMCLOCK_PAGE_HAS(s->size, time_maxerror_nanosec)) {
		add_if(bad, true, vmclk_reason_str(VMCLK_FIELDS_ABSENT));
		return;
	}
	find_counter(bad, s);
	find_status(bad, s);
	find_line(bad, s);
	find_tai_offset(bad, s);
	/* What is left can only be seen in the result. */
	if (!bad->n && vmclk_stamp_at(s, s->counter, &stamp))
		add_if(bad, true, vmclk_reason_str(stamp.reason));
}

static void find_notes(struct findings *notes, const struct vmclk_snapshot *s)
{
	add_if(notes, s->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING,
	       "the clock has lost its reference and runs freely");
	add_if(notes, s->flags & VMCLOCK_PAGE_FLAG_DISRUPTION_SOON,
	       "a disruption is expected within about a day");
	add_if(notes, s->flags & VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT,
	       "a disruption is expected within about an hour");
	add_if(notes, s->time_type == VMCLOCK_PAGE_TIME_UTC,
	       "the scale is UTC, which is ambiguous at leap seconds");
	add_if(notes, s->time_type == VMCLOCK_PAGE_TIME_TAI &&
	       !(s->flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID),
	       "the TAI offset is not given: UTC can't be told");
	add_if(notes, s->leap_indicator > VMCLOCK_PAGE_LEAP_POST_NEG,
	       "the leap indicator has no known meaning");
}

static void print_text(const char *path, const struct findings *bad,
		       const struct findings *notes)
{
	for (unsigned int i = 0; i < bad->n; i++)
		printf("%s: %s\n", path, bad->text[i]);
	if (!bad->n)
		printf("%s: trustworthy\n", path);
	for (unsigned int i = 0; i < notes->n; i++)
		printf("%s: note: %s\n", path, notes->text[i]);
}

static void print_array(const char *key, const struct findings *f)
{
	printf("\"%s\":[", key);
	for (unsigned int i = 0; i < f->n; i++) {
		if (i)
			putchar(',');
		print_json_string(f->text[i]);
	}
	putchar(']');
}

static void print_json(const struct findings *bad, const struct findings *notes)
{
	printf("{\"trustworthy\":%s,", bad->n ? "false" : "true");
	print_array("reasons", bad);
	putchar(',');
	print_array("notes", notes);
	printf("}\n");
}

/* That it is no page, or stuck, is an answer about the page as well. */
static int judge(const struct options *opt, const char *path, int err,
		 const struct vmclk_snapshot *snap)
{
	struct findings bad = { .n = 0 }, notes = { .n = 0 };

	if (err) {
		add_if(&bad, true, vmclk_strerror(err));
	} else {
		find_bad(&bad, snap);
		find_notes(&notes, snap);
	}
	if (opt->json)
		print_json(&bad, &notes);
	else
		print_text(path, &bad, &notes);
	return bad.n ? EXIT_UNUSABLE : EXIT_OK;
}

int cmd_check(const struct options *opt)
{
	const char *path = opt->path ? opt->path : "/dev/vmclock";
	struct vmclk_snapshot snap = { .size = 0 };
	struct vmclk *clk;
	int err = vmclk_open(opt->path, &clk);
	int status;

	if (err)
		return is_page_error(err) ? judge(opt, path, err, &snap) :
					     page_open_error(opt->path, err);

	err = vmclk_snapshot(clk, &snap);
	if (err && !is_page_error(err))
		status = page_error(clk, err);
	else
		status = judge(opt, vmclk_path(clk), err, &snap);
	vmclk_close(clk);
	return status;
}
