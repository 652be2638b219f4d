// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "vhost-queue.h"
#include "vhost-server.h"

/* Messages taken in one go: the guest's clock is not to wait for long. */
#define MESSAGES	32

static int use_fd(struct vhost_server *server, int fd)
{
	socklen_t len = sizeof(int);
	int listens;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len))
		return log_error("--vhost-fd", -errno);
	if (!listens) {
		server->connection = fd;
		return 0;
	}
	/* Who knocked may have gone before accept(). */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	server->listener.fd = fd;
	return 0;
}

int vhost_server_open(struct vhost_server *server, const char *path, int fd,
		      const struct rtc_clocks *clocks,
		      const struct vhost_page_user *page_user)
{
	int err;

	memset(server, 0, sizeof(*server));
	server->listener = LOCAL_SOCKET_NONE;
	server->connection = -1;
	if (path)
		err = local_socket_listen(&server->listener, path, 0, 1);
	else
		err = use_fd(server, fd);
	if (err < 0)
		return err;
	err = vhost_init(&server->vhost, clocks, page_user);
	if (err)
		vhost_server_close(server);
	return err;
}

bool vhost_server_prepare(struct vhost_server *server, struct pollfd *fds)
{
	const struct vhost *v = &server->vhost;
	int all[VHOST_SERVER_FDS] = {
		server->connection >= 0 ? server->connection : server->listener.fd,
		v->timer, v->load,
	};

	/* Once: then something else has happened, or some time has passed. */
	if (server->is_tired)
		all[0] = -1;
	server->is_tired = false;
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		all[3 + i] = v->queues[i].kick;
	for (unsigned int i = 0; i < VHOST_SERVER_FDS; i++)
		fds[i] = (struct pollfd){ .fd = all[i], .events = POLLIN };
	return v->has_more;
}

static void disconnect(struct vhost_server *server, int err)
{
	if (err == -EPIPE)
		log_line("the vhost-user front-end has gone");
	else
		log_error("the vhost-user front-end", err);
	close(server->connection);
	server->connection = -1;
	vhost_stream_next(&server->stream);
	vhost_disconnect(&server->vhost);
}

static void accept_one(struct vhost_server *server)
{
	int fd = local_socket_accept(server->listener.fd);

	if (fd >= 0) {
		log_line("a vhost-user front-end has come");
		server->connection = fd;
	} else if (fd != -EAGAIN) {
		log_error("a vhost-user front-end", fd);
		server->is_tired = true;
	}
}

static int take_message(struct vhost_server *server)
{
	struct vhost_message *m = &server->stream.message;
	struct vhost_reply reply;
	uint32_t request = m->request;
	int err = 0;

	if (vhost_handle(&server->vhost, m, &reply)) {
		err = vhost_reply_send(server->connection, request, &reply);
		if (reply.fd >= 0)
			close(reply.fd);
	}
	vhost_stream_next(&server->stream);
	return err;
}

static void take_messages(struct vhost_server *server)
{
	int got = 1;

	for (unsigned int n = 0; n < MESSAGES && got > 0; n++) {
		got = vhost_stream_read(&server->stream, server->connection);
		if (got <= 0)
			break;
		got = take_message(server);
		if (!got)
			got = 1;
	}
	if (got < 0)
		disconnect(server, got);
}

void vhost_server_work(struct vhost_server *server, const struct pollfd *fds)
{
	bool is_due = server->vhost.has_more;

	for (unsigned int i = 0; i < VHOST_SERVER_FDS; i++)
		is_due |= fds[i].revents;
	if (!is_due)
		return;
	if (fds[0].revents && server->connection >= 0)
		take_messages(server);
	else if (fds[0].revents)
		accept_one(server);
	vhost_work(&server->vhost);
}

void vhost_server_tick(struct vhost_server *server)
{
	queues_offer_page(&server->vhost);
}

bool vhost_server_is_over(const struct vhost_server *server)
{
	return server->connection < 0 && server->listener.fd < 0;
}

void vhost_server_close(struct vhost_server *server)
{
	if (server->connection >= 0)
		close(server->connection);
	local_socket_close(&server->listener);
	vhost_stream_next(&server->stream);
	vhost_end(&server->vhost);
}
