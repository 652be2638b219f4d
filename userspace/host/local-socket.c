// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* accept4() */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "local-socket.h"
#include "log.h"

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

int local_socket_listen(const char *path, mode_t mask, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return log_error(path, -ENAMETOOLONG);
	strcpy(address.sun_path, path);
	fd = new_socket();
	if (fd < 0)
		return log_error(path, fd);
	/* A socket file never has more than this, not even for a moment. */
	before = umask(mask);
	umask(before | mask);
	err = bind_at(fd, &address);
	umask(before);
	if (!err && listen(fd, backlog))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return log_error(path, err);
}

int local_socket_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	/* Who knocked may have gone. */
	return errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
}
