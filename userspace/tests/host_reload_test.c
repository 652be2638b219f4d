// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reader that looks at every page all the time, while the daemon's file is another
 * one each time it is read again: VMs come, go and change beside those that stay. What
 * it sees of these is always good, under one marker, and goes on.
 *
 * How long a page may go without an update is counted in updates of another page, which
 * a daemon feeds that nobody tells anything: a machine that is slow is so for both.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "tap.h"
#include "vmclk.h"
#include "vmclk-writer.h"

#define PATIENCE	60	/* seconds until what must happen has failed */
#define ROUNDS		200
/* Updates of the other page in which one is missed, and how many there are to be. */
#define GAP_MAX		50
#define UPDATES_MIN	(4 * GAP_MAX)

/* VMs that a reading reaches in one go, and some more; see BATCH in host/fleet.c. */
#define MANY		1100

/* Those that stay: some in a file, and one of a process that could be a QEMU. */
enum { FIRST, MIDDLE, LAST, QEMU, KEPT };

static const char *const kept_names[] = { "b", "e", "g", "h" };

/**
 * struct seen - what the reader has seen of a page
 * @looks: at it
 * @bad: of which it gave no time, or was not synchronized
 * @first_bad: the first of them: an error, and what the page said
 * @markers: new disruption markers
 * @updates: of the page, as its sequence number tells
 * @gap: the longest time without one, in updates of the other page
 */
struct seen {
	uint64_t looks, bad;
	int first_bad, reason, status;
	uint64_t markers, updates, gap;
};

/* Shared with the reader. */
static struct shared {
	bool is_over;
	uint64_t rounds;
	uint64_t others;
	struct seen pages[KEPT];
} *shared;

/* What the reader keeps of a page for itself. */
struct watched {
	struct vmclk *clk;
	struct vmclk_snapshot snap;
	uint64_t marker;
	uint32_t seq;
	uint64_t others;
};

static char dir[40];
static int qemu_fd;
static unsigned int fillers;
static pid_t daemon_pid, other_pid, reader_pid;

static const char *at(const char *name)
{
	static char path[4][80];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static bool is_late(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - since->tv_sec > PATIENCE;
}

/* Waits until @condition, for PATIENCE; usable as a condition itself. */
#define wait_for(condition) ({ \
	struct timespec since_; \
	clock_gettime(CLOCK_MONOTONIC, &since_); \
	while (!(condition) && !is_late(&since_)) \
		usleep(200); \
	(condition); })

/* The reader. */

static void look(struct watched *w, struct seen *seen)
{
	struct vmclk_stamp stamp = { 0 };
	int err = vmclk_now_from(w->clk, &w->snap, &stamp);

	seen->looks++;
	if (err || stamp.clock_status != VMCLOCK_PAGE_STATUS_SYNCHRONIZED) {
		if (!seen->bad++) {
			seen->first_bad = err;
			seen->reason = stamp.reason;
			seen->status = stamp.clock_status;
		}
	}
	if (stamp.disruption_marker && stamp.disruption_marker != w->marker)
		seen->markers++;
	if (stamp.disruption_marker)
		w->marker = stamp.disruption_marker;
}

static void count(struct watched *w, struct seen *seen, uint64_t others)
{
	if (w->snap.seq_count != w->seq) {
		seen->updates += (w->snap.seq_count - w->seq) / 2;
		w->seq = w->snap.seq_count;
		w->others = others;
	}
	if (others - w->others > seen->gap)
		seen->gap = others - w->others;
}

static int open_kept(int i, struct vmclk **clk)
{
	return i == QEMU ? vmclk_open_fd(qemu_fd, clk) : vmclk_open(at(kept_names[i]), clk);
}

/* Does not return. */
static void read_all(void)
{
	struct watched w[KEPT] = { 0 }, other = { 0 };
	struct vmclk_stamp stamp;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (vmclk_open(at("other"), &other.clk) || vmclk_now_from(other.clk, &other.snap, &stamp))
		_exit(1);
	other.seq = other.snap.seq_count;
	for (int i = 0; i < KEPT; i++) {
		if (open_kept(i, &w[i].clk) || vmclk_now_from(w[i].clk, &w[i].snap, &stamp))
			_exit(1);
		w[i].marker = stamp.disruption_marker;
		w[i].seq = w[i].snap.seq_count;
	}
	while (!__atomic_load_n(&shared->is_over, __ATOMIC_ACQUIRE)) {
		vmclk_refresh(other.clk, &other.snap);
		shared->others = (other.snap.seq_count - other.seq) / 2;
		for (int i = 0; i < KEPT; i++) {
			look(&w[i], &shared->pages[i]);
			count(&w[i], &shared->pages[i], shared->others);
		}
		__atomic_add_fetch(&shared->rounds, 1, __ATOMIC_RELEASE);
	}
	_exit(0);
}

/* The daemons and their files. */

static pid_t run_daemon(const char *config)
{
	char program[512], option[128];
	pid_t pid;

	snprintf(program, sizeof(program), "%s/vmclock-hostd", getenv("BUILD") ?: ".");
	snprintf(option, sizeof(option), "--config=%s", at(config));
	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
	execl(program, program, option, NULL);
	_exit(127);
}

static void put_daemon(FILE *file)
{
	fprintf(file, "[daemon]\ninterval = 20ms\nassume-synchronized = 200us\ntai-offset = -37\n");
}

static void put_vm(FILE *file, const char *name)
{
	fprintf(file, "[vm %s]\nfile = %s\n", name, at(name));
}

/* Each round another one: before, between and behind those that stay. */
static bool write_config(unsigned int round)
{
	FILE *file = fopen(at("new"), "w");

	if (!file)
		return false;
	put_daemon(file);
	fprintf(file, "control = %s\n", at("control"));
	for (unsigned int i = 0; i < fillers; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%u", i);
		put_vm(file, name);
	}
	put_vm(file, "f");
	fprintf(file, "tsc-offset = %" PRIu64 "\n", (uint64_t)round << 40);
	for (int i = 0; i < QEMU; i++)
		put_vm(file, kept_names[i]);
	if (round % 2) {
		put_vm(file, "a");
		put_vm(file, "i");
	} else {
		put_vm(file, "c");
	}
	fprintf(file, "[vm %s]\nqemu-pid = %d\ntsc-offset = 0\n", kept_names[QEMU], getpid());
	return !fclose(file) && !rename(at("new"), at("config"));
}

static bool write_other_config(void)
{
	FILE *file = fopen(at("other-config"), "w");

	if (!file)
		return false;
	put_daemon(file);
	put_vm(file, "other");
	return !fclose(file);
}

static bool page_of(const char *name, struct vmclk_snapshot *snap)
{
	struct vmclk *clk;
	bool is_there;

	if (vmclk_open(at(name), &clk))
		return false;
	is_there = !vmclk_snapshot(clk, snap);
	vmclk_close(clk);
	return is_there;
}

/* What a VM that was left has. */
static bool is_left(const char *name)
{
	struct vmclk_snapshot snap;

	return page_of(name, &snap) && snap.clock_status == VMCLOCK_PAGE_STATUS_UNRELIABLE;
}

static bool is_fed(const char *name)
{
	struct vmclk_snapshot snap;

	return page_of(name, &snap) && snap.clock_status != VMCLOCK_PAGE_STATUS_UNRELIABLE;
}

static bool is_synchronized(int fd, const char *name)
{
	struct vmclk_stamp stamp;
	struct vmclk *clk;
	bool is_so;

	if (name ? vmclk_open(at(name), &clk) : vmclk_open_fd(fd, &clk))
		return false;
	is_so = !vmclk_now(clk, &stamp) &&
		stamp.clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
	vmclk_close(clk);
	return is_so;
}

static bool all_are_synchronized(void)
{
	bool all = is_synchronized(qemu_fd, NULL) && is_synchronized(-1, "other");

	for (int i = 0; i < QEMU; i++)
		all &= is_synchronized(-1, kept_names[i]);
	return all;
}

/* What this process shows as the page of a QEMU. */
static bool make_qemu(void)
{
	uint8_t page[4096] __attribute__((aligned(8))) = { 0 };

	qemu_fd = memfd_create("vmclock_page", MFD_CLOEXEC);
	return qemu_fd >= 0 && !vmclk_writer_format(page, sizeof(page)) &&
	       write(qemu_fd, page, sizeof(page)) == sizeof(page);
}

static bool begin(void)
{
	/* Not on a disk: readers do not believe a page there. */
	strcpy(dir, "/dev/shm/vmclock-reload-XXXXXX");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED || !mkdtemp(dir) || !make_qemu() || !write_config(0) ||
	    !write_other_config())
		return false;
	daemon_pid = other_pid = reader_pid = 0;
	daemon_pid = run_daemon("config");
	other_pid = run_daemon("other-config");
	if (!wait_for(all_are_synchronized()))
		return false;
	fflush(stdout);
	reader_pid = fork();
	if (!reader_pid)
		read_all();
	return wait_for(__atomic_load_n(&shared->rounds, __ATOMIC_ACQUIRE));
}

static int end_child(pid_t pid, int number)
{
	int status = -1;

	if (pid <= 0)
		return -1;
	if (number)
		kill(pid, number);
	waitpid(pid, &status, 0);
	return status;
}

static void end(void)
{
	char command[80];

	__atomic_store_n(&shared->is_over, true, __ATOMIC_RELEASE);
	is_int(end_child(reader_pid, 0), 0);
	is_int(end_child(daemon_pid, SIGTERM), 0);
	is_int(end_child(other_pid, SIGTERM), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ok(!system(command));
	close(qemu_fd);
	munmap(shared, sizeof(*shared));
}

/* The two ways to have the file read again. */

static bool reload_by_command(void)
{
	static const char request[] = "{\"command\":\"reload\"}\n";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[256] = "";
	bool is_done;

	strcpy(address.sun_path, at("control"));
	is_done = !connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
		  write(fd, request, strlen(request)) == (ssize_t)strlen(request) &&
		  read(fd, answer, sizeof(answer) - 1) > 0 && strstr(answer, "\"ok\":true");
	close(fd);
	return is_done;
}

static bool reload_by_signal(void)
{
	return !kill(daemon_pid, SIGHUP);
}

/* It was read again, and the reader has looked at each page since. */
static bool has_taken(unsigned int round)
{
	uint64_t rounds = __atomic_load_n(&shared->rounds, __ATOMIC_ACQUIRE);

	return (round % 2 ? wait_for(is_fed("a") && is_fed("i") && is_left("c")) :
		wait_for(is_left("a") && is_left("i") && is_fed("c"))) &&
	       wait_for(__atomic_load_n(&shared->rounds, __ATOMIC_ACQUIRE) > rounds);
}

static void judge(const struct seen *seen, const char *name)
{
	note("%s: %" PRIu64 " looks, %" PRIu64 " updates, gap %" PRIu64, name, seen->looks,
	     seen->updates, seen->gap);
	if (!is_u64(seen->bad, 0))
		note("the first: %s, %s, %s", vmclk_strerror(seen->first_bad),
		     vmclk_reason_str(seen->reason), vmclk_status_str(seen->status));
	is_u64(seen->markers, 0);
	ok(seen->gap < GAP_MAX);
}

static void reload_and_read(bool (*reload)(void), unsigned int more)
{
	struct vmclk_snapshot before = { 0 }, after = { 0 };
	unsigned int round = 0;

	fillers = more;
	if (!ok(begin()))
		goto out;
	ok(page_of("f", &before));
	while (!tap_failed && (round < ROUNDS || shared->others < UPDATES_MIN)) {
		round++;
		ok(write_config(round) && reload());
		ok(has_taken(round));
	}
	ok(page_of("f", &after));
	ok(before.disruption_marker != after.disruption_marker);
	note("read again %u times, %" PRIu64 " updates of the other page", round,
	     shared->others);
	for (int i = 0; i < KEPT; i++)
		judge(&shared->pages[i], kept_names[i]);
out:
	end();
}

TAP_TEST(who_stays_is_good_all_the_time_while_others_come_and_go_by_signals)
{
	reload_and_read(reload_by_signal, 0);
}

TAP_TEST(who_stays_is_good_all_the_time_while_others_come_and_go_by_command)
{
	reload_and_read(reload_by_command, 0);
}

/* The next reload is there before the reading has reached them. */
TAP_TEST(who_stays_behind_many_others_is_good_all_the_time)
{
	reload_and_read(reload_by_signal, MANY);
}

int main(void)
{
	return tap_main();
}
