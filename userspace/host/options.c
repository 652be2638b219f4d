// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "option-values.h"
#include "source-chrony.h"

static const struct option long_options[] = {
	{ "qemu-pid", required_argument, NULL, OPT_QEMU_PID },
	{ "qemu-user", required_argument, NULL, OPT_QEMU_USER },
	{ "qmp", required_argument, NULL, OPT_QMP },
	{ "qmp-continue", no_argument, NULL, OPT_QMP_CONTINUE },
	{ "generation", required_argument, NULL, OPT_GENERATION },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "replace", no_argument, NULL, OPT_REPLACE },
	{ "ivshmem-socket", required_argument, NULL, OPT_IVSHMEM },
	{ "vhost-socket", required_argument, NULL, OPT_VHOST_SOCKET },
	{ "vhost-fd", required_argument, NULL, OPT_VHOST_FD },
	{ "guest", no_argument, NULL, OPT_GUEST },
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
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 }
};

static const char help[] =
"Usage: vmclock-hostd [--config=FILE] [--control=PATH]\n"
"       vmclock-hostd [--qemu-pid=PID | --qmp=SOCKET | --file=PATH | --ivshmem-socket=PATH]\n"
"                     [--vhost-socket=PATH | --vhost-fd=FD] [OPTION]...\n"
"Keeps VMClock pages up to date with the host's time, is the clock device of\n"
"virtual machines, or both: of those that the file names, or of one.\n"
"\n"
"The daemon:\n"
"  --config=FILE             what to do, as vmclock-hostd.conf(5) describes; alone\n"
"                            (default " OPTIONS_CONFIG_DEFAULT ")\n"
"  --control=PATH            make this socket, for vmclockctl host\n"
"\n"
"The page:\n"
"  --qemu-pid=PID            of this QEMU, started with -device vmclock and\n"
"                            -machine ...,aux-ram-share=on\n"
"  --qemu-user=USER          whose process that is, or has the monitor: a name or a\n"
"                            number; else the user who runs this program\n"
"  --qmp=SOCKET              of the QEMU that has this monitor, and follow its life:\n"
"                            stopped, reset, migrated, saved, restored\n"
"  --qmp-continue            let the machine run when it has come in by a migration\n"
"                            (-incoming ... -S) and its page says so\n"
"  --generation=keep|new     have a generation counter in the page: another one after\n"
"                            a snapshot was loaded; a machine that comes in keeps\n"
"                            its own (it is moved), or has a new one (restored)\n"
"  --file=PATH               in this file; made if there is none, with the\n"
"                            directories that lead to it\n"
"  --replace                 put a page there also if the file holds something\n"
"                            else: another file of that name takes its place\n"
"  --ivshmem-socket=PATH     for QEMU's -device ivshmem-doorbell, which also brings\n"
"                            the guest an interrupt with each update\n"
"The clock device, virtio-rtc over vhost-user:\n"
"  --vhost-socket=PATH       for front-ends to connect to, one after the other\n"
"  --vhost-fd=FD             on this socket, listening or connected already\n"
"The guest's counter:\n"
"  --guest                   the --file is a guest's too, as with vmclockctl acpi-table,\n"
"                            and not for programs on this host\n"
"  --tsc-offset=TICKS        guest = host * ratio / 2^frac-bits + offset, modulo\n"
"  --tsc-ratio=RATIO         2^64. The offset is needed with --qemu-pid alone, --guest\n"
"  --tsc-frac-bits=BITS      and --ivshmem-socket, and for a page or the counter of the\n"
"                            clock device; the ratio is 1 by default. BITS: 48\n"
"                            (default, Intel), 32 (AMD)\n"
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
"                            (default 128ms); a source whose own bound is more than\n"
"                            half of this is lost\n"
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

static enum options_result complain(const char *what)
{
	log_line("%s; see vmclock-hostd --help", what);
	return OPTIONS_BAD;
}

/* What must hold between all of them where there is one VM. */
static const char *check_lone_vm(struct options *o)
{
	const char *wrong = options_check_vm(&o->vm);

	if (!wrong)
		wrong = options_check_clock(&o->clock);
	if (!wrong && vm_needs_counter(&o->vm) && !o->control && !o->vm.qmp_path)
		wrong = "--qemu-pid, --ivshmem-socket and a guest's --file need --tsc-offset: a guest's counter is hardly ever the host's (if it is: 0); or --control, by which it is told, or KVM tells it, later";
	if (!wrong && o->vm.wants_utc && o->clock.has_tai_offset)
		wrong = "--tai-offset is for a TAI page";
	return wrong;
}

/* @count: options other than --config and --control */
static enum options_result check(struct options *o, int count)
{
	const char *wrong = NULL;

	if (!count && !o->config)
		o->config = OPTIONS_CONFIG_DEFAULT;
	if (!o->config)
		wrong = check_lone_vm(o);
	else if (count)
		wrong = "--config stands alone: all else is in the file";
	return wrong ? complain(wrong) : OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	int opt, index, count = 0;

	*o = options_default;
	optind = 0;	/* getopt starts afresh */
	while ((opt = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (opt == '?')
			return complain("bad usage");
		if (opt == OPT_HELP || opt == OPT_VERSION) {
			fputs(opt == OPT_HELP ? help : "vmclock-hostd " VMCLK_VERSION "\n",
			      stdout);
			return OPTIONS_DONE;
		}
		if (!options_parse_value(o, opt, optarg)) {
			log_line("--%s=%s: not a valid value; see vmclock-hostd --help",
				 long_options[index].name, optarg);
			return OPTIONS_BAD;
		}
		count += opt != OPT_CONFIG && opt != OPT_CONTROL;
	}
	if (optind < argc)
		return complain("options only, please");
	return check(o, count);
}

static const struct option *find_option(const char *name)
{
	const struct option *option = long_options;

	while (option->name && strcmp(option->name, name))
		option++;
	return option->name ? option : NULL;
}

const char *options_set(struct options *o, bool is_vm, const char *name, const char *value)
{
	const struct option *option = find_option(name);
	int scope = option ? OPT_SCOPE(option->val) : OPT_OF_COMMAND;

	if (scope == OPT_OF_COMMAND || scope == OPT_OF_LONE_VM)
		return "there is no such key";
	if (is_vm != (scope == OPT_OF_VM))
		return is_vm ? "this belongs into [daemon]" : "this belongs to a VM";
	if (option->has_arg == no_argument) {
		if (!strcmp(value, "no"))
			return NULL;
		if (strcmp(value, "yes"))
			return "yes or no?";
	}
	return options_parse_value(o, option->val, value) ? NULL :
	       "not a valid value; see vmclock-hostd --help";
}
