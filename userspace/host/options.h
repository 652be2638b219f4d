/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of vmclock-hostd.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "vm.h"

/**
 * struct options - what the operator asked for
 * @clock: where time comes from
 * @vm: the page and the clock device; names at least one of the two
 */
struct options {
	struct clock_options clock;
	struct vm_options vm;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,	/* --help or --version: it is printed */
	OPTIONS_BAD,	/* the error is printed */
};

/**
 * options_parse() - read the command line
 * @options: filled in, defaults included
 * @argc: as main() got it
 * @argv: as main() got it
 *
 * Return: what to do.
 */
enum options_result options_parse(struct options *options, int argc, char **argv);

/**
 * options_parse_duration() - read a time with its unit, such as "100us"
 * @text: a whole number and one of ns, us, ms, s, nothing else
 * @ns: the result
 *
 * Return: true, or false if it is no such thing or does not fit 64 bits.
 */
bool options_parse_duration(const char *text, uint64_t *ns);

#endif /* HOST_OPTIONS_H */
