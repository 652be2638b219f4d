/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a VM: from what its monitor tells, and what the operator orders, to
 * what its page may say. Pure logic; what is to be done is done by callbacks.
 *
 * The promise: a guest that runs never sees parameters that were made for another
 * relation of its counter to the host's than it has now, together with a status
 * that is good. So the page is quiet (INITIALIZING) whenever the VM does not run,
 * or is being saved, or nobody knows what it does; and when the relation may have
 * changed, the page also gets a new disruption marker, and stays quiet until the
 * counter is known again.
 *
 * Events tell what has happened already. How much that leaves of the promise
 * where somebody else continues the VM is told in LIFE.md.
 */
#ifndef HOST_LIFE_H
#define HOST_LIFE_H

#include <stdbool.h>

/* What is known of the guest's counter. */
enum life_counter {
	LIFE_COUNTER_STOPS,	/* it stands still while the VM does: emulation */
	LIFE_COUNTER_RUNS,	/* it runs on: KVM, where the operator told the offset */
	LIFE_COUNTER_WATCHED,	/* the same, and @measure tells the offset */
};

/* What has become of a counter that is watched. */
enum life_measured {
	LIFE_SAME,
	LIFE_CHANGED,		/* and what it is now is known */
	LIFE_UNKNOWN,
};

enum life_run {
	LIFE_UNSEEN,		/* nothing has been heard yet */
	LIFE_INCOMING,		/* QEMU loads it */
	LIFE_STOPPED,
	LIFE_RUNNING,
};

enum life_page {
	LIFE_UNTOUCHED,		/* QEMU may be writing it, without a lock */
	LIFE_QUIET,
	LIFE_FED,
};

/* What was heard last of what leaves this QEMU. */
enum life_migration {
	LIFE_NO_MIGRATION,
	LIFE_LEAVING,
	LIFE_COMPLETED,
	LIFE_GIVEN_UP,		/* cancelled or failed */
};

/**
 * struct life_user - what is done
 * @open: the page may be written from now on; it is made quiet; if the VM came in,
 *	@disrupt is next
 * @hush: the page becomes quiet, and is not written again before the next call
 * @disrupt: the same, with a new marker; the counter is not known any more
 * @feed: the page is fed with lines made for the counter as it is known now
 * @measure: with LIFE_COUNTER_WATCHED: look at it
 * @cont: let the VM run; or NULL if that is for others to do
 * @context: for all of them
 */
struct life_user {
	void (*open)(void *context, bool came_in);
	void (*hush)(void *context);
	void (*disrupt)(void *context);
	void (*feed)(void *context);
	enum life_measured (*measure)(void *context);
	void (*cont)(void *context);
	void *context;
};

/**
 * struct life - what is known
 * @user: what is done
 * @counter: see there
 * @run: what the VM does
 * @page: what was done to the page
 * @has_monitor: there is one to hear
 * @is_heard: it is connected
 * @is_silent: and does not answer, so that nobody knows what happens
 * @was_deaf: it was not, after it had been
 * @is_leaving: a migration or save is under way
 * @migration: the last that was heard of one, whoever heard it
 * @is_held: by life_hold()
 * @is_answered: since then life_answered() was called
 * @is_older: what was, or may have been, under way by then may still be
 * @has_counter: the relation of the counters is known
 * @is_resetting: a reset was told of, and may not be over
 * @is_stale: it was lost when the page could not be written yet
 * @has_arrived: it came in by a migration or out of a file
 */
struct life {
	struct life_user user;
	enum life_counter counter;
	enum life_run run;
	enum life_page page;
	bool has_monitor;
	bool is_heard;
	bool is_silent;
	bool was_deaf;
	bool is_leaving;
	enum life_migration migration;
	bool is_held;
	bool is_answered;
	bool is_older;
	bool has_counter;
	bool is_resetting;
	bool is_stale;
	bool has_arrived;
};

/**
 * life_init() - a VM of which nothing has been heard
 * @l: initialised
 * @user: copied
 * @counter: the kind
 * @has_counter: it is known
 *
 * If nothing will be heard, life_assume_running() is next.
 */
void life_init(struct life *l, const struct life_user *user, enum life_counter counter,
	       bool has_counter);

/**
 * life_assume_running() - there is no monitor: it runs, and nothing happens to it
 * @l: initialised
 */
void life_assume_running(struct life *l);

/**
 * life_connected() - the monitor is there; ask it for the status next
 * @l: initialised
 */
void life_connected(struct life *l);

/**
 * life_lost() - the monitor is gone
 * @l: initialised
 */
void life_lost(struct life *l);

/**
 * life_silent() - the monitor owes an answer for too long; or it has answered
 * @l: connected
 * @is_silent: which
 *
 * A monitor tells everything in its order. What it has said before the answer is to be
 * told to @l before this is called: then nothing was missed.
 */
void life_silent(struct life *l, bool is_silent);

/**
 * life_status() - what query-status said
 * @l: connected
 * @name: a run state, known or not
 *
 * If a reset was told of, it has to have been asked after that: then this says that
 * the reset is over.
 */
void life_status(struct life *l, const char *name);

/**
 * life_migration() - what query-migrate or a MIGRATION event said
 * @l: connected
 * @name: a migration status, known or not
 *
 * While the VM comes in it is not of interest: the run state tells when it is there.
 */
void life_migration(struct life *l, const char *name);

/**
 * life_answered() - an answer to query-migrate has come that was asked for after life_hold()
 * @l: connected; life_migration() was told the answer
 *
 * QEMU tells all in its order. So what is heard of migrations from now on has happened
 * after life_hold(), and does not tell of one that it was not for.
 */
void life_answered(struct life *l);

/**
 * life_event() - an event of the monitor, but for MIGRATION
 * @l: connected
 * @name: its name; one that says nothing is ignored
 */
void life_event(struct life *l, const char *name);

/**
 * life_poll() - look at the counter, if it is watched, but not during a reset
 * @l: initialised
 */
void life_poll(struct life *l);

/**
 * life_overwritten() - somebody else has written the page: QEMU, that restored
 * @l: initialised
 */
void life_overwritten(struct life *l);

/**
 * life_hold() - the operator will save or migrate the VM
 * @l: initialised
 *
 * When this returns the page is quiet, or was never touched. Ask what migrations do, for
 * life_answered(). If one is under way or begins by then or later, and is cancelled or
 * fails, that ends this as life_release() does.
 */
void life_hold(struct life *l);

/**
 * life_release() - the operator has saved it, or has not begun anything
 * @l: initialised
 */
void life_release(struct life *l);

/**
 * life_disrupted() - the operator knows that the counter has changed
 * @l: initialised
 */
void life_disrupted(struct life *l);

/**
 * life_told() - the operator tells the counter
 * @l: initialised
 *
 * Return: true if it can be right; false for a counter that does not run, or is
 * watched, and for a VM that is not heard, or is silent: then it is not used.
 */
bool life_told(struct life *l);

#endif /* HOST_LIFE_H */
