// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages cut out of a stream of bytes, and their descriptors.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "host_shm.h"
#include "vhost-message.h"

static struct vhost_stream stream;

/* A header and @size bytes that count up. */
static size_t make(uint8_t *bytes, uint32_t request, uint32_t flags, uint32_t size)
{
	const uint32_t header[3] = { request, flags, size };

	memcpy(bytes, header, sizeof(header));
	for (uint32_t i = 0; i < size && i < VHOST_PAYLOAD_MAX; i++)
		bytes[sizeof(header) + i] = i;
	return sizeof(header) + size;
}

/* Pushes all of it, at most @piece bytes at a time. */
static int push_in_pieces(const uint8_t *bytes, size_t len, size_t piece)
{
	size_t wants, n;
	int err = 0;

	while (len && !err && (wants = vhost_stream_wants(&stream))) {
		n = piece < wants ? piece : wants;
		n = n < len ? n : len;
		err = vhost_stream_push(&stream, bytes, n);
		bytes += n;
		len -= n;
	}
	return err;
}

TAP_TEST(a_message_may_come_in_any_pieces)
{
	uint8_t bytes[100];
	size_t len = make(bytes, 37, 9, 40);

	for (size_t piece = 1; piece <= len; piece++) {
		is_int(push_in_pieces(bytes, len, piece), 0);
		is_u64(vhost_stream_wants(&stream), 0);
		is_u64(stream.message.request, 37);
		ok(stream.message.needs_reply && !stream.message.is_long);
		is_u64(stream.message.size, 40);
		ok(!memcmp(stream.message.payload, bytes + 12, 40));
		is_int(stream.message.payload[40], 0);
		vhost_stream_next(&stream);
		is_u64(vhost_stream_wants(&stream), 12);
		is_int(stream.message.payload[39], 0);
	}
}

TAP_TEST(what_is_no_header_is_an_error)
{
	static const uint32_t flags[] = { 0, 2, 3, 5, 13, 8, 0xfffffffc };
	uint8_t bytes[12];

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		make(bytes, 1, flags[i], 0);
		is_int(push_in_pieces(bytes, 12, 5), -EPROTO);
		vhost_stream_next(&stream);
	}
	/* Other bits may come to mean something. */
	make(bytes, 1, 0xfffffff1, 0);
	is_int(push_in_pieces(bytes, 12, 5), 0);
	ok(!vhost_stream_wants(&stream));
	vhost_stream_next(&stream);
}

TAP_TEST(a_payload_that_is_too_long_is_skipped)
{
	static uint8_t bytes[VHOST_PAYLOAD_MAX + 100];
	size_t len = make(bytes, 1, 1, VHOST_PAYLOAD_MAX);

	is_int(push_in_pieces(bytes, len, 1000), 0);
	ok(!stream.message.is_long);
	is_u64(stream.message.size, VHOST_PAYLOAD_MAX);
	vhost_stream_next(&stream);

	len = make(bytes, 1, 1, VHOST_PAYLOAD_MAX + 1);
	is_int(push_in_pieces(bytes, len - 1, 1000), 0);
	is_u64(vhost_stream_wants(&stream), 1);
	is_int(push_in_pieces(bytes, 1, 1), 0);
	is_u64(vhost_stream_wants(&stream), 0);
	ok(stream.message.is_long);
	is_u64(stream.message.size, 0);
	vhost_stream_next(&stream);

	make(bytes, 1, 1, UINT32_MAX);
	is_int(push_in_pieces(bytes, 12, 12), 0);
	is_u64(vhost_stream_wants(&stream), UINT32_MAX);
	vhost_stream_next(&stream);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

/* Sends bytes with @count descriptors of the same file. */
static void send_with_fds(int sock, const void *bytes, size_t len, unsigned int count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned int i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &sock, sizeof(int));
	}
	ok(sendmsg(sock, &msg, 0) == (ssize_t)len);
}

TAP_TEST(descriptors_come_with_their_message_and_are_closed_with_it)
{
	static const unsigned int counts[] = { 0, 1, 8, 9, 20 };
	unsigned int before = count_fds();
	uint8_t bytes[64];
	size_t len = make(bytes, 5, 1, 8);
	int pair[2], fd;

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		send_with_fds(pair[0], bytes, len, counts[i]);
		is_int(vhost_stream_read(&stream, pair[1]), 1);
		is_u64(stream.message.fd_count, counts[i] < 9 ? counts[i] : 9);
		vhost_stream_next(&stream);
		is_u64(count_fds(), before + 2);
	}
	/* In the middle of it, and more than once. */
	send_with_fds(pair[0], bytes, 5, 4);
	send_with_fds(pair[0], bytes + 5, 10, 4);
	is_int(vhost_stream_read(&stream, pair[1]), 0);
	send_with_fds(pair[0], bytes + 15, len - 15, 4);
	is_int(vhost_stream_read(&stream, pair[1]), 1);
	is_u64(stream.message.fd_count, 9);
	fd = vhost_message_take_fd(&stream.message, 3);
	ok(fd >= 0);
	is_int(vhost_message_take_fd(&stream.message, 3), -1);
	is_int(vhost_message_take_fd(&stream.message, 8), -1);
	vhost_stream_next(&stream);
	is_u64(count_fds(), before + 3);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* What the kernel had no room for in our table is not descriptor 0. */
TAP_TEST(descriptors_that_did_not_arrive_are_not_closed)
{
	struct rlimit limit, low;
	uint8_t bytes[64];
	size_t len = make(bytes, 5, 1, 8);
	int pair[2], zero = dup(0);

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && !getrlimit(RLIMIT_NOFILE, &limit));
	need(dup2(pair[0], 0) == 0);
	low = limit;
	low.rlim_cur = (pair[1] > zero ? pair[1] : zero) + 3;
	send_with_fds(pair[0], bytes, len, 8);
	need(!setrlimit(RLIMIT_NOFILE, &low));
	is_int(vhost_stream_read(&stream, pair[1]), 1);
	need(!setrlimit(RLIMIT_NOFILE, &limit));
	is_u64(stream.message.fd_count, 9);
	vhost_stream_next(&stream);
	ok(fcntl(0, F_GETFD) >= 0);
	if (zero >= 0) {
		dup2(zero, 0);
		close(zero);
	} else {
		close(0);
	}
	close(pair[0]);
	close(pair[1]);
}

TAP_TEST(the_next_message_is_left_in_the_socket)
{
	uint8_t bytes[64];
	size_t len = make(bytes, 2, 1, 8);
	int pair[2];

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	make(bytes + len, 3, 1, 4);
	send_with_fds(pair[0], bytes, len + 16, 0);
	is_int(vhost_stream_read(&stream, pair[1]), 1);
	is_u64(stream.message.request, 2);
	vhost_stream_next(&stream);
	is_int(vhost_stream_read(&stream, pair[1]), 1);
	is_u64(stream.message.request, 3);
	vhost_stream_next(&stream);
	is_int(vhost_stream_read(&stream, pair[1]), 0);
	close(pair[0]);
	is_int(vhost_stream_read(&stream, pair[1]), -EPIPE);
	close(pair[1]);
}

/* Its length is the front-end's word: up to 4 GiB that come as fast as they are read. */
TAP_TEST(a_message_that_does_not_end_is_not_read_for_ever)
{
	static const uint8_t bytes[VHOST_PAYLOAD_MAX];
	const uint32_t header[3] = { 1, 1, UINT32_MAX };
	uint64_t sent = sizeof(header), before;
	unsigned int rounds = 0;
	ssize_t n;
	int pair[2];

	is_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	is_int(send(pair[0], header, sizeof(header), 0), sizeof(header));
	while ((n = send(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		sent += n;
	ok(sent > 16 * VHOST_PAYLOAD_MAX);
	do {
		before = stream.have;
		is_int(vhost_stream_read(&stream, pair[1]), 0);
		ok(stream.have - before <= 8 * VHOST_PAYLOAD_MAX);
	} while (stream.have > before && ++rounds < 10000);
	is_u64(stream.have, sent);
	vhost_stream_next(&stream);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	return tap_main();
}
