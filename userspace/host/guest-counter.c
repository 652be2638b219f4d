// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-counter.h"

static bool first_line_is(const char *path, const char *wanted)
{
	char line[64] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return *wanted && !strcmp(line, wanted);
}

/* Is @word one of the blank-separated words of @line? Changes @line. */
static bool has_word(char *line, const char *word)
{
	char *rest, *token = strtok_r(line, " \t\n", &rest);

	while (token && strcmp(token, word))
		token = strtok_r(NULL, " \t\n", &rest);
	return token;
}

static bool cpu_has_flag(const char *cpuinfo, const char *flag)
{
	FILE *file = fopen(cpuinfo, "re");
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		found = has_word(line, flag);
		break;
	}
	free(line);
	fclose(file);
	return found;
}

bool guest_counter_exists(void)
{
	int id = COUNTER_ID;

	return id == VMCLOCK_PAGE_COUNTER_X86_TSC || id == VMCLOCK_PAGE_COUNTER_ARM_VCT;
}

bool guest_counter_is_trusted(const char *clocksource, const char *cpuinfo)
{
	int id = COUNTER_ID;

	/* The Arm counter has a fixed rate by its architecture. */
	if (id == VMCLOCK_PAGE_COUNTER_ARM_VCT)
		return true;
	if (first_line_is(clocksource, COUNTER_CLOCKSOURCE))
		return true;
	return id == VMCLOCK_PAGE_COUNTER_X86_TSC &&
	       cpu_has_flag(cpuinfo, "constant_tsc") &&
	       cpu_has_flag(cpuinfo, "nonstop_tsc");
}
