/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who else steers the system's clock.
 */
#ifndef VMCLOCKCTL_RIVALS_H
#define VMCLOCKCTL_RIVALS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * rivals_find() - a program that steers the clock
 * @proc: where /proc is
 * @name: its name, and its number if that is known
 * @size: of @name
 *
 * By the names of processes, of those that are known to do it; and by chronyd's
 * command socket, if somebody listens there, which also tells of a chronyd that
 * is not to be seen in /proc.
 *
 * Return: true if there is one.
 */
bool rivals_find(const char *proc, char *name, size_t size);

#endif /* VMCLOCKCTL_RIVALS_H */
