// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <linux/vmclock-page.h>

#include "common.h"

void complain(const char *object, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "vmclockctl: %s: ", object);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void complain_no_device(void)
{
	if (access("/sys/module/vmclock", F_OK))
		complain("/dev/vmclock",
			 "no such device; only virtual machines have one. In one, load the driver with 'modprobe vmclock'. If that does not help, the hypervisor has no VMClock device (QEMU: -device vmclock)");
	else
		complain("/dev/vmclock",
			 "no such device, although the driver is loaded; only virtual machines have one. In one, the hypervisor has no VMClock device (QEMU: -device vmclock), or the driver refused it and the kernel log says why");
}

static int report(const char *object, int err)
{
	complain(object, "%s", vmclk_strerror(err));
	return is_page_error(err) ? EXIT_UNUSABLE : EXIT_SYSTEM;
}

int page_open_error(const char *path, int err)
{
	const char *object = path ? path : "/dev/vmclock";

	if (err == -ENOENT && !path)
		complain_no_device();
	else if (err == -EACCES || err == -EPERM)
		complain(object, "%s: run as root, or have the device's mode changed",
			 strerror(-err));
	else
		return report(object, err);
	return EXIT_SYSTEM;
}

int page_open(const char *path, struct vmclk **clk)
{
	int err = vmclk_open(path, clk);

	return err ? page_open_error(path, err) : EXIT_OK;
}

int page_error(const struct vmclk *clk, int err)
{
	return report(vmclk_path(clk), err);
}

const char *reason_advice(unsigned int reason)
{
	switch (reason) {
	case VMCLK_NO_COUNTER:
		return "the host must run a writer that puts time into the page, such as vmclock-hostd";
	case VMCLK_WRONG_COUNTER:
		return "the kernel must have the page's counter among its clocksources (x86: tsc=reliable, if the hypervisor does keep it stable)";
	case VMCLK_BAD_STATUS:
		return "the host's clock must be synchronised, and its writer running";
	default:
		return NULL;
	}
}

/* Before the epoch the nanoseconds count up from a whole second below. */
const char *format_seconds(char text[SECONDS_TEXT_MAX], const struct vmclk_time *time)
{
	bool up = time->sec < 0 && time->nsec;
	int64_t sec = time->sec + up;

	snprintf(text, SECONDS_TEXT_MAX, "%s%" PRId64 ".%09" PRIu32, up && !sec ? "-" : "",
		 sec, up ? 1000000000 - time->nsec : time->nsec);
	return text;
}

const char *format_time(char text[TIME_TEXT_MAX], const struct vmclk_time *time,
			unsigned int time_type)
{
	const char *scale = vmclk_scale_str(time_type);
	char date[48], seconds[SECONDS_TEXT_MAX];
	time_t sec = time->sec;
	struct tm tm;

	if (time_type != VMCLOCK_PAGE_TIME_MONOTONIC && gmtime_r(&sec, &tm) &&
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, TIME_TEXT_MAX, "%s.%09" PRIu32 " %s", date, time->nsec, scale);
	else
		snprintf(text, TIME_TEXT_MAX, "%s %s", format_seconds(seconds, time), scale);
	return text;
}

const char *format_duration(char text[DURATION_TEXT_MAX], long double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int unit = 0;

	for (; ns >= 1000 && unit < 3; unit++)
		ns /= 1000;
	snprintf(text, DURATION_TEXT_MAX, "%.6Lg %s", ns, units[unit]);
	return text;
}

long double stamp_width(const struct vmclk_stamp *stamp)
{
	return ((long double)stamp->latest.sec - stamp->earliest.sec) * 1e9L +
	       stamp->latest.nsec - stamp->earliest.nsec;
}

void changed_print(unsigned int changed, const char *before, const char *after)
{
	static const char *const keys[] = {
		"disruption_marker", "vm_generation_counter", "status",
		"reason", "time_type", "tai_offset_sec",
	};

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (changed & (1U << i))
			printf("%s%s%s%s", before, keys[i], after,
			       changed >> (i + 1) ? "," : "");
}

/* What is no UTF-8, as a file's name may be, comes as a character for each byte. */
static void print_json_bytes(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			printf(c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	putchar('"');
}

void print_json_string(const char *s)
{
	json_t *string = json_string(s);

	if (string)
		json_dumpf(string, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	else
		print_json_bytes(s);
	json_decref(string);
}

static void json_time(const char *key, const struct vmclk_time *time, bool valid)
{
	if (valid)
		printf("\"%s\":{\"sec\":%" PRId64 ",\"nsec\":%" PRIu32 "},", key,
		       time->sec, time->nsec);
	else
		printf("\"%s\":null,", key);
}

void stamp_json(const struct vmclk_stamp *stamp, unsigned int changed)
{
	bool timed = stamp->valid & VMCLK_STAMP_TIME;

	printf("{\"counter\":\"%" PRIu64 "\",", stamp->counter);
	json_time("point", &stamp->point, timed);
	json_time("earliest", &stamp->earliest, timed);
	json_time("latest", &stamp->latest, timed);
	printf("\"status\":\"%s\",\"time_type\":\"%s\",",
	       vmclk_status_str(stamp->clock_status),
	       vmclk_scale_str(stamp->time_type));
	if (stamp->valid & VMCLK_STAMP_TAI_OFFSET)
		printf("\"tai_offset_sec\":%d,", stamp->tai_offset_sec);
	else
		printf("\"tai_offset_sec\":null,");
	printf("\"disruption_marker\":\"%" PRIu64 "\",", stamp->disruption_marker);
	if (stamp->valid & VMCLK_STAMP_GENERATION)
		printf("\"vm_generation_counter\":\"%" PRIu64 "\",",
		       stamp->vm_generation_counter);
	else
		printf("\"vm_generation_counter\":null,");
	printf("\"reason\":\"%s\",\"changed\":[", vmclk_reason_str(stamp->reason));
	changed_print(changed, "\"", "\"");
	printf("]}\n");
}
