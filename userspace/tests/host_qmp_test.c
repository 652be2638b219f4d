// SPDX-License-Identifier: GPL-2.0-or-later
/* The monitor's client against a server that this test plays, as badly as it can. */
#define _GNU_SOURCE	/* accept4() */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp.h"
#include "tap.h"

#define GREETING	"{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define SECOND		1000000000LL

static struct {
	struct qmp q;
	int listener, server;
	char path[64];
	unsigned int ready, events, closed, answers, failures;
	char last[64], why[64], status[64];
	bool closes;
} t;

static void on_ready(void *context)
{
	ok(context == &t);
	t.ready++;
}

static void on_event(void *context, const char *name, const json_t *data)
{
	struct qmp *q = &t.q;

	ok(context == &t);
	t.events++;
	snprintf(t.last, sizeof(t.last), "%s", name);
	snprintf(t.status, sizeof(t.status), "%s",
		 data ? json_string_value(json_object_get(data, "status")) : "");
	if (t.closes)
		qmp_close(q);
}

static void on_closed(void *context, const char *why)
{
	ok(context == &t);
	t.closed++;
	snprintf(t.why, sizeof(t.why), "%s", why);
}

static void on_answer(void *context, const json_t *result)
{
	ok(context == &t);
	t.answers++;
	t.failures += !result;
}

static bool listen_there(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(t.path, sizeof(t.path), "/tmp/qmp-test-%d", (int)getpid());
	strcpy(addr.sun_path, t.path);
	unlink(t.path);
	t.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return !bind(t.listener, (struct sockaddr *)&addr, sizeof(addr)) &&
	       !listen(t.listener, 1);
}

/* Connected, and nothing said yet. */
static bool begin(void)
{
	const struct qmp_user user = { on_ready, on_event, on_closed, &t };

	memset(&t, 0, sizeof(t));
	qmp_init(&t.q, &user);
	if (!listen_there() || qmp_connect(&t.q, t.path, 0))
		return false;
	t.server = accept4(t.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return t.server >= 0;
}

static void end(void)
{
	qmp_close(&t.q);
	close(t.server);
	close(t.listener);
	unlink(t.path);
}

static void work(int64_t now)
{
	struct pollfd p = { .fd = t.q.fd, .events = qmp_events(&t.q) };

	/* Once for each side of it: what it reads may make it write. */
	for (int i = 0; i < 2; i++) {
		poll(&p, 1, 0);
		qmp_work(&t.q, t.q.fd < 0 ? 0 : p.revents, now);
	}
}

static void say(const char *text)
{
	ok(write(t.server, text, strlen(text)) == (ssize_t)strlen(text));
	work(0);
}

static const char *heard(void)
{
	static char text[QMP_OUT_MAX + 1];
	ssize_t len = read(t.server, text, sizeof(text) - 1);

	text[len > 0 ? len : 0] = '\0';
	return text;
}

static bool begin_ready(void)
{
	if (!begin())
		return false;
	say(GREETING);
	heard();
	say("{\"return\": {}, \"id\": 0}\r\n");
	return t.ready == 1;
}

TAP_TEST(commands_can_be_sent_after_the_greeting_and_the_capabilities)
{
	need(begin());
	is_int(qmp_execute(&t.q, "query-status", NULL, on_answer, 0), -ENOTCONN);
	say(GREETING);
	ok(!strcmp(heard(), "{\"execute\":\"qmp_capabilities\",\"id\":0}\n"));
	is_int(t.ready, 0);
	say("{\"return\": {}, \"id\": 0}\r\n");
	is_int(t.ready, 1);
	is_int(t.closed, 0);
	end();
}

TAP_TEST(a_command_has_its_arguments_and_its_answer_comes_once)
{
	need(begin_ready());
	is_int(qmp_execute(&t.q, "x", json_pack("{s:i}", "a", 1), on_answer, 0), 0);
	work(0);
	ok(!strcmp(heard(), "{\"execute\":\"x\",\"arguments\":{\"a\":1},\"id\":1}\n"));
	say("{\"return\": {}, \"id\": 1}\n");
	is_int(t.answers, 1);
	is_int(t.failures, 0);
	say("{\"return\": {}, \"id\": 1}\n");
	is_int(t.answers, 1);
	is_int(t.closed, 1);
	end();
}

TAP_TEST(answers_may_come_in_another_order)
{
	need(begin_ready());
	qmp_execute(&t.q, "a", NULL, on_answer, 0);
	qmp_execute(&t.q, "b", NULL, on_answer, 0);
	say("{\"error\": {\"class\": \"x\", \"desc\": \"y\"}, \"id\": 2}\n");
	is_int(t.answers, 1);
	is_int(t.failures, 1);
	say("{\"return\": [], \"id\": 1}\n");
	is_int(t.answers, 2);
	is_int(t.failures, 1);
	end();
}

TAP_TEST(messages_may_come_byte_by_byte)
{
	static const char text[] = GREETING "{\"return\": {}, \"id\": 0}\n"
		"{\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}\n";

	need(begin());
	for (const char *c = text; *c; c++)
		say((char[]){ *c, '\0' });
	is_int(t.ready, 1);
	is_int(t.events, 1);
	ok(!strcmp(t.last, "MIGRATION"));
	ok(!strcmp(t.status, "setup"));
	end();
}

TAP_TEST(several_messages_may_come_at_once)
{
	need(begin_ready());
	say("{\"event\": \"STOP\"}\r\n{\"event\": \"RESUME\"}\r\n{\"event\":");
	is_int(t.events, 2);
	say("\"RESET\"}\n");
	is_int(t.events, 3);
	ok(!strcmp(t.last, "RESET"));
	end();
}

TAP_TEST(it_can_be_closed_by_whom_it_tells)
{
	need(begin_ready());
	t.closes = true;
	say("{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n");
	is_int(t.events, 1);
	is_int(t.closed, 0);
	is_int(t.q.fd, -1);
	end();
}

static void refuses(bool ready, const char *text)
{
	need(ready ? begin_ready() : begin());
	say(text);
	if (!is_int(t.closed, 1))
		note("after: %.60s", text);
	is_int(t.q.fd, -1);
	is_int(t.events + t.answers, 0);
	end();
}

TAP_TEST(what_is_no_monitor_costs_the_connection)
{
	refuses(false, "SSH-2.0-OpenSSH\r\n");
	refuses(false, "{\"QMP\": 1}\n");
	refuses(false, "{\"event\": \"STOP\"}\n");
	refuses(false, "\n");
	refuses(false, "[]\n");
	refuses(true, "\377\376\n");
	refuses(true, "{\"event\": 5}\n");
	refuses(true, "{\"event\": \"STOP\"} {}\n");
	refuses(true, "{\"event\": \"STOP\", \"event\": \"RESUME\"}\n");
	refuses(true, "{\"return\": {}, \"id\": 99}\n");
	refuses(true, "{\"return\": {}}\n");
	refuses(true, "{\"return\": {}, \"id\": \"0\"}\n");
	refuses(true, "{\"id\": 0}\n");
}

TAP_TEST(capabilities_that_are_refused_cost_the_connection)
{
	need(begin());
	say(GREETING);
	say("{\"error\": {}, \"id\": 0}\n");
	is_int(t.ready, 0);
	is_int(t.closed, 1);
	end();
}

TAP_TEST(a_line_without_end_costs_the_connection)
{
	char text[1001];

	memset(text, '[', 1000);
	text[1000] = '\0';
	need(begin_ready());
	for (int i = 0; i < 20 && !t.closed; i++)
		say(text);
	is_int(t.closed, 1);
	ok(!strcmp(t.why, "a line that does not end"));
	end();
}

TAP_TEST(a_line_of_brackets_costs_the_connection)
{
	char text[15001];

	memset(text, '[', 15000);
	strcpy(text + 14999, "\n");
	refuses(true, text);
}

TAP_TEST(an_end_closes_it)
{
	need(begin_ready());
	close(t.server);
	work(0);
	is_int(t.closed, 1);
	end();
}

TAP_TEST(without_a_greeting_it_is_over_in_time)
{
	need(begin());
	is_int(qmp_deadline(&t.q), QMP_PATIENCE_NS);
	work(QMP_PATIENCE_NS - 1);
	is_int(t.closed, 0);
	work(QMP_PATIENCE_NS);
	is_int(t.closed, 1);
	is_int(qmp_deadline(&t.q), INT64_MAX);
	end();
}

TAP_TEST(without_an_answer_it_is_over_in_time)
{
	need(begin_ready());
	is_int(qmp_deadline(&t.q), INT64_MAX);
	qmp_execute(&t.q, "query-status", NULL, on_answer, 5 * SECOND);
	qmp_execute(&t.q, "query-migrate", NULL, on_answer, 7 * SECOND);
	is_int(qmp_deadline(&t.q), QMP_PATIENCE_NS + 5 * SECOND);
	/* Events are no answer. */
	say("{\"event\": \"STOP\"}\n");
	work(QMP_PATIENCE_NS + 5 * SECOND - 1);
	is_int(t.closed, 0);
	work(QMP_PATIENCE_NS + 5 * SECOND);
	is_int(t.closed, 1);
	is_int(t.answers, 0);
	end();
}

TAP_TEST(silence_is_that_of_the_oldest_command)
{
	need(begin());
	/* Nobody has asked anything yet. */
	is_int(qmp_silence(&t.q, 3 * SECOND), 0);
	end();
	need(begin_ready());
	is_int(qmp_silence(&t.q, 3 * SECOND), 0);
	qmp_execute(&t.q, "query-status", NULL, on_answer, 5 * SECOND);
	qmp_execute(&t.q, "query-migrate", NULL, on_answer, 7 * SECOND);
	is_int(qmp_silence(&t.q, 8 * SECOND), 3 * SECOND);
	say("{\"return\": {}, \"id\": 1}\n");
	work(8 * SECOND);
	is_int(qmp_silence(&t.q, 8 * SECOND), SECOND);
	say("{\"return\": {}, \"id\": 2}\n");
	work(8 * SECOND);
	is_int(qmp_silence(&t.q, 8 * SECOND), 0);
	end();
}

TAP_TEST(only_so_many_commands_wait)
{
	need(begin_ready());
	for (int i = 0; i < QMP_PENDING_MAX; i++)
		is_int(qmp_execute(&t.q, "x", NULL, on_answer, 0), 0);
	is_int(qmp_execute(&t.q, "x", json_object(), on_answer, 0), -ENOBUFS);
	say("{\"return\": {}, \"id\": 3}\n");
	is_int(qmp_execute(&t.q, "x", NULL, on_answer, 0), 0);
	end();
}

TAP_TEST(a_command_that_does_not_fit_is_refused)
{
	char text[QMP_OUT_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	need(begin_ready());
	is_int(qmp_execute(&t.q, text, NULL, on_answer, 0), -ENOBUFS);
	is_int(qmp_execute(&t.q, "x", NULL, on_answer, 0), 0);
	work(0);
	ok(!strcmp(heard(), "{\"execute\":\"x\",\"id\":1}\n"));
	end();
}

/* Answers that never are read fill the socket: we must neither block nor grow. */
TAP_TEST(an_end_that_does_not_read_is_only_waited_for)
{
	int small = 1, err = 0;

	need(begin_ready());
	setsockopt(t.q.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 1; i < 20000 && !err; i++) {
		char text[64];

		err = qmp_execute(&t.q, "query-status", NULL, on_answer, 0);
		snprintf(text, sizeof(text), "{\"return\": {}, \"id\": %d}\n", i);
		if (!err)
			say(text);
	}
	is_int(err, -ENOBUFS);
	ok(qmp_events(&t.q) & POLLOUT);
	is_int(t.closed, 0);
	work(QMP_PATIENCE_NS * 2);
	end();
}

TAP_TEST(whose_socket_it_is_can_be_told)
{
	pid_t pid;
	uid_t uid;

	need(begin_ready());
	is_int(qmp_peer(&t.q, &pid, &uid), 0);
	is_int(pid, getpid());
	is_int(uid, geteuid());
	end();
}

TAP_TEST(where_nobody_listens_there_is_an_error_and_no_connection)
{
	const struct qmp_user user = { on_ready, on_event, on_closed, &t };
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memset(&t, 0, sizeof(t));
	qmp_init(&t.q, &user);
	is_int(qmp_connect(&t.q, "/nonexistent/socket", 0), -ENOENT);
	is_int(qmp_connect(&t.q, path, 0), -ENAMETOOLONG);
	is_int(t.q.fd, -1);
	qmp_work(&t.q, 0, INT64_MAX);
	qmp_close(&t.q);
	is_int(t.closed, 0);
}

/* Pieces of what is right, in any order, and noise. */
static void say_at_random(void)
{
	static const char *const pieces[] = {
		GREETING, "{\"return\": {}, \"id\": 0}\n", "{\"return\": {}, \"id\": 1}\n",
		"{\"event\": \"STOP\"}\n", "{\"event\": \"X\", \"data\": []}\n", "{", "}", "\n",
		"\"id\"", "[[[[", "{\"error\": 1, \"id\": 1}\n", "\\u0000", "1e999", "\001\377",
	};
	const char *piece = pieces[rand() % (sizeof(pieces) / sizeof(pieces[0]))];

	if (write(t.server, piece, strlen(piece)) < 0)
		return;
	work(0);
	if (t.q.state == QMP_READY)
		qmp_execute(&t.q, "x", NULL, on_answer, 0);
}

TAP_TEST(nothing_said_at_random_does_harm)
{
	unsigned int ready = 0;

	srand(1);
	for (int round = 0; round < 2000; round++) {
		if (!begin())
			break;
		if (round % 2)
			say(GREETING "{\"return\": {}, \"id\": 0}\n");
		for (int i = 0; i < 30 && !t.closed; i++)
			say_at_random();
		ready += t.ready;
		ok(t.closed <= 1 && (t.closed == 1) == (t.q.fd < 0));
		end();
	}
	ok(ready >= 1000);
}

int main(void)
{
	return tap_main();
}
