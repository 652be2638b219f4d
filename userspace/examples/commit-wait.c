// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Commit-wait, as a database does it: each line of standard input is a
 * transaction. Its commit gets a time, is written to standard output, and is
 * answered only when that time has certainly passed: whoever begins later, on
 * any machine whose bound holds, gets a later time. The wait is about as long as
 * the bound is wide, and the writing is done meanwhile.
 */
#include <stdio.h>

#include <vmclk-stamp.h>

#define SECOND_NS	1000000000ULL
#define TRIES		3

/* Here a database would force its log to the disk. */
static int write_commit(const struct vmclk_time *time, const char *what)
{
	printf("%lld.%09u %s", (long long)time->sec, (unsigned int)time->nsec, what);
	return fflush(stdout) ? -EIO : 0;
}

/* The later edge is the commit's time: it is not before anything seen so far. */
static int commit(const struct vmclk *clk, const char *what)
{
	struct vmclk_stamp stamp;
	int err = vmclk_wait_trusted(clk, NULL, SECOND_NS, &stamp);

	if (!err)
		err = write_commit(&stamp.latest, what);
	if (!err)
		err = vmclk_wait_until_after(clk, &stamp, NULL, VMCLK_WAIT_FOREVER);
	return err;
}

/*
 * A disruption while we waited: the time written may be out of order, so nobody
 * is told of it, and the transaction commits again, on the clock as it is now.
 * After a clone the twin has the same transactions, and is another machine.
 */
static int commit_surely(const struct vmclk *clk, const char *what)
{
	int err = -VMCLK_EDISRUPTED;

	for (int i = 0; i < TRIES && err == -VMCLK_EDISRUPTED; i++)
		err = commit(clk, what);
	return err;
}

int main(int argc, char **argv)
{
	struct vmclk *clk = NULL;
	char line[256];
	int err = vmclk_open(argc > 1 ? argv[1] : NULL, &clk);

	setlinebuf(stdout);	/* an answer must not lie in a buffer */
	while (!err && fgets(line, sizeof(line), stdin)) {
		err = commit_surely(clk, line);
		if (!err)
			puts("committed");
	}
	if (err)
		fprintf(stderr, "commit-wait: %s\n", vmclk_strerror(err));
	vmclk_close(clk);
	return err ? 1 : 0;
}
