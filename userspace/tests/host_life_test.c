// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a VM: single steps, and every order of what can happen to one,
 * played to the logic by a world that knows the truth.
 */
#include <stdlib.h>

#include "life.h"
#include "tap.h"

/*
 * @relation: of the guest's counter to the host's, by a number
 * @told: the one that lines are made for
 * @prepared: the page has to be quiet, until the operator says or the migration
 *	that it is for has no end: @sent, if that is under way
 * @was_deaf: not everything was heard since then
 * @page_relation: the one that the line on the page was made for
 * @page_fed: status and line are good
 * @image_*: the same of the page that was saved last
 */
static struct world {
	struct life life;
	enum life_counter kind;
	bool running, loading, leaving, connected, overwritten, is_unclear;
	bool prepared, sent, was_deaf;
	const char *migration;
	int relation, told, page_relation, image_relation;
	bool page_fed, image_fed;
	unsigned int opened, came_in, hushed, disrupted, fed, continued;
	bool touched_while_loading;
} w;

static void touch(void)
{
	w.touched_while_loading = w.touched_while_loading || w.loading;
	w.overwritten = false;
}

static void do_open(void *context, bool came_in)
{
	ok(context == &w);
	w.came_in += came_in;
	touch();
	w.opened++;
	w.page_fed = false;
}

static void do_hush(void *context)
{
	(void)context;
	touch();
	w.hushed++;
	w.page_fed = false;
}

static void do_disrupt(void *context)
{
	(void)context;
	touch();
	w.disrupted++;
	w.page_fed = false;
}

static void do_feed(void *context)
{
	(void)context;
	touch();
	w.fed++;
	w.page_fed = true;
	w.page_relation = w.told;
}

static enum life_measured do_measure(void *context)
{
	(void)context;
	if (w.is_unclear)
		return LIFE_UNKNOWN;
	if (w.told == w.relation)
		return LIFE_SAME;
	w.told = w.relation;
	return LIFE_CHANGED;
}

static void do_cont(void *context)
{
	(void)context;
	w.continued++;
}

static void begin(enum life_counter kind, bool continues)
{
	const struct life_user user = {
		do_open, do_hush, do_disrupt, do_feed,
		kind == LIFE_COUNTER_WATCHED ? do_measure : NULL,
		continues ? do_cont : NULL, &w,
	};

	memset(&w, 0, sizeof(w));
	w.kind = kind;
	w.migration = "none";
	life_init(&w.life, &user, kind, true);
}

static void begin_running(enum life_counter kind)
{
	begin(kind, false);
	w.running = true;
	w.connected = true;
	life_connected(&w.life);
	life_status(&w.life, "running");
}

/* What happens. Each is heard at once, if there is a monitor. */

static void hear(const char *event)
{
	if (w.connected)
		life_event(&w.life, event);
}

static void hear_migration(const char *status)
{
	w.migration = status;
	if (w.connected)
		life_migration(&w.life, status);
}

static void act_stop(void)
{
	if (!w.running)
		return;
	w.running = false;
	hear("STOP");
}

static void act_cont(void)
{
	if (w.running)
		return;
	w.running = true;
	if (w.kind == LIFE_COUNTER_STOPS)
		w.relation++;
	hear("RESUME");
}

/* QEMU tells of it, is looked at, and only then rewrites the counter. */
static void act_reset(void)
{
	hear("RESET");
	life_poll(&w.life);
	w.relation++;
}

static void act_migrate(void)
{
	if (w.leaving)
		return;
	w.leaving = true;
	w.sent = w.prepared;
	hear_migration("setup");
	hear_migration("active");
}

static void end_migration(void)
{
	w.leaving = false;
	w.prepared = w.prepared && !w.sent;
}

static void act_cancel(void)
{
	if (!w.leaving)
		return;
	hear_migration("cancelling");
	end_migration();
	hear_migration("cancelled");
}

/* QEMU has stopped the VM by then, or has not: this time it has. */
static void act_fail(void)
{
	if (!w.leaving)
		return;
	act_stop();
	end_migration();
	hear_migration("failed");
	act_cont();
}

static void act_complete(void)
{
	if (!w.leaving)
		return;
	act_stop();
	w.leaving = w.sent = false;
	hear_migration("device");
	hear_migration("completed");
}

static void act_save(void)
{
	w.image_fed = w.page_fed;
	w.image_relation = w.page_relation;
}

/* QEMU has overwritten the page: seen at the next look, before the VM goes on. */
static void act_load(void)
{
	bool was_running = w.running;

	act_stop();
	w.relation++;
	w.page_fed = w.image_fed;
	w.page_relation = w.image_relation;
	w.overwritten = true;
	life_overwritten(&w.life);
	if (was_running)
		act_cont();
}

static void act_lose(void)
{
	if (w.connected)
		life_lost(&w.life);
	w.connected = false;
	w.was_deaf = true;
}

/* QEMU answers what it was asked a moment ago. */
static void act_answer(void)
{
	if (!w.connected)
		return;
	life_status(&w.life, w.running ? "running" : "paused");
	life_migration(&w.life, w.migration);
	life_answered(&w.life);
}

static void act_connect(void)
{
	if (w.connected)
		return;
	w.connected = true;
	life_connected(&w.life);
	act_answer();
}

static void act_hold(void)
{
	w.prepared = true;
	w.sent = false;
	w.was_deaf = !w.connected;
	life_hold(&w.life);
	ok(!w.page_fed);
	act_answer();
}

static void act_release(void)
{
	w.prepared = false;
	life_release(&w.life);
}

static void act_tell(void)
{
	int before = w.told;

	w.told = w.relation;
	if (!life_told(&w.life))
		w.told = before;
}

static void act_poll(void)
{
	life_poll(&w.life);
}

static void (*const acts[])(void) = {
	act_stop, act_cont, act_reset, act_migrate, act_cancel, act_fail, act_complete,
	act_save, act_load, act_lose, act_connect, act_hold, act_release, act_tell, act_poll,
	act_answer,
};

#define ACTS	(sizeof(acts) / sizeof(acts[0]))

/*
 * The promise. Reset is told of before it happens, and a VM's counter that nobody
 * hears of may not be believed; both are why the page is quiet by then.
 */
static bool is_kept(void)
{
	return !(w.running && w.page_fed && w.page_relation != w.relation) &&
	       !(w.prepared && w.page_fed);
}

/*
 * When all is well again the page is fed. The operator has nothing to say for that if the
 * VM was prepared for what was given up, and everything was heard.
 */
static bool recovers(void)
{
	act_connect();
	act_cancel();
	if (w.prepared || w.was_deaf)
		act_release();
	act_cont();
	act_tell();
	act_poll();
	act_answer();
	return w.page_fed && w.page_relation == w.relation;
}

static void say_order(const unsigned int *order, unsigned int count)
{
	static const char *const names[] = {
		"stop", "cont", "reset", "migrate", "cancel", "fail", "complete", "save", "load",
		"lose", "connect", "hold", "release", "tell", "poll",
		"answer",
	};

	printf("# kind %d:", w.kind);
	for (unsigned int i = 0; i < count; i++)
		printf(" %s", names[order[i]]);
	putchar('\n');
}

static bool play(enum life_counter kind, const unsigned int *order, unsigned int count)
{
	unsigned int i;

	begin_running(kind);
	for (i = 0; i < count; i++) {
		acts[order[i]]();
		if (!is_kept())
			break;
	}
	if (i == count && recovers())
		return true;
	say_order(order, count);
	return false;
}

#define DEPTH	5

static void play_all(enum life_counter kind)
{
	unsigned int order[DEPTH], bad = 0, all = 1;

	for (int i = 0; i < DEPTH; i++)
		all *= ACTS;
	for (unsigned int n = 0; n < all && bad < 5; n++) {
		for (unsigned int i = 0, rest = n; i < DEPTH; i++, rest /= ACTS)
			order[i] = rest % ACTS;
		bad += !play(kind, order, DEPTH);
	}
	is_int(bad, 0);
}

TAP_TEST(the_promise_is_kept_in_every_order_if_the_counter_stops)
{
	play_all(LIFE_COUNTER_STOPS);
}

TAP_TEST(the_promise_is_kept_in_every_order_if_the_counter_runs)
{
	play_all(LIFE_COUNTER_RUNS);
}

TAP_TEST(the_promise_is_kept_in_every_order_if_the_counter_is_watched)
{
	play_all(LIFE_COUNTER_WATCHED);
}

TAP_TEST(the_promise_is_kept_in_long_lives)
{
	unsigned int order[200], bad = 0;

	srand(1);
	for (int round = 0; round < 3000 && !bad; round++) {
		for (int i = 0; i < 200; i++)
			order[i] = rand() % ACTS;
		bad += !play(round % 3, order, 200);
	}
	is_int(bad, 0);
}

TAP_TEST(a_running_vm_with_a_known_counter_is_fed)
{
	begin_running(LIFE_COUNTER_STOPS);
	is_int(w.opened, 1);
	is_int(w.fed, 1);
	is_int(w.disrupted, 0);
}

TAP_TEST(a_vm_that_is_found_standing_gets_a_new_marker_if_its_counter_stands)
{
	begin(LIFE_COUNTER_STOPS, true);
	life_connected(&w.life);
	life_status(&w.life, "paused");
	is_int(w.opened, 1);
	is_int(w.disrupted, 1);
	/* Who has stopped it is not known. */
	is_int(w.continued, 0);
}

TAP_TEST(nothing_is_touched_before_something_is_heard)
{
	begin(LIFE_COUNTER_STOPS, false);
	life_connected(&w.life);
	life_poll(&w.life);
	life_overwritten(&w.life);
	life_lost(&w.life);
	is_int(w.opened + w.hushed + w.disrupted + w.fed, 0);
}

TAP_TEST(a_monitor_that_does_not_answer_is_silence_until_it_does)
{
	for (enum life_counter kind = LIFE_COUNTER_STOPS; kind <= LIFE_COUNTER_WATCHED; kind++) {
		begin_running(kind);
		ok(w.page_fed);
		life_silent(&w.life, true);
		ok(!w.page_fed);
		ok(!life_told(&w.life));
		life_poll(&w.life);
		ok(!w.page_fed);
		life_silent(&w.life, false);
		ok(w.page_fed);
		is_int(w.disrupted, 0);
	}
}

TAP_TEST(what_a_monitor_says_before_its_late_answer_counts)
{
	begin_running(LIFE_COUNTER_STOPS);
	life_silent(&w.life, true);
	life_event(&w.life, "STOP");
	life_event(&w.life, "RESUME");
	life_silent(&w.life, false);
	ok(!w.page_fed);
	is_int(w.disrupted, 1);
}

TAP_TEST(a_silent_monitor_that_is_lost_is_another_one_when_it_comes_back)
{
	begin_running(LIFE_COUNTER_RUNS);
	life_silent(&w.life, true);
	life_lost(&w.life);
	life_connected(&w.life);
	life_status(&w.life, "running");
	is_int(w.disrupted, 1);
	ok(life_told(&w.life));
	ok(w.page_fed);
}

TAP_TEST(without_a_monitor_it_is_fed_until_the_operator_says_otherwise)
{
	begin(LIFE_COUNTER_STOPS, false);
	life_assume_running(&w.life);
	ok(w.page_fed);
	life_hold(&w.life);
	ok(!w.page_fed);
	life_release(&w.life);
	ok(w.page_fed);
	life_disrupted(&w.life);
	ok(!w.page_fed);
	life_release(&w.life);
	ok(!w.page_fed);
	ok(life_told(&w.life));
	ok(w.page_fed);
}

TAP_TEST(a_vm_that_stops_and_goes_on_keeps_a_counter_that_ran_on)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_stop();
	ok(!w.page_fed);
	act_cont();
	ok(w.page_fed);
	is_int(w.disrupted, 0);
}

TAP_TEST(a_vm_that_stops_and_goes_on_gets_a_new_marker_if_its_counter_stood)
{
	begin_running(LIFE_COUNTER_STOPS);
	act_stop();
	is_int(w.disrupted, 1);
	act_cont();
	ok(!w.page_fed);
	act_tell();
	ok(w.page_fed);
	is_int(w.disrupted, 1);
}

TAP_TEST(a_resume_without_a_stop_means_that_it_stood)
{
	begin_running(LIFE_COUNTER_STOPS);
	life_event(&w.life, "RESUME");
	is_int(w.disrupted, 1);
	ok(!w.page_fed);
}

TAP_TEST(a_watched_counter_that_changes_by_itself_is_followed)
{
	begin_running(LIFE_COUNTER_WATCHED);
	w.relation++;
	act_poll();
	is_int(w.disrupted, 1);
	ok(w.page_fed);
	is_int(w.page_relation, 1);
	act_poll();
	is_int(w.disrupted, 1);
}

TAP_TEST(a_watched_counter_that_becomes_unclear_is_not_used)
{
	begin_running(LIFE_COUNTER_WATCHED);
	w.is_unclear = true;
	act_poll();
	act_poll();
	is_int(w.disrupted, 1);
	ok(!w.page_fed);
	ok(!life_told(&w.life));
	w.is_unclear = false;
	act_poll();
	ok(w.page_fed);
}

TAP_TEST(a_watched_counter_is_not_looked_at_until_the_reset_is_over)
{
	begin_running(LIFE_COUNTER_WATCHED);
	hear("RESET");
	act_poll();
	hear("RESUME");
	ok(!w.page_fed);
	is_int(w.disrupted, 1);
	/* It may well be what it was. */
	act_answer();
	ok(w.page_fed);
	is_int(w.disrupted, 1);
	hear("RESET");
	w.relation++;
	act_answer();
	ok(w.page_fed);
	is_int(w.page_relation, 1);
}

TAP_TEST(a_cancelled_migration_ends_the_silence)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_migrate();
	ok(!w.page_fed);
	life_migration(&w.life, "postcopy-active");
	life_migration(&w.life, "a status of the future");
	ok(!w.page_fed);
	life_migration(&w.life, "failed");
	ok(w.page_fed);
	is_int(w.disrupted, 0);
}

TAP_TEST(prepared_for_a_migration_it_is_quiet_until_that_is_given_up)
{
	static const char *const ends[] = { "cancelled", "failed" };

	for (int i = 0; i < 2; i++) {
		begin_running(LIFE_COUNTER_RUNS);
		act_hold();
		ok(!w.page_fed);
		act_migrate();
		life_migration(&w.life, "pre-switchover");
		ok(!w.page_fed);
		life_migration(&w.life, ends[i]);
		ok(w.page_fed);
		is_int(w.disrupted, 0);
	}
}

TAP_TEST(prepared_for_what_does_not_begin_it_is_quiet_until_the_operator_says)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_hold();
	act_stop();
	act_cont();
	act_answer();
	act_poll();
	ok(!w.page_fed);
	act_release();
	ok(w.page_fed);
}

TAP_TEST(a_vm_that_has_left_is_not_released_by_that)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_hold();
	act_migrate();
	act_complete();
	act_cont();
	act_answer();
	ok(!w.page_fed);
	act_release();
	ok(w.page_fed);
}

TAP_TEST(a_watched_counter_is_looked_at_before_a_vm_that_stays_is_fed)
{
	begin_running(LIFE_COUNTER_WATCHED);
	act_hold();
	act_migrate();
	w.relation++;
	act_cancel();
	ok(w.page_fed);
	is_int(w.page_relation, 1);
	is_int(w.disrupted, 1);
}

TAP_TEST(the_end_of_a_migration_from_before_releases_nothing)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_migrate();
	life_hold(&w.life);
	life_migration(&w.life, "active");
	life_answered(&w.life);
	life_migration(&w.life, "cancelled");
	ok(!w.page_fed);
	life_migration(&w.life, "setup");
	life_migration(&w.life, "failed");
	ok(w.page_fed);
}

TAP_TEST(an_event_that_waited_to_be_read_releases_nothing)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_hold();
	life_hold(&w.life);
	life_migration(&w.life, "setup");
	life_migration(&w.life, "failed");
	ok(!w.page_fed);
	life_migration(&w.life, "failed");
	life_answered(&w.life);
	life_migration(&w.life, "failed");
	ok(!w.page_fed);
	life_migration(&w.life, "setup");
	ok(!w.page_fed);
	life_migration(&w.life, "failed");
	ok(w.page_fed);
}

TAP_TEST(a_migration_that_was_given_up_unheard_is_known_by_the_answer)
{
	begin_running(LIFE_COUNTER_RUNS);
	act_hold();
	act_migrate();
	act_lose();
	act_cancel();
	ok(!w.page_fed);
	act_connect();
	act_tell();
	ok(w.page_fed);
}

TAP_TEST(a_vm_that_was_saved_long_ago_is_not_stopped_by_that)
{
	begin_running(LIFE_COUNTER_RUNS);
	life_migration(&w.life, "completed");
	ok(w.page_fed);
}

static void arrive_by(const char *event, const char *status)
{
	begin(LIFE_COUNTER_STOPS, true);
	w.loading = true;
	life_connected(&w.life);
	life_status(&w.life, "inmigrate");
	life_migration(&w.life, "setup");
	life_migration(&w.life, "active");
	life_migration(&w.life, "completed");
	life_event(&w.life, "RESET");
	life_poll(&w.life);
	life_overwritten(&w.life);
	life_lost(&w.life);
	life_connected(&w.life);
	life_status(&w.life, "inmigrate");
	ok(!life_told(&w.life));
	is_int(w.opened + w.disrupted + w.hushed + w.fed + w.continued, 0);
	w.loading = false;
	if (event)
		life_event(&w.life, event);
	life_status(&w.life, status);
	is_int(w.opened, 1);
	is_int(w.disrupted, 1);
	is_int(w.fed, 0);
	ok(!w.touched_while_loading);
}

TAP_TEST(a_vm_that_comes_in_gets_a_new_marker_before_it_goes_on)
{
	arrive_by(NULL, "paused");
	is_int(w.continued, 1);
	life_event(&w.life, "RESUME");
	life_status(&w.life, "running");
	is_int(w.disrupted, 1);
	is_int(w.came_in, 1);
	is_int(w.fed, 0);
	ok(life_told(&w.life));
	is_int(w.fed, 1);
}

TAP_TEST(a_vm_that_comes_in_and_runs_at_once_gets_a_new_marker)
{
	arrive_by("RESUME", "running");
	is_int(w.continued, 0);
	arrive_by(NULL, "running");
	is_int(w.continued, 0);
}

TAP_TEST(the_counter_of_a_vm_that_stands_cannot_be_told)
{
	begin_running(LIFE_COUNTER_STOPS);
	act_stop();
	ok(!life_told(&w.life));
	act_cont();
	act_lose();
	ok(!life_told(&w.life));
	ok(!w.page_fed);
}

TAP_TEST(a_vm_that_sleeps_has_another_counter_when_it_wakes)
{
	begin_running(LIFE_COUNTER_RUNS);
	life_event(&w.life, "SUSPEND");
	ok(!w.page_fed);
	life_event(&w.life, "WAKEUP");
	ok(!w.page_fed);
	is_int(w.disrupted, 1);
	ok(life_told(&w.life));
}

TAP_TEST(events_and_states_that_mean_nothing_change_nothing)
{
	begin_running(LIFE_COUNTER_RUNS);
	life_event(&w.life, "RTC_CHANGE");
	life_event(&w.life, "");
	ok(w.page_fed);
	life_status(&w.life, "a state of the future");
	ok(!w.page_fed);
}

int main(void)
{
	return tap_main();
}
