/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eventfds that we signal and others have as well.
 *
 * write(2) waits while an eventfd's count is at its end. To bring it there, and
 * to take O_NONBLOCK away, which belongs to the open file and not to us, is in
 * the power of everybody who has it. So it is not written: the kernel is asked
 * to signal it at the end of an operation that is done at once, and that never
 * waits, whatever the count is.
 */
#ifndef HOST_BELL_H
#define HOST_BELL_H

/**
 * bell_prepare() - make bell_ring() possible; nothing if it is
 *
 * Return: 0, or a negative errno value: the kernel has no asynchronous I/O for
 * us. The reason has been logged.
 */
int bell_prepare(void);

/**
 * bell_ring() - signal an eventfd
 * @fd: the eventfd; with anything else nothing happens
 *
 * After bell_prepare(). For one thread.
 */
void bell_ring(int fd);

#endif /* HOST_BELL_H */
