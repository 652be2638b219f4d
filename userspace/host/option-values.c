// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Values of options, wherever they come from.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "option-values.h"
#include "source-chrony.h"

#define MSEC	1000000ULL	/* ns */

/* What the NTP standard (RFC 5905) allows an oscillator: PHI, 15 ppm. */
#define DRIFT_DEFAULT_PPB	15000

const struct options options_default = {
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

static bool parse_generation(const char *text, enum vm_generation *generation)
{
	*generation = strcmp(text, "new") ? VM_GENERATION_KEPT : VM_GENERATION_NEW;
	return *generation == VM_GENERATION_NEW || !strcmp(text, "keep");
}

/* A number is nobody's name: it is not looked up, which may take its time. */
static bool parse_user(const char *text, struct vm_options *o)
{
	const struct passwd *known;
	uint64_t value;

	o->has_qemu_user = true;
	if (isdigit((unsigned char)text[0])) {
		/* The last one means "none" to system calls. */
		if (!parse_u64(text, UINT32_MAX - 1, &value))
			return false;
		o->qemu_user = value;
		return true;
	}
	known = *text ? getpwnam(text) : NULL;
	if (known)
		o->qemu_user = known->pw_uid;
	return known;
}

/* The options that say where the page is. */
static bool parse_page(struct vm_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	switch (opt) {
	case OPT_QEMU_PID:
		ok = parse_u64(arg, INT_MAX, &value) && value;
		o->qemu_pid = value;
		return ok;
	case OPT_QEMU_USER:
		return parse_user(arg, o);
	case OPT_QMP:
		o->qmp_path = arg;
		return *arg;
	case OPT_QMP_CONTINUE:
		o->qmp_continues = true;
		return true;
	case OPT_GENERATION:
		return parse_generation(arg, &o->generation);
	case OPT_FILE:
		o->file = arg;
		return *arg;
	case OPT_IVSHMEM:
		o->ivshmem_socket = arg;
		return *arg;
	case OPT_REPLACE:
		o->replace = true;
		return true;
	}
	return false;
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
	if (opt != OPT_VHOST_FD)
		return parse_page(o, opt, arg);
	ok = parse_u64(arg, INT_MAX, &value);
	o->vhost_fd = value;
	return ok;
}

/* The options that say how the guest sees the counter. */
static bool parse_counter(struct vm_options *o, int opt, const char *arg)
{
	uint64_t value = 0;
	bool ok;

	switch (opt) {
	case OPT_GUEST:
		o->is_guests = true;
		return true;
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

/* Where the program itself is found. */
static bool parse_daemon(struct options *o, int opt, const char *arg)
{
	const char **path = opt == OPT_CONTROL ? &o->control : &o->config;

	*path = arg;
	return *arg;
}

bool options_parse_value(struct options *o, int opt, const char *arg)
{
	switch (OPT_SCOPE(opt)) {
	case OPT_OF_VM:
	case OPT_OF_LONE_VM:
		return parse_vm(&o->vm, opt, arg);
	case OPT_OF_CLOCK:
		return parse_clock(&o->clock, opt, arg);
	default:
		return parse_daemon(o, opt, arg);
	}
}

/* What must hold between the options of the clock. */
const char *options_check_clock(const struct clock_options *o)
{
	if (o->source == CLOCK_CHRONY && o->assumed_ns)
		return "--assume-synchronized is not for --source=chrony, which tells its bound";
	/* The reading's own error comes on top. */
	if (o->assumed_ns && holdover_is_lost(&o->holdover, o->assumed_ns + 1))
		return "--assume-synchronized has to be less than half of --holdover-max-bound, for more than that is no reference";
	if (o->source == CLOCK_PHC && !o->assumed_ns)
		return "--source=phc needs --assume-synchronized: such a clock does not tell its error";
	return NULL;
}

/* And between those of a VM. */
const char *options_check_vm(struct vm_options *o)
{
	if (!!o->file + !!o->qemu_pid + !!o->ivshmem_socket > 1)
		return "--qemu-pid, --file and --ivshmem-socket exclude each other";
	if (o->vhost_socket && o->vhost_fd >= 0)
		return "--vhost-socket and --vhost-fd exclude each other";
	if (o->qmp_path && (o->file || o->ivshmem_socket))
		return "--qmp is for the page of QEMU's own device";
	if (o->qmp_path && (o->vhost_socket || o->vhost_fd >= 0))
		return "--qmp is not for the clock device: its front-end tells";
	if (o->has_qemu_user && !o->qemu_pid && !o->qmp_path)
		return "--qemu-user is for --qemu-pid and --qmp";
	if (o->qmp_continues && !o->qmp_path)
		return "--qmp-continue is for --qmp";
	if (o->generation && !o->qmp_path)
		return "--generation is for --qmp, which tells when the machine was loaded";
	if (!vm_names_page(o) && !o->qmp_path && !o->vhost_socket && o->vhost_fd < 0)
		return "give one of --qemu-pid, --file and --ivshmem-socket, or --qmp, or one of --vhost-socket and --vhost-fd";
	if (!o->file && o->replace)
		return "--replace is for --file";
	if (!o->file && o->is_guests)
		return "--guest is for --file: other pages are a guest's anyway";
	/* Programs here have no other counter than we. */
	o->is_guests |= o->file && (o->guest.ratio || o->offset_error ||
				    o->guest.frac_bits != options_default.vm.guest.frac_bits);
	if (!o->guest.ratio)
		o->guest.ratio = 1ULL << o->guest.frac_bits;
	return NULL;
}
