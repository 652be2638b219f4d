/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Somebody else's process: which one it is, and whose.
 */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <sys/types.h>

/* Real, effective, saved, and that of the file system. */
#define PROCESS_IDS	4

/**
 * struct process - a process, and no other one that gets its number
 * @pidfd: becomes readable when it ends
 * @dir: its directory in /proc, which is empty from then on
 * @ids: its user ids, as of process_is_of()
 */
struct process {
	int pidfd;
	int dir;
	uid_t ids[PROCESS_IDS];
};

/**
 * process_open() - hold on to a process
 * @process: filled in
 * @pid: its number
 *
 * Return: 0; -ESRCH if there is none; or another negative errno value.
 */
int process_open(struct process *process, pid_t pid);

/**
 * process_is_of() - does it belong to this user, and to nobody else?
 * @process: opened
 * @user: the user; all user ids have to be theirs
 *
 * Said of the process as it is now: it may run another program next, which has other
 * ids. So whoever does something to it on this word asks again afterwards.
 *
 * Return: 1 if so, 0 if not, with @process->ids; -ESRCH if it has ended; or another
 * negative errno value.
 */
int process_is_of(struct process *process, uid_t user);

/**
 * process_close() - let go of it
 * @process: opened; descriptors that were set to -1 stay the caller's
 */
void process_close(const struct process *process);

#endif /* HOST_PROCESS_H */
