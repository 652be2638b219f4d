// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is found, kept and printed.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common.h"
#include "lint.h"

static const struct kind {
	const char *name;
	enum lint_severity severity;
	unsigned int section;
	const char *text;
} kinds[] = {
#define LINT_KIND(id, name, severity, section, text) \
	{ name, LINT_##severity, section, text },
	LINT_FINDINGS(LINT_KIND)
};

static const char *const severity_names[] = { "note", "warning", "error" };

void lint_report(struct lint *lint, enum lint_finding finding, const char *fmt, ...)
{
	struct lint_hit *hit = &lint->hits[finding];
	va_list args;

	if (hit->count++)
		return;
	hit->look = lint->looks;
	va_start(args, fmt);
	vsnprintf(hit->detail, sizeof(hit->detail), fmt, args);
	va_end(args);
}

static void print_text(const char *path, const struct kind *kind,
		       const struct lint_hit *hit)
{
	printf("%s: %s: %s: %s (section %u): %s; look %" PRIu64, path,
	       severity_names[kind->severity], kind->name, kind->text, kind->section,
	       hit->detail, hit->look);
	if (hit->count > 1)
		printf(", and %" PRIu64 " more", hit->count - 1);
	putchar('\n');
}

static void print_json(const struct kind *kind, const struct lint_hit *hit, bool first)
{
	printf("%s{\"name\":\"%s\",\"severity\":\"%s\",\"section\":%u,\"text\":",
	       first ? "" : ",", kind->name, severity_names[kind->severity], kind->section);
	print_json_string(kind->text);
	printf(",\"detail\":");
	print_json_string(hit->detail);
	printf(",\"look\":\"%" PRIu64 "\",\"count\":\"%" PRIu64 "\"}", hit->look, hit->count);
}

static void print_totals(const struct lint *lint, const char *path, bool json)
{
	if (json)
		printf("],\"looks\":\"%" PRIu64 "\",\"updates\":\"%" PRIu64
		       "\",\"missed\":\"%" PRIu64 "\",\"compared\":\"%" PRIu64 "\"}\n",
		       lint->looks, lint->updates, lint->missed, lint->compared);
	else
		printf("%s: %" PRIu64 " looks, %" PRIu64 " updates, %" PRIu64
		       " missed, %" PRIu64 " brackets compared\n", path,
		       lint->looks, lint->updates, lint->missed, lint->compared);
}

int lint_print(const struct lint *lint, const char *path, bool json)
{
	bool first = true;
	int worst = -1;

	if (json)
		printf("{\"findings\":[");
	for (unsigned int i = 0; i < LINT_COUNT; i++) {
		const struct lint_hit *hit = &lint->hits[i];

		if (!hit->count)
			continue;
		if (json)
			print_json(&kinds[i], hit, first);
		else
			print_text(path, &kinds[i], hit);
		first = false;
		if ((int)kinds[i].severity > worst)
			worst = kinds[i].severity;
	}
	print_totals(lint, path, json);
	return worst;
}
