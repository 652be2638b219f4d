/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of vhost-user: how they are cut out of the front-end's stream
 * of bytes, and what a well-formed one looks like. Nothing of it is believed.
 *
 * Numbers are in the host's byte order, as that protocol has them.
 */
#ifndef HOST_VHOST_MESSAGE_H
#define HOST_VHOST_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_HEADER_SIZE	12
#define VHOST_PAYLOAD_MAX	4096	/* a longer one is skipped */
#define VHOST_FDS_MAX		8	/* a memory table of the old kind has them */

enum vhost_request {
	VHOST_GET_FEATURES		= 1,
	VHOST_SET_FEATURES		= 2,
	VHOST_SET_OWNER			= 3,
	VHOST_RESET_OWNER		= 4,
	VHOST_SET_MEM_TABLE		= 5,
	VHOST_SET_LOG_BASE		= 6,
	VHOST_SET_VRING_NUM		= 8,
	VHOST_SET_VRING_ADDR		= 9,
	VHOST_SET_VRING_BASE		= 10,
	VHOST_GET_VRING_BASE		= 11,
	VHOST_SET_VRING_KICK		= 12,
	VHOST_SET_VRING_CALL		= 13,
	VHOST_SET_VRING_ERR		= 14,
	VHOST_GET_PROTOCOL_FEATURES	= 15,
	VHOST_SET_PROTOCOL_FEATURES	= 16,
	VHOST_GET_QUEUE_NUM		= 17,
	VHOST_SET_VRING_ENABLE		= 18,
	VHOST_GET_INFLIGHT_FD		= 31,
	VHOST_SET_INFLIGHT_FD		= 32,
	VHOST_RESET_DEVICE		= 34,
	VHOST_GET_MAX_MEM_SLOTS		= 36,
	VHOST_ADD_MEM_REG		= 37,
	VHOST_REM_MEM_REG		= 38,
	VHOST_SET_STATUS		= 39,
	VHOST_GET_STATUS		= 40,
	VHOST_SET_DEVICE_STATE_FD	= 42,
	VHOST_CHECK_DEVICE_STATE	= 43,
};

/**
 * struct vhost_message - a whole one; who has it owns its descriptors
 * @request: enum vhost_request, or any other number
 * @needs_reply: the front-end asks for an acknowledgement
 * @is_long: the payload was longer than VHOST_PAYLOAD_MAX, and is gone
 * @size: bytes of the payload; 0 if @is_long
 * @payload: the rest is zero
 * @fd_count: how many descriptors came, VHOST_FDS_MAX + 1 if too many did
 * @fds: them; -1 for one that was taken
 */
struct vhost_message {
	uint32_t request;
	bool needs_reply;
	bool is_long;
	uint32_t size;
	union {
		uint8_t payload[VHOST_PAYLOAD_MAX];
		uint64_t u64;
		struct {
			uint32_t index, num;
		} vring;
	};
	unsigned int fd_count;
	int fds[VHOST_FDS_MAX];
};

/**
 * struct vhost_stream - a message on its way; all zeroes is the start
 * @have: bytes of it that came, header included
 * @header: the first of them
 * @size: the payload's length, by the header
 * @message: what is known of it
 */
struct vhost_stream {
	uint64_t have;
	uint8_t header[VHOST_HEADER_SIZE];
	uint32_t size;
	struct vhost_message message;
};

/**
 * vhost_stream_wants() - how much is to be read next
 * @stream: the stream
 *
 * Return: bytes up to the end of the header or of this message, so that what is
 * read never belongs to the next; 0 if the message is whole.
 */
size_t vhost_stream_wants(const struct vhost_stream *stream);

/**
 * vhost_stream_push() - take bytes in
 * @stream: the stream
 * @bytes: what was read
 * @len: how many, no more than were wanted
 *
 * Return: 0, or -EPROTO if this is no vhost-user header: where the next
 * message starts is not known either.
 */
int vhost_stream_push(struct vhost_stream *stream, const void *bytes, size_t len);

/**
 * vhost_stream_read() - take in what a socket has, or the first of it
 * @stream: the stream
 * @sock: the socket; never waited for
 *
 * Return: 1: @stream->message is whole; 0: more has to come, or be read: poll(2)
 * tells; -EPIPE: that was all; -EPROTO or what recvmsg() gave: the connection is of
 * no use.
 */
int vhost_stream_read(struct vhost_stream *stream, int sock);

/**
 * vhost_stream_next() - forget the message, and close what nobody took of it
 * @stream: the stream
 */
void vhost_stream_next(struct vhost_stream *stream);

/**
 * vhost_message_take_fd() - one of the descriptors becomes the caller's
 * @message: the message
 * @i: which
 *
 * Return: the descriptor, or -1 if it has none.
 */
int vhost_message_take_fd(struct vhost_message *message, unsigned int i);

/**
 * vhost_message_close() - close the descriptors that nobody took
 * @message: the message
 */
void vhost_message_close(struct vhost_message *message);

/**
 * struct vhost_reply - an answer
 * @size: bytes of @payload
 * @payload: what to send
 * @fd: to go with it, the caller's; or -1
 */
struct vhost_reply {
	uint32_t size;
	union {
		uint8_t payload[32];
		uint64_t u64;
		struct {
			uint32_t index, num;
		} vring;
	};
	int fd;
};

/**
 * vhost_reply_send() - answer a message
 * @sock: the socket; never waited for
 * @request: what is answered
 * @reply: the answer
 *
 * Return: 0, or a negative errno value: the connection is of no use.
 */
int vhost_reply_send(int sock, uint32_t request, const struct vhost_reply *reply);

#endif /* HOST_VHOST_MESSAGE_H */
