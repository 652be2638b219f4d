// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bugs, one of each kind that the debug kernel is there to find; loading the
 * module runs into all of them. vm/planted.py knows what the log must say then.
 *
 * Their order matters: lockdep is off after its own first report, and after any of
 * KASAN's. Nothing is harmed for good: what is touched wrongly is memory that
 * KASAN keeps from being used, at an offset that is nobody else's.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#define SIZE	100	/* of a slab of 128 */
#define LEAKS	8

static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static noinline void sleep_while_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static noinline void lock_both(struct mutex *outer, struct mutex *inner)
{
	mutex_lock(outer);
	mutex_lock(inner);
	mutex_unlock(inner);
	mutex_unlock(outer);
}

static noinline void shift_too_far(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	pr_info("planted: %u\n", 1U << bits);
}

static noinline void read_after_free(void)
{
	char *bytes = kzalloc(SIZE, GFP_KERNEL);

	if (!bytes)
		return;
	kfree(bytes);
	OPTIMIZER_HIDE_VAR(bytes);
	READ_ONCE(bytes[0]);
}

static noinline void read_past_the_end(void)
{
	char *bytes = kzalloc(SIZE, GFP_KERNEL);
	char *end = bytes + SIZE;

	if (!bytes)
		return;
	OPTIMIZER_HIDE_VAR(end);
	READ_ONCE(*end);
	kfree(bytes);
}

/* More than one: an old pointer may still be on some stack. */
static noinline void lose_memory(void)
{
	int i;

	for (i = 0; i < LEAKS; i++) {
		char *bytes = kzalloc(SIZE, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(bytes);
	}
}

static int __init planted_init(void)
{
	lose_memory();
	sleep_while_atomic();
	lock_both(&first, &second);
	lock_both(&second, &first);
	shift_too_far();
	read_after_free();
	read_past_the_end();
	return 0;
}
module_init(planted_init);

MODULE_DESCRIPTION("Bugs that a kernel which looks for bugs has to report");
MODULE_LICENSE("GPL");
