// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl: look at a VMClock page, and keep the clock by it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

#define NSEC_PER_SEC	1000000000ULL

static const char help[] =
"Usage: vmclockctl show  [--json] [PATH]\n"
"       vmclockctl now   [--json] [PATH]\n"
"       vmclockctl watch [--json] [--interval=SEC] [--count=N] [--updates] [PATH]\n"
"       vmclockctl check [--json] [PATH]\n"
"       vmclockctl exec  [--page=PATH] [--] PROGRAM [ARGUMENT...]\n"
"       vmclockctl lint  [--json] [--for=SEC] [PATH|TRACE]\n"
"       vmclockctl record [--interval=SEC|--updates] [--count=N] [--for=SEC] [PATH]\n"
"       vmclockctl plot  [--output=FILE.svg|FILE.png] TRACE\n"
"       vmclockctl steer [--step] [--json] [--interval=SEC] [--count=N] [--for=SEC]\n"
"                        [PATH]\n"
"       vmclockctl host  [--socket=PATH] [--json] status [VM]\n"
"       vmclockctl host  [--socket=PATH] prepare|resume|disrupt|stop VM|--all\n"
"       vmclockctl host  [--socket=PATH] drain soon|imminent|none VM|--all\n"
"       vmclockctl host  [--socket=PATH] set-counter VM --marker=MARKER\n"
"                        --tsc-offset=TICKS [--tsc-offset-error=TICKS]\n"
"                        [--tsc-ratio=RATIO [--tsc-frac-bits=BITS]]\n"
"       vmclockctl host  [--socket=PATH] reload\n"
"       vmclockctl feed-chrony --socket=SOCKET [--interval=SEC] [--count=N]\n"
"                              [--for=SEC] [PATH]\n"
"       vmclockctl acpi-table --slot=N [--output=FILE]\n"
"\n"
"Look at a VMClock page: a clock that a hypervisor shares with its guest.\n"
"PATH is a device or a file with a page in it; without it /dev/vmclock, or the\n"
"in-tree driver's /dev/vmclock0.\n"
"\n"
"  show   every field, raw and decoded, and what the driver says of the device\n"
"  now    the time: a point, and the interval the true time lies in\n"
"  watch  the same, a line a second; says what changed since the line before.\n"
"         On a terminal one screen, with the last events\n"
"  check  can this page be trusted? If not, every reason on a line of its own\n"
"  exec   run a program that takes its time from the page while that is trusted\n"
"  lint   is the page as the specification has it? Looks at it for a while, or at\n"
"         what 'record' wrote; each finding names the section it goes against\n"
"  record write down what the page says, and the clocks beside it\n"
"  plot   a picture of a trace, by gnuplot: SVG on the standard output, or a file\n"
"  steer  as root: keep the system's clock on the page's time, by its rate, until\n"
"         told to stop; refuses where another program does such a thing\n"
"  host   on a host: see and steer what vmclock-hostd feeds, over its control\n"
"         socket (default /run/vmclock/hostd.sock). 'disrupt': the guest's counter\n"
"         is another one; 'set-counter': and this is it; 'drain': tell the guest\n"
"         that a disruption will come within a day or within an hour; 'stop': feed\n"
"         it no more; 'reload': read the configuration again\n"
"  feed-chrony  be a reference clock of chronyd (refclock SOCK), while the page can\n"
"         be trusted\n"
"  acpi-table\n"
"         for a host: what QEMU's -acpitable file= takes, so that a guest finds the\n"
"         page in an ivshmem device by ACPI\n"
"\n"
"  --json          one JSON object a line. 64-bit values are strings of decimal\n"
"                  digits, because many readers of JSON lose digits above 2^53\n"
"  --interval=SEC  seconds between two lines, 0.001 to 86400 (default 1)\n"
"  --count=N       stop after N lines, or samples\n"
"  --updates       a line per update of the page instead of one per interval.\n"
"                  Looks every millisecond: updates in between are seen as one\n"
"  --for=SEC       how long to look, 0.001 to 86400 (lint: 2; record, steer: no\n"
"                  end)\n"
"  --step          set the clock, at the start and after a disruption, if it is off\n"
"                  by more than 0.1 s, and only then steer it\n"
"  --output=FILE   where the picture goes, and its name says which kind it is; or\n"
"                  the table\n"
"  --socket=SOCKET where chronyd listens\n"
"  --slot=N        the device's slot on QEMU's bus 0, 1 to 31, or 0x01 to 0x1f. QEMU\n"
"                  takes addr= for hexadecimal without an 0x: addr=10 is 0x10, or 16\n"
"  --help, --version\n"
"\n"
"Exit status: 0 all is well; 1 the clock can't be used, or lint has an error or\n"
"a warning, or vmclock-hostd refused; 2 wrong usage, or an error of the system.\n"
"exec: that of the program; 127 if there is none by that name, 126 if it can't be\n"
"run.\n";

/* @takes: the letters of its options. */
static const struct verb {
	const char *name;
	int (*run)(const struct options *opt);
	const char *takes;
} verbs[] = {
	{ "show", cmd_show, "j" },
	{ "now", cmd_now, "j" },
	{ "watch", cmd_watch, "jicu" },
	{ "check", cmd_check, "j" },
	{ "exec", cmd_exec, "" },
	{ "lint", cmd_lint, "jf" },
	{ "record", cmd_record, "icuf" },
	{ "plot", cmd_plot, "o" },
	{ "steer", cmd_steer, "jicfs" },
	{ "host", cmd_host, "" },
	{ "feed-chrony", cmd_feed_chrony, "icfS" },
	{ "acpi-table", cmd_acpi_table, "on" },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int usage(const char *object, const char *reason)
{
	complain(object, "%s (try 'vmclockctl --help')", reason);
	return EXIT_SYSTEM;
}

static bool parse_interval(const char *text, uint64_t *ns)
{
	char *end;
	double sec = strtod(text, &end);

	if (end == text || *end || !(sec >= 0.001 && sec <= 86400))
		return false;
	*ns = (uint64_t)(sec * NSEC_PER_SEC);
	return true;
}

/* @base: 10, or 0 for 0x as well. */
static bool parse_count(const char *text, int base, uint64_t *count)
{
	char *end;

	errno = 0;
	*count = strtoull(text, &end, base);
	return *text >= '0' && *text <= '9' && !*end && !errno && *count;
}

static int parse_exec(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "page", required_argument, NULL, 'p' },
		{ 0 }
	};
	int c;

	/* What follows the program's name is not ours. */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == '?')
			return EXIT_SYSTEM;	/* getopt has said why */
		opt->path = optarg;
	}
	if (optind == argc)
		return usage("exec", "say which program");
	opt->command = argv + optind;
	return EXIT_OK;
}

static int parse_option(int c, struct options *opt)
{
	switch (c) {
	case 'j':
		opt->json = true;
		break;
	case 'u':
		opt->updates = true;
		break;
	case 's':
		opt->step = true;
		break;
	case 'o':
		opt->output = optarg;
		break;
	case 'S':
		opt->socket = optarg;
		break;
	case 'c':
		if (!parse_count(optarg, 10, &opt->count))
			return usage(optarg, "not a number above 0");
		break;
	case 'n':
		if (!parse_count(optarg, 0, &opt->slot))
			return usage(optarg, "not the number of a slot above 0");
		break;
	default:
		if (!parse_interval(optarg, c == 'f' ? &opt->duration_ns : &opt->interval_ns))
			return usage(optarg, "not an interval from 0.001 to 86400");
	}
	return EXIT_OK;
}

static int parse(int argc, char **argv, const char *takes, struct options *opt)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'c' },
		{ "updates", no_argument, NULL, 'u' },
		{ "for", required_argument, NULL, 'f' },
		{ "step", no_argument, NULL, 's' },
		{ "output", required_argument, NULL, 'o' },
		{ "socket", required_argument, NULL, 'S' },
		{ "slot", required_argument, NULL, 'n' },
		{ 0 }
	};
	int c, which = 0;

	while ((c = getopt_long(argc, argv, "", longs, &which)) != -1) {
		if (c == '?')
			return EXIT_SYSTEM;	/* getopt has said why */
		if (!strchr(takes, c))
			return usage(longs[which].name, "this verb does not have this option");
		if (parse_option(c, opt))
			return EXIT_SYSTEM;
	}

	if (argc - optind > 1)
		return usage(argv[optind + 1], "more than one page");
	opt->path = argv[optind];
	return EXIT_OK;
}

/* A full disk or a closed pipe must not look like success. */
static int flush(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("standard output", "%s", strerror(errno));
	return EXIT_SYSTEM;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

int main(int argc, char **argv)
{
	struct options opt = { .interval_ns = NSEC_PER_SEC };
	const struct verb *verb;
	static char name[] = "vmclockctl";
	int err;

	if (argc < 2)
		return usage("no verb", "say what to do");
	if (is_help(argv[1]) || (argc > 2 && is_help(argv[2]))) {
		fputs(help, stdout);
		return flush(EXIT_OK);
	}
	if (!strcmp(argv[1], "--version")) {
		printf("vmclockctl %s\n", vmclk_version());
		return flush(EXIT_OK);
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return usage(argv[1], "no such verb");

	argv[1] = name;		/* getopt's messages start with it */
	if (verb->run == cmd_host) {
		opt.command = argv + 1;		/* parsed there */
		return flush(cmd_host(&opt));
	}
	err = verb->run == cmd_exec ? parse_exec(argc - 1, argv + 1, &opt) :
	      parse(argc - 1, argv + 1, verb->takes, &opt);
	return err ? err : flush(verb->run(&opt));
}
