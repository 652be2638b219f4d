// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bell.h"
#include "ivshmem-server.h"
#include "log.h"

#define VERSION	0
#define MEMORY	-1
#define MESSAGES	4

/* A message: a number, and a descriptor or -1. */
struct message {
	int64_t number;
	int fd;
};

static int send_one(int to, const struct message *m)
{
	int64_t number = htole64(m->number);
	struct iovec data = { &number, sizeof(number) };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = {
		.head = {
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		},
	};
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t sent;

	if (m->fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &m->fd, sizeof(m->fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	sent = sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	/* The kernel does not split what is so small. */
	return sent == sizeof(number) ? 0 : -EIO;
}

/* As much as the socket takes; the rest when it is writable again. */
static int tell(const struct ivshmem_server *s, struct ivshmem_client *c)
{
	const struct message all[MESSAGES] = {
		{ VERSION, -1 }, { c->id, -1 }, { MEMORY, s->memory }, { c->id, c->bell },
	};
	int err = 0;

	while (c->told < MESSAGES && !err) {
		err = send_one(c->fd, &all[c->told]);
		if (!err)
			c->told++;
	}
	return err == -EAGAIN ? 0 : err;
}

static void drop(struct ivshmem_client *c)
{
	log_line("ivshmem client %u has gone", c->id);
	close(c->fd);
	close(c->bell);
	c->fd = -1;
}

/* Whatever a client sends it has no business to: most often that is its end. */
static void work_on(const struct ivshmem_server *s, struct ivshmem_client *c, short revents)
{
	int err = 0;

	if (revents & ~POLLOUT)
		err = -EPIPE;
	else if (revents)
		err = tell(s, c);
	if (err)
		drop(c);
}

static bool has_id(const struct ivshmem_server *s, uint16_t id)
{
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].id == id)
			return true;
	return false;
}

static struct ivshmem_client *find_free(struct ivshmem_server *s)
{
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	return NULL;
}

static int welcome(struct ivshmem_server *s, int fd)
{
	struct ivshmem_client *c = find_free(s);
	int bell;

	if (!c)
		return -EUSERS;
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell < 0)
		return -errno;
	while (has_id(s, s->next_id))
		s->next_id++;
	*c = (struct ivshmem_client){ .fd = fd, .bell = bell, .id = s->next_id++ };
	s->arrivals++;
	log_line("ivshmem client %u has come", c->id);
	work_on(s, c, POLLOUT);
	return 0;
}

/* One that there is no room for is sent away: it would wait for us at its start. */
static void accept_one(struct ivshmem_server *s)
{
	int fd = local_socket_accept(s->listener.fd), err = fd < 0 ? fd : welcome(s, fd);

	if (!err || err == -EAGAIN)
		return;
	log_error("an ivshmem client", err);
	if (fd >= 0)
		close(fd);
	else
		s->is_tired = true;
}

int ivshmem_server_open(struct ivshmem_server *server, const char *path, int memory)
{
	int err = bell_prepare();

	*server = (struct ivshmem_server){ .memory = memory };
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		server->clients[i].fd = -1;
	if (err)
		return err;
	return local_socket_listen(&server->listener, path, 0, IVSHMEM_CLIENTS);
}

void ivshmem_server_prepare(struct ivshmem_server *server, struct pollfd *fds)
{
	/* Once: then something else has happened, or some time has passed. */
	*fds = (struct pollfd){ server->is_tired ? -1 : server->listener.fd, POLLIN, 0 };
	server->is_tired = false;
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++) {
		const struct ivshmem_client *c = &server->clients[i];

		fds[1 + i] = (struct pollfd){
			c->fd, POLLIN | (c->told < MESSAGES ? POLLOUT : 0), 0,
		};
	}
}

void ivshmem_server_work(struct ivshmem_server *server, const struct pollfd *fds)
{
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		if (server->clients[i].fd >= 0)
			work_on(server, &server->clients[i], fds[1 + i].revents);
	if (fds->revents)
		accept_one(server);
}

void ivshmem_server_ring(const struct ivshmem_server *server)
{
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		if (server->clients[i].fd >= 0)
			bell_ring(server->clients[i].bell);
}

void ivshmem_server_close(struct ivshmem_server *server)
{
	for (unsigned int i = 0; i < IVSHMEM_CLIENTS; i++)
		if (server->clients[i].fd >= 0)
			drop(&server->clients[i]);
	local_socket_close(&server->listener);
}
