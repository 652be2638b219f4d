// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM that is prepared for a migration, and a daemon that hears late: every order of what
 * the operator orders, what QEMU does and says, and when that is read. What QEMU says and
 * what it is asked waits, and keeps its order, unless the monitor is lost.
 *
 * The operator keeps the rule: prepares while nothing is under way. The truth is the
 * world's; life.c knows of it what it has heard.
 */
#include "life.h"
#include "tap.h"

#define DEPTH	8
#define ROOM	(2 * DEPTH + 4)

/*
 * @prepared: the page has to be quiet; @sent: until that is given up
 * @orders: how often it was prepared
 * @answered: since then QEMU has come to the question that was asked then
 * @deaf: the monitor was lost since then
 * @questions: what is asked: how often it had been prepared by then
 * @said: what QEMU has said; of an answer, the question, else -1
 */
static struct world {
	struct life life;
	bool page_fed, leaving, prepared, sent, answered, deaf, is_uncertain;
	const char *status;
	int orders;
	int questions[ROOM];
	unsigned int asked, answers;
	struct said {
		const char *status;
		int question;
	} said[ROOM];
	unsigned int spoken, heard;
} w;

static void do_open(void *context, bool came_in)
{
	(void)context;
	(void)came_in;
	w.page_fed = false;
}

static void do_hush(void *context)
{
	(void)context;
	w.page_fed = false;
}

static void do_feed(void *context)
{
	(void)context;
	w.page_fed = true;
}

static enum life_measured do_measure(void *context)
{
	(void)context;
	return LIFE_SAME;
}

static void say(const char *status, int question)
{
	w.status = status;
	w.said[w.spoken++] = (struct said){ status, question };
}

static void act_ask(void)
{
	w.questions[w.asked++] = w.orders;
}

static void act_answer(void)
{
	if (w.answers == w.asked)
		return;
	w.answered = w.answered || w.questions[w.answers] == w.orders;
	say(w.status, w.questions[w.answers++]);
}

static void act_hear(void)
{
	const struct said *s = &w.said[w.heard];

	if (w.heard == w.spoken)
		return;
	w.heard++;
	life_migration(&w.life, s->status);
	if (s->question == w.orders)
		life_answered(&w.life);
}

static void act_prepare(void)
{
	if (w.leaving)
		return;
	w.orders++;
	w.prepared = true;
	w.answered = w.deaf = w.is_uncertain = false;
	life_hold(&w.life);
	act_ask();
}

static void act_migrate(void)
{
	if (w.leaving)
		return;
	w.leaving = true;
	w.sent = w.prepared;
	say("setup", -1);
}

static void act_give_up(void)
{
	if (!w.leaving)
		return;
	w.leaving = false;
	say("cancelled", -1);
	if (!w.sent)
		return;
	w.prepared = false;
	w.is_uncertain = !w.answered;
}

static void act_cut(void)
{
	w.heard = w.spoken;
	w.answers = w.asked;
	w.deaf = true;
	life_lost(&w.life);
	life_connected(&w.life);
	life_status(&w.life, "running");
	act_ask();
}

static void (*const acts[])(void) = {
	act_ask, act_answer, act_hear, act_prepare, act_migrate, act_give_up, act_cut,
};

#define ACTS	(sizeof(acts) / sizeof(acts[0]))

static void begin(void)
{
	static const struct life_user user = {
		.open = do_open, .hush = do_hush, .disrupt = do_hush, .feed = do_feed,
		.measure = do_measure,
	};

	w = (struct world){ .status = "none" };
	life_init(&w.life, &user, LIFE_COUNTER_WATCHED, true);
	life_connected(&w.life);
	life_status(&w.life, "running");
}

/* All is answered and heard, and nobody says more. */
static bool ends_well(void)
{
	act_ask();
	while (w.answers < w.asked)
		act_answer();
	while (w.heard < w.spoken)
		act_hear();
	if (w.prepared || w.leaving)
		return !w.page_fed;
	return w.page_fed || w.is_uncertain || w.deaf;
}

static void say_order(unsigned int number)
{
	static const char *const names[] = {
		"ask", "answer", "hear", "prepare", "migrate", "give-up", "cut",
	};

	printf("#");
	for (int i = 0; i < DEPTH; i++, number /= ACTS)
		printf(" %s", names[number % ACTS]);
	putchar('\n');
}

static bool play(unsigned int number)
{
	begin();
	for (int i = 0; i < DEPTH; i++, number /= ACTS) {
		acts[number % ACTS]();
		if (w.prepared && w.page_fed)
			return false;
	}
	return ends_well();
}

TAP_TEST(a_vm_is_quiet_from_prepare_to_the_end_of_its_migration_however_late_that_is_heard)
{
	unsigned int all = 1, bad = 0;

	for (int i = 0; i < DEPTH; i++)
		all *= ACTS;
	for (unsigned int n = 0; n < all && bad < 5; n++) {
		if (play(n))
			continue;
		say_order(n);
		bad++;
	}
	is_int(bad, 0);
}

int main(void)
{
	return tap_main();
}
