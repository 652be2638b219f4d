// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one VM may say, so that what others say is still found.
 */
#define _GNU_SOURCE	/* memfd_create() */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "tap.h"

/* Stands before the C library's. */
static struct timespec now = { .tv_sec = 1000 };

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	*ts = now;
	return 0;
}

/* Standard error, kept. */
static int kept = -1, before;

static void keep(void)
{
	fflush(stderr);
	before = dup(STDERR_FILENO);
	kept = memfd_create("stderr", MFD_CLOEXEC);
	dup2(kept, STDERR_FILENO);
}

/* How many lines there are with these words. */
static unsigned int count(const char *words)
{
	static char text[1 << 20];
	ssize_t len = pread(kept, text, sizeof(text) - 1, 0);
	unsigned int n = 0;

	text[len < 0 ? 0 : len] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		n += !!strstr(line, words);
	return n;
}

static void give_back(void)
{
	dup2(before, STDERR_FILENO);
	close(before);
	close(kept);
}

static void say(struct log_subject *subject, int times)
{
	log_about(subject);
	for (int i = 0; i < times; i++)
		log_line("number %d", i);
	log_about(NULL);
}

TAP_TEST(a_vm_that_says_more_and_more_is_cut_short_and_others_are_not)
{
	struct log_subject loud = { .name = "loud" }, other = { .name = "other" };

	keep();
	say(&loud, 1000);
	say(&other, 5);
	is_u64(count("loud: number"), LOG_BURST);
	is_u64(count("other: number"), 5);
	/* What was said last is known all the same. */
	ok(!strcmp(loud.last, "number 999"));
	now.tv_sec += LOG_WINDOW_SEC;
	say(&loud, 1);
	is_u64(count("loud: 940 lines more were left out"), 1);
	is_u64(count("loud: number"), LOG_BURST + 1);
	now.tv_sec += LOG_WINDOW_SEC;
	say(&loud, 1);
	is_u64(count("left out"), 1);
	give_back();
}

TAP_TEST(what_was_asked_for_is_not_cut_short)
{
	struct log_subject vm = { .name = "vm" };

	keep();
	log_about(&vm);
	for (int i = 0; i < 1000; i++)
		log_detail("detail %d", i);
	log_about(NULL);
	is_u64(count("vm: detail"), 1000);
	say(&vm, 1);
	is_u64(count("vm: number"), 1);
	/* Nor the daemon itself, and a VM that is alone. */
	say(NULL, 1000);
	is_u64(count("hostd: number"), 1000);
	give_back();
}

int main(void)
{
	return tap_main();
}
