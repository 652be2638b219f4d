/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run a program for its answer, without waiting for it, and be rid of it in time.
 */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct child - a program
 * @pid: its number, and that of its process group; 0 if there is none
 * @fd: readable when there is something to do: the pipe of its answer, then its end
 * @has_answered: all has been said
 * @answer: where to
 * @size: of @answer
 * @length: what has been said so far
 * @deadline: it has ended by then, or is killed; CLOCK_MONOTONIC in ns
 */
struct child {
	pid_t pid;
	int fd;
	bool has_answered;
	char *answer;
	size_t size;
	size_t length;
	int64_t deadline;
};

/**
 * child_start() - run a program
 * @child: filled in
 * @argv: the program, by its path, and its arguments
 * @answer: where to put what it says on standard output; used until it has ended
 * @size: of @answer
 * @timeout_ns: it has ended by then, or is killed with all it started
 *
 * Return: 0, or what starting it gave: then there is none.
 */
int child_start(struct child *child, char *const argv[], char *answer, size_t size,
		uint64_t timeout_ns);

/**
 * child_work() - take what it has said
 * @child: started
 *
 * Return: -EINPROGRESS: again when @child->fd is readable, or at @child->deadline. Else
 * there is none any more, and this is the number of bytes in @answer, which is
 * zero-terminated; -ETIMEDOUT; -E2BIG if it said more than fits; -ECHILD if it failed
 * or was killed; or another negative errno value.
 */
ssize_t child_work(struct child *child);

/**
 * child_kill() - end it, with all it started
 * @child: started or not
 */
void child_kill(struct child *child);

#endif /* HOST_CHILD_H */
