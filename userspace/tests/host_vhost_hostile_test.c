// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Front-ends that send nonsense to the vhost-user device, die, come again, or
 * take the memory away; and guests that break their rings.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "host_front_end.h"
#include "vhost-queue.h"

/* Seconds until something that waits for ever has failed. */
#define PATIENCE	60

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

/* What is known, with its size, its descriptors, and whether it has an answer. */
static const struct known {
	uint32_t request, size;
	unsigned int fds;
	bool answers;
} known[] = {
	{ 1, 0, 0, true }, { 2, 8, 0, false }, { 3, 0, 0, false }, { 4, 0, 0, false },
	{ 6, 16, 1, true }, { 8, 8, 0, false }, { 9, 40, 0, false }, { 10, 8, 0, false },
	{ 11, 8, 0, true }, { 12, 8, 1, false }, { 13, 8, 1, false }, { 14, 8, 1, false },
	{ 15, 0, 0, true }, { 16, 8, 0, false }, { 17, 0, 0, true }, { 18, 8, 0, false },
	{ 31, 20, 0, true }, { 32, 20, 1, false }, { 34, 0, 0, false }, { 36, 0, 0, true },
	{ 37, 40, 1, false }, { 39, 8, 0, false }, { 40, 0, 0, true }, { 42, 8, 1, true },
	{ 43, 0, 0, true },
};

#define KNOWN	(sizeof(known) / sizeof(known[0]))

/* The device still works. */
static void is_alive(struct front_end *fe)
{
	ok(!vhost_server_is_over(&fe->server));
	is_u64(fe_get(fe, VHOST_GET_QUEUE_NUM), 2);
}

TAP_TEST(every_wrong_size_is_refused_and_changes_nothing)
{
	FRONT_END();
	static const uint32_t sizes[] = { 0, 1, 7, 8, 9, 15, 16, 17, 19, 25, 39, 40, 41, 300 };
	const uint8_t zeros[300] = { 0 };

	fe_start(fe);
	for (size_t i = 0; i < KNOWN; i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			if (sizes[j] == known[i].size)
				continue;
			if (!ok(fe_ask(fe, known[i].request, zeros, sizes[j], &fe->mem_fd,
				       known[i].fds) & 1))
				note("request %u of %u bytes", known[i].request, sizes[j]);
		}
	}
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(every_wrong_number_of_descriptors_is_refused_and_they_are_closed)
{
	FRONT_END();
	const uint8_t zeros[300] = { 0 };
	int fds[12];
	unsigned int before;

	fe_start(fe);
	before = count_fds();
	for (int i = 0; i < 12; i++)
		fds[i] = fe->mem_fd;
	for (size_t i = 0; i < KNOWN; i++) {
		for (unsigned int count = 0; count <= 12; count += count < 2 ? 1 : 5) {
			if (count == known[i].fds)
				continue;
			if (!ok(fe_ask(fe, known[i].request, zeros, known[i].size, fds, count) & 1))
				note("request %u with %u descriptors", known[i].request, count);
		}
	}
	is_u64(count_fds(), before);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(unknown_requests_are_refused_if_an_answer_is_wanted)
{
	FRONT_END();
	unsigned int before;

	fe_handshake(fe);
	before = count_fds();
	for (uint32_t request = 0; request < 300; request++) {
		bool is_known = request == 5 || request == 38;

		for (size_t i = 0; i < KNOWN; i++)
			is_known |= known[i].request == request;
		if (is_known)
			continue;
		is_u64(fe_ask(fe, request, "1234", 4, &fe->mem_fd, 1), 1);
		fe_send(fe, request, 0, "1234", 4, &fe->mem_fd, 1);
		ok(!fe_has_answer(fe));
	}
	is_u64(fe_get(fe, UINT32_MAX), 1);
	is_u64(count_fds(), before);
}

TAP_TEST(a_message_that_is_too_long_is_refused_and_the_next_one_is_read)
{
	FRONT_END();
	static uint8_t bytes[12 + 3 * VHOST_PAYLOAD_MAX];
	const uint32_t header[3] = { 2, 1 | NEED_REPLY, 3 * VHOST_PAYLOAD_MAX };
	uint64_t answer;

	fe_handshake(fe);
	memcpy(bytes, header, sizeof(header));
	fe_send_raw(fe, bytes, sizeof(bytes), NULL, 0);
	fe_pump(fe);
	is_int(fe_receive(fe, 2, &answer, 8, NULL), 8);
	is_u64(answer, 1);
	is_alive(fe);
}

TAP_TEST(impossible_values_are_refused)
{
	FRONT_END();
	const int kick = fe->kick[0];
	uint64_t table[5] = { 2, 0, 4096, 0, 0 };

	fe_start(fe);
	is_u64(fe_ask(fe, VHOST_SET_MEM_TABLE, table, 40, &fe->mem_fd, 1), 1);
	table[0] = UINT32_MAX;
	is_u64(fe_ask(fe, VHOST_SET_MEM_TABLE, table, 40, &fe->mem_fd, 1), 1);
	for (uint32_t i = 2; i < 300; i += 50) {
		is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, i, 16), 1);
		is_u64(fe_vring(fe, VHOST_SET_VRING_BASE, i, 0), 1);
		is_u64(fe_vring(fe, VHOST_GET_VRING_BASE, i, 0), 1);
		is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, i, 1), 1);
		is_u64(fe_addr(fe, i, 0), 1);
		is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, i % 256, kick), 1);
	}
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 2), 1);
	/* A descriptor that is announced, or denied, and the other way round. */
	is_u64(fe_set(fe, VHOST_SET_VRING_CALL, 0), 1);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_CALL, 0x100, kick), 1);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_CALL, 0x200, kick), 1);
	is_u64(fe_set(fe, VHOST_SET_VRING_KICK, 0x100), 1);
	/* Not while it runs. */
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, 32), 1);
	is_u64(fe_vring(fe, VHOST_SET_VRING_BASE, 0, 1), 1);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(fe_set(fe, VHOST_SET_VRING_CALL, 0x100), 0);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(queue_sizes_that_are_none_are_refused)
{
	FRONT_END();
	static const uint32_t bad[] = { 0, 3, 17, 65536, 32769, UINT32_MAX };

	fe_handshake(fe);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, bad[i]), 1);
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, 1), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, 32768), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_BASE, 0, 65536), 1);
}

TAP_TEST(rings_outside_of_memory_do_not_start)
{
	FRONT_END();
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = { 0, 0, GUEST_USER, GUEST_USER + 0x1000, GUEST_USER + GUEST_SIZE - 32, 0 };

	fe_handshake(fe);
	fe_memory(fe);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, QUEUE_SIZE), 0);
	/* 38 bytes of available ring where 32 are left. */
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, 0, fe->kick[0]), 0);
	ok(fe->server.vhost.queues[0].ring.state == RING_STOPPED);
	ok(fe_events(fe->error[0]));
	a.avail -= 6;
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	ok(fe->server.vhost.queues[0].ring.state == RING_RUNNING);
	/* Alignment is part of the address. */
	a.desc += 8;
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1);
}

TAP_TEST(a_guest_that_breaks_its_ring_loses_it_until_it_is_set_up_again)
{
	FRONT_END();
	uint32_t words[2] = { 0, 0 };

	fe_start(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	guest_put(fe, AVAIL_AT(0) + 2, 1000, 2);
	guest_kick(fe, 0);
	ok(fe->server.vhost.queues[0].ring.state == RING_BROKEN);
	is_u64(fe_events(fe->error[0]), 1);
	guest_kick(fe, 0);
	is_u64(fe_events(fe->error[0]), 0);
	is_alive(fe);

	fe_send(fe, VHOST_GET_VRING_BASE, NEED_REPLY, words, 8, NULL, 0);
	is_int(fe_receive(fe, VHOST_GET_VRING_BASE, words, 8, NULL), 8);
	guest_put(fe, AVAIL_AT(0) + 2, 1, 2);
	fe_queue(fe, 0, 1);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

TAP_TEST(a_driver_that_never_pauses_does_not_hold_the_device_up)
{
	FRONT_END();
	const uint8_t request[16] = { 1 };

	fe_start(fe);
	/* As many as fit: the bound of one round, so there is another one. */
	for (int i = 0; i < QUEUE_SIZE; i++)
		guest_request(fe, request, sizeof(request));
	ok(!eventfd_write(fe->kick[0], 1));
	vhost_work(&fe->server.vhost);
	is_u64(guest_used(fe, 0), QUEUE_SIZE);
	ok(fe->server.vhost.has_more);
	/* What comes now comes without a kick. */
	guest_request(fe, request, sizeof(request));
	fe_pump(fe);
	is_u64(guest_used(fe, 0), QUEUE_SIZE + 1);
	ok(!fe->server.vhost.has_more);
}

/* Chains are as long as the queue, and the queue is full of them. */
TAP_TEST(a_driver_with_long_chains_does_not_hold_the_device_up)
{
	FRONT_END();
	enum { LONG = 1024, DESC = 0x10000, AVAIL = 0x14000, USED = 0x16000 };
	const struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = { 0, 0, GUEST_USER + DESC, GUEST_USER + USED, GUEST_USER + AVAIL, 0 };
	const struct vring_desc endless = {
		.addr = GUEST_GPA, .len = 1, .flags = VRING_DESC_F_NEXT,
	};
	unsigned int rounds = 1;
	struct vhost *v;

	fe_start(fe);
	v = &fe->server.vhost;
	queue_stop(&v->queues[0]);
	is_u64(fe_vring(fe, VHOST_SET_VRING_NUM, 0, LONG), 0);
	is_u64(fe_ask(fe, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, 0, fe->kick[0]), 0);
	memcpy(fe->mem + DESC, &endless, sizeof(endless));
	guest_put(fe, AVAIL + 2, LONG, 2);
	vhost_work(v);
	ok(guest_get(fe, USED + 2, 2) <= 8);
	for (; v->has_more && rounds < LONG; rounds++)
		vhost_work(v);
	is_u64(guest_get(fe, USED + 2, 2), LONG);
	ok(rounds > LONG / 8);
}

TAP_TEST(a_kick_that_is_no_eventfd_is_dropped)
{
	FRONT_END();
	int ends[2], dir = open("/proc", O_RDONLY);

	fe_start(fe);
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, 0, dir), 0);
	is_int(fe->server.vhost.queues[0].kick, -1);
	need(!pipe(ends));
	is_u64(fe_set_fd(fe, VHOST_SET_VRING_KICK, 0, ends[0]), 0);
	close(ends[1]);
	fe_pump(fe);
	is_int(fe->server.vhost.queues[0].kick, -1);
	close(ends[0]);
	close(dir);
}

/*
 * O_NONBLOCK belongs to the open file: a front-end can take it away, and use up
 * all the room there is.
 */
TAP_TEST(eventfds_that_block_hold_nobody)
{
	FRONT_END();

	fe_start(fe);
	alarm(PATIENCE);
	for (int i = 0; i < VHOST_QUEUES; i++)
		ok(!fcntl(fe->kick[i], F_SETFL, 0) && !fcntl(fe->call[i], F_SETFL, 0));
	eventfd_write(fe->call[0], UINT64_MAX - 1 - fe_events(fe->call[0]));
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	is_alive(fe);
	alarm(0);
}

TAP_TEST(guest_memory_that_is_cut_off_stops_the_rings_and_nothing_else)
{
	FRONT_END();
	const uint8_t request[16] = { 1 };

	fe_start(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
	guest_request(fe, request, sizeof(request));
	ok(!ftruncate(fe->mem_fd, 0));
	ok(!eventfd_write(fe->kick[0], 1));
	fe_pump(fe);
	ok(fe->server.vhost.queues[0].ring.state == RING_STOPPED);
	ok(fe->server.vhost.queues[1].ring.state == RING_STOPPED);
	ok(fe_events(fe->error[0]));
	is_alive(fe);
	is_u64(fe_vring(fe, VHOST_SET_VRING_ENABLE, 0, 1), 0);
	ok(fe->server.vhost.queues[0].ring.state == RING_STOPPED);

	/* Memory that is there brings them back. */
	ok(!ftruncate(fe->mem_fd, GUEST_OFFSET + GUEST_SIZE));
	is_u64(fe_region(fe, VHOST_REM_MEM_REG, GUEST_GPA, GUEST_SIZE, GUEST_USER, 0, -1), 0);
	guest_put(fe, USED_AT(0) + 2, 1, 2);
	guest_put(fe, AVAIL_AT(0) + 2, 1, 2);
	fe->avail[0] = 1;
	fe_memory(fe);
	is_u64(guest_read_clock(fe, 0), 1000000000);
}

/* Connects to a server of our own; gives the socket. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ok(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

TAP_TEST(a_front_end_goes_and_another_one_comes)
{
	FRONT_END();
	const struct rtc_clocks clocks = { .read = fake_read, .counter_id = 0xff };
	char path[64];
	unsigned int before;
	const struct vhost_page_user user = { fe_lend, fe_take, fe };
	int page = memfd_new(4096);

	snprintf(path, sizeof(path), "/tmp/vhost-test.%d", (int)getpid());
	vhost_server_close(&fe->server);
	close(fe->sock);
	need(!vhost_server_open(&fe->server, path, -1, &clocks, &user));
	/* Somebody listens there: not for another one. */
	ok(vhost_server_open(&(struct vhost_server){ 0 }, path, -1, &clocks, &user) < 0);
	fe->sock = connect_to(path);
	fe_pump(fe);
	before = count_fds();
	for (int i = 0; i < 3; i++) {
		memset(fe->mem, 0, GUEST_SIZE);
		fe->avail[0] = fe->avail[1] = 0;
		fe_start(fe);
		is_u64(fe_region(fe, VHOST_ADD_MEM_REG, 0xfeffb000, 4096, 0x1000, 0, page), 0);
		is_u64(guest_read_clock(fe, 0), 1000000000);
		fe_send_raw(fe, "half", 4, &fe->mem_fd, 1);
		fe_pump(fe);
		close(fe->sock);
		fe_pump(fe);
		is_u64(fe->taken, fe->lent);
		is_u64(fe->server.vhost.features, 0);
		ok(!fe->server.vhost.memory.log.regions && !fe->server.vhost.memory.is_leased);
		fe->sock = connect_to(path);
		fe_pump(fe);
		is_u64(count_fds(), before);
	}
	/* What is no header ends the connection, not the device. */
	fe_send_raw(fe, "this is no message of vhost-user", 32, NULL, 0);
	fe_pump(fe);
	ok(recv(fe->sock, path, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
	ok(!vhost_server_is_over(&fe->server));
	close(page);
}

TAP_TEST(without_descriptors_it_does_not_try_to_accept_all_the_time)
{
	FRONT_END();
	const struct pollfd knocked[VHOST_SERVER_FDS] = { { .revents = POLLIN } };
	struct pollfd fds[VHOST_SERVER_FDS];
	struct rlimit before, now;

	fe->server.listener.fd = fe->server.connection;
	fe->server.connection = -1;
	need(!getrlimit(RLIMIT_NOFILE, &before));
	now = (struct rlimit){ 0, before.rlim_max };
	need(!setrlimit(RLIMIT_NOFILE, &now));
	vhost_server_work(&fe->server, knocked);
	ok(!setrlimit(RLIMIT_NOFILE, &before));
	vhost_server_prepare(&fe->server, fds);
	is_int(fds[0].fd, -1);
	vhost_server_prepare(&fe->server, fds);
	is_int(fds[0].fd, fe->server.listener.fd);
}

TAP_TEST(a_stale_socket_is_replaced_and_a_file_is_not)
{
	const struct rtc_clocks clocks = { .read = fake_read, .counter_id = 0xff };
	const struct vhost_page_user user = { fe_lend, fe_take, NULL };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	static struct vhost_server server;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/vhost-test.%d", (int)getpid());
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	need(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
	ok(!vhost_server_open(&server, address.sun_path, -1, &clocks, &user));
	vhost_server_close(&server);
	ok(access(address.sun_path, F_OK));

	fd = open(address.sun_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ok(vhost_server_open(&server, address.sun_path, -1, &clocks, &user) < 0);
	ok(!access(address.sun_path, F_OK));
	unlink(address.sun_path);
}

int main(void)
{
	return tap_main();
}
