// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A socket with a path: who gets it, and what is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "ivshmem-server.h"
#include "local-socket.h"
#include "tap.h"
#include "vhost-server.h"
#include "wrapped.h"

static char dir[40], path[64], lock[80];

static void begin(void)
{
	strcpy(dir, "/tmp/vmclock-socket-XXXXXX");
	need(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(lock, sizeof(lock), "%s.vmclock-lock", path);
}

/* Also looks whether there is nothing but the socket. */
static void end(void)
{
	unlink(path);
	is_int(rmdir(dir), 0);
}

/* What a daemon that was killed leaves. */
static void make_stale(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	need(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
}

static bool is_served(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool is_heard;

	strcpy(address.sun_path, path);
	is_heard = !connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return is_heard;
}

/* A descriptor, or an error. */
static int listen_at(void)
{
	struct local_socket made;
	int err = local_socket_listen(&made, path, 0, 8);

	is_int(made.fd < 0, err < 0);
	return err ? err : made.fd;
}

TAP_TEST(who_listens_is_not_replaced)
{
	int fd;

	begin();
	fd = listen_at();
	ok(fd >= 0 && is_served());
	is_int(listen_at(), -EADDRINUSE);
	ok(is_served());
	close(fd);
	ok(!is_served());
	fd = listen_at();
	ok(fd >= 0 && is_served());
	close(fd);
	end();
}

#define DAEMONS	4
#define ROUNDS	300

/* Says whether it is the one, and stays that as long as it lives. */
static void be_daemon(const int *go, int to, int until)
{
	char is_it, unused;

	while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
		;
	is_it = listen_at() >= 0;
	if (write(to, &is_it, 1) == 1 && read(until, &unused, 1) < 0)
		_exit(1);
	_exit(0);
}

/* How many of them think that it is theirs. */
static int start_daemons(int *go)
{
	int said[2], until[2], owners = 0;
	char is_it;

	ok(!pipe(said) && !pipe(until));
	__atomic_store_n(go, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < DAEMONS; i++) {
		if (!fork()) {
			close(until[1]);
			be_daemon(go, said[1], until[0]);
		}
	}
	__atomic_store_n(go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < DAEMONS && ok(read(said[0], &is_it, 1) == 1); i++)
		owners += is_it;
	ok(is_served());
	close(until[1]);
	for (int i = 0; i < DAEMONS; i++)
		wait(NULL);
	close(until[0]);
	close(said[0]);
	close(said[1]);
	return owners;
}

TAP_TEST(of_many_that_start_at_once_one_has_it)
{
	int *go = mmap(NULL, sizeof(*go), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	need(go != MAP_FAILED);
	begin();
	make_stale();
	fflush(stdout);
	for (int i = 0; i < ROUNDS && is_int(start_daemons(go), 1); i++)
		;
	end();
	munmap(go, sizeof(*go));
}

/* It has bound the socket, say, but nobody can connect to it yet. */
TAP_TEST(where_somebody_else_is_about_to_listen_nobody_does)
{
	int fd;

	begin();
	make_stale();
	fd = open(lock, O_RDWR | O_CREAT, 0600);
	need(fd >= 0 && !flock(fd, LOCK_EX));
	is_int(listen_at(), -EADDRINUSE);
	close(fd);
	/* Who is killed then leaves the file, and keeps nobody away by that. */
	fd = listen_at();
	ok(fd >= 0 && is_served());
	close(fd);
	end();
}

TAP_TEST(what_is_not_ours_in_place_of_the_lock_stays)
{
	int fd;

	begin();
	fd = open(lock, O_WRONLY | O_CREAT, 0600);
	need(fd >= 0 && write(fd, "mine", 4) == 4);
	close(fd);
	is_int(listen_at(), -EEXIST);
	is_int(unlink(lock), 0);
	need(!symlink("elsewhere", lock));
	ok(listen_at() < 0);
	is_int(unlink(lock), 0);
	need(!mkfifo(lock, 0600));
	is_int(listen_at(), -EEXIST);
	is_int(unlink(lock), 0);
	end();
}

/* Those that have such a socket. */

static struct control control, successor;
static struct ivshmem_server ivshmem;
static struct vhost_server vhost;

static int open_control(void)
{
	return control_open(&control, path, &(struct control_host){ 0 });
}

static void close_control(void)
{
	control_close(&control);
}

static int open_ivshmem(void)
{
	return ivshmem_server_open(&ivshmem, path, -1);
}

static void close_ivshmem(void)
{
	ivshmem_server_close(&ivshmem);
}

static int open_vhost(void)
{
	const struct rtc_clocks no_clocks = { 0 };
	const struct vhost_page_user nobody = { 0 };

	return vhost_server_open(&vhost, path, -1, &no_clocks, &nobody);
}

static void close_vhost(void)
{
	vhost_server_close(&vhost);
}

static const struct owner {
	int (*open)(void);
	void (*close)(void);
} owners[] = {
	{ open_control, close_control },
	{ open_ivshmem, close_ivshmem },
	{ open_vhost, close_vhost },
};

#define OWNERS	(sizeof(owners) / sizeof(owners[0]))

static int succeed(void)
{
	return control_open(&successor, path, &(struct control_host){ 0 });
}

TAP_TEST(who_ends_leaves_nothing)
{
	for (size_t i = 0; i < OWNERS; i++) {
		begin();
		need(!owners[i].open());
		ok(is_served());
		owners[i].close();
		is_int(rmdir(dir), 0);
	}
}

/* Between any two of the steps by which one ends, the next may begin. */
static bool is_due;
static int result;

int __wrap_close(int fd)
{
	int listens = 0, err;
	socklen_t len = sizeof(listens);

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	err = __real_close(fd);
	if (listens && is_due) {
		is_due = false;
		result = succeed();
	}
	return err;
}

TAP_TEST(who_begins_as_soon_as_the_other_is_silent_keeps_its_socket)
{
	for (size_t i = 0; i < OWNERS; i++) {
		begin();
		need(!owners[i].open());
		is_due = true;
		owners[i].close();
		ok(!is_due);
		is_int(result, 0);
		ok(is_served());
		control_close(&successor);
		end();
	}
}

TAP_TEST(who_was_given_the_name_by_hand_keeps_it_when_the_other_ends)
{
	for (size_t i = 0; i < OWNERS; i++) {
		begin();
		need(!owners[i].open());
		is_int(unlink(path), 0);
		is_int(succeed(), 0);
		owners[i].close();
		ok(is_served());
		control_close(&successor);
		end();
	}
}

int main(void)
{
	return tap_main();
}
