// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What vmclock-hostd says of its VMs, for people. Names and messages are others'
 * words: what could talk to a terminal is not printed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "host-client.h"

#define FORMAT	"%-20s %-8s %-13s %10s %10s %-7s %-8s %s\n"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static const char *duration_of(char text[DURATION_TEXT_MAX], const json_t *object,
			       const char *key)
{
	const char *digits = json_string_value(json_object_get(object, key));

	return digits ? format_duration(text, strtold(digits, NULL)) : "-";
}

/* In UTF-8 the second half of the controls, U+0080 to U+009f, has two bytes. */
static void print_safely(const char *text)
{
	for (; *text; text++) {
		bool is_two = text[0] == '\xc2' && ((unsigned char)text[1] & 0xe0) == 0x80;

		putchar(is_two || iscntrl((unsigned char)*text) ? '?' : *text);
		text += is_two;
	}
}

void host_print_header(void)
{
	printf(FORMAT, "VM", "STATE", "PAGE", "BOUND", "AGE", "COUNTER", "DRAIN", "TARGET");
}

void host_print_vm(const json_t *vm)
{
	const json_t *page = json_object_get(vm, "page");
	const json_t *counter = json_object_get(vm, "counter");
	bool has_page = json_is_object(page), is_running = !strcmp(text_of(vm, "state"), "running");
	const char *message = text_of(vm, "message");
	const char *file = json_string_value(json_object_get(page, "file"));
	bool is_lost = file && strcmp(file, "there");
	char bound[DURATION_TEXT_MAX], age[DURATION_TEXT_MAX], line[1024];

	snprintf(line, sizeof(line), FORMAT, text_of(vm, "name"), text_of(vm, "state"),
		 has_page ? text_of(page, "status") : "-",
		 duration_of(bound, page, "bound_ns"), duration_of(age, page, "age_ns"),
		 json_is_true(json_object_get(counter, "known")) ? "known" : "unknown",
		 has_page ? text_of(page, "drain") : "-", text_of(vm, "target"));
	line[strcspn(line, "\n")] = '\0';
	print_safely(line);
	if (is_lost) {
		fputs(" (", stdout);
		print_safely(file);
		putchar(')');
	}
	if ((!is_running || !has_page) && *message) {
		fputs(": ", stdout);
		print_safely(message);
	}
	putchar('\n');
}

void host_print_clock(const json_t *answer)
{
	const json_t *clock = json_object_get(answer, "clock");
	const char *lost = json_string_value(json_object_get(clock, "lost"));
	long long count = json_integer_value(json_object_get(answer, "count"));

	if (!clock)
		return;
	printf("%lld VM%s, source ", count, count == 1 ? "" : "s");
	print_safely(text_of(clock, "source"));
	if (!json_is_true(json_object_get(clock, "open")))
		fputs(": it has failed", stdout);
	if (lost) {
		fputs(": no reference: ", stdout);
		print_safely(lost);
	}
	putchar('\n');
}
