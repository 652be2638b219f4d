/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's monitor, QMP: JSON objects, one a line, over a unix socket.
 *
 * Nothing here blocks, and nothing that the other end does or fails to do costs
 * more than the connection: lines and what is waiting to be sent have a greatest
 * length, answers a time by which they must be there, and one call handles at
 * most one buffer of what has come.
 */
#ifndef HOST_QMP_H
#define HOST_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

/* QEMU's own messages that we ask for have some hundred bytes. */
#define QMP_LINE_MAX	16384
#define QMP_OUT_MAX	4096
#define QMP_PENDING_MAX	8
/* A QEMU that saves a machine answers when it is done. */
#define QMP_PATIENCE_NS	60000000000LL

enum qmp_state {
	QMP_CLOSED,
	QMP_GREETING,		/* what the other end has to say first */
	QMP_NEGOTIATING,
	QMP_READY,
};

/**
 * typedef qmp_answer - what came back
 * @context: that of struct qmp_user
 * @result: what the command returned, or NULL if it failed; not to be kept
 */
typedef void qmp_answer(void *context, const json_t *result);

/**
 * struct qmp_user - who is told; may close the connection, but not make the next
 *	one, and send commands
 * @ready: commands can be sent now
 * @event: one has come; @data is an object or NULL, and not to be kept
 * @closed: the connection is over, and no answer comes any more; not called by
 *	qmp_close()
 * @context: for all of them
 */
struct qmp_user {
	void (*ready)(void *context);
	void (*event)(void *context, const char *name, const json_t *data);
	void (*closed)(void *context, const char *why);
	void *context;
};

/**
 * struct qmp - a connection
 * @fd: the socket, or -1
 * @state: how far it has come
 * @user: who is told
 * @in: while connected QMP_LINE_MAX bytes, the first @in_len of them no whole line
 * @in_len: see @in
 * @out: QMP_OUT_MAX bytes behind them: what is to be sent
 * @out_len: bytes of it
 * @next_id: of the next command
 * @deadline: CLOCK_MONOTONIC in ns; until @state is QMP_READY
 * @pending: commands that have no answer yet; not in use if @answer is NULL
 */
struct qmp {
	int fd;
	enum qmp_state state;
	struct qmp_user user;
	char *in;
	size_t in_len;
	char *out;
	size_t out_len;
	uint64_t next_id;
	int64_t deadline;
	struct qmp_pending {
		qmp_answer *answer;
		uint64_t id;
		int64_t deadline;
	} pending[QMP_PENDING_MAX];
};

/**
 * qmp_init() - no connection
 * @q: initialised
 * @user: copied
 */
void qmp_init(struct qmp *q, const struct qmp_user *user);

/**
 * qmp_connect() - begin a connection
 * @q: initialised, and without one
 * @path: the socket
 * @now: CLOCK_MONOTONIC in ns
 *
 * Return: 0, or a negative errno value.
 */
int qmp_connect(struct qmp *q, const char *path, int64_t now);

/**
 * qmp_peer() - who made the socket
 * @q: connected
 * @pid: the process
 * @uid: its user, when it made it
 *
 * Return: 0, or a negative errno value.
 */
int qmp_peer(const struct qmp *q, pid_t *pid, uid_t *uid);

/**
 * qmp_execute() - send a command
 * @q: QMP_READY
 * @command: its name
 * @arguments: an object, or NULL; the reference is taken over in any case
 * @answer: called once, unless the connection ends before
 * @now: CLOCK_MONOTONIC in ns
 *
 * Return: 0; -ENOTCONN, -ENOMEM, or -ENOBUFS if too many wait already.
 */
int qmp_execute(struct qmp *q, const char *command, json_t *arguments,
		qmp_answer *answer, int64_t now);

/**
 * qmp_events() - what to wait for
 * @q: initialised
 *
 * Return: for poll(2), with @q->fd.
 */
short qmp_events(const struct qmp *q);

/**
 * qmp_work() - read, write, look at the time
 * @q: initialised
 * @revents: what poll(2) said
 * @now: CLOCK_MONOTONIC in ns
 */
void qmp_work(struct qmp *q, short revents, int64_t now);

/**
 * qmp_deadline() - when qmp_work() has something to do without an event
 * @q: initialised
 *
 * Return: CLOCK_MONOTONIC in ns, or INT64_MAX for never.
 */
int64_t qmp_deadline(const struct qmp *q);

/**
 * qmp_silence() - for how long an answer has been waited for
 * @q: initialised
 * @now: CLOCK_MONOTONIC in ns
 *
 * Return: ns, of the command that waits for the longest; 0 if none does.
 */
int64_t qmp_silence(const struct qmp *q, int64_t now);

/**
 * qmp_close() - end the connection, if there is one
 * @q: initialised
 */
void qmp_close(struct qmp *q);

#endif /* HOST_QMP_H */
