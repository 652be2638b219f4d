// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* accept4(), struct ucred */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "log.h"

/* Answers that wait for the client to read: a few VMs' worth. */
#define OUT_MAX		32768

/**
 * struct control_client - a client
 * @fd: the connection
 * @index: in the poll set
 * @turn: when it was last heard of
 * @in: what it has sent and is not done yet, @have bytes
 * @out: what it has not read yet, from @sent to @made
 * @listing: what it has not been told yet
 * @is_over: nothing more is read from it
 */
struct control_client {
	int fd;
	size_t index;
	uint64_t turn;
	char in[CONTROL_REQUEST_MAX];
	size_t have;
	char out[OUT_MAX];
	size_t sent, made;
	struct control_listing listing;
	bool is_over;
};

int control_open(struct control *c, const char *path, const struct control_host *host)
{
	*c = (struct control){ .host = *host, .listener = LOCAL_SOCKET_NONE };
	return path ? local_socket_listen(&c->listener, path, 0177, CONTROL_CLIENTS) : 0;
}

static bool has_output(const struct control_client *client)
{
	return client->sent < client->made || client->listing.is_on;
}

static bool has_request(const struct control_client *client)
{
	return !client->is_over && !has_output(client) &&
	       (client->have == sizeof(client->in) || memchr(client->in, '\n', client->have));
}

int control_prepare(struct control *c, struct poll_set *set)
{
	int err = poll_set_add(set, c->is_deaf ? -1 : c->listener.fd, &c->first_fd);

	c->is_deaf = false;
	for (unsigned int i = 0; i < CONTROL_CLIENTS && !err; i++) {
		struct control_client *client = c->clients[i];

		if (!client)
			continue;
		err = poll_set_add(set, client->fd, &client->index);
		/* Who does not read what was asked for is not asked for more. */
		if (!err && has_output(client))
			set->fds[client->index].events = POLLOUT;
		set->has_work |= has_request(client);
	}
	return err;
}

static void drop(struct control *c, unsigned int i)
{
	close(c->clients[i]->fd);
	free(c->clients[i]);
	c->clients[i] = NULL;
}

/* A line of an answer; one that is too long is not sent in part. */
static void add_line(struct control_client *client, json_t *line)
{
	size_t room = OUT_MAX - client->made, len = 0;

	if (line)
		len = json_dumpb(line, client->out + client->made, room - 1, JSON_COMPACT);
	json_decref(line);
	if (!len || len >= room) {
		client->is_over = true;
		client->listing.is_on = false;
		return;
	}
	client->made += len;
	client->out[client->made++] = '\n';
}

/* Half of the room is more than any line. */
static void list(struct control *c, struct control_client *client)
{
	while (client->listing.is_on && client->made < OUT_MAX / 2)
		add_line(client, control_list(&c->host, &client->listing));
}

/*
 * As much as there is room for: the rest another time, so that the VMs do not wait.
 * Returns false if the client is gone, or done with.
 */
static bool send_out(struct control *c, struct control_client *client)
{
	ssize_t n;

	list(c, client);
	n = send(client->fd, client->out + client->sent, client->made - client->sent,
		 MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->sent += n;
	if (client->sent < client->made)
		return true;
	client->sent = 0;
	client->made = 0;
	return !client->is_over;
}

/* One of them: another client's may be waiting. */
static bool do_request(struct control *c, struct control_client *client)
{
	const char *end = memchr(client->in, '\n', client->have);
	size_t len = end ? (size_t)(end - client->in) + 1 : client->have;

	if (end) {
		add_line(client, control_request(&c->host, client->in, len, &client->listing));
	} else {
		add_line(client, control_error("the request is too long"));
		client->is_over = true;
	}
	client->have -= len;
	memmove(client->in, client->in + len, client->have);
	return send_out(c, client);
}

static bool take_in(struct control_client *client)
{
	ssize_t n = recv(client->fd, client->in + client->have,
			 sizeof(client->in) - client->have, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->have += n;
	return n;
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (!peer.uid || peer.uid == geteuid());
}

static unsigned int find_place(struct control *c)
{
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < CONTROL_CLIENTS; i++) {
		if (!c->clients[i])
			return i;
		if (c->clients[i]->turn < c->clients[oldest]->turn)
			oldest = i;
	}
	drop(c, oldest);
	return oldest;
}

static void accept_one(struct control *c)
{
	int fd = accept4(c->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *client;

	/* Without descriptors: whoever knocks is still there after the next wait. */
	c->is_deaf = fd < 0;
	if (fd < 0)
		return;
	client = may_ask(fd) ? calloc(1, sizeof(*client)) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->index = SIZE_MAX;
	client->turn = ++c->turn;
	c->clients[find_place(c)] = client;
}

static bool serve(struct control *c, struct control_client *client, short events)
{
	bool goes_on = true;

	if (events)
		client->turn = ++c->turn;
	if (has_output(client))
		return !events || send_out(c, client);
	/* What is complete is done first: it may be all that there is room for. */
	if (events && !has_request(client))
		goes_on = take_in(client);
	if (goes_on && has_request(client))
		goes_on = do_request(c, client);
	return goes_on;
}

void control_work(struct control *c, const struct poll_set *set)
{
	for (unsigned int i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i] &&
		    !serve(c, c->clients[i], poll_set_revents(set, c->clients[i]->index)))
			drop(c, i);
	if (poll_set_revents(set, c->first_fd))
		accept_one(c);
}

void control_close(struct control *c)
{
	for (unsigned int i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i])
			drop(c, i);
	local_socket_close(&c->listener);
}
