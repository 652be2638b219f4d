// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose a process is, and that what has got its number is not taken for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "tap.h"

#define SOMEBODY	65533

/* A child that sleeps, once @prepare has succeeded. Returns 0 if that failed. */
static pid_t child_new(int (*prepare)(void))
{
	int to_us[2];
	char is_ready = 1;
	pid_t pid;

	if (pipe(to_us))
		return 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!prepare() && write(to_us[1], &is_ready, 1) == 1)
			pause();
		_exit(1);
	}
	close(to_us[1]);
	if (read(to_us[0], &is_ready, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(to_us[0]);
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int as_it_is(void)
{
	return 0;
}

TAP_TEST(a_process_is_its_users_and_nobody_elses)
{
	struct process p;
	pid_t pid = child_new(as_it_is);

	need(pid);
	need(!process_open(&p, pid));
	is_int(process_is_of(&p, geteuid()), 1);
	is_int(process_is_of(&p, geteuid() + 1), 0);
	is_int(p.ids[0], getuid());
	process_close(&p);
	child_end(pid);
}

/* A line of its own in what the kernel tells, if it were printed as it is. */
static int with_a_name(void)
{
	return prctl(PR_SET_NAME, "x\nUid:\t1\t1\t1\t1");
}

TAP_TEST(its_name_says_nothing_of_whose_it_is)
{
	struct process p;
	pid_t pid = child_new(with_a_name);

	need(pid);
	need(!process_open(&p, pid));
	is_int(process_is_of(&p, 1), geteuid() == 1);
	is_int(process_is_of(&p, geteuid()), 1);
	process_close(&p);
	child_end(pid);
}

static int with_real(void)
{
	return setresuid(SOMEBODY, -1, -1);
}

static int with_effective(void)
{
	return setresuid(-1, SOMEBODY, -1);
}

static int with_saved(void)
{
	return setresuid(-1, -1, SOMEBODY);
}

static int with_that_of_files(void)
{
	setfsuid(SOMEBODY);
	return setfsuid(SOMEBODY) != SOMEBODY;
}

static int with_all(void)
{
	return setresuid(SOMEBODY, SOMEBODY, SOMEBODY);
}

TAP_TEST(each_of_its_ids_has_to_be_the_users)
{
	static int (*const some[])(void) = {
		with_real, with_effective, with_saved, with_that_of_files,
	};
	struct process p;
	pid_t pid;

	if (geteuid())
		skip("not root");
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		pid = child_new(some[i]);
		need(pid);
		need(!process_open(&p, pid));
		is_int(process_is_of(&p, 0), 0);
		is_int(process_is_of(&p, SOMEBODY), 0);
		process_close(&p);
		child_end(pid);
	}
	pid = child_new(with_all);
	need(pid);
	need(!process_open(&p, pid));
	is_int(process_is_of(&p, SOMEBODY), 1);
	is_int(process_is_of(&p, 0), 0);
	process_close(&p);
	child_end(pid);
}

TAP_TEST(who_has_ended_is_nobodys)
{
	struct process p;
	pid_t pid = child_new(as_it_is);

	need(pid);
	need(!process_open(&p, pid));
	kill(pid, SIGKILL);
	/* It is still there, for us, and its ids too. */
	need(!waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	is_int(process_is_of(&p, geteuid()), -ESRCH);
	waitpid(pid, NULL, 0);
	is_int(process_is_of(&p, geteuid()), -ESRCH);
	process_close(&p);
	is_int(process_open(&p, pid), -ESRCH);
}

/* Another child that has this number, or 0: others take numbers as well. */
static pid_t child_at(pid_t number)
{
	char text[16];
	pid_t pid = 0;
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY), len;

	len = snprintf(text, sizeof(text), "%d", (int)number - 1);
	for (int i = 0; i < 100 && fd >= 0 && pid != number; i++) {
		if (pid)
			child_end(pid);
		pid = pwrite(fd, text, len, 0) == len ? child_new(as_it_is) : 0;
	}
	if (fd >= 0)
		close(fd);
	if (pid && pid != number) {
		child_end(pid);
		pid = 0;
	}
	return pid;
}

TAP_TEST(who_has_its_number_next_is_not_taken_for_it)
{
	struct process p, next;
	pid_t pid = child_new(as_it_is), other;

	need(pid);
	need(!process_open(&p, pid));
	child_end(pid);
	other = child_at(pid);
	if (!other) {
		process_close(&p);
		skip("a process's number can't be chosen here");
	}
	is_int(process_is_of(&p, geteuid()), -ESRCH);
	need(!process_open(&next, other));
	is_int(process_is_of(&next, geteuid()), 1);
	process_close(&next);
	process_close(&p);
	child_end(other);
}

int main(void)
{
	return tap_main();
}
