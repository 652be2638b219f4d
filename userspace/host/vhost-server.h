/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of the vhost-user device: one front-end at a time, and the next one
 * when it has gone.
 */
#ifndef HOST_VHOST_SERVER_H
#define HOST_VHOST_SERVER_H

#include <poll.h>

#include "local-socket.h"
#include "vhost.h"

/* What vhost_server_prepare() fills in. */
#define VHOST_SERVER_FDS	(3 + VHOST_QUEUES)

/**
 * struct vhost_server - the device and its socket
 * @vhost: the device
 * @stream: what the front-end sends
 * @listener: where front-ends come from, if there is one
 * @connection: to the front-end, or -1
 * @is_tired: a connection could not be accepted: not to be tried at once
 */
struct vhost_server {
	struct vhost vhost;
	struct vhost_stream stream;
	struct local_socket listener;
	int connection;
	bool is_tired;
};

/**
 * vhost_server_open() - wait for a front-end
 * @server: filled in; not to be moved
 * @path: of the socket; one that nobody listens to any more is replaced. Or NULL.
 * @fd: without a path: a socket, listening or connected; becomes the server's
 * @clocks: the device's clocks
 * @page_user: who feeds the guest's clock page
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int vhost_server_open(struct vhost_server *server, const char *path, int fd,
		      const struct rtc_clocks *clocks,
		      const struct vhost_page_user *page_user);

/**
 * vhost_server_prepare() - what to wait for
 * @server: the server
 * @fds: VHOST_SERVER_FDS of them, for poll(2)
 *
 * Return: true if there is work to be done already.
 */
bool vhost_server_prepare(struct vhost_server *server, struct pollfd *fds);

/**
 * vhost_server_work() - do what there is to do
 * @server: the server
 * @fds: after poll(2)
 */
void vhost_server_work(struct vhost_server *server, const struct pollfd *fds);

/**
 * vhost_server_tick() - now and then: offer a page again that nobody fed
 * @server: the server
 */
void vhost_server_tick(struct vhost_server *server);

/**
 * vhost_server_is_over() - has the last front-end gone?
 * @server: the server
 *
 * Return: true if no other one can come.
 */
bool vhost_server_is_over(const struct vhost_server *server);

/**
 * vhost_server_close() - end it
 * @server: opened
 */
void vhost_server_close(struct vhost_server *server);

#endif /* HOST_VHOST_SERVER_H */
