/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens when memory that another process shares with us is taken away.
 *
 * Its owner can truncate it at any time (QEMU does not seal its memfds), and
 * whoever touches a page of it after that gets SIGBUS. So does who touches a
 * hole of a file system without room, or broken hardware. Asking for seals
 * would refuse those owners that there are, and asking for the file's size
 * before each access answers for the past only. So the signal is caught:
 *
 * - If the address is in a mapping that is watched, all of the mapping becomes
 *   private anonymous memory, and it is marked. The access that failed is made
 *   again and now finds zeros, or writes where nobody looks. Its user asks
 *   afterwards, gets -EIO, and gives up that VM; nothing else has noticed.
 * - Any other address, a guard page for example, or a SIGBUS that somebody has
 *   sent: what was set up for SIGBUS before applies, so the program dies, at
 *   the same instruction.
 *
 * Once for all of the mapping, not page by page: a user in the middle of a copy
 * is held up once, and nothing more reaches a VM that has failed.
 */
#ifndef HOST_SHM_FAULT_H
#define HOST_SHM_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct shm_fault;

/**
 * shm_fault_watch() - survive it if this memory is taken away
 * @fault: filled in
 * @start: a whole mapping, or several of the same kind side by side
 * @len: its length
 * @prot: its PROT_ flags
 *
 * Return: 0, or a negative errno value.
 */
int shm_fault_watch(struct shm_fault **fault, void *start, size_t len, int prot);

/**
 * shm_fault_unwatch() - the end of that, before the memory is unmapped
 * @fault: what shm_fault_watch() gave; nobody accesses the memory any more
 */
void shm_fault_unwatch(struct shm_fault *fault);

/**
 * shm_fault_happened() - has it been taken away?
 * @fault: what shm_fault_watch() gave
 *
 * Return: true if it was before an access that this thread made before.
 */
bool shm_fault_happened(const struct shm_fault *fault);

#endif /* HOST_SHM_FAULT_H */
