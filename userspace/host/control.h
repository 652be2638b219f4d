/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: requests and answers are JSON, an object a line. Only the
 * daemon's own user and root are heard. A client has a small buffer each way; what it
 * does not read is not made, and nobody waits for it.
 */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include "control-request.h"
#include "local-socket.h"
#include "poll-set.h"

/* Clients at a time; one more takes the place of the one that was silent longest. */
#define CONTROL_CLIENTS	16

struct control_client;

/**
 * struct control - the socket
 * @host: what requests are about
 * @listener: where clients come from, if there is one
 * @first_fd: in the poll set: @listener, then the clients
 * @clients: they are, or NULL
 * @turn: counts what they do
 * @is_deaf: nobody is let in now; private
 */
struct control {
	struct control_host host;
	struct local_socket listener;
	size_t first_fd;
	struct control_client *clients[CONTROL_CLIENTS];
	uint64_t turn;
	bool is_deaf;
};

/**
 * control_open() - listen
 * @control: filled in
 * @path: of the socket, which only its user may use; or NULL: there is none
 * @host: copied
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int control_open(struct control *control, const char *path, const struct control_host *host);

/**
 * control_prepare() - say what to wait for
 * @control: opened
 * @set: gets it
 *
 * Return: 0 or -ENOMEM.
 */
int control_prepare(struct control *control, struct poll_set *set);

/**
 * control_work() - do what clients ask for
 * @control: after control_prepare()
 * @set: after poll_set_wait()
 *
 * VMs may come and go here.
 */
void control_work(struct control *control, const struct poll_set *set);

/**
 * control_close() - end it
 * @control: opened
 */
void control_close(struct control *control);

#endif /* HOST_CONTROL_H */
