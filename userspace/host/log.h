/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What vmclock-hostd tells its operator: lines on standard error.
 */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdint.h>

#define LOG_LAST_MAX	256

/*
 * Guests and front-ends can make us speak, as often as they like. So of each subject
 * with a name only so many lines are printed in so much time.
 */
#define LOG_BURST	60
#define LOG_WINDOW_SEC	10

/**
 * struct log_subject - what lines are about
 * @name: stands in front of each line, or NULL: nothing
 * @last: the latest line about it, shortened
 * @since: when the present window began; private, as what follows
 * @lines: printed in it
 * @left_out: not printed in it
 */
struct log_subject {
	const char *name;
	char last[LOG_LAST_MAX];
	int64_t since;
	unsigned int lines, left_out;
};

/**
 * log_about() - what follows is about this
 * @subject: it, until the next call; or NULL
 */
void log_about(struct log_subject *subject);

/**
 * log_line() - print "vmclock-hostd: <message>" and a newline to stderr
 * @format: as for printf(), without a newline
 */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * log_detail() - the same for what the operator has asked for: never left out
 * @format: as for printf(), without a newline
 */
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * log_error() - print "vmclock-hostd: <what>: <reason>"
 * @what: the object the message is about
 * @err: a negative errno value
 *
 * Return: @err, so that a caller can report and fail in one line.
 */
int log_error(const char *what, int err);

#endif /* HOST_LOG_H */
