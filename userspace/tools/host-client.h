/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A conversation with vmclock-hostd over its control socket.
 */
#ifndef VMCLOCKCTL_HOST_CLIENT_H
#define VMCLOCKCTL_HOST_CLIENT_H

#include <jansson.h>
#include <stddef.h>

/* The longest line of an answer. */
#define HOST_LINE_MAX	65536

/**
 * struct host_client - a connection
 * @path: of the socket
 * @fd: the socket
 * @line: bytes that came, @have of them; the first @used are a line that was given out
 * @have: how many
 * @used: as it says
 */
struct host_client {
	const char *path;
	int fd;
	char line[HOST_LINE_MAX];
	size_t have;
	size_t used;
};

/**
 * host_client_open() - connect
 * @client: filled in
 * @path: of the socket
 *
 * Return: EXIT_OK, or the code to exit with: why has been said.
 */
int host_client_open(struct host_client *client, const char *path);

/**
 * host_client_send() - ask
 * @client: connected
 * @request: an object
 *
 * Return: as host_client_open().
 */
int host_client_send(struct host_client *client, const json_t *request);

/**
 * host_client_next() - the next line of the answer
 * @client: after host_client_send()
 * @text: the line without its newline, until the next call; may be NULL
 *
 * Return: what it says, to be dropped by json_decref(); NULL on error: why has been
 * said.
 */
json_t *host_client_next(struct host_client *client, const char **text);

/**
 * host_client_close() - give it back
 * @client: connected
 */
void host_client_close(struct host_client *client);

/**
 * host_print_header() - of the table of VMs
 */
void host_print_header(void);

/**
 * host_print_vm() - a line of it
 * @vm: the VM; whatever is not in there, or not as it should be, is a "?"
 */
void host_print_vm(const json_t *vm);

/**
 * host_print_clock() - what is below it
 * @answer: the last line
 */
void host_print_clock(const json_t *answer);

#endif /* VMCLOCKCTL_HOST_CLIENT_H */
