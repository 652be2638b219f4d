// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "source-chrony.h"

#define MSEC	1000000ULL	/* ns */

#define LEAP_LIST_DEFAULT	"/usr/share/zoneinfo/leap-seconds.list"

/* What the NTP standard (RFC 5905) allows an oscillator: PHI, 15 ppm. */
#define DRIFT_DEFAULT_PPB	15000

enum {
	OPT_QEMU_PID = 256, OPT_FILE, OPT_REPLACE, OPT_TSC_OFFSET, OPT_TSC_RATIO,
	OPT_TSC_FRAC_BITS, OPT_TSC_OFFSET_ERROR, OPT_INTERVAL, OPT_DRIFT,
	OPT_ASSUME, OPT_TIME_SCALE, OPT_TAI_OFFSET, OPT_LEAP_LIST,
	OPT_SOURCE, OPT_CHRONYC, OPT_PHC_SCALE, OPT_HOLDOVER_AFTER, OPT_HOLDOVER_MAX,
	OPT_PUBLISH_US, OPT_FORCE_COUNTER, OPT_VHOST_SOCKET, OPT_VHOST_FD,
	OPT_VERBOSE, OPT_HELP, OPT_VERSION,
};

static const struct option long_options[] = {
	{ "qemu-pid", required_argument, NULL, OPT_QEMU_PID },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "replace", no_argument, NULL, OPT_REPLACE },
	{ "vhost-socket", required_argument, NULL, OPT_VHOST_SOCKET },
	{ "vhost-fd", required_argument, NULL, OPT_VHOST_FD },
	{ "tsc-offset", required_argument, NULL, OPT_TSC_OFFSET },
	{ "tsc-ratio", required_argument, NULL, OPT_TSC_RATIO },
	{ "tsc-frac-bits", required_argument, NULL, OPT_TSC_FRAC_BITS },
	{ "tsc-offset-error", required_argument, NULL, OPT_TSC_OFFSET_ERROR },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "chronyc", required_argument, NULL, OPT_CHRONYC },
	{ "phc-scale", required_argument, NULL, OPT_PHC_SCALE },
	{ "holdover-after", required_argument, NULL, OPT_HOLDOVER_AFTER },
	{ "holdover-max-bound", required_argument, NULL, OPT_HOLDOVER_MAX },
	{ "drift", required_argument, NULL, OPT_DRIFT },
	{ "assume-synchronized", required_argument, NULL, OPT_ASSUME },
	{ "time-scale", required_argument, NULL, OPT_TIME_SCALE },
	{ "tai-offset", required_argument, NULL, OPT_TAI_OFFSET },
	{ "leap-seconds-list", required_argument, NULL, OPT_LEAP_LIST },
	{ "publish-us", required_argument, NULL, OPT_PUBLISH_US },
	{ "force-counter", no_argument, NULL, OPT_FORCE_COUNTER },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 }
};

static const char help[] =
"Usage: vmclock-hostd [--qemu-pid=PID | --file=PATH]\n"
"                     [--vhost-socket=PATH | --vhost-fd=FD] [OPTION]...\n"
"Keeps a VMClock page up to date with the host's time, is the clock device of a\n"
"virtual machine, or both.\n"
"\n"
"The page:\n"
"  --qemu-pid=PID            of this QEMU, started with -device vmclock and\n"
"                            -machine ...,aux-ram-share=on\n"
"  --file=PATH               in this file; made if there is none, with the\n"
"                            directories that lead to it\n"
"  --replace                 put a page there also if the file holds something\n"
"                            else: another file of that name takes its place\n"
"The clock device, virtio-rtc over vhost-user:\n"
"  --vhost-socket=PATH       for front-ends to connect to, one after the other\n"
"  --vhost-fd=FD             on this socket, listening or connected already\n"
"The guest's counter:\n"
"  --tsc-offset=TICKS        guest = host * ratio / 2^frac-bits + offset, modulo\n"
"  --tsc-ratio=RATIO         2^64. The offset is needed with --qemu-pid, and for\n"
"  --tsc-frac-bits=BITS      a page or the counter of the clock device; the ratio\n"
"                            is 1 by default. BITS: 48 (default, Intel), 32 (AMD)\n"
"  --tsc-offset-error=TICKS  how far the offset may be off; widens the bound\n"
"The time:\n"
"  --source=kernel           from the kernel's clock and its own bound (default)\n"
"  --source=chrony[:SOCKET]  from chronyd, by its tracking report\n"
"  --source=phc:DEVICE       from a PTP hardware clock, such as /dev/ptp0, within\n"
"                            the bound of --assume-synchronized\n"
"  --chronyc=PATH            chronyd's client (default " SOURCE_CHRONYC_DEFAULT ")\n"
"  --phc-scale=tai|utc       what the PTP hardware clock tells (default tai)\n"
"  --holdover-after=TIME     without the source for so long, the page becomes\n"
"                            FREERUNNING (default 3s)\n"
"  --holdover-max-bound=TIME and when its bound is more than this, UNRELIABLE\n"
"                            (default 128ms)\n"
"  --assume-synchronized=BOUND\n"
"                            take the host's clock to be within BOUND (such as\n"
"                            100us; ns, us, ms, s) of the truth, whatever the\n"
"                            kernel says\n"
"  --drift=PPM               how far the counter's rate may wander from what is\n"
"                            measured (default 15, as in RFC 5905)\n"
"  --time-scale=tai|utc      utc: publish UTC. tai (default): publish TAI if its\n"
"                            offset is known, else UTC\n"
"  --tai-offset=SECONDS      UTC - TAI (-37 since 2017), instead of asking the\n"
"                            kernel and the leap second list\n"
"  --leap-seconds-list=FILE  default " LEAP_LIST_DEFAULT "\n"
"  --force-counter           use a counter the kernel does not trust\n"
"The updates:\n"
"  --interval=TIME           between calibrations: 10ms to 60s, default 1s\n"
"  --publish-us=N            move the line's reference point to the present\n"
"                            every N microseconds, busy waiting; 0: no pause\n"
"  --verbose                 log each calibration\n"
"  --help, --version\n"
"\n"
"Exit status: 0 stopped by a signal or the machine ended, 1 the clock or the page\n"
"failed, 2 usage or system error. Whenever it stops, the page says UNRELIABLE.\n";

/* A whole number, decimal or 0x; no sign, no blanks, nothing behind it. */
static bool parse_u64(const char *text, uint64_t max, uint64_t *value)
{
	bool is_hex = !strncasecmp(text, "0x", 2);
	char *end;

	if (!isdigit((unsigned char)text[0]) ||
	    (is_hex && !isxdigit((unsigned char)text[2])))
		return false;
	errno = 0;
	*value = strtoull(text, &end, is_hex ? 16 : 10);
	return !errno && !*end && *value <= max;
}

/* The same with a minus, modulo 2^64. */
static bool parse_offset(const char *text, uint64_t *value)
{
	bool is_negative = *text == '-';

	if (!parse_u64(text + is_negative, is_negative ? 1ULL << 63 : UINT64_MAX, value))
		return false;
	if (is_negative)
		*value = -*value;
	return true;
}

bool options_parse_duration(const char *text, uint64_t *ns)
{
	static const struct unit { const char *name; uint64_t ns; } units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", MSEC }, { "s", 1000 * MSEC }, { 0 }
	};
	size_t digits = strspn(text, "0123456789");
	const struct unit *unit;
	char number[24] = "";

	if (!digits || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	for (unit = units; unit->name; unit++)
		if (!strcmp(text + digits, unit->name))
			return parse_u64(number, UINT64_MAX, ns) &&
			       !__builtin_mul_overflow(*ns, unit->ns, ns);
	return false;
}

static bool parse_duration_in(const char *text, uint64_t min, uint64_t max, uint64_t *ns)
{
	return options_parse_duration(text, ns) && *ns >= min && *ns <= max;
}

static bool parse_time_scale(const char *text, bool *wants_utc)
{
	*wants_utc = !strcmp(text, "utc");
	return *wants_utc || !strcmp(text, "tai");
}

static bool parse_tai_offset(const char *text, struct clock_options *o)
{
	uint64_t value;

	/* UTC has been behind TAI since there is UTC: never positive. */
	if (*text != '-' || !parse_u64(text + 1, 1000, &value))
		return false;
	o->has_tai_offset = true;
	o->tai_offset_sec = -(int)value;
	return true;
}

/* The options of the clock device. */
static bool parse_vhost(struct vm_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	if (opt == OPT_VHOST_SOCKET) {
		o->vhost_socket = arg;
		return *arg;
	}
	ok = parse_u64(arg, INT_MAX, &value);
	o->vhost_fd = value;
	return opt == OPT_VHOST_FD && ok;
}

/* The options that say how the guest sees the counter. */
static bool parse_counter(struct vm_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	switch (opt) {
	case OPT_TSC_OFFSET:
		o->has_tsc_offset = true;
		return parse_offset(arg, &o->guest.offset);
	case OPT_TSC_RATIO:
		return parse_u64(arg, UINT64_MAX, &o->guest.ratio) && o->guest.ratio;
	case OPT_TSC_FRAC_BITS:
		ok = parse_u64(arg, 63, &value);
		o->guest.frac_bits = value;
		return ok;
	case OPT_TSC_OFFSET_ERROR:
		/* Hours of it: more is no measurement. */
		return parse_u64(arg, 1ULL << 44, &o->offset_error);
	}
	return parse_vhost(o, opt, arg);
}

/* The options that each VM has. */
static bool parse_vm(struct vm_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	switch (opt) {
	case OPT_QEMU_PID:
		ok = parse_u64(arg, INT_MAX, &value) && value;
		o->qemu_pid = value;
		return ok;
	case OPT_FILE:
		o->file = arg;
		return *arg;
	case OPT_REPLACE:
		o->replace = true;
		return true;
	case OPT_TIME_SCALE:
		return parse_time_scale(arg, &o->wants_utc);
	case OPT_PUBLISH_US:
		ok = parse_u64(arg, 100000, &value);
		o->publishes = true;
		o->publish_us = value;
		return ok;
	}
	return parse_counter(o, opt, arg);
}

static bool parse_source(struct clock_options *o, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);

	o->source_path = colon ? colon + 1 : NULL;
	if (!strcmp(text, "kernel"))
		o->source = CLOCK_KERNEL;
	else if (length == 6 && !memcmp(text, "chrony", length))
		o->source = CLOCK_CHRONY;
	else if (length == 3 && !memcmp(text, "phc", length) && colon)
		o->source = CLOCK_PHC;
	else
		return false;
	return !colon || colon[1];
}

/* The options that say where time comes from, and what if it does not. */
static bool parse_source_option(struct clock_options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_SOURCE:
		return parse_source(o, arg);
	case OPT_CHRONYC:
		o->chronyc = arg;
		return *arg;
	case OPT_PHC_SCALE:
		return parse_time_scale(arg, &o->phc_is_utc);
	case OPT_HOLDOVER_AFTER:
		return parse_duration_in(arg, 0, 3600000 * MSEC, &o->holdover.after_ns);
	case OPT_HOLDOVER_MAX:
		return parse_duration_in(arg, 1, 3600000 * MSEC, &o->holdover.max_bound_ns);
	}
	return false;
}

/* The options that there are once. */
static bool parse_clock(struct clock_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	switch (opt) {
	case OPT_INTERVAL:
		return parse_duration_in(arg, 10 * MSEC, 60000 * MSEC, &o->interval_ns);
	case OPT_DRIFT:
		ok = parse_u64(arg, 1000, &value);
		o->drift_ppb = value * 1000;
		return ok;
	case OPT_ASSUME:
		return parse_duration_in(arg, 1, 3600000 * MSEC, &o->assumed_ns);
	case OPT_TAI_OFFSET:
		return parse_tai_offset(arg, o);
	case OPT_LEAP_LIST:
		o->leap_list = arg;
		o->leap_list_given = true;
		return *arg;
	case OPT_FORCE_COUNTER:
		o->force_counter = true;
		return true;
	case OPT_VERBOSE:
		o->verbose = true;
		return true;
	}
	return parse_source_option(o, opt, arg);
}

static enum options_result complain(const char *what)
{
	log_line("%s; see vmclock-hostd --help", what);
	return OPTIONS_BAD;
}

/* What must hold between the options of the clock. */
static const char *check_clock(const struct clock_options *o)
{
	if (o->source == CLOCK_CHRONY && o->assumed_ns)
		return "--assume-synchronized is not for --source=chrony, which tells its bound";
	if (o->source == CLOCK_PHC && !o->assumed_ns)
		return "--source=phc needs --assume-synchronized: such a clock does not tell its error";
	return NULL;
}

/* And between those of a VM. */
static const char *check_vm(struct vm_options *o)
{
	if (o->file && o->qemu_pid)
		return "--qemu-pid and --file exclude each other";
	if (o->vhost_socket && o->vhost_fd >= 0)
		return "--vhost-socket and --vhost-fd exclude each other";
	if (!o->file && !o->qemu_pid && !o->vhost_socket && o->vhost_fd < 0)
		return "give one of --qemu-pid and --file, or one of --vhost-socket and --vhost-fd";
	if (!o->file && o->replace)
		return "--replace is for --file";
	if (!o->guest.ratio)
		o->guest.ratio = 1ULL << o->guest.frac_bits;
	return NULL;
}

static enum options_result check(struct options *o)
{
	const char *wrong = check_vm(&o->vm);

	if (!wrong)
		wrong = check_clock(&o->clock);
	if (!wrong && o->vm.qemu_pid && !o->vm.has_tsc_offset)
		wrong = "--qemu-pid needs --tsc-offset: a guest's counter is hardly ever the host's (if it is: 0)";
	if (!wrong && o->vm.wants_utc && o->clock.has_tai_offset)
		wrong = "--tai-offset is for a TAI page";
	return wrong ? complain(wrong) : OPTIONS_RUN;
}

static const struct options defaults = {
	.clock = {
		.interval_ns = 1000 * MSEC,
		.drift_ppb = DRIFT_DEFAULT_PPB,
		.chronyc = SOURCE_CHRONYC_DEFAULT,
		.holdover = { HOLDOVER_AFTER_DEFAULT_NS, HOLDOVER_MAX_BOUND_DEFAULT_NS },
		.leap_list = LEAP_LIST_DEFAULT,
	},
	.vm = {
		.vhost_fd = -1,
		.guest.frac_bits = 48,
	},
};

static bool parse(struct options *o, int opt, const char *arg)
{
	return parse_clock(&o->clock, opt, arg) || parse_vm(&o->vm, opt, arg);
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	int opt, index;

	*o = defaults;
	optind = 0;	/* getopt starts afresh */
	while ((opt = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (opt == '?')
			return complain("bad usage");
		if (opt == OPT_HELP || opt == OPT_VERSION) {
			fputs(opt == OPT_HELP ? help : "vmclock-hostd " VMCLK_VERSION "\n",
			      stdout);
			return OPTIONS_DONE;
		}
		if (!parse(o, opt, optarg)) {
			log_line("--%s=%s: not a valid value; see vmclock-hostd --help",
				 long_options[index].name, optarg);
			return OPTIONS_BAD;
		}
	}
	if (optind < argc)
		return complain("options only, please");
	return check(o);
}
