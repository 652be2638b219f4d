// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

/* Of each thread: only the main one has VMs to speak of. */
static _Thread_local struct log_subject *about;

void log_about(struct log_subject *subject)
{
	about = subject;
}

/* One call, so that lines of several writers do not mix. */
static void print(const char *line)
{
	const char *name = about && about->name ? about->name : "";

	fprintf(stderr, "vmclock-hostd: %s%s%s\n", name, *name ? ": " : "", line);
}

static void begin_window(struct log_subject *s, int64_t now)
{
	char line[64];

	if (s->left_out) {
		snprintf(line, sizeof(line), "%u lines more were left out", s->left_out);
		print(line);
	}
	s->since = now;
	s->lines = 0;
	s->left_out = 0;
}

static bool is_too_much(struct log_subject *s)
{
	struct timespec now;

	if (!s || !s->name)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - s->since >= LOG_WINDOW_SEC)
		begin_window(s, now.tv_sec);
	if (s->lines < LOG_BURST) {
		s->lines++;
		return false;
	}
	s->left_out++;
	return true;
}

void log_line(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (about)
		snprintf(about->last, sizeof(about->last), "%.*s", LOG_LAST_MAX - 1, line);
	if (!is_too_much(about))
		print(line);
}

void log_detail(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	print(line);
}

int log_error(const char *what, int err)
{
	log_line("%s: %s", what, strerror(-err));
	return err;
}
