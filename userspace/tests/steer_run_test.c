// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl steer as a whole, over a kernel's clock that is not there: however
 * it ends, the rate that it leaves is the one that was learned. The linker puts
 * __wrap_ functions in the place of the system's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "pages.h"
#include "rivals.h"
#include "tap.h"
#include "wrapped.h"

#define SEC		1000000000LL
#define AHEAD_NS	(SEC / 10000)	/* the page: what is no more than the rate can make up for */
#define ROUND_NS	(SEC / 10)
#define GOOD		17	/* and the exit status: of a child whose rate is the learned one */
#define NO_COUNTER	"the kernel does not trust this machine's counter"

static struct test_page page;
static struct timex kernel;
static long followed = -1;		/* the rate while it made up for the offset */
static void (*on_follow)(void);		/* happens after the first round of that kind */

/* Its lock is for root. */
int __wrap_open(const char *name, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	if (!strcmp(name, "/run/vmclockctl-steer.lock"))
		return memfd_create("lock", MFD_CLOEXEC);
	return __real_open(name, flags, mode);
}

int __wrap_adjtimex(struct timex *tx)
{
	if (tx->modes & ADJ_FREQUENCY)
		kernel.freq = tx->freq;
	if (tx->modes & ADJ_STATUS)
		kernel.status = tx->status;
	if (tx->modes & ADJ_MAXERROR && !(tx->status & STA_UNSYNC)) {
		followed = kernel.freq;
		if (on_follow)
			on_follow();
		on_follow = NULL;
	}
	kernel.tick = 10000;
	kernel.modes = tx->modes;
	*tx = kernel;
	return 0;
}

bool __wrap_rivals_find(const char *proc, char *name, size_t size)
{
	(void)proc;
	(void)name;
	(void)size;
	return false;
}

/* A page that is ahead of the system's clock. */
static bool make_page(int64_t ahead_ns)
{
	struct vmclock_page content = good_page();
	struct vmclk_stamp stamp;
	struct vmclk *clk;
	struct timespec now;
	int64_t ns;
	bool is_good;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_nsec + ahead_ns;
	content.time_sec = htole64(now.tv_sec + 37 + ns / SEC);
	content.time_frac_sec = htole64((uint64_t)(ns % SEC) * 18446744073ULL);
	content.counter_value = htole64(counter_read_ordered());
	page = page_make(&content, PAGE_BYTES, F_SEAL_SHRINK);
	is_good = !vmclk_open(page.path, &clk) && !vmclk_now(clk, &stamp);
	vmclk_close(clk);
	return is_good;
}

static void take_page_away(void)
{
	__atomic_store_n(&page.page->magic, htole32(VMCLOCK_PAGE_MAGIC_GONE), __ATOMIC_RELAXED);
}

static void hang_up(void)
{
	raise(SIGHUP);
}

/* What was learned is 1/16 of what the first round added. */
static bool rate_is_the_learned_one(void)
{
	return followed >= 0 && kernel.freq <= followed / 8;
}

/* Return: its status, if the rate is as it should be. */
static int steer(int out_fd, uint64_t count, void (*then)(void))
{
	const struct options opt = {
		.json = true, .step = true, .interval_ns = ROUND_NS, .count = count,
		.path = page.path,
	};
	pid_t pid = fork();
	int status;

	if (!pid) {
		dup2(out_fd, STDOUT_FILENO);
		kernel.status = STA_UNSYNC;
		on_follow = then;
		status = cmd_steer(&opt);
		_exit(rate_is_the_learned_one() && !fflush(stdout) ? GOOD + status : 1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A page, and somewhere to write to. */
static bool prepare(int *out_fd, int64_t ahead_ns)
{
	*out_fd = open("/dev/null", O_WRONLY);
	return make_page(ahead_ns);
}

static void clean_up(int out_fd)
{
	page_drop(&page);
	close(out_fd);
}

TAP_TEST(its_end_leaves_the_rate_that_was_learned)
{
	int out;

	if (!prepare(&out, AHEAD_NS))
		skip(NO_COUNTER);
	is_int(steer(out, 1, NULL), GOOD + EXIT_OK);
	clean_up(out);
}

TAP_TEST(so_does_the_end_of_the_page)
{
	int out;

	if (!prepare(&out, AHEAD_NS))
		skip(NO_COUNTER);
	is_int(steer(out, 3, take_page_away), GOOD + EXIT_UNUSABLE);
	clean_up(out);
}

TAP_TEST(so_does_a_reader_that_goes)
{
	int ends[2];

	if (!make_page(AHEAD_NS))
		skip(NO_COUNTER);
	need(!pipe(ends));
	close(ends[0]);
	is_int(steer(ends[1], 3, NULL), GOOD + EXIT_SYSTEM);
	clean_up(ends[1]);
}

TAP_TEST(so_does_a_terminal_that_is_closed)
{
	int out;

	if (!prepare(&out, AHEAD_NS))
		skip(NO_COUNTER);
	is_int(steer(out, 3, hang_up), GOOD + EXIT_OK);
	clean_up(out);
}

/* What it prints. */
static void steer_into(char *text, size_t size, uint64_t count, void (*then)(void))
{
	int ends[2];

	memset(text, 0, size);
	need(!pipe(ends));
	is_int(steer(ends[1], count, then), GOOD + EXIT_OK);
	close(ends[1]);
	ok(read(ends[0], text, size - 1) > 0);
	close(ends[0]);
}

/* As nohup(1) has it. */
TAP_TEST(who_is_told_to_ignore_that_goes_on)
{
	char text[4096], *end;

	if (!make_page(AHEAD_NS))
		skip(NO_COUNTER);
	signal(SIGHUP, SIG_IGN);
	steer_into(text, sizeof(text), 2, hang_up);
	signal(SIGHUP, SIG_DFL);
	end = strchr(text, '\n');
	ok(end && strchr(end + 1, '\n'));
	page_drop(&page);
}

TAP_TEST(a_step_is_no_line_between_the_objects)
{
	char text[4096];

	if (!make_page(5 * SEC))
		skip(NO_COUNTER);
	steer_into(text, sizeof(text), 1, NULL);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!ok(*line == '{'))
			note("%s", line);
	page_drop(&page);
}

int main(void)
{
	return tap_main();
}
