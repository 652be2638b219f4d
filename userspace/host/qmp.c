// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* struct ucred */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp.h"

void qmp_init(struct qmp *q, const struct qmp_user *user)
{
	*q = (struct qmp){ .fd = -1, .user = *user };
}

void qmp_close(struct qmp *q)
{
	if (q->fd < 0)
		return;
	close(q->fd);
	free(q->in);
	qmp_init(q, &(struct qmp_user){ q->user.ready, q->user.event, q->user.closed,
					q->user.context });
}

static void fail(struct qmp *q, const char *why)
{
	qmp_close(q);
	q->user.closed(q->user.context, why);
}

int qmp_connect(struct qmp *q, const char *path, int64_t now)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	q->in = malloc(QMP_LINE_MAX + QMP_OUT_MAX);
	if (!q->in)
		return -ENOMEM;
	q->out = q->in + QMP_LINE_MAX;
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* If nobody accepts and the queue is full, this says EAGAIN. */
	if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		if (q->fd >= 0)
			close(q->fd);
		q->fd = -1;
		free(q->in);
		return err;
	}
	q->state = QMP_GREETING;
	q->deadline = now + QMP_PATIENCE_NS;
	return 0;
}

int qmp_peer(const struct qmp *q, pid_t *pid, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	*pid = peer.pid;
	*uid = peer.uid;
	return 0;
}

/* All of the message, or nothing. */
static int append(struct qmp *q, const json_t *message)
{
	size_t room = QMP_OUT_MAX - q->out_len;
	size_t len = json_dumpb(message, q->out + q->out_len, room, JSON_COMPACT);

	if (!len)
		return -ENOMEM;
	if (len >= room)
		return -ENOBUFS;
	q->out_len += len;
	q->out[q->out_len++] = '\n';
	return 0;
}

static struct qmp_pending *find_pending(struct qmp *q, uint64_t id)
{
	for (size_t i = 0; i < QMP_PENDING_MAX; i++)
		if (q->pending[i].answer && q->pending[i].id == id)
			return q->pending + i;
	return NULL;
}

static struct qmp_pending *find_free(struct qmp *q)
{
	for (size_t i = 0; i < QMP_PENDING_MAX; i++)
		if (!q->pending[i].answer)
			return q->pending + i;
	return NULL;
}

static int submit(struct qmp *q, const char *command, json_t *arguments,
		  qmp_answer *answer, int64_t now)
{
	struct qmp_pending *p = find_free(q);
	json_t *message;
	int err;

	message = json_pack("{s:s, s:o*, s:I}", "execute", command, "arguments", arguments,
			    "id", (json_int_t)q->next_id);
	if (!message)
		return -ENOMEM;
	err = p ? append(q, message) : -ENOBUFS;
	json_decref(message);
	if (!err)
		*p = (struct qmp_pending){ answer, q->next_id++, now + QMP_PATIENCE_NS };
	return err;
}

int qmp_execute(struct qmp *q, const char *command, json_t *arguments,
		qmp_answer *answer, int64_t now)
{
	if (q->state == QMP_READY)
		return submit(q, command, arguments, answer, now);
	json_decref(arguments);
	return -ENOTCONN;
}

/* Only ever called through a pending command of the connection. */
static void negotiated(void *context, const json_t *result)
{
	struct qmp *q = context;

	if (!result) {
		fail(q, "it does not let us send commands");
		return;
	}
	q->state = QMP_READY;
	q->user.ready(q->user.context);
}

static void take_greeting(struct qmp *q, const json_t *message, int64_t now)
{
	if (!json_is_object(json_object_get(message, "QMP"))) {
		fail(q, "it does not speak QMP");
		return;
	}
	q->state = QMP_NEGOTIATING;
	if (submit(q, "qmp_capabilities", NULL, negotiated, now))
		fail(q, "no memory");
}

static void take_answer(struct qmp *q, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	struct qmp_pending *p = NULL;
	qmp_answer *answer;

	if (json_is_integer(id))
		p = find_pending(q, json_integer_value(id));
	if (!p) {
		fail(q, "an answer to nothing that was asked");
		return;
	}
	answer = p->answer;
	p->answer = NULL;
	answer(answer == negotiated ? q : q->user.context,
	       json_object_get(message, "return"));
}

static void take_event(struct qmp *q, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "event"));
	const json_t *data = json_object_get(message, "data");

	if (!name)
		fail(q, "an event without a name");
	else if (q->state == QMP_READY)
		q->user.event(q->user.context, name, json_is_object(data) ? data : NULL);
}

static void take_line(struct qmp *q, const char *line, size_t len, int64_t now)
{
	json_t *message = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(message))
		fail(q, "not JSON");
	else if (q->state == QMP_GREETING)
		take_greeting(q, message, now);
	else if (json_object_get(message, "event"))
		take_event(q, message);
	else if (json_object_get(message, "return") || json_object_get(message, "error"))
		take_answer(q, message);
	else
		fail(q, "neither an answer nor an event");
	json_decref(message);
}

/* Whoever is told may close the connection: then there is no buffer any more. */
static void take_lines(struct qmp *q, int64_t now)
{
	size_t start = 0;
	const char *end;

	while ((end = memchr(q->in + start, '\n', q->in_len - start))) {
		size_t len = end - (q->in + start);

		take_line(q, q->in + start, len, now);
		if (q->fd < 0)
			return;
		start += len + 1;
	}
	q->in_len -= start;
	memmove(q->in, q->in + start, q->in_len);
	if (q->in_len == QMP_LINE_MAX)
		fail(q, "a line that does not end");
}

static void receive(struct qmp *q, int64_t now)
{
	ssize_t got = recv(q->fd, q->in + q->in_len, QMP_LINE_MAX - q->in_len, 0);

	if (got > 0) {
		q->in_len += got;
		take_lines(q, now);
	} else if (!got) {
		fail(q, "it was closed");
	} else if (errno != EAGAIN && errno != EINTR) {
		fail(q, strerror(errno));
	}
}

static void transmit(struct qmp *q)
{
	ssize_t sent = send(q->fd, q->out, q->out_len, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail(q, strerror(errno));
		return;
	}
	q->out_len -= sent;
	memmove(q->out, q->out + sent, q->out_len);
}

int64_t qmp_deadline(const struct qmp *q)
{
	int64_t first = INT64_MAX;

	if (q->fd >= 0 && q->state != QMP_READY)
		first = q->deadline;
	for (size_t i = 0; i < QMP_PENDING_MAX; i++)
		if (q->pending[i].answer && q->pending[i].deadline < first)
			first = q->pending[i].deadline;
	return first;
}

int64_t qmp_silence(const struct qmp *q, int64_t now)
{
	int64_t first = qmp_deadline(q);

	return q->state == QMP_READY && first != INT64_MAX ? now - (first - QMP_PATIENCE_NS) : 0;
}

short qmp_events(const struct qmp *q)
{
	return POLLIN | (q->out_len ? POLLOUT : 0);
}

void qmp_work(struct qmp *q, short revents, int64_t now)
{
	if (q->fd >= 0 && revents & (POLLIN | POLLHUP | POLLERR))
		receive(q, now);
	if (q->fd >= 0 && q->out_len)
		transmit(q);
	if (q->fd >= 0 && now >= qmp_deadline(q))
		fail(q, "no answer in time");
}
