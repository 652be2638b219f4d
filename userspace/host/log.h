/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What vmclock-hostd tells its operator: lines on standard error.
 */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#define LOG_LAST_MAX	256

/**
 * struct log_subject - what lines are about
 * @name: stands in front of each line, or NULL: nothing
 * @last: the latest line about it, shortened
 */
struct log_subject {
	const char *name;
	char last[LOG_LAST_MAX];
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
 * log_error() - print "vmclock-hostd: <what>: <reason>"
 * @what: the object the message is about
 * @err: a negative errno value
 *
 * Return: @err, so that a caller can report and fail in one line.
 */
int log_error(const char *what, int err);

#endif /* HOST_LOG_H */
