/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run a program for its answer, and be rid of it in time.
 */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * child_run() - run a program and take what it says on standard output
 * @argv: the program, by its path, and its arguments
 * @answer: where to; zero-terminated
 * @size: of @answer
 * @timeout_ns: it has ended by then, or is killed with all it started
 *
 * Return: the number of bytes; -ETIMEDOUT; -E2BIG if it said more than fits;
 * -ECHILD if it failed or was killed; or what starting it gave.
 */
ssize_t child_run(char *const argv[], char *answer, size_t size, uint64_t timeout_ns);

#endif /* HOST_CHILD_H */
