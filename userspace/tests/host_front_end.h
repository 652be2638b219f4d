/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of the vhost-user device: a front-end with a guest, at the other
 * end of a socketpair. It sends, lets the server do its work, and looks.
 */
#ifndef TESTS_HOST_FRONT_END_H
#define TESTS_HOST_FRONT_END_H

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "host_shm.h"
#include "vhost-server.h"

/* The guest's memory: one region, which starts somewhere in its file. */
#define GUEST_GPA	0x100000ULL
#define GUEST_USER	0x7f0000000000ULL
#define GUEST_OFFSET	0x1000
#define GUEST_SIZE	0x40000ULL
#define GUEST_PAGE	4096

/* Where a queue is in it, and its buffers. */
#define QUEUE_SIZE	16
#define QUEUE_AT(i)	((i) * 0x8000U)
#define DESC_AT(i)	QUEUE_AT(i)
#define AVAIL_AT(i)	(QUEUE_AT(i) + 0x2000)
#define USED_AT(i)	(QUEUE_AT(i) + 0x4000)
#define REQUEST_AT	0x20000U
#define RESPONSE_AT	0x30000U
#define LOG_USED_AT(i)	(GUEST_GPA + USED_AT(i))

#define RING_BITS	(VHOST_F_INDIRECT | VHOST_F_VERSION_1 | VHOST_F_PROTOCOL | 1)

struct front_end {
	struct vhost_server server;
	int sock;
	int mem_fd;
	uint8_t *mem;
	int kick[VHOST_QUEUES], call[VHOST_QUEUES], error[VHOST_QUEUES];
	uint16_t avail[VHOST_QUEUES];
	bool refuses;
	unsigned int refused, lent, taken;
};

/* The clocks of the device. */
static struct rtc_reading fake_now[RTC_CLOCK_COUNT];

static inline int fake_read(void *context, enum rtc_clock clock, struct rtc_reading *reading)
{
	(void)context;
	*reading = fake_now[clock];
	return 0;
}

static inline bool fe_lend(void *context, int fd, uint64_t offset, const struct dirty *dirty)
{
	struct front_end *fe = context;

	(void)fd;
	(void)offset;
	(void)dirty;
	fe->refused += fe->refuses;
	fe->lent += !fe->refuses;
	return !fe->refuses;
}

static inline void fe_take(void *context)
{
	struct front_end *fe = context;

	fe->taken++;
}

/* Lets the server do all that there is to do. */
static inline void fe_pump(struct front_end *fe)
{
	struct pollfd fds[VHOST_SERVER_FDS];

	for (int i = 0; i < 50; i++) {
		bool more = vhost_server_prepare(&fe->server, fds);

		if (!poll(fds, VHOST_SERVER_FDS, 0) && !more)
			return;
		vhost_server_work(&fe->server, fds);
		if (vhost_server_is_over(&fe->server))
			return;
	}
}

static inline void fe_init(struct front_end *fe)
{
	const struct rtc_clocks clocks = { .read = fake_read, .counter_id = 0xff };
	const struct vhost_page_user user = { fe_lend, fe_take, fe };
	int pair[2];

	signal(SIGPIPE, SIG_IGN);
	memset(fe, 0, sizeof(*fe));
	for (int i = 0; i < RTC_CLOCK_COUNT; i++)
		fake_now[i].ns = 1000000000ULL * (i + 1);
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fe->sock = pair[0];
	ok(!vhost_server_open(&fe->server, NULL, pair[1], &clocks, &user));
	fe->mem_fd = memfd_new(GUEST_OFFSET + GUEST_SIZE);
	fe->mem = (uint8_t *)mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				  fe->mem_fd, GUEST_OFFSET);
	for (int i = 0; i < VHOST_QUEUES; i++) {
		fe->kick[i] = eventfd(0, EFD_NONBLOCK);
		fe->call[i] = eventfd(0, EFD_NONBLOCK);
		fe->error[i] = eventfd(0, EFD_NONBLOCK);
	}
}

static inline void fe_end(struct front_end *fe)
{
	for (int i = 0; i < VHOST_QUEUES; i++) {
		close(fe->kick[i]);
		close(fe->call[i]);
		close(fe->error[i]);
	}
	vhost_server_close(&fe->server);
	munmap(fe->mem, GUEST_SIZE);
	close(fe->mem_fd);
	close(fe->sock);
}

/* A front-end in the variable fe, until the block ends. */
#define FRONT_END() \
	static struct front_end fe_it; \
	struct front_end *fe __attribute__((cleanup(fe_end_at))) = &fe_it; \
	\
	fe_init(fe)

static inline void fe_end_at(struct front_end **fe)
{
	fe_end(*fe);
}

/* Any bytes, with any descriptors. */
static inline void fe_send_raw(struct front_end *fe, const void *bytes, size_t len,
			       const int *fds, unsigned int count)
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
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	ok(sendmsg(fe->sock, &msg, MSG_NOSIGNAL) == (ssize_t)len);
}

#define VERSION_1	1U
#define NEED_REPLY	8U

static inline void fe_send(struct front_end *fe, uint32_t request, uint32_t flags,
			   const void *payload, uint32_t size, const int *fds,
			   unsigned int count)
{
	uint8_t bytes[512];
	const uint32_t header[3] = { request, VERSION_1 | flags, size };

	memcpy(bytes, header, sizeof(header));
	memcpy(bytes + sizeof(header), payload, size);
	fe_send_raw(fe, bytes, sizeof(header) + size, fds, count);
	fe_pump(fe);
}

/* The payload of the one answer there is; its size, or -1 if there is none. */
static inline int fe_receive(struct front_end *fe, uint32_t request, void *payload, size_t room,
			     int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	uint32_t header[3];
	struct iovec iov[] = { { header, sizeof(header) }, { payload, room } };
	struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = 2,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fe->sock, &msg, MSG_DONTWAIT);

	if (got < (ssize_t)sizeof(header))
		return -1;
	is_u64(header[0], request);
	is_u64(header[1], 5);
	is_u64(header[2], got - sizeof(header));
	if (fd && CMSG_FIRSTHDR(&msg))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return got - sizeof(header);
}

static inline bool fe_has_answer(struct front_end *fe)
{
	uint8_t byte;

	return recv(fe->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The number that the message is answered with. */
static inline uint64_t fe_ask(struct front_end *fe, uint32_t request, const void *payload,
			      uint32_t size, const int *fds, unsigned int count)
{
	uint64_t answer = 0xdeadbeef;

	fe_send(fe, request, NEED_REPLY, payload, size, fds, count);
	is_int(fe_receive(fe, request, &answer, sizeof(answer), NULL), 8);
	ok(!fe_has_answer(fe));
	return answer;
}

static inline uint64_t fe_get(struct front_end *fe, uint32_t request)
{
	return fe_ask(fe, request, "", 0, NULL, 0);
}

static inline uint64_t fe_set(struct front_end *fe, uint32_t request, uint64_t value)
{
	return fe_ask(fe, request, &value, 8, NULL, 0);
}

static inline uint64_t fe_set_fd(struct front_end *fe, uint32_t request, uint64_t value, int fd)
{
	return fe_ask(fe, request, &value, 8, &fd, 1);
}

static inline uint64_t fe_vring(struct front_end *fe, uint32_t request, uint32_t index,
				uint32_t num)
{
	const uint32_t words[2] = { index, num };

	return fe_ask(fe, request, words, 8, NULL, 0);
}

/* As QEMU does it, up to the end of realize. */
static inline void fe_handshake(struct front_end *fe)
{
	uint64_t protocol;

	is_u64(fe_get(fe, VHOST_GET_FEATURES), VHOST_FEATURES);
	protocol = fe_get(fe, VHOST_GET_PROTOCOL_FEATURES);
	fe_send(fe, VHOST_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	is_u64(fe_get(fe, VHOST_GET_QUEUE_NUM), 2);
	ok(fe_get(fe, VHOST_GET_MAX_MEM_SLOTS) >= 32);
	is_u64(fe_get(fe, VHOST_SET_OWNER), 0);
	for (int i = 0; i < VHOST_QUEUES; i++) {
		is_u64(fe_set_fd(fe, VHOST_SET_VRING_CALL, i, fe->call[i]), 0);
		is_u64(fe_set_fd(fe, VHOST_SET_VRING_ERR, i, fe->error[i]), 0);
	}
}

/* A region message about some memory. */
static inline uint64_t fe_region(struct front_end *fe, uint32_t request, uint64_t gpa,
				 uint64_t size, uint64_t user, uint64_t offset, int fd)
{
	const uint64_t words[5] = { 0, gpa, size, user, offset };

	return fe_ask(fe, request, words, sizeof(words), &fd, fd >= 0);
}

static inline void fe_memory(struct front_end *fe)
{
	is_u64(fe_region(fe, VHOST_ADD_MEM_REG, GUEST_GPA, GUEST_SIZE, GUEST_USER, GUEST_OFFSET,
			 fe->mem_fd), 0);
}

static inline uint64_t fe_addr(struct front_end *fe, uint32_t i, uint32_t flags)
{
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = {
		i, flags, GUEST_USER + DESC_AT(i), GUEST_USER + USED_AT(i),
		GUEST_USER + AVAIL_AT(i), LOG_USED_AT(i),
	};

	return fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

static inline void fe_queue(struct front_end *fe, uint32_t i, uint16_t base)
{
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, i, QUEUE_SIZE), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_BASE, i, base), 0);
	is_u64(fe_addr(fe, i, 0), 0);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, i, fe->kick[i]), 0);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_CALL, i, fe->call[i]), 0);
}

/* All that happens until the guest's driver is ready, with both queues. */
static inline void fe_start(struct front_end *fe)
{
	fe_handshake(fe);
	is_u64(fe_set(fe, VHOST_SET_FEATURES, RING_BITS), 0);
	fe_memory(fe);
	for (uint32_t i = 0; i < VHOST_QUEUES; i++)
		fe_queue(fe, i, 0);
	for (uint32_t i = 0; i < VHOST_QUEUES; i++)
		is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, i, 1), 0);
}

/* The guest. */
static inline void guest_put(struct front_end *fe, size_t at, uint64_t value, unsigned int bytes)
{
	memcpy(fe->mem + at, &value, bytes);
}

static inline uint64_t guest_get(struct front_end *fe, size_t at, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, fe->mem + at, bytes);
	return value;
}

static inline uint16_t guest_used(struct front_end *fe, uint32_t i)
{
	return guest_get(fe, USED_AT(i) + 2, 2);
}

static inline void guest_desc(struct front_end *fe, uint32_t q, unsigned int i, uint64_t gpa,
			      uint32_t len, uint16_t flags, uint16_t next)
{
	const size_t at = DESC_AT(q) + 16 * i;

	guest_put(fe, at, gpa, 8);
	guest_put(fe, at + 8, len, 4);
	guest_put(fe, at + 12, flags, 2);
	guest_put(fe, at + 14, next, 2);
}

static inline void guest_offer(struct front_end *fe, uint32_t q, uint16_t head)
{
	guest_put(fe, AVAIL_AT(q) + 4 + 2 * (fe->avail[q] % QUEUE_SIZE), head, 2);
	guest_put(fe, AVAIL_AT(q) + 2, ++fe->avail[q], 2);
}

static inline void guest_kick(struct front_end *fe, uint32_t q)
{
	ok(!eventfd_write(fe->kick[q], 1));
	fe_pump(fe);
}

/* Makes a request available: a readable and a writable buffer. */
static inline void guest_request(struct front_end *fe, const void *request, size_t len)
{
	memcpy(fe->mem + REQUEST_AT, request, len);
	memset(fe->mem + RESPONSE_AT, 0xcc, 64);
	guest_desc(fe, 0, 0, GUEST_GPA + REQUEST_AT, len, 1, 1);
	guest_desc(fe, 0, 1, GUEST_GPA + RESPONSE_AT, 64, 2, 0);
	guest_offer(fe, 0, 0);
}

/* Reads a clock through the ring: its time, or 0 if there was no good answer. */
static inline uint64_t guest_read_clock(struct front_end *fe, uint8_t clock)
{
	const uint8_t request[16] = { 1, 0, 0, 0, 0, 0, 0, 0, clock };
	uint16_t used = guest_used(fe, 0);
	size_t elem = USED_AT(0) + 4 + 8 * (used % QUEUE_SIZE);

	guest_request(fe, request, sizeof(request));
	guest_kick(fe, 0);
	if (guest_used(fe, 0) != (uint16_t)(used + 1) || guest_get(fe, elem + 4, 4) != 16 ||
	    fe->mem[RESPONSE_AT])
		return 0;
	return guest_get(fe, RESPONSE_AT + 8, 8);
}

static inline uint64_t fe_events(int fd)
{
	uint64_t count = 0;

	return eventfd_read(fd, &count) ? 0 : count;
}

#endif /* TESTS_HOST_FRONT_END_H */
