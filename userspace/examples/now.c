// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The least that a program has to do: open the clock, ask for the time, and
 * believe it only if it is given.
 */
#include <stdio.h>

#include <vmclk.h>

static void print(const char *what, const struct vmclk_time *t)
{
	printf("%s %lld.%09u\n", what, (long long)t->sec, (unsigned int)t->nsec);
}

int main(int argc, char **argv)
{
	struct vmclk *clk;
	struct vmclk_stamp stamp = { .reason = VMCLK_OK };
	int err = vmclk_open(argc > 1 ? argv[1] : NULL, &clk);

	if (err) {
		fprintf(stderr, "no clock: %s\n", vmclk_strerror(err));
		return 2;
	}

	err = vmclk_now(clk, &stamp);
	if (!err) {
		print("no earlier than", &stamp.earliest);
		print("no later than  ", &stamp.latest);
	} else {
		fprintf(stderr, "no time: %s\n", stamp.reason ?
			vmclk_reason_str(stamp.reason) : vmclk_strerror(err));
	}
	vmclk_close(clk);
	return err ? 1 : 0;
}
