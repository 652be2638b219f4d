// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Commit-wait, as a database does it: each line of standard input is a
 * transaction. Its commit gets a time, is written to standard output, and is
 * answered only when that time has certainly passed: whoever begins later, on
 * any machine whose bound holds, gets a later time.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include <vmclk.h>

/* Here a database would force its log to the disk. */
static int write_commit(const struct vmclk_time *t, const char *what)
{
	printf("%lld.%09u %s", (long long)t->sec, (unsigned int)t->nsec, what);
	return fflush(stdout) ? -EIO : 0;
}

static bool is_past(const struct vmclk_time *time, const struct vmclk_stamp *now)
{
	return now->earliest.sec > time->sec ||
	       (now->earliest.sec == time->sec && now->earliest.nsec > time->nsec);
}

/* -ESTALE: the clock was disrupted, or the machine cloned, and @stamp is void. */
static int wait_until_after(const struct vmclk *clk, const struct vmclk_stamp *stamp)
{
	for (;;) {
		struct vmclk_stamp now;
		int err = vmclk_now(clk, &now);

		if (err)
			return err;
		if (now.disruption_marker != stamp->disruption_marker ||
		    now.vm_generation_counter != stamp->vm_generation_counter)
			return -ESTALE;
		if (is_past(&stamp->latest, &now))
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
	}
}

/* The later edge is the commit's time: it is not before anything seen so far. */
static int commit(const struct vmclk *clk, const char *what)
{
	int err = -ESTALE;

	/* Nobody was told of a time that became void: commit with another. */
	for (int tries = 3; tries && err == -ESTALE; tries--) {
		struct vmclk_stamp stamp;

		err = vmclk_now(clk, &stamp);
		if (!err)
			err = write_commit(&stamp.latest, what);
		if (!err)
			err = wait_until_after(clk, &stamp);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct vmclk *clk = NULL;
	char line[256];
	int err = vmclk_open(argc > 1 ? argv[1] : NULL, &clk);

	while (!err && fgets(line, sizeof(line), stdin)) {
		err = commit(clk, line);
		if (!err)
			err = puts("committed") < 0 || fflush(stdout) ? -EIO : 0;
	}
	if (err)
		fprintf(stderr, "commit-wait: %s\n", vmclk_strerror(err));
	vmclk_close(clk);
	return err ? 1 : 0;
}
