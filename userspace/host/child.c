// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"

#define NSEC_PER_MSEC	1000000LL
#define NSEC_PER_SEC	1000000000LL

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Waits for a descriptor; -ETIMEDOUT when it is too late. */
static int wait_until(int fd, int64_t deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t left;
	int n;

	do {
		left = deadline - now_ns();
		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&pollfd, 1, left / NSEC_PER_MSEC + 1);
	} while (!n || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* Reads up to the end of the pipe. */
static ssize_t take_answer(int fd, char *answer, size_t size, int64_t deadline)
{
	size_t length = 0;
	ssize_t n;
	int err;

	do {
		err = wait_until(fd, deadline);
		if (err)
			return err;
		n = read(fd, answer + length, size - length);
		if (n < 0)
			return -errno;
		length += n;
		if (length == size)
			return -E2BIG;
	} while (n);
	answer[length] = 0;
	return length;
}

/*
 * A program of its own: none of our signal masks, no input, and a process group
 * to be killed as a whole. Our descriptors are all closed on exec.
 */
static int start(char *const argv[], int out, pid_t *pid)
{
	char *const env[] = { (char *)"LC_ALL=C", (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			      NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
					POSIX_SPAWN_SETSIGDEF);
	err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!err)
		err = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!err)
		err = posix_spawn(pid, argv[0], &actions, &attr, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -err;
}

/* Its end, by itself or by us. The pid is ours until waitpid(). */
static int finish(pid_t pid, int64_t deadline)
{
	int fd = syscall(SYS_pidfd_open, pid, 0), status = 0;
	int err = fd < 0 ? -errno : wait_until(fd, deadline);

	if (fd >= 0)
		close(fd);
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (err)
		return err;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

ssize_t child_run(char *const argv[], char *answer, size_t size, uint64_t timeout_ns)
{
	int64_t deadline = now_ns() + timeout_ns;
	int fds[2], err;
	ssize_t length;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	err = start(argv, fds[1], &pid);
	close(fds[1]);
	if (err) {
		close(fds[0]);
		return err;
	}
	length = take_answer(fds[0], answer, size, deadline);
	close(fds[0]);
	err = finish(pid, length < 0 ? 0 : deadline);
	return length < 0 ? length : err ? err : length;
}
