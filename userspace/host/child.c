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

#define NSEC_PER_SEC	1000000000LL

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
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

int child_start(struct child *child, char *const argv[], char *answer, size_t size,
		uint64_t timeout_ns)
{
	int fds[2], err;

	*child = (struct child){
		.answer = answer, .size = size, .deadline = now_ns() + timeout_ns,
	};
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child->fd = fds[0];
	/* Ours only: the program's end is another open file. */
	err = fcntl(fds[0], F_SETFL, O_NONBLOCK) ? -errno : start(argv, fds[1], &child->pid);
	close(fds[1]);
	if (!err)
		return 0;
	child->pid = 0;
	close(fds[0]);
	return err;
}

/* Reads up to the end of the pipe. */
static int take_answer(struct child *c)
{
	ssize_t n;

	do {
		n = read(c->fd, c->answer + c->length, c->size - c->length);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? -EINPROGRESS : -errno;
		c->length += n;
		if (c->length == c->size)
			return -E2BIG;
	} while (n);
	return 0;
}

/* Its end is what is waited for from now on. */
static int await_end(struct child *c)
{
	int fd = syscall(SYS_pidfd_open, c->pid, 0);

	if (fd < 0)
		return -errno;
	close(c->fd);
	c->fd = fd;
	c->has_answered = true;
	return 0;
}

static int look(struct child *c)
{
	struct pollfd end = { .events = POLLIN };
	int err = c->has_answered ? 0 : take_answer(c);

	if (!err && !c->has_answered)
		err = await_end(c);
	end.fd = c->fd;
	if (!err && poll(&end, 1, 0) <= 0)
		err = -EINPROGRESS;
	return err == -EINPROGRESS && now_ns() >= c->deadline ? -ETIMEDOUT : err;
}

/* Its end, by itself or by us. The pid is ours until waitpid(). */
static int finish(struct child *c)
{
	int status = 0;
	pid_t ended;

	close(c->fd);
	kill(-c->pid, SIGKILL);
	do {
		ended = waitpid(c->pid, &status, 0);
	} while (ended < 0 && errno == EINTR);
	c->pid = 0;
	if (ended < 0)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

ssize_t child_work(struct child *c)
{
	int err = look(c), ended;

	if (err == -EINPROGRESS)
		return err;
	ended = finish(c);
	if (err || ended)
		return err ? err : ended;
	c->answer[c->length] = 0;
	return c->length;
}

void child_kill(struct child *c)
{
	if (c->pid)
		finish(c);
}
