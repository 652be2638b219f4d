/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server that QEMU's ivshmem-doorbell device connects to. It hands out memory
 * and, to each client, the eventfd that raises vector 0 of its device.
 *
 * In this protocol a message is a number of 64 bits, little-endian, with or
 * without a descriptor. A client is told, and says nothing itself:
 *
 *	0		the version of the protocol
 *	ID		its own, which no other client has now
 *	-1, memory	what BAR 2 shows
 *	ID, eventfd	vector 0
 *
 * It is not told of other clients: no guest is to interrupt another one. All of
 * them share the memory, and QEMU maps it writable: they should be one machine,
 * which a second client is when it was started again.
 *
 * A client that does not read, or that writes, costs nobody else anything.
 */
#ifndef HOST_IVSHMEM_SERVER_H
#define HOST_IVSHMEM_SERVER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "local-socket.h"

#define IVSHMEM_CLIENTS	8

/* What ivshmem_server_prepare() fills in. */
#define IVSHMEM_SERVER_FDS	(1 + IVSHMEM_CLIENTS)

/**
 * struct ivshmem_client - a connection
 * @fd: the socket, or -1: there is none
 * @bell: its eventfd
 * @id: its number
 * @told: how many of the messages were sent
 */
struct ivshmem_client {
	int fd;
	int bell;
	uint16_t id;
	unsigned int told;
};

/**
 * struct ivshmem_server - the socket and who is there
 * @listener: the socket
 * @memory: what is handed out
 * @arrivals: how many clients have come so far
 * @next_id: for the next client, if it is free
 * @is_tired: a connection could not be accepted: not to be tried at once
 * @clients: those there are
 */
struct ivshmem_server {
	struct local_socket listener;
	int memory;
	uint64_t arrivals;
	uint16_t next_id;
	bool is_tired;
	struct ivshmem_client clients[IVSHMEM_CLIENTS];
};

/**
 * ivshmem_server_open() - wait for clients
 * @server: filled in
 * @path: of the socket; one that nobody listens to any more is replaced. Stays
 *	the caller's, as long as the server is there
 * @memory: a file to hand out, of a size that a BAR can have; stays the caller's
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int ivshmem_server_open(struct ivshmem_server *server, const char *path, int memory);

/**
 * ivshmem_server_prepare() - what to wait for
 * @server: the server
 * @fds: IVSHMEM_SERVER_FDS of them, for poll(2)
 */
void ivshmem_server_prepare(struct ivshmem_server *server, struct pollfd *fds);

/**
 * ivshmem_server_work() - do what there is to do
 * @server: the server
 * @fds: after poll(2)
 */
void ivshmem_server_work(struct ivshmem_server *server, const struct pollfd *fds);

/**
 * ivshmem_server_ring() - raise vector 0 of all clients
 * @server: the server
 *
 * Never waits. What was stored in the memory before is visible to who is woken.
 */
void ivshmem_server_ring(const struct ivshmem_server *server);

/**
 * ivshmem_server_close() - end it; the memory lives on with the clients
 * @server: opened
 */
void ivshmem_server_close(struct ivshmem_server *server);

#endif /* HOST_IVSHMEM_SERVER_H */
