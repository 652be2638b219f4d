/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of guarded memory: memory to share, and children that die.
 */
#ifndef TESTS_HOST_SHM_H
#define TESTS_HOST_SHM_H

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm.h"
#include "tap.h"

/* Ends the program if there is no memory: nothing could be tested. */
static inline int memfd_new(off_t size)
{
	int fd = memfd_create("shm-test", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size)) {
		perror("Bail out! memfd");
		_exit(1);
	}
	return fd;
}

static inline size_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}

/**
 * struct child_end - how a child ended
 * @signal: what killed it, or 0
 * @has_reached: it came to the line in question
 * @has_survived: and behind it
 * @address: the address at which it first got SIGSEGV, or 0
 */
struct child_end {
	int signal;
	bool has_reached;
	bool has_survived;
	uintptr_t address;
};

/* Shared with the child that runs. */
static struct child_end *child_report;

static inline void child_note_address(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	child_report->address = (uintptr_t)info->si_addr;
}

/* Calls @body in a child, where SIGSEGV and SIGBUS do what they do by default. */
static inline struct child_end child_run(void (*body)(void *), void *arg)
{
	/* RESETHAND: noted, and then it happens once more. */
	struct sigaction action = {
		.sa_sigaction = child_note_address,
		.sa_flags = SA_SIGINFO | SA_RESETHAND,
	};
	struct child_end end;
	int status = 0;
	pid_t pid;

	child_report = mmap(NULL, sizeof(*child_report), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 0);
		sigaction(SIGSEGV, &action, NULL);
		child_report->has_reached = true;
		body(arg);
		child_report->has_survived = true;
		_exit(0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid);
	end = *child_report;
	end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	munmap(child_report, sizeof(*child_report));
	return end;
}

static inline bool child_was_killed(struct child_end end, int number)
{
	return end.has_reached && !end.has_survived && end.signal == number;
}

#endif /* TESTS_HOST_SHM_H */
