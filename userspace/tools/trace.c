// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading and writing traces. What is read may be anything: each line is
 * checked whole before any of it counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "counter.h"
#include "decode.h"
#include "trace.h"

#define PAGE_BYTES	sizeof(struct vmclock_page)
#define LINE_MAX_BYTES	(2 * PAGE_BYTES + 8)	/* "p ", the digits, the end */

static const char notified_letters[] = "-01";

/* Of machines without a counter: "none", and no page has the number. */
static const struct counter_name {
	int id;
	const char *name;
} counter_names[] = {
	{ VMCLOCK_PAGE_COUNTER_ARM_VCT, "arm" },
	{ VMCLOCK_PAGE_COUNTER_X86_TSC, "tsc" },
	{ -1, "none" },
};

#define COUNTER_NAMES (sizeof(counter_names) / sizeof(counter_names[0]))

int trace_this_counter(void)
{
	return COUNTER_ID;
}

bool trace_page_differs(const struct trace_look *a, const struct trace_look *b)
{
	return a->len != b->len || memcmp(&a->page, &b->page, sizeof(a->page));
}

void trace_decode(const struct trace_look *look, int counter_id,
		  struct vmclk_snapshot *snap)
{
	struct vmclock_page page = look->page;
	size_t len = le32toh(page.size) < look->len ? le32toh(page.size) : look->len;

	/* The header is judged whatever it says; what is not there reads as zero. */
	if (len < VMCLOCK_PAGE_SIZE_MIN)
		len = VMCLOCK_PAGE_SIZE_MIN;
	if (len < sizeof(page))
		memset((char *)&page + len, 0, sizeof(page) - len);
	memset(snap, 0, sizeof(*snap));
	decode(&page, snap);
	snap->seq_count = load_seq(&page);
	snap->counter_valid = snap->counter_id == counter_id;
	snap->counter = look->counter;
}

void trace_write_header(FILE *f, int counter_id)
{
	const char *name = "none";

	for (size_t i = 0; i < COUNTER_NAMES; i++)
		if (counter_names[i].id == counter_id)
			name = counter_names[i].name;
	fprintf(f, TRACE_MAGIC "counter %s\n", name);
}

void trace_write(FILE *f, const struct trace_look *look, bool with_page)
{
	const unsigned char *bytes = (const void *)&look->page;

	if (with_page) {
		fputs("p ", f);
		for (size_t i = 0; i < look->len; i++)
			fprintf(f, "%02x", bytes[i]);
		fputc('\n', f);
	}
	fprintf(f, "s %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64 " %c\n",
		look->counter, look->realtime_ns, look->realtime_after_ns, look->raw_ns,
		notified_letters[look->notified]);
}

bool trace_is_one(const char *path)
{
	char head[sizeof(TRACE_MAGIC) - 1];
	struct stat st;
	bool is_one;
	FILE *f;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	f = fopen(path, "r");
	if (!f)
		return false;
	is_one = fread(head, 1, sizeof(head), f) == sizeof(head) &&
		 !memcmp(head, TRACE_MAGIC, sizeof(head));
	fclose(f);
	return is_one;
}

static int refuse(const struct trace_reader *r, const char *reason)
{
	complain(r->path, "line %lu: %s", r->line, reason);
	return -1;
}

/* A line without its end. 1, 0 at the end of the file, or -1. */
static int read_line(struct trace_reader *r, char line[LINE_MAX_BYTES])
{
	size_t len;

	r->line++;
	if (!fgets(line, LINE_MAX_BYTES, r->file)) {
		if (!ferror(r->file))
			return 0;
		complain(r->path, "%s", strerror(errno));
		return -1;
	}
	len = strlen(line);
	if (!len || line[len - 1] != '\n')
		return refuse(r, feof(r->file) ? "it ends within a line" :
			      "too long a line, or one with a NUL");
	line[len - 1] = '\0';
	return 1;
}

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

static int parse_page(struct trace_reader *r, const char *hex)
{
	unsigned char *bytes = (void *)&r->look.page;
	size_t digits = strlen(hex);

	if (digits > 2 * PAGE_BYTES)
		return refuse(r, "more bytes than a page has");
	memset(&r->look.page, 0, sizeof(r->look.page));
	for (size_t i = 0; i < digits; i += 2) {
		/* An odd digit is followed by the end, which is no digit. */
		int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);

		if (high < 0 || low < 0)
			return refuse(r, "not pairs of hexadecimal digits");
		bytes[i / 2] = high << 4 | low;
	}
	r->look.len = digits / 2;
	r->has_page = true;
	return 0;
}

/* A decimal number that ends with a blank; no sign, no overflow. */
static bool take_number(const char **text, uint64_t max, uint64_t *value)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*value = strtoull(*text, &end, 10);
	if (errno || *end != ' ' || *value > max)
		return false;
	*text = end + 1;
	return true;
}

static int parse_look(struct trace_reader *r, const char *text)
{
	uint64_t counter, before, after, raw;
	const char *letter;

	if (!take_number(&text, UINT64_MAX, &counter) ||
	    !take_number(&text, INT64_MAX, &before) ||
	    !take_number(&text, INT64_MAX, &after) ||
	    !take_number(&text, INT64_MAX, &raw))
		return refuse(r, "not a look: four numbers and a letter");
	letter = text[0] ? strchr(notified_letters, text[0]) : NULL;
	if (!letter || text[1])
		return refuse(r, "not a look: it must end with -, 0 or 1");
	if (!r->has_page)
		return refuse(r, "a look without a page");
	if (r->has_look && raw < r->look.raw_ns)
		return refuse(r, "CLOCK_MONOTONIC_RAW goes back");
	r->look.counter = counter;
	r->look.realtime_ns = before;
	r->look.realtime_after_ns = after;
	r->look.raw_ns = raw;
	r->look.notified = letter - notified_letters;
	r->has_look = true;
	return 1;
}

int trace_next(struct trace_reader *r)
{
	char line[LINE_MAX_BYTES];
	int ret = read_line(r, line);

	while (ret > 0) {
		if (!strncmp(line, "s ", 2))
			return parse_look(r, line + 2);
		if (!strncmp(line, "p ", 2))
			ret = parse_page(r, line + 2);
		else if (line[0] != '#')
			ret = refuse(r, "neither a page, a look nor a comment");
		if (ret >= 0)
			ret = read_line(r, line);
	}
	return ret;
}

static int read_header(struct trace_reader *r)
{
	char line[LINE_MAX_BYTES];

	if (read_line(r, line) <= 0 || strncmp(line, TRACE_MAGIC, strlen(TRACE_MAGIC) - 1) ||
	    line[strlen(TRACE_MAGIC) - 1])
		return refuse(r, "not a trace that this program knows");
	if (read_line(r, line) > 0 && !strncmp(line, "counter ", 8))
		for (size_t i = 0; i < COUNTER_NAMES; i++)
			if (!strcmp(line + 8, counter_names[i].name)) {
				r->counter_id = counter_names[i].id;
				return 0;
			}
	return refuse(r, "not 'counter tsc', 'counter arm' or 'counter none'");
}

int trace_open(struct trace_reader *r, const char *path)
{
	*r = (struct trace_reader){ .path = path };
	r->file = strcmp(path, "-") ? fopen(path, "r") : stdin;
	if (!r->file) {
		complain(path, "%s", strerror(errno));
		return -1;
	}
	if (!read_header(r))
		return 0;
	trace_close(r);
	return -1;
}

void trace_close(struct trace_reader *r)
{
	if (r->file && r->file != stdin)
		fclose(r->file);
	r->file = NULL;
}
