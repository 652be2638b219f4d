// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

/* Of each thread: only the main one has VMs to speak of. */
static _Thread_local struct log_subject *about;

void log_about(struct log_subject *subject)
{
	about = subject;
}

void log_line(const char *format, ...)
{
	const char *name = about && about->name ? about->name : "";
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (about)
		snprintf(about->last, sizeof(about->last), "%.*s", LOG_LAST_MAX - 1, line);
	/* One call, so that lines of several writers do not mix. */
	fprintf(stderr, "vmclock-hostd: %s%s%s\n", name, *name ? ": " : "", line);
}

int log_error(const char *what, int err)
{
	log_line("%s: %s", what, strerror(-err));
	return err;
}
