// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that is cut short while its page is opened, in front of and behind each
 * system call, does not end the writer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "page_files.h"

#define CALLS_MAX	512

static void put_nothing(void)
{
}

static void put_good(void)
{
	put_page(path, PAGE_BYTES, 42);
}

static void put_small(void)
{
	put_page(path, 104, 42);
}

static void put_leftover(void)
{
	put_page(path, PAGE_BYTES, 42);
	put_page(new_path, 104, 42);
}

/* A process that opens the page, stopped in front of that; or -1. */
static pid_t start(void)
{
	struct vmclk_writer *w = NULL;
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP))
			_exit(2);
		(void)!vmclk_writer_open(path, PAGE_BYTES, 0, &w);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) ? pid : -1;
}

/* Runs it to its @call'th stop, cuts, lets it go on. Returns false if it ended before. */
static bool cut_at(pid_t pid, unsigned int call)
{
	int status;

	while (call--)
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			return false;
	/* What is not there can't be cut. */
	(void)!truncate(path, 0);
	(void)!truncate(new_path, 0);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	waitpid(pid, &status, 0);
	if (!ok(WIFEXITED(status) && !WEXITSTATUS(status)))
		note("it died of signal %d", WTERMSIG(status));
	return true;
}

static void cut_everywhere(void (*put_it)(void), unsigned int at_least)
{
	unsigned int call = 0;
	bool runs;

	do {
		pid_t pid;

		clear();
		put_it();
		pid = start();
		if (!ok(pid > 0))
			return;
		runs = cut_at(pid, call++);
	} while (runs && call < CALLS_MAX && !tap_failed);
	note("cut at %u points", call);
	ok(call > at_least && call < CALLS_MAX);
}

TAP_TEST(while_a_page_is_made)
{
	cut_everywhere(put_nothing, 10);
}

TAP_TEST(while_a_page_is_opened)
{
	cut_everywhere(put_good, 10);
}

TAP_TEST(while_a_page_is_replaced)
{
	cut_everywhere(put_small, 20);
}

TAP_TEST(while_a_leftover_is_removed)
{
	cut_everywhere(put_leftover, 20);
}

int main(void)
{
	return run_in_directory();
}
