// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

void log_line(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* One call, so that lines of several writers do not mix. */
	fprintf(stderr, "vmclock-hostd: %s\n", line);
}

int log_error(const char *what, int err)
{
	log_line("%s: %s", what, strerror(-err));
	return err;
}
