/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that others on this host connect to, by a path.
 */
#ifndef HOST_LOCAL_SOCKET_H
#define HOST_LOCAL_SOCKET_H

#include <sys/types.h>

/**
 * struct local_socket - one that listens
 * @fd: non-blocking; or -1: there is none
 * @path: where it was made; or NULL: it is somebody else's, or there is none
 * @dev: of the file there
 * @ino: of the same; nobody else's as long as @fd is open
 */
struct local_socket {
	int fd;
	const char *path;
	dev_t dev;
	ino_t ino;
};

#define LOCAL_SOCKET_NONE	((struct local_socket){ .fd = -1 })

/**
 * local_socket_listen() - make a socket and listen
 * @s: filled in; LOCAL_SOCKET_NONE on error
 * @path: where; stays the caller's; a socket there that nobody listens to any more is replaced. With
 *	".vmclock-lock" behind it, it is the name of a file that is there meanwhile.
 * @mask: permissions that others do not get, beside those of the umask
 * @backlog: as for listen(2)
 *
 * Return: 0; or a negative errno value, which has been logged.
 */
int local_socket_listen(struct local_socket *s, const char *path, mode_t mask, int backlog);

/**
 * local_socket_close() - listen no more, and remove the file if it was made
 * @s: a socket or none; is LOCAL_SOCKET_NONE then
 *
 * What has its name meanwhile, and is somebody else's, stays.
 */
void local_socket_close(struct local_socket *s);

/**
 * local_socket_accept() - take the next connection
 * @listener: the socket's descriptor
 *
 * Return: a descriptor, non-blocking; or a negative errno value: -EAGAIN if there
 * is no connection after all. Others than that stay until something is closed, and
 * so does the connection: do not ask again at once.
 */
int local_socket_accept(int listener);

#endif /* HOST_LOCAL_SOCKET_H */
