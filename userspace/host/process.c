// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process's number is somebody else's when it has ended. A pidfd is not, nor is its
 * directory in /proc once that is open: what is looked up there is looked up of this
 * process, and fails when it has ended. So it is enough to see, once both are open,
 * that it still lives: then nobody else had the number in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

static bool is_alive(const struct process *p)
{
	struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };

	return !poll(&fd, 1, 0);
}

/* What is not there in a process's directory is not there because it has ended. */
static int proc_error(void)
{
	return errno == ENOENT ? -ESRCH : -errno;
}

int process_open(struct process *p, pid_t pid)
{
	char path[32];
	int err;

	*p = (struct process){ .dir = -1 };
	p->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	p->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir >= 0 && is_alive(p))
		return 0;
	err = p->dir < 0 ? proc_error() : -ESRCH;
	process_close(p);
	return err;
}

/* The name of the program stands before the ids, but it has no line feeds there. */
static int read_ids(struct process *p)
{
	int fd = openat(p->dir, "status", O_RDONLY | O_CLOEXEC);
	uid_t *ids = p->ids;
	const char *line;
	char text[1024];
	ssize_t len;

	if (fd < 0)
		return proc_error();
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	line = strstr(text, "\nUid:");
	if (!line || sscanf(line, "\nUid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
		return -EPROTO;
	return 0;
}

int process_is_of(struct process *p, uid_t user)
{
	int err = read_ids(p);

	if (err)
		return err;
	/* What has ended, and nobody has waited for, still has its ids. */
	if (!is_alive(p))
		return -ESRCH;
	for (int i = 0; i < PROCESS_IDS; i++)
		if (p->ids[i] != user)
			return 0;
	return 1;
}

void process_close(const struct process *p)
{
	if (p->dir >= 0)
		close(p->dir);
	if (p->pidfd >= 0)
		close(p->pidfd);
}
