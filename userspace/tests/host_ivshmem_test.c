// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server of ivshmem-doorbell devices: what clients are told, how they are
 * woken, and those that mean no good.
 */
#define _GNU_SOURCE	/* memfd_create() */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ivshmem-server.h"
#include "tap.h"

/* Seconds until something that waits for ever has failed. */
#define PATIENCE	60

static struct ivshmem_server server;
static char directory[] = "/tmp/vmclock-ivshmem-XXXXXX", path[64];
static int memory;

/* What one client has been told. */
struct client {
	int fd;
	int64_t version, id, other_id;
	int memory, bell;
};

static void serve(void)
{
	struct pollfd fds[IVSHMEM_SERVER_FDS];

	for (int rounds = 0; rounds < 2 * IVSHMEM_SERVER_FDS; rounds++) {
		ivshmem_server_prepare(&server, fds);
		if (poll(fds, IVSHMEM_SERVER_FDS, 0) <= 0)
			return;
		ivshmem_server_work(&server, fds);
	}
}

static void open_server(void)
{
	alarm(PATIENCE);
	memory = memfd_create("memory", MFD_CLOEXEC);
	need(memory >= 0 && !ftruncate(memory, 65536));
	need(!ivshmem_server_open(&server, path, memory));
}

static void close_server(void)
{
	ivshmem_server_close(&server);
	close(memory);
	alarm(0);
}

static int knock(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	ok(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	serve();
	return fd;
}

/* The next message: its number, and its descriptor or -1. INT64_MIN: none. */
static int64_t hear(int fd, int *got)
{
	int64_t number;
	struct iovec data = { &number, sizeof(number) };
	union {
		char room[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr head;
	} control;
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	*got = -1;
	if (recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(number))
		return INT64_MIN;
	if (m.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(got, CMSG_DATA(&control.head), sizeof(*got));
	return le64toh(number);
}

static bool is_silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool is_closed(int fd)
{
	char byte;

	return !recv(fd, &byte, 1, MSG_DONTWAIT);
}

static struct client join(void)
{
	struct client c = { .fd = knock() };
	int none;

	c.version = hear(c.fd, &none);
	is_int(none, -1);
	c.id = hear(c.fd, &none);
	is_int(none, -1);
	is_int(hear(c.fd, &c.memory), -1);
	c.other_id = hear(c.fd, &c.bell);
	ok(c.memory >= 0 && c.bell >= 0);
	ok(is_silent(c.fd));
	return c;
}

static void leave(struct client *c)
{
	close(c->fd);
	close(c->memory);
	close(c->bell);
	serve();
}

/* How often it rang since the last look. */
static uint64_t rings(const struct client *c)
{
	eventfd_t count = 0;

	fcntl(c->bell, F_SETFL, O_NONBLOCK);
	return eventfd_read(c->bell, &count) ? 0 : count;
}

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

TAP_TEST(a_client_is_told_what_the_protocol_has)
{
	struct stat ours, theirs;
	struct client c;

	open_server();
	c = join();
	is_int(c.version, 0);
	ok(c.id >= 0 && c.id <= UINT16_MAX);
	is_int(c.other_id, c.id);
	ok(!fstat(memory, &ours) && !fstat(c.memory, &theirs));
	is_u64(theirs.st_ino, ours.st_ino);
	leave(&c);
	close_server();
}

TAP_TEST(each_client_has_a_bell_and_a_number_of_its_own)
{
	struct client a, b;

	open_server();
	a = join();
	b = join();
	ok(a.id != b.id);
	is_u64(rings(&a), 0);
	ivshmem_server_ring(&server);
	ivshmem_server_ring(&server);
	is_u64(rings(&a), 2);
	is_u64(rings(&b), 2);
	/* Nobody hears of anybody. */
	ok(is_silent(a.fd) && is_silent(b.fd));
	leave(&a);
	ok(is_silent(b.fd));
	ivshmem_server_ring(&server);
	is_u64(rings(&b), 1);
	leave(&b);
	close_server();
}

TAP_TEST(who_comes_again_gets_another_number)
{
	struct client first, again;
	int64_t id;

	open_server();
	first = join();
	id = first.id;
	leave(&first);
	again = join();
	ok(again.id != id);
	ivshmem_server_ring(&server);
	is_u64(rings(&again), 1);
	leave(&again);
	close_server();
}

TAP_TEST(a_number_in_use_is_not_given_when_they_begin_again)
{
	struct client a, b, c;

	open_server();
	a = join();
	is_int(a.id, 0);
	server.next_id = UINT16_MAX;
	b = join();
	is_int(b.id, UINT16_MAX);
	c = join();
	is_int(c.id, 1);
	leave(&a);
	leave(&b);
	leave(&c);
	close_server();
}

TAP_TEST(who_speaks_is_sent_away)
{
	struct client a, b;

	open_server();
	a = join();
	b = join();
	ok(send(a.fd, "hello", 5, 0) == 5);
	serve();
	ok(recv(a.fd, &(char){ 0 }, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
	ivshmem_server_ring(&server);
	is_u64(rings(&a), 0);
	is_u64(rings(&b), 1);
	leave(&a);
	leave(&b);
	close_server();
}

/* The socket's buffer is full, and the client told nothing but the version. */
static int fill(int fd)
{
	int sent = 0;

	while (send(fd, &sent, sizeof(sent), MSG_DONTWAIT) > 0)
		sent++;
	return sent;
}

TAP_TEST(who_does_not_read_is_told_when_there_is_room)
{
	char junk[4096];
	struct client b;
	int a, got;

	open_server();
	a = knock();
	need(server.clients[0].fd >= 0);
	ok(fill(server.clients[0].fd) > 0);
	server.clients[0].told = 1;
	serve();
	is_u64(server.clients[0].told, 1);
	b = join();
	ivshmem_server_ring(&server);
	is_u64(rings(&b), 1);

	while (recv(a, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	serve();
	is_int(hear(a, &got), 0);
	is_int(hear(a, &got), -1);
	ok(got >= 0);
	close(got);
	is_int(hear(a, &got), 0);
	ok(got >= 0);
	close(got);
	close(a);
	leave(&b);
	close_server();
}

/* O_NONBLOCK belongs to the open file: a client can take it away. */
TAP_TEST(a_bell_that_can_ring_no_more_holds_nobody)
{
	struct client a, b;

	open_server();
	a = join();
	b = join();
	ok(!fcntl(a.bell, F_SETFL, 0));
	ok(!eventfd_write(a.bell, UINT64_MAX - 1));
	ivshmem_server_ring(&server);
	ivshmem_server_ring(&server);
	is_u64(rings(&b), 2);
	leave(&a);
	leave(&b);
	close_server();
}

TAP_TEST(one_too_many_is_sent_away)
{
	struct client all[IVSHMEM_CLIENTS];
	int fd;

	open_server();
	for (int i = 0; i < IVSHMEM_CLIENTS; i++)
		all[i] = join();
	fd = knock();
	ok(is_closed(fd));
	close(fd);
	leave(&all[3]);
	all[3] = join();
	ivshmem_server_ring(&server);
	for (int i = 0; i < IVSHMEM_CLIENTS; i++) {
		is_u64(rings(&all[i]), 1);
		leave(&all[i]);
	}
	close_server();
}

TAP_TEST(without_descriptors_it_does_not_try_all_the_time)
{
	const struct pollfd knocked[IVSHMEM_SERVER_FDS] = { { .revents = POLLIN } };
	struct rlimit before, now;
	struct pollfd fds[IVSHMEM_SERVER_FDS];
	struct client b;
	int fd, got;

	open_server();
	need(!getrlimit(RLIMIT_NOFILE, &before));
	now = before;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	now.rlim_cur = fd + 1;
	close(fd);
	ok(!setrlimit(RLIMIT_NOFILE, &now));
	fd = knock();
	ivshmem_server_prepare(&server, fds);
	ivshmem_server_work(&server, knocked);
	ivshmem_server_prepare(&server, fds);
	is_int(fds[0].fd, -1);
	ivshmem_server_prepare(&server, fds);
	is_int(fds[0].fd, server.listener.fd);

	ok(!setrlimit(RLIMIT_NOFILE, &before));
	serve();
	is_int(hear(fd, &got), 0);
	b = join();
	leave(&b);
	close(fd);
	close_server();
}

TAP_TEST(the_end_leaves_the_memory_to_the_clients)
{
	struct client c;
	char byte;

	open_server();
	c = join();
	close_server();
	ok(is_closed(c.fd));
	ok(pread(c.memory, &byte, 1, 0) == 1);
	ok(access(path, F_OK) && errno == ENOENT);
	leave(&c);
}

TAP_TEST(nothing_stays_open)
{
	unsigned int before, with_server;
	struct client c;

	before = open_files();
	open_server();
	with_server = open_files();
	for (int i = 0; i < 3 * IVSHMEM_CLIENTS; i++) {
		c = join();
		leave(&c);
	}
	is_u64(open_files(), with_server);
	c = join();
	close_server();
	leave(&c);
	is_u64(open_files(), before);
}

int main(void)
{
	int status;

	if (!mkdtemp(directory))
		return 2;
	snprintf(path, sizeof(path), "%s/socket", directory);
	status = tap_main();
	rmdir(directory);
	return status;
}
