// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl exec: a program whose clock is the page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define SHIM "libvmclk-preload.so"

/* As env(1) and shells have it. */
#define EXIT_CANNOT_RUN	126
#define EXIT_NOT_FOUND	127

/* Beside this program, where it is built; else where it is installed. */
static bool find_shim(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(SHIM));

	if (n > 0) {
		path[n] = '\0';
		strcpy(strrchr(path, '/') + 1, SHIM);
		if (!access(path, R_OK))
			return true;
	}
	snprintf(path, PATH_MAX, "%s/%s", VMCLK_LIBDIR, SHIM);
	return !access(path, R_OK);
}

/*
 * In front of what is preloaded already. The loader cuts the list at blanks and
 * colons, replaces what begins with a dollar, and knows no way to write them.
 */
static int preload(const char *shim)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;
	int ret;

	if (strpbrk(shim, " :$")) {
		errno = EINVAL;
		return -1;
	}
	if (!others || !*others)
		return setenv("LD_PRELOAD", shim, 1);
	if (asprintf(&list, "%s:%s", shim, others) < 0)
		return -1;
	ret = setenv("LD_PRELOAD", list, 1);
	free(list);
	return ret;
}

/*
 * Absolute: the program's children may be started elsewhere. Whoever started us may
 * have named one already.
 */
static int name_page(const char *page)
{
	char path[PATH_MAX];

	if (!page)
		return 0;
	return realpath(page, path) ? setenv("VMCLK_PRELOAD_PAGE", path, 1) : -1;
}

int cmd_exec(const struct options *opt)
{
	char shim[PATH_MAX];
	int errnum;

	if (!find_shim(shim)) {
		complain(shim, "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	if (name_page(opt->path)) {
		complain(opt->path, "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	if (preload(shim)) {
		complain(shim, "can't be preloaded: %s", errno == EINVAL ?
			 "a blank, a colon or a dollar in its path" : strerror(errno));
		return EXIT_SYSTEM;
	}
	execvp(opt->command[0], opt->command);
	errnum = errno;
	complain(opt->command[0], "%s", strerror(errnum));
	return errnum == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
