// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>
#include <string.h>

#include "life.h"

void life_init(struct life *l, const struct life_user *user, enum life_counter counter,
	       bool has_counter)
{
	*l = (struct life){ .user = *user, .counter = counter, .has_counter = has_counter };
}

/* What happens to it now is not told. */
static bool is_deaf(const struct life *l)
{
	return l->has_monitor && (!l->is_heard || l->is_silent);
}

static enum life_page wanted(const struct life *l)
{
	if (l->run == LIFE_INCOMING || (l->run == LIFE_UNSEEN && l->page == LIFE_UNTOUCHED))
		return LIFE_UNTOUCHED;
	if (l->run != LIFE_RUNNING || is_deaf(l) || l->is_leaving || l->is_held ||
	    !l->has_counter)
		return LIFE_QUIET;
	return LIFE_FED;
}

static void open_page(struct life *l, bool came_in)
{
	l->user.open(l->user.context, came_in);
	l->page = LIFE_QUIET;
	if (l->is_stale)
		l->user.disrupt(l->user.context);
	l->is_stale = false;
}

/* From what is known to what the page says. Ends everything that happens. */
static void settle(struct life *l)
{
	enum life_page page = wanted(l);

	if (page == l->page)
		return;
	if (l->page == LIFE_UNTOUCHED)
		open_page(l, false);
	else if (l->page == LIFE_FED)
		l->user.hush(l->user.context);
	if (page == LIFE_FED)
		l->user.feed(l->user.context);
	l->page = page;
}

/*
 * The relation is another one, or will be in a moment. A page that can't be written
 * yet gets its marker when it is opened.
 */
static void lose_counter(struct life *l)
{
	l->has_counter = false;
	l->is_stale = l->page == LIFE_UNTOUCHED;
	if (l->is_stale)
		return;
	l->user.disrupt(l->user.context);
	l->page = LIFE_QUIET;
}

/*
 * QEMU tells of a reset before it rewrites the counter, and KVM may leave the counter
 * as it is all the same. So until the reset is over one that has not changed says nothing.
 */
static void measure(struct life *l)
{
	if (l->is_resetting)
		return;
	switch (l->user.measure(l->user.context)) {
	case LIFE_SAME:
		l->has_counter = true;
		break;
	case LIFE_CHANGED:
		lose_counter(l);
		l->has_counter = true;
		break;
	case LIFE_UNKNOWN:
		if (l->has_counter)
			lose_counter(l);
		break;
	}
}

/* QEMU has loaded it, and has left the page as it was where it comes from. */
static void arrive(struct life *l)
{
	l->has_arrived = true;
	lose_counter(l);
	if (l->page == LIFE_UNTOUCHED)
		open_page(l, true);
}

static void stopped(struct life *l)
{
	enum life_run before = l->run;

	l->run = LIFE_STOPPED;
	if (before == LIFE_INCOMING) {
		arrive(l);
		if (l->user.cont)
			l->user.cont(l->user.context);
	} else if (before != LIFE_STOPPED && l->counter == LIFE_COUNTER_STOPS) {
		lose_counter(l);
	}
}

/* @resumed: just now, so that it had stopped, even if we were not told. */
static void running(struct life *l, bool resumed)
{
	enum life_run before = l->run;

	l->run = LIFE_RUNNING;
	if (before == LIFE_INCOMING)
		arrive(l);
	else if (l->counter == LIFE_COUNTER_WATCHED)
		measure(l);
	else if (l->counter == LIFE_COUNTER_STOPS && resumed && before != LIFE_STOPPED)
		lose_counter(l);
}

void life_assume_running(struct life *l)
{
	l->run = LIFE_RUNNING;
	settle(l);
}

void life_connected(struct life *l)
{
	l->has_monitor = true;
	l->is_heard = true;
	if (l->run != LIFE_INCOMING) {
		if (l->was_deaf && l->counter != LIFE_COUNTER_WATCHED)
			lose_counter(l);
		/* Whether it stopped, and a watched counter changed, the status will tell. */
		l->run = LIFE_UNSEEN;
	}
	l->was_deaf = false;
	settle(l);
}

void life_lost(struct life *l)
{
	l->was_deaf = l->was_deaf || l->is_heard;
	l->is_heard = false;
	l->is_silent = false;
	l->has_monitor = true;
	/* A migration may have ended without us; the status will tell. */
	l->is_leaving = false;
	settle(l);
}

void life_silent(struct life *l, bool is_silent)
{
	l->is_silent = is_silent;
	settle(l);
}

void life_status(struct life *l, const char *name)
{
	l->is_resetting = false;
	if (!strcmp(name, "running"))
		running(l, false);
	else if (strcmp(name, "inmigrate"))
		stopped(l);
	else if (l->page == LIFE_UNTOUCHED)
		l->run = LIFE_INCOMING;
	settle(l);
}

static enum life_migration migration_of(const char *name)
{
	static const struct {
		const char *name;
		enum life_migration migration;
	} over[] = {
		{ "none", LIFE_NO_MIGRATION }, { "completed", LIFE_COMPLETED },
		{ "cancelled", LIFE_GIVEN_UP }, { "failed", LIFE_GIVEN_UP },
	};

	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		if (!strcmp(name, over[i].name))
			return over[i].migration;
	return LIFE_LEAVING;
}

/* The latest look at its counter may have been a while ago. */
static void release(struct life *l)
{
	l->is_held = false;
	if (l->counter == LIFE_COUNTER_WATCHED && l->run == LIFE_RUNNING)
		measure(l);
}

/*
 * Nothing is sent any more, and what was sent runs nowhere: the page is this VM's alone. But
 * it has to be the end of what the VM was held for. Events of a migration that was over by
 * then may have waited to be read, so nothing counts before the answer does, nor the end of
 * one that was under way by then. And an end that was heard of already is that old one's.
 */
static void give_up(struct life *l, enum life_migration before)
{
	if (l->is_held && l->is_answered && !l->is_older && before != LIFE_GIVEN_UP)
		release(l);
}

void life_migration(struct life *l, const char *name)
{
	enum life_migration before = l->migration;

	if (l->run == LIFE_INCOMING)
		return;
	l->migration = migration_of(name);
	/* Only from now on: a VM that ran on after it was saved is not stopped by that. */
	if (l->is_leaving && l->migration == LIFE_COMPLETED)
		stopped(l);
	if (l->migration == LIFE_GIVEN_UP)
		give_up(l, before);
	l->is_leaving = l->migration == LIFE_LEAVING;
	l->is_older = l->is_older && l->is_leaving;
	settle(l);
}

void life_answered(struct life *l)
{
	l->is_answered = true;
}

void life_event(struct life *l, const char *name)
{
	if (!strcmp(name, "STOP") || !strcmp(name, "SUSPEND")) {
		stopped(l);
	} else if (!strcmp(name, "RESUME")) {
		running(l, true);
	} else if (!strcmp(name, "RESET") || !strcmp(name, "WAKEUP")) {
		if (l->run != LIFE_INCOMING)
			lose_counter(l);
		if (*name == 'W')
			l->run = LIFE_RUNNING;
		else
			l->is_resetting = true;
	}
	settle(l);
}

void life_poll(struct life *l)
{
	if (l->counter != LIFE_COUNTER_WATCHED || l->run != LIFE_RUNNING)
		return;
	measure(l);
	settle(l);
}

void life_overwritten(struct life *l)
{
	if (l->page == LIFE_UNTOUCHED)
		return;
	lose_counter(l);
	settle(l);
}

void life_hold(struct life *l)
{
	l->is_held = true;
	l->is_answered = false;
	l->is_older = l->migration == LIFE_LEAVING || !l->is_heard;
	settle(l);
}

void life_release(struct life *l)
{
	release(l);
	settle(l);
}

void life_disrupted(struct life *l)
{
	lose_counter(l);
	settle(l);
}

bool life_told(struct life *l)
{
	bool is_steady = l->run == LIFE_RUNNING ||
			 (l->run == LIFE_STOPPED && l->counter == LIFE_COUNTER_RUNS);

	if (!is_steady || l->counter == LIFE_COUNTER_WATCHED || is_deaf(l))
		return false;
	l->has_counter = true;
	settle(l);
	return true;
}
