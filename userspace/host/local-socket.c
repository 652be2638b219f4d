// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* accept4() */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "local-socket.h"
#include "log.h"

#define LOCK_SUFFIX	".vmclock-lock"

/*
 * While a socket is made: @name is the file beside it, @fd the lock on that. Of two
 * who find a stale socket, or one that is bound already but not heard yet, the second
 * would replace what the first has just made. A file, and not the directory, which
 * whoever may read it could lock for as long as it likes.
 */
struct making {
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(LOCK_SUFFIX)];
	int fd;
};

static int lock(struct making *m)
{
	struct stat st;

	/* Who made it before us may have removed it since it was opened: they listen. */
	if (flock(m->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	if (fstat(m->fd, &st))
		return -errno;
	if (!st.st_nlink)
		return -EADDRINUSE;
	/* Ours are empty, and are removed. */
	return !S_ISREG(st.st_mode) || st.st_size ? -EEXIST : 0;
}

static int begin_making(struct making *m, const char *path)
{
	int err;

	snprintf(m->name, sizeof(m->name), "%s" LOCK_SUFFIX, path);
	m->fd = open(m->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (m->fd < 0)
		return log_error(m->name, -errno);
	err = lock(m);
	if (!err)
		return 0;
	close(m->fd);
	return log_error(err == -EADDRINUSE ? path : m->name, err);
}

static void end_making(const struct making *m)
{
	unlink(m->name);
	close(m->fd);
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/*
 * A socket file outlives who made it: does anybody still listen? Other files
 * refuse connections too.
 */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = new_socket();
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int bind_at(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *a = (const struct sockaddr *)address;

	if (!bind(fd, a, sizeof(*address)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(address))
		return -EADDRINUSE;
	if (unlink(address->sun_path) || bind(fd, a, sizeof(*address)))
		return -errno;
	return 0;
}

static int listen_at(const struct sockaddr_un *address, mode_t mask, int backlog)
{
	mode_t before;
	int fd = new_socket(), err;

	if (fd < 0)
		return fd;
	/* A socket file never has more than this, not even for a moment. */
	before = umask(mask);
	umask(before | mask);
	err = bind_at(fd, address);
	umask(before);
	if (!err && listen(fd, backlog))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int local_socket_listen(struct local_socket *s, const char *path, mode_t mask, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct making making;
	struct stat st;
	int fd, err;

	*s = LOCAL_SOCKET_NONE;
	if (strlen(path) >= sizeof(address.sun_path))
		return log_error(path, -ENAMETOOLONG);
	strcpy(address.sun_path, path);
	err = begin_making(&making, path);
	if (err)
		return err;
	fd = listen_at(&address, mask, backlog);
	/* Whoever has taken the file away by now, it will not be found to be ours. */
	if (fd >= 0 && !lstat(path, &st))
		*s = (struct local_socket){ fd, path, st.st_dev, st.st_ino };
	else if (fd >= 0)
		*s = (struct local_socket){ .fd = fd };
	end_making(&making);
	return fd < 0 ? log_error(path, fd) : 0;
}

/*
 * Before it is closed: as long as somebody listens no other daemon makes its own there,
 * and as soon as nobody does it may. Only by hand can it have been done already.
 */
void local_socket_close(struct local_socket *s)
{
	struct stat st;

	if (s->path && !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	*s = LOCAL_SOCKET_NONE;
}

int local_socket_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	/* Who knocked may have gone. */
	return errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
}
