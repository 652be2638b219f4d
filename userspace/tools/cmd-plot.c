// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl plot: a trace as a picture. gnuplot draws it; it gets a script with
 * the data in it on its standard input, and the picture's file as its output, so
 * that no name of a file is ever part of the script.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "plot.h"
#include "trace.h"

extern char **environ;

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len > n && !strcmp(s + len - n, end);
}

/* gnuplot, reading from the pipe whose other end is @to_it and writing to @out_fd. */
static int start_gnuplot(int out_fd, pid_t *pid, FILE **to_it)
{
	static char name[] = "gnuplot";
	char *argv[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC))
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	err = posix_spawnp(pid, name, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	if (!err) {
		*to_it = fdopen(ends[1], "w");
		if (*to_it)
			return 0;
		err = errno;
	}
	close(ends[1]);
	return err;
}

/* Whoever started us may have told us to ignore our children. */
static int end_gnuplot(pid_t pid, FILE *to_it, bool was_written)
{
	int status;

	if (fclose(to_it))
		was_written = false;
	if (waitpid(pid, &status, 0) < 0) {
		complain("gnuplot", "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status) && was_written)
		return EXIT_OK;
	complain("gnuplot", "it failed");
	return EXIT_SYSTEM;
}

static int draw(const struct plot *plot, bool as_png, int out_fd)
{
	FILE *to_it;
	pid_t pid;
	int err;

	/* Should gnuplot end early, writing to it fails, and we say so. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	err = start_gnuplot(out_fd, &pid, &to_it);
	if (err) {
		complain("gnuplot", "%s%s", strerror(err), err == ENOENT ?
			 ": it draws the pictures, and must be installed (Debian: gnuplot-nox)" :
			 "");
		return EXIT_SYSTEM;
	}
	plot_script(plot, as_png, to_it);
	return end_gnuplot(pid, to_it, !ferror(to_it));
}

static int draw_file(const struct plot *plot, const char *path)
{
	int fd, status;

	if (!path)
		return draw(plot, false, STDOUT_FILENO);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		complain(path, "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	status = draw(plot, ends_with(path, ".png"), fd);
	if (close(fd) && !status) {
		complain(path, "%s", strerror(errno));
		status = EXIT_SYSTEM;
	}
	return status;
}

static int read_trace(struct plot *plot, const char *path)
{
	struct trace_reader r;
	int ret;

	if (trace_open(&r, path))
		return -1;
	while ((ret = trace_next(&r)) > 0) {
		ret = plot_add(plot, &r.look, r.counter_id);
		if (ret) {
			complain(path, "%s", strerror(-ret));
			break;
		}
	}
	trace_close(&r);
	if (!ret && !plot->n) {
		complain(path, "a trace without a look");
		ret = -1;
	}
	return ret;
}

int cmd_plot(const struct options *opt)
{
	struct plot plot = { .n = 0 };
	int status = EXIT_SYSTEM;

	if (!opt->path)
		complain("plot", "say which trace ('-' is the standard input)");
	else if (opt->output && !ends_with(opt->output, ".svg") &&
		 !ends_with(opt->output, ".png"))
		complain(opt->output, "neither .svg nor .png");
	else if (!read_trace(&plot, opt->path))
		status = draw_file(&plot, opt->output);
	plot_free(&plot);
	return status;
}
