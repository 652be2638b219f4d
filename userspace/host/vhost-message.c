// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost-message.h"

#define VERSION		1U
#define VERSION_MASK	3U
#define FLAG_REPLY	(1U << 2)
#define FLAG_NEED_REPLY	(1U << 3)

/* In one go: who sends a payload of 4 GiB keeps nobody else waiting for its end. */
#define READS		8

size_t vhost_stream_wants(const struct vhost_stream *stream)
{
	uint64_t whole = VHOST_HEADER_SIZE;

	if (stream->have >= VHOST_HEADER_SIZE)
		whole += stream->size;
	return whole - stream->have;
}

/* The header is complete. */
static int parse_header(struct vhost_stream *stream)
{
	struct vhost_message *m = &stream->message;
	uint32_t words[3];

	memcpy(words, stream->header, sizeof(words));
	if ((words[1] & VERSION_MASK) != VERSION || words[1] & FLAG_REPLY)
		return -EPROTO;
	m->request = words[0];
	m->needs_reply = words[1] & FLAG_NEED_REPLY;
	m->is_long = words[2] > VHOST_PAYLOAD_MAX;
	m->size = m->is_long ? 0 : words[2];
	stream->size = words[2];
	return 0;
}

int vhost_stream_push(struct vhost_stream *stream, const void *bytes, size_t len)
{
	uint64_t at = stream->have;

	stream->have += len;
	if (at >= VHOST_HEADER_SIZE) {
		if (!stream->message.is_long)
			memcpy(stream->message.payload + at - VHOST_HEADER_SIZE, bytes, len);
		return 0;
	}
	memcpy(stream->header + at, bytes, len);
	return stream->have == VHOST_HEADER_SIZE ? parse_header(stream) : 0;
}

static void keep_fd(struct vhost_message *m, int fd)
{
	if (m->fd_count < VHOST_FDS_MAX) {
		m->fds[m->fd_count++] = fd;
		return;
	}
	m->fd_count = VHOST_FDS_MAX + 1;
	close(fd);
}

static void keep_fds(struct vhost_message *m, struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t count;
	int fd;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			keep_fd(m, fd);
		}
	}
	if (!(msg->msg_flags & MSG_CTRUNC))
		return;
	/* Some did not arrive. Their places hold none, not descriptor 0. */
	while (m->fd_count < VHOST_FDS_MAX)
		m->fds[m->fd_count++] = -1;
	m->fd_count = VHOST_FDS_MAX + 1;
}

/* recvmsg() of at most @len bytes, and the descriptors that come with them. */
static ssize_t receive(struct vhost_message *m, int sock, void *bytes, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VHOST_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { bytes, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got;

	do {
		got = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got >= 0)
		keep_fds(m, &msg);
	return got < 0 ? -errno : got;
}

int vhost_stream_read(struct vhost_stream *stream, int sock)
{
	uint8_t bytes[VHOST_PAYLOAD_MAX];
	unsigned int left = READS;
	size_t wants;
	ssize_t got;
	int err;

	while ((wants = vhost_stream_wants(stream))) {
		if (!left--)
			return 0;
		got = receive(&stream->message, sock, bytes,
			      wants < sizeof(bytes) ? wants : sizeof(bytes));
		if (got == -EAGAIN)
			return 0;
		if (got <= 0)
			return got ? got : -EPIPE;
		err = vhost_stream_push(stream, bytes, got);
		if (err)
			return err;
	}
	return 1;
}

void vhost_stream_next(struct vhost_stream *stream)
{
	vhost_message_close(&stream->message);
	memset(stream, 0, sizeof(*stream));
}

int vhost_message_take_fd(struct vhost_message *message, unsigned int i)
{
	int fd;

	if (i >= message->fd_count || i >= VHOST_FDS_MAX)
		return -1;
	fd = message->fds[i];
	message->fds[i] = -1;
	return fd;
}

void vhost_message_close(struct vhost_message *message)
{
	int fd;

	for (unsigned int i = 0; i < VHOST_FDS_MAX; i++) {
		fd = vhost_message_take_fd(message, i);
		if (fd >= 0)
			close(fd);
	}
	message->fd_count = 0;
}

int vhost_reply_send(int sock, uint32_t request, const struct vhost_reply *reply)
{
	uint32_t header[3] = { request, VERSION | FLAG_REPLY, reply->size };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = {
		{ header, sizeof(header) }, { (void *)reply->payload, reply->size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t sent;

	if (reply->fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &reply->fd, sizeof(int));
	}
	do {
		sent = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	/* So little always fits, unless the front-end has not read for long. */
	return (size_t)sent == sizeof(header) + reply->size ? 0 : -EPIPE;
}
