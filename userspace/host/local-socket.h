/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that others on this host connect to, by a path.
 */
#ifndef HOST_LOCAL_SOCKET_H
#define HOST_LOCAL_SOCKET_H

#include <sys/types.h>

/**
 * local_socket_listen() - make a socket and listen
 * @path: where; a socket there that nobody listens to any more is replaced. With
 *	".vmclock-lock" behind it, it is the name of a file that is there meanwhile.
 * @mask: permissions that others do not get, beside those of the umask
 * @backlog: as for listen(2)
 *
 * Return: a descriptor, non-blocking; or a negative errno value, which has been
 * logged.
 */
int local_socket_listen(const char *path, mode_t mask, int backlog);

/**
 * local_socket_accept() - take the next connection
 * @listener: from local_socket_listen()
 *
 * Return: a descriptor, non-blocking; or a negative errno value: -EAGAIN if there
 * is no connection after all. Others than that stay until something is closed, and
 * so does the connection: do not ask again at once.
 */
int local_socket_accept(int listener);

#endif /* HOST_LOCAL_SOCKET_H */
