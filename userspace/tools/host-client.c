// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"
#include "host-client.h"

/* The daemon may be about to start thousands of VMs. */
#define PATIENCE_SEC	60

static int fail(const struct host_client *c, const char *what)
{
	complain(c->path, "%s", what);
	return EXIT_SYSTEM;
}

int host_client_open(struct host_client *c, const char *path)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SEC };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	c->path = path;
	c->fd = -1;
	c->have = 0;
	c->used = 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return fail(c, strerror(ENAMETOOLONG));
	strcpy(address.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)))
		return fail(c, errno == ENOENT || errno == ECONNREFUSED ?
			    "no vmclock-hostd listens there; --socket says where it does" :
			    strerror(errno));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return EXIT_OK;
}

int host_client_send(struct host_client *c, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t left, sent = 0;
	ssize_t n = 0;

	if (!text)
		return fail(c, strerror(ENOMEM));
	left = strlen(text);
	text[left++] = '\n';	/* in the place of its zero */
	while (sent < left && n >= 0) {
		n = send(c->fd, text + sent, left - sent, MSG_NOSIGNAL);
		sent += n > 0 ? n : 0;
	}
	free(text);
	return n < 0 ? fail(c, strerror(errno)) : EXIT_OK;
}

/* Gives the line's end, or NULL: why has been said. */
static char *read_line(struct host_client *c)
{
	char *end;
	ssize_t n;

	while (!(end = memchr(c->line, '\n', c->have))) {
		if (c->have == sizeof(c->line)) {
			fail(c, "the answer is too long");
			return NULL;
		}
		n = recv(c->fd, c->line + c->have, sizeof(c->line) - c->have, 0);
		if (n <= 0) {
			fail(c, !n ? "closed without an answer; is it another user's?" :
				errno == EAGAIN ? "no answer" : strerror(errno));
			return NULL;
		}
		c->have += n;
	}
	return end;
}

json_t *host_client_next(struct host_client *c, const char **text)
{
	json_error_t unused;
	json_t *answer;
	char *end;

	c->have -= c->used;
	memmove(c->line, c->line + c->used, c->have);
	c->used = 0;
	end = read_line(c);
	if (!end)
		return NULL;
	*end = '\0';
	c->used = end - c->line + 1;
	if (text)
		*text = c->line;
	answer = json_loads(c->line, JSON_REJECT_DUPLICATES, &unused);
	if (json_is_object(answer))
		return answer;
	json_decref(answer);
	fail(c, "the answer is not JSON; who is this?");
	return NULL;
}

void host_client_close(struct host_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
}
