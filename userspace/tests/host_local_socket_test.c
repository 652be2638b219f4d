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

#include "local-socket.h"
#include "tap.h"

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

static int listen_at(void)
{
	return local_socket_listen(path, 0, 8);
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

int main(void)
{
	return tap_main();
}
