/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of vmclock-hostd. The keys of its configuration file are the
 * names of the same options.
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
 * @config: the configuration file, which then has all of the above; or NULL
 * @control: where the control socket is; or NULL: the file says it, or there is none
 */
struct options {
	struct clock_options clock;
	struct vm_options vm;
	const char *config;
	const char *control;
};

#define OPTIONS_CONFIG_DEFAULT	"/etc/vmclock/hostd.conf"

extern const struct options options_default;

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
 * options_set() - take in a key of the configuration file
 * @options: where it goes; options_default at first
 * @is_vm: it is in a VM's section, and not in [daemon]
 * @name: the key
 * @value: its value; stays the caller's, and is used as long as @options
 *
 * Return: NULL, or what is wrong.
 */
const char *options_set(struct options *options, bool is_vm, const char *name,
			const char *value);

/**
 * options_check_clock() - what must hold between the options of the clock
 * @options: the options
 *
 * Return: NULL, or what is wrong.
 */
const char *options_check_clock(const struct clock_options *options);

/**
 * options_check_vm() - what must hold between those of a VM
 * @options: the options; what is not given and follows from others is filled in
 *
 * Return: NULL, or what is wrong.
 */
const char *options_check_vm(struct vm_options *options);

/**
 * options_parse_duration() - read a time with its unit, such as "100us"
 * @text: a whole number and one of ns, us, ms, s, nothing else
 * @ns: the result
 *
 * Return: true, or false if it is no such thing or does not fit 64 bits.
 */
bool options_parse_duration(const char *text, uint64_t *ns);

#endif /* HOST_OPTIONS_H */
