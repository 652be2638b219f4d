// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "daemon.h"
#include "windows.h"

#define PATIENCE_SEC	120
#define SEC		1000000000ULL
#define PATH_SIZE	128

/**
 * struct run - a daemon
 * @plan: what is run
 * @pid: the process
 * @counts: each page's updates so far
 */
struct run {
	const struct daemon_plan *plan;
	pid_t pid;
	uint32_t *counts;
};

static int complain(const char *what)
{
	printf("host-bench: %s: %s\n", what, strerror(errno));
	return -1;
}

static void name_page(const struct run *run, size_t i, char *path)
{
	snprintf(path, PATH_SIZE, "%s/page%08zu", run->plan->dir, i);
}

static void name_file(const struct run *run, const char *name, char *path)
{
	snprintf(path, PATH_SIZE, "%s/%s", run->plan->dir, name);
}

static int configure(const struct run *run)
{
	char path[PATH_SIZE];
	FILE *file;

	name_file(run, "conf", path);
	file = fopen(path, "we");
	if (!file)
		return complain(path);
	fprintf(file, "[daemon]\nassume-synchronized = 100us\ntai-offset = -37\n"
		      "force-counter = yes\ninterval = 1s\n");
	for (size_t i = 0; i < run->plan->pages; i++) {
		name_page(run, i, path);
		fprintf(file, "[vm vm%08zu]\nfile = %s\ntsc-offset = %llu\n", i, path,
			(unsigned long long)i << 32);
	}
	return fclose(file) ? complain("conf") : 0;
}

static void become_daemon(const struct run *run, pid_t parent)
{
	char config[PATH_SIZE + 16], log[PATH_SIZE];
	int fd;

	name_file(run, "log", log);
	snprintf(config, sizeof(config), "--config=%s/conf", run->plan->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* It must not outlive us, for nobody would end it. */
	if (fd < 0 || dup2(fd, 2) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(126);
	if (run->plan->windows)
		setenv(WINDOWS_PATH, run->plan->windows, 1);
	else
		unsetenv(WINDOWS_PATH);
	execl(run->plan->program, "vmclock-hostd", config, (char *)NULL);
	_exit(127);
}

static int start(struct run *run)
{
	pid_t parent = getpid();

	if (configure(run))
		return -1;
	fflush(stdout);
	run->pid = fork();
	if (!run->pid)
		become_daemon(run, parent);
	return run->pid < 0 ? complain("fork") : 0;
}

/* Returns false if there is no whole page, or it is just being written. */
static int read_page(const struct run *run, size_t i, struct vmclock_page *page)
{
	char path[PATH_SIZE];
	ssize_t got;
	int fd;

	name_page(run, i, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : pread(fd, page, sizeof(*page), 0);
	if (fd >= 0)
		close(fd);
	return got == sizeof(*page) && !(le32toh(page->seq_count) & 1);
}

static int has_ended(const struct run *run)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, run->pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

static void nap(unsigned int ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static uint64_t now_of(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) ? 0 : ts.tv_sec * SEC + ts.tv_nsec;
}

static uint64_t cpu_of(const struct run *run)
{
	clockid_t clock;

	return clock_getcpuclockid(run->pid, &clock) ? 0 : now_of(clock);
}

/* Of each in its turn: those behind us stay. */
static int await_synchronized(const struct run *run)
{
	uint64_t end = now_of(CLOCK_MONOTONIC) + PATIENCE_SEC * SEC;
	struct vmclock_page page;
	size_t i = 0;

	while (i < run->plan->pages) {
		if (read_page(run, i, &page) &&
		    page.clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED) {
			i++;
			continue;
		}
		if (has_ended(run) || now_of(CLOCK_MONOTONIC) > end) {
			printf("host-bench: page %zu of %zu is not synchronized\n", i,
			       run->plan->pages);
			return -1;
		}
		nap(20);
	}
	return 0;
}

/* The updates of each page since the last time. */
static int count(struct run *run, struct daemon_cost *cost)
{
	struct vmclock_page page;

	cost->updates = 0;
	cost->fewest = UINT32_MAX;
	cost->most = 0;
	for (size_t i = 0; i < run->plan->pages; i++) {
		uint32_t updates;

		for (int tries = 0; !read_page(run, i, &page); tries++) {
			if (tries == 1000)
				return complain("a page can't be read");
			nap(1);
		}
		/* The sequence number wraps, and so does the difference. */
		updates = (le32toh(page.seq_count) - run->counts[i]) / 2;
		run->counts[i] = le32toh(page.seq_count);
		cost->updates += updates;
		cost->fewest = updates < cost->fewest ? updates : cost->fewest;
		cost->most = updates > cost->most ? updates : cost->most;
	}
	return 0;
}

static int look(struct run *run, struct daemon_cost *cost)
{
	uint64_t begun, cpu;

	if (await_synchronized(run))
		return -1;
	cost->start_cpu_ns = cpu_of(run);
	nap(run->plan->warm_sec * 1000);
	if (count(run, cost))
		return -1;
	begun = now_of(CLOCK_MONOTONIC);
	cpu = cpu_of(run);
	nap(run->plan->seconds * 1000);
	cost->cpu_ns = cpu_of(run) - cpu;
	cost->elapsed_ns = now_of(CLOCK_MONOTONIC) - begun;
	return count(run, cost);
}

static int end(const struct run *run)
{
	int status;

	kill(run->pid, SIGTERM);
	if (waitpid(run->pid, &status, 0) != run->pid)
		return complain("waitpid");
	if (status)
		printf("host-bench: vmclock-hostd ended with status %#x\n", status);
	return status ? -1 : 0;
}

static void show_log(const struct run *run)
{
	char path[PATH_SIZE], line[256];
	FILE *log;

	name_file(run, "log", path);
	log = fopen(path, "re");
	for (int i = 0; log && i < 5 && fgets(line, sizeof(line), log); i++)
		printf("host-bench:   %s", line);
	if (log)
		fclose(log);
}

static void clean(const struct run *run)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < run->plan->pages; i++) {
		name_page(run, i, path);
		unlink(path);
	}
	name_file(run, "conf", path);
	unlink(path);
	name_file(run, "log", path);
	unlink(path);
}

int daemon_run(const struct daemon_plan *plan, struct daemon_cost *cost)
{
	struct run run = { plan, 0, calloc(plan->pages, sizeof(uint32_t)) };
	int err = run.counts ? start(&run) : complain("memory");

	if (!err) {
		err = look(&run, cost);
		err |= end(&run);
	}
	if (err)
		show_log(&run);
	clean(&run);
	free(run.counts);
	return err ? -1 : 0;
}
