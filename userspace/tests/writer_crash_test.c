// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writer that dies at any point leaves what the next one accepts, and what no
 * reader misreads.
 *
 * Each machine instruction after which the files look different (their names,
 * inodes, lengths, modes, or any byte of a page) is a point to die at, and the
 * writer does, once at each of them: wherever the files differ between two
 * system calls, it runs by single steps from the one to the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tap.h"
#include "updates.h"
#include "vmclk-writer.h"

#define SMALL		sizeof(struct vmclock_page)
#define CALLS_MAX	512
#define LAST		1000	/* the update of the writer that comes after */

static char dir[] = "/tmp/vmclk-crash-XXXXXX";
static char path[64], new_path[64], other_path[64];

/**
 * struct scenario - a writer's work
 * @setup: what is there before, and where it has got to
 * @work: what it dies in
 * @flags: of the next writer
 * @stays_readable: at any time, readers who open the path get an update, or at
 *	least are told to wait for one
 */
struct scenario {
	struct vmclk_writer *(*setup)(void);
	int (*work)(struct vmclk_writer *w);
	unsigned int flags;
	bool stays_readable;
};

static struct vmclk_writer *open_page(const char *name, uint32_t size)
{
	struct vmclk_writer *w = NULL;

	is_int(vmclk_writer_open(name, size, 0, &w), 0);
	return w;
}

static void write_update(struct vmclk_writer *w, uint64_t n)
{
	const struct vmclk_snapshot update = update_of(n);

	vmclk_writer_write(w, &update);
}

static void make_page(const char *name, uint32_t size)
{
	struct vmclk_writer *w = open_page(name, size);

	if (w)
		write_update(w, 1);
	vmclk_writer_close(w);
}

/**
 * struct look - what a file looks like
 * @st: what of stat(2) can matter; zero if there is no such file
 * @bytes: how it begins
 */
struct look {
	struct {
		ino_t ino;
		off_t size;
		mode_t mode;
		nlink_t nlink;
	} st;
	char bytes[SMALL];
};

/* Mapped once for each inode: this is done very often. */
struct view {
	const char *name;
	ino_t ino;
	char *map;
};


static void look_at(struct view *view, struct look *look)
{
	struct stat st;
	int fd;

	memset(look, 0, sizeof(*look));
	if (stat(view->name, &st))
		return;
	look->st.ino = st.st_ino;
	look->st.size = st.st_size;
	look->st.mode = st.st_mode;
	look->st.nlink = st.st_nlink;
	if (view->ino != st.st_ino) {
		if (view->map)
			munmap(view->map, SMALL);
		fd = open(view->name, O_RDONLY);
		view->map = mmap(NULL, SMALL, PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
		view->ino = view->map == MAP_FAILED ? 0 : st.st_ino;
	}
	if (view->ino)
		memcpy(look->bytes, view->map, (size_t)st.st_size < SMALL ? (size_t)st.st_size : SMALL);
}

static void end_view(struct view *view)
{
	if (view->map)
		munmap(view->map, SMALL);
}

static bool resume(pid_t pid, int how)
{
	int status;

	return !ptrace(how, pid, 0, 0) && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status);
}

/* Whole, or a good reason why not. Returns what the reader got. */
static int look_in(const struct vmclk *clk)
{
	struct vmclk_snapshot s;
	int err = vmclk_snapshot(clk, &s);

	if (!err)
		ok(update_is_whole(&s));
	return err;
}

static void judge_readers(const struct scenario *scenario, const struct vmclk *old)
{
	struct vmclk *clk = NULL;
	int err = vmclk_open(path, &clk);

	if (!err) {
		err = look_in(clk);
		vmclk_close(clk);
		ok(!err || err == -VMCLK_EBUSY);
	} else if (scenario->stays_readable) {
		is_int(err, 0);
	} else {
		ok(err == -ENOENT || err == -VMCLK_ENOTINIT ||
		   (err == -VMCLK_EMALFORMED && scenario->flags));
	}
	if (!old)
		return;
	err = look_in(old);
	ok(!err || err == -VMCLK_EBUSY || err == -VMCLK_EGONE);
}

static void judge_successor(const struct scenario *scenario, const struct vmclk *old)
{
	struct vmclk_writer *w = NULL;
	struct vmclk_snapshot s = { 0 };
	struct vmclk *clk = NULL;

	is_int(vmclk_writer_open(path, PAGE_BYTES, scenario->flags, &w), 0);
	need(w);
	write_update(w, LAST);
	ok(access(new_path, F_OK));
	if (!is_int(vmclk_open(path, &clk), 0))
		return;
	is_int(vmclk_snapshot(clk, &s), 0);
	ok(update_is_whole(&s));
	is_u64(s.counter_value, LAST);
	vmclk_close(clk);
	vmclk_writer_close(w);
	/* Nobody is left behind: those in the old page are in the new, or know. */
	if (old) {
		int err = vmclk_snapshot(old, &s);

		ok(err == -VMCLK_EGONE || (!err && s.counter_value == LAST));
	}
}

/* The writer, stopped in front of its work; or -1. */
static pid_t start(const struct scenario *scenario)
{
	struct vmclk_writer *w;
	pid_t pid = fork();
	int status;

	if (!pid) {
		w = scenario->setup();
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP))
			_exit(2);
		_exit(!!scenario->work(w));
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		return pid;
	return -1;
}

static struct look at_calls[CALLS_MAX][2];

/* But for what differs from run to run: inode numbers and random markers. */
static bool is_same(const struct look *a, const struct look *b)
{
	const size_t marker = offsetof(struct vmclock_page, disruption_marker);
	struct look x[2] = { a[0], a[1] }, y[2] = { b[0], b[1] };

	for (unsigned int i = 0; i < 2; i++) {
		x[i].st.ino = y[i].st.ino = 0;
		memset(x[i].bytes + marker, 0, 8);
		memset(y[i].bytes + marker, 0, 8);
	}
	return !memcmp(x, y, sizeof(x));
}

static void look_at_both(struct view *views, struct look *looks)
{
	look_at(&views[0], &looks[0]);
	look_at(&views[1], &looks[1]);
}

/*
 * How the files look in front of and behind each system call. Returns how many
 * such looks there are.
 */
static unsigned int look_at_calls(const struct scenario *scenario)
{
	struct view views[] = { { .name = path }, { .name = new_path } };
	pid_t pid = start(scenario);
	unsigned int n = 0;

	if (!ok(pid > 0))
		return 0;
	do
		look_at_both(views, at_calls[n++]);
	while (n < CALLS_MAX && resume(pid, PTRACE_SYSCALL));
	ok(n < CALLS_MAX);
	end_view(&views[0]);
	end_view(&views[1]);
	unlink(path);
	unlink(new_path);
	return n;
}

/*
 * Goes to stop @call quickly, and from there step by step until the files have
 * changed @changes times. Returns false if the work was done before.
 */
static bool run(pid_t pid, unsigned int call, unsigned int changes, struct look *now)
{
	struct view views[] = { { .name = path }, { .name = new_path } };
	struct look before[2];
	bool runs = true;

	while (runs && call--)
		runs = resume(pid, PTRACE_SYSCALL);
	look_at_both(views, before);
	while (changes && runs) {
		runs = resume(pid, PTRACE_SINGLESTEP);
		look_at_both(views, now);
		changes -= !!memcmp(before, now, sizeof(before));
		memcpy(before, now, sizeof(before));
	}
	end_view(&views[0]);
	end_view(&views[1]);
	return runs;
}

/* Dies there. Returns false if there was nothing left to do. */
static bool die_at(const struct scenario *scenario, unsigned int call, unsigned int changes,
		   struct look *now)
{
	pid_t pid = start(scenario);
	struct vmclk *old = NULL;
	bool runs;

	if (!ok(pid > 0))
		return false;
	/* A reader of before; if there is nothing to read yet, there is none. */
	if (vmclk_open(path, &old))
		old = NULL;
	runs = run(pid, call, changes, now);
	if (runs) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	judge_readers(scenario, old);
	judge_successor(scenario, old);
	vmclk_close(old);
	unlink(path);
	unlink(new_path);
	return runs && !tap_failed;
}

/* Between two looks that differ the writer dies at each change. */
static void die_everywhere(const struct scenario *scenario, unsigned int at_least)
{
	unsigned int deaths = 0, calls = look_at_calls(scenario);

	for (unsigned int i = 0; i + 1 < calls; i++) {
		struct look now[2];
		unsigned int changes = 0;

		if (is_same(at_calls[i], at_calls[i + 1]))
			continue;
		do {
			if (!die_at(scenario, i, ++changes, now))
				break;
			deaths++;
		} while (!is_same(now, at_calls[i + 1]));
	}
	note("died at %u points, among %u looks at system calls", deaths, calls);
	ok(deaths >= at_least);
}

static struct vmclk_writer *setup_nothing(void)
{
	return NULL;
}

static int open_and_write(struct vmclk_writer *unused)
{
	struct vmclk_writer *w;
	int err = vmclk_writer_open(path, PAGE_BYTES, 0, &w);

	(void)unused;
	if (err)
		return err;
	write_update(w, 2);
	vmclk_writer_close(w);
	return 0;
}

TAP_TEST(while_it_makes_a_page)
{
	static const struct scenario scenario = { setup_nothing, open_and_write, 0, false };

	die_everywhere(&scenario, 20);
}

static struct vmclk_writer *setup_page(void)
{
	make_page(path, PAGE_BYTES);
	return NULL;
}

TAP_TEST(while_it_continues_a_page)
{
	static const struct scenario scenario = { setup_page, open_and_write, 0, true };

	die_everywhere(&scenario, 15);
}

static struct vmclk_writer *setup_small_page(void)
{
	make_page(path, SMALL);
	return NULL;
}

TAP_TEST(while_it_replaces_a_small_page)
{
	static const struct scenario scenario = { setup_small_page, open_and_write, 0, true };

	die_everywhere(&scenario, 22);
}

/* Whose writer died in an update. */
static struct vmclk_writer *setup_torn_page(void)
{
	struct vmclk_writer *w = open_page(path, SMALL);

	if (w) {
		write_update(w, 1);
		vmclk_writer_begin(w);
	}
	vmclk_writer_close(w);
	return NULL;
}

TAP_TEST(while_it_replaces_a_torn_page)
{
	static const struct scenario scenario = { setup_torn_page, open_and_write, 0, false };

	die_everywhere(&scenario, 28);
}

static struct vmclk_writer *setup_writer(void)
{
	struct vmclk_writer *w = open_page(path, SMALL);

	if (w)
		write_update(w, 1);
	return w;
}

static int move_and_write(struct vmclk_writer *w)
{
	int err = vmclk_writer_replace(w, PAGE_BYTES);

	write_update(w, 2);
	vmclk_writer_close(w);
	return err;
}

TAP_TEST(while_it_moves_to_a_larger_page)
{
	static const struct scenario scenario = { setup_writer, move_and_write, 0, true };

	die_everywhere(&scenario, 22);
}

static struct vmclk_writer *setup_junk(void)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	ok(fd >= 0 && write(fd, "foobarbaz", 9) == 9);
	close(fd);
	return NULL;
}

static int replace_and_write(struct vmclk_writer *unused)
{
	struct vmclk_writer *w;
	int err = vmclk_writer_open(path, PAGE_BYTES, VMCLK_WRITER_REPLACE, &w);

	(void)unused;
	if (err)
		return err;
	write_update(w, 2);
	vmclk_writer_close(w);
	return 0;
}

TAP_TEST(while_it_replaces_what_is_no_page)
{
	static const struct scenario scenario = {
		setup_junk, replace_and_write, VMCLK_WRITER_REPLACE, false
	};

	die_everywhere(&scenario, 20);
}

/* As the third one can leave it. */
static struct vmclk_writer *setup_leftover(void)
{
	make_page(path, PAGE_BYTES);
	make_page(new_path, SMALL);
	return NULL;
}

TAP_TEST(while_it_clears_up_after_another_death)
{
	static const struct scenario scenario = { setup_leftover, open_and_write, 0, true };

	die_everywhere(&scenario, 20);
}

/*
 * Puts another page in place while the writer is at a system call, if it has
 * not locked the first one yet: then it is the other one that it must write.
 */
static bool swap_at(unsigned int call)
{
	static const struct scenario scenario = { setup_page, open_and_write, 0, true };
	pid_t pid = start(&scenario);
	struct vmclk_snapshot s = { 0 };
	struct vmclk *clk = NULL;
	int fd, status = -1;
	bool is_free;

	if (!ok(pid > 0))
		return false;
	while (call--)
		resume(pid, PTRACE_SYSCALL);
	make_page(other_path, PAGE_BYTES);
	fd = open(path, O_RDONLY);
	is_free = !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	if (is_free)
		ok(!rename(other_path, path));
	ok(!ptrace(PTRACE_DETACH, pid, 0, 0));
	ok(waitpid(pid, &status, 0) == pid);
	is_int(status, 0);
	is_int(vmclk_open(path, &clk), 0);
	if (clk)
		is_int(vmclk_snapshot(clk, &s), 0);
	is_u64(s.counter_value, 2);
	vmclk_close(clk);
	unlink(path);
	unlink(other_path);
	return is_free;
}

TAP_TEST(a_page_put_there_before_the_lock_is_the_one_that_is_locked)
{
	unsigned int calls = 0;

	while (swap_at(calls) && !tap_failed)
		calls++;
	note("%u system calls before the lock", calls);
	ok(calls >= 4);
}

int main(void)
{
	int status;

	if (!mkdtemp(dir)) {
		perror("Bail out! mkdtemp");
		return 1;
	}
	snprintf(path, sizeof(path), "%s/page", dir);
	snprintf(new_path, sizeof(new_path), "%s/page.new", dir);
	snprintf(other_path, sizeof(other_path), "%s/other", dir);
	status = tap_main();
	rmdir(dir);
	return status;
}
