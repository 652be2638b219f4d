// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl show: every field, as it lies in the page and as it is meant.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vmclock-dev.h>

#include "common.h"

#define TEXT_MAX	320

/* One line of the output. Without a raw value, or a meaning, it has none. */
struct row {
	const char *name;
	uint64_t raw;
	bool present;
	char text[TEXT_MAX];
};

struct table {
	struct row rows[24];
	unsigned int n;
};

static void add(struct table *t, const char *name, uint64_t raw, bool present,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void add(struct table *t, const char *name, uint64_t raw, bool present,
		const char *fmt, ...)
{
	struct row *row;
	va_list args;

	if (t->n == sizeof(t->rows) / sizeof(t->rows[0]))
		return;
	row = &t->rows[t->n++];
	row->name = name;
	row->raw = raw;
	row->present = present;
	va_start(args, fmt);
	vsnprintf(row->text, sizeof(row->text), fmt, args);
	va_end(args);
}

/* Add a field of the page; the text follows. */
#define FIELD(t, s, field, ...) \
	add(t, #field, (s)->field, VMCLOCK_PAGE_HAS((s)->size, field), __VA_ARGS__)

/* " (not valid)" unless the flag that vouches for a field is there. */
static const char *unless(const struct vmclk_snapshot *s, uint64_t flag)
{
	return s->flags & flag ? "" : " (not valid)";
}

static const char *flags_text(char text[TEXT_MAX], uint64_t flags)
{
	static const char *const names[] = {
		"TAI_OFFSET_VALID", "DISRUPTION_SOON", "DISRUPTION_IMMINENT",
		"PERIOD_ESTERROR_VALID", "PERIOD_MAXERROR_VALID",
		"TIME_ESTERROR_VALID", "TIME_MAXERROR_VALID", "TIME_MONOTONIC",
		"GENERATION_PRESENT", "NOTIFICATION_PRESENT",
	};
	unsigned int known = sizeof(names) / sizeof(names[0]);
	size_t len = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < known; i++)
		if (flags & (1ULL << i))
			len += snprintf(text + len, TEXT_MAX - len, "%s%s",
					len ? " " : "", names[i]);
	if (flags >> known)
		snprintf(text + len, TEXT_MAX - len, "%sunknown:0x%" PRIx64,
			 len ? " " : "", flags >> known << known);
	return text[0] ? text : "none";
}

/* For people; time.c of the library computes exactly. */
static long double period_ns(const struct vmclk_snapshot *s, uint64_t value)
{
	return ldexpl(value, -64 - s->counter_period_shift) * 1e9L;
}

static void add_header(struct table *t, const struct vmclk_snapshot *s)
{
	char text[TEXT_MAX];

	add(t, "magic", VMCLOCK_PAGE_MAGIC, true, "VCLK");
	FIELD(t, s, size, "%" PRIu32 " bytes", s->size);
	FIELD(t, s, version, "%u", s->version);
	FIELD(t, s, counter_id, "%s", vmclk_counter_str(s->counter_id));
	FIELD(t, s, time_type, "%s", vmclk_scale_str(s->time_type));
	FIELD(t, s, seq_count, "%" PRIu32, s->seq_count);
	FIELD(t, s, disruption_marker, "%" PRIu64, s->disruption_marker);
	FIELD(t, s, flags, "%s", flags_text(text, s->flags));
	FIELD(t, s, clock_status, "%s", vmclk_status_str(s->clock_status));
	FIELD(t, s, smear_hint, "%s", vmclk_smear_str(s->smear_hint));
	add(t, "tai_offset_sec", (uint16_t)s->tai_offset_sec,
	    VMCLOCK_PAGE_HAS(s->size, tai_offset_sec), "UTC = TAI %c %d s%s",
	    s->tai_offset_sec < 0 ? '-' : '+', abs(s->tai_offset_sec),
	    unless(s, VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID));
	FIELD(t, s, leap_indicator, "%s", vmclk_leap_str(s->leap_indicator));
}

static void add_period(struct table *t, const struct vmclk_snapshot *s)
{
	long double tick = period_ns(s, s->counter_period_frac_sec);
	/* A period of 0 has no frequency and no relative error. */
	long double scale = tick > 0 ? 1e9L / tick : 0;

	FIELD(t, s, counter_period_shift, "units of 2^-%u s", 64U + s->counter_period_shift);
	FIELD(t, s, counter_value, "%" PRIu64, s->counter_value);
	FIELD(t, s, counter_period_frac_sec, "%.12Lg ns, %.12Lg Hz", tick, scale);
	FIELD(t, s, counter_period_esterror_rate_frac_sec, "+/- %.6Lg ppb%s",
	      period_ns(s, s->counter_period_esterror_rate_frac_sec) * scale,
	      unless(s, VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID));
	FIELD(t, s, counter_period_maxerror_rate_frac_sec, "+/- %.6Lg ppb%s",
	      period_ns(s, s->counter_period_maxerror_rate_frac_sec) * scale,
	      unless(s, VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID));
}

static void add_time(struct table *t, const struct vmclk_snapshot *s)
{
	struct vmclk_time ref = { .sec = (int64_t)s->time_sec };
	char time[TIME_TEXT_MAX], duration[DURATION_TEXT_MAX];

	FIELD(t, s, time_sec, "%s", s->time_sec > INT64_MAX ? "out of range" :
	      format_time(time, &ref, s->time_type));
	FIELD(t, s, time_frac_sec, "%.9Lf ns", ldexpl(s->time_frac_sec, -64) * 1e9L);
	FIELD(t, s, time_esterror_nanosec, "+/- %s%s",
	      format_duration(duration, s->time_esterror_nanosec),
	      unless(s, VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID));
	FIELD(t, s, time_maxerror_nanosec, "+/- %s%s",
	      format_duration(duration, s->time_maxerror_nanosec),
	      unless(s, VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID));
	FIELD(t, s, vm_generation_counter, "%" PRIu64 "%s", s->vm_generation_counter,
	      unless(s, VMCLOCK_PAGE_FLAG_GENERATION_PRESENT));
}

/* Only our driver answers: a file, or the in-tree driver, is no error. */
static bool read_info(const char *path, struct vmclock_info *info)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return false;
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	err = ioctl(fd, VMCLOCK_IOC_INFO, info);
	close(fd);
	info->name[sizeof(info->name) - 1] = '\0';
	return !err;
}

static const char *features_text(char text[TEXT_MAX], uint64_t features)
{
	uint64_t known = VMCLOCK_F_MMAP | VMCLOCK_F_SNAPSHOT | VMCLOCK_F_EVENTS |
			 VMCLOCK_F_URING_SNAPSHOT | VMCLOCK_F_URING_WAIT;
	uint64_t unknown = features & ~known;
	int len = snprintf(text, TEXT_MAX, "%s%s%s%s%s", features & VMCLOCK_F_MMAP ? "mmap " : "",
			   features & VMCLOCK_F_SNAPSHOT ? "snapshot " : "",
			   features & VMCLOCK_F_EVENTS ? "events " : "",
			   features & VMCLOCK_F_URING_SNAPSHOT ? "uring-snapshot " : "",
			   features & VMCLOCK_F_URING_WAIT ? "uring-wait " : "");

	if (unknown)
		snprintf(text + len, TEXT_MAX - len, "unknown:0x%" PRIx64, unknown);
	return text[0] ? text : "none";
}

static const char *bus_str(uint8_t bus)
{
	switch (bus) {
	case VMCLOCK_BUS_ACPI:
		return "ACPI";
	case VMCLOCK_BUS_OF:
		return "device tree";
	case VMCLOCK_BUS_SIM:
		return "simulator";
	case VMCLOCK_BUS_PCI:
		return "PCI";
	default:
		return "unknown";
	}
}

static const char *events_from_str(uint8_t events_from)
{
	switch (events_from) {
	case VMCLOCK_EVENTS_NONE:
		return "nowhere";
	case VMCLOCK_EVENTS_NOTIFIED:
		return "the hypervisor's notification";
	case VMCLOCK_EVENTS_WATCHED:
		return "looking now and then";
	default:
		return "unknown";
	}
}

static const char *ptp_timescale_str(uint8_t timescale)
{
	switch (timescale) {
	case VMCLOCK_PTP_NONE:
		return "none";
	case VMCLOCK_PTP_UTC:
		return "UTC";
	case VMCLOCK_PTP_TAI:
		return "TAI";
	default:
		return "unknown";
	}
}

static void add_info(struct table *t, const struct vmclock_info *info)
{
	char text[TEXT_MAX];

	add(t, "features", info->features, true, "%s", features_text(text, info->features));
	add(t, "region_size", info->region_size, true, "%" PRIu32 " bytes", info->region_size);
	add(t, "map_size", info->map_size, true, "%" PRIu32 " bytes", info->map_size);
	add(t, "index", info->index, true, "%" PRIu32, info->index);
	if (info->ptp_index >= 0)
		add(t, "ptp_index", info->ptp_index, true, "/dev/ptp%" PRId32, info->ptp_index);
	else
		add(t, "ptp_index", (uint32_t)info->ptp_index, true, "none");
	add(t, "ptp_timescale", info->ptp_timescale, true, "%s",
	    ptp_timescale_str(info->ptp_timescale));
	add(t, "counter_id", info->counter_id, true, "%s", vmclk_counter_str(info->counter_id));
	add(t, "counter_usable", info->counter_usable, true, "%s",
	    info->counter_usable ? "yes" : "no");
	add(t, "bus", info->bus, true, "%s", bus_str(info->bus));
	add(t, "events_from", info->events_from, true, "%s", events_from_str(info->events_from));
	add(t, "watch_us", info->watch_us, true, "%" PRIu32 " us", info->watch_us);
}

static void print_text(const struct table *t)
{
	for (unsigned int i = 0; i < t->n; i++) {
		const struct row *row = &t->rows[i];

		if (row->present)
			printf("%-38s 0x%-16" PRIx64 "  %s\n", row->name, row->raw, row->text);
		else
			printf("%-38s absent: the page is too short\n", row->name);
	}
}

static void print_json(const char *key, const struct table *t)
{
	printf("\"%s\":{", key);
	for (unsigned int i = 0; i < t->n; i++) {
		const struct row *row = &t->rows[i];

		printf("%s\"%s\":", i ? "," : "", row->name);
		if (row->present) {
			printf("{\"raw\":\"%" PRIu64 "\",\"text\":", row->raw);
			print_json_string(row->text);
			putchar('}');
		} else {
			printf("null");
		}
	}
	putchar('}');
}

static void show(const struct options *opt, const char *path, const struct table *page,
		 const struct table *device, const char *device_name)
{
	if (!opt->json) {
		printf("%-38s %-18s  %s\n", "page", "", path);
		print_text(page);
		if (device_name) {
			printf("\n%-38s %-18s  %s\n", "device", "", device_name);
			print_text(device);
		}
		return;
	}

	printf("{\"path\":");
	print_json_string(path);
	putchar(',');
	print_json("page", page);
	if (device_name) {
		printf(",\"name\":");
		print_json_string(device_name);
		putchar(',');
		print_json("device", device);
	}
	printf("}\n");
}

int cmd_show(const struct options *opt)
{
	struct table page = { .n = 0 }, device = { .n = 0 };
	struct vmclk_snapshot snap;
	struct vmclock_info info;
	struct vmclk *clk;
	bool is_device;
	int err, status = page_open(opt->path, &clk);

	if (status)
		return status;

	err = vmclk_snapshot(clk, &snap);
	if (err) {
		status = page_error(clk, err);
	} else {
		add_header(&page, &snap);
		add_period(&page, &snap);
		add_time(&page, &snap);
		is_device = read_info(vmclk_path(clk), &info);
		if (is_device)
			add_info(&device, &info);
		show(opt, vmclk_path(clk), &page, &device, is_device ? info.name : NULL);
	}
	vmclk_close(clk);
	return status;
}
