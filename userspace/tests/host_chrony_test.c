// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chronyd as a source: what is made of the clock and the report, and a chronyc that
 * fails in every way. It is played by scripts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "child.h"
#include "host_fake_kernel.h"
#include "source-chrony.h"
#include "tap.h"

#define MSEC	1000000LL
#define SEC	(1000 * MSEC)

/* The fake clocks go by the counter, at a few GHz: this is some ten seconds. */
#define PATIENCE	(30 * SEC)

/* A reference heard of 10 s ago, 2 ms to be added. */
#define REPORT(refid, offset, leap) \
	"printf '%s\\n' '" refid ",host,2,1799999990.000000000," offset ",0.000000000," \
	"0.000000000,0.000,0.000,0.000,0.000020000,0.000300000,16.0," leap "'"
#define GOOD	REPORT("C0A80001", "0.002000000", "Normal")

static char path[] = "/tmp/vmclock-chronyc-XXXXXX";

static void play(const char *script)
{
	FILE *file = fopen(path, "we");

	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	chmod(path, 0700);
}

static struct source_chrony chrony;
static struct source source;
static struct source_reading reading;

/* Until something happens; the deadline is one of the fake clock's. */
static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 100);
}

static int read_to_the_end(void)
{
	int err = source.read(&source, &reading);

	while (err == -EINPROGRESS) {
		wait_for(source.fd);
		err = source.read(&source, &reading);
	}
	return err;
}

static void open_with(const char *script)
{
	play(script);
	chrony = (struct source_chrony){
		.chronyc = path, .socket = "/the/socket", .timeout_ns = PATIENCE,
	};
	source_chrony_open(&source, &chrony);
}

static int read_with(const char *script)
{
	open_with(script);
	return read_to_the_end();
}

static int64_t realtime_ns(void)
{
	return (int64_t)(((reading.realtime >> 32) * 1000000000 + (1u << 31)) >> 32);
}

static void fake_running(void)
{
	fake_reset();
	kernel.runs = true;
}

/* It is asked what it should be, and in a way that needs no name server. */
TAP_TEST(chronyc_is_asked_for_the_report_by_the_socket_given)
{
	fake_running();
	is_int(read_with("[ \"$*\" = '-c -n -h /the/socket tracking' ] || exit 1\n" GOOD), 0);
}

TAP_TEST(the_estimate_is_the_clock_and_the_offset)
{
	fake_running();
	is_int(read_with(GOOD), 0);
	ok(reading.bounded);
	/* The clock goes on with the counter: what it said at the reading's. */
	ok(llabs(realtime_ns() - (FAKE_NOW_NS + 2 * MSEC +
				  (int64_t)(reading.counter - kernel.since))) <=
	   (int64_t)reading.slack + 1);
	is_int(reading.kernel_tai, 37);
	is_u64(reading.leap_indicator, VMCLOCK_PAGE_LEAP_NONE);
}

TAP_TEST(the_bound_has_dispersion_delay_and_the_offset_if_it_was_steady)
{
	fake_running();
	is_int(read_with(GOOD), 0);
	ok(reading.maxerror_ns >= 310000 && reading.maxerror_ns < 310000 + 3 * MSEC);
	ok(reading.esterror_ns < reading.maxerror_ns);
	/* Somebody turned the clock: it may have gone far. At 1 ns a tick 0.1 s is long. */
	is_int(read_with("sleep 0.1\n" GOOD), 0);
	ok(reading.maxerror_ns < 310000 + 3 * MSEC);
	kernel.turns = true;
	is_int(read_with("sleep 0.1\n" GOOD), 0);
	ok(reading.maxerror_ns > 310000 + 10 * MSEC);
}

TAP_TEST(a_clock_that_was_set_meanwhile_is_tried_again)
{
	fake_running();
	kernel.steps_ns = 5 * MSEC;
	is_int(read_with(GOOD), -EAGAIN);
	kernel.steps_ns = -5 * MSEC;
	is_int(read_with(GOOD), -EAGAIN);
}

static void is_lost(const char *script, const char *why)
{
	fake_running();
	if (!is_int(read_with(script), -ENODATA) || !ok(strstr(source.why, why)))
		note("%s: %s", script, source.why ? source.why : "");
}

TAP_TEST(an_answer_that_is_no_report_is_no_time)
{
	is_lost("echo 506 Cannot talk to daemon", "not a tracking report");
	is_lost("true", "not a tracking report");
	is_lost(GOOD "; echo", "not a tracking report");
	is_lost("head -c 300 /dev/urandom", "not a tracking report");
	is_lost("head -c 100000 /dev/zero", "not a tracking report");
	is_lost("yes", "not a tracking report");
}

TAP_TEST(a_client_that_fails_is_no_time)
{
	is_lost(GOOD "; exit 1", "failed");
	is_lost(GOOD "; kill -9 $$", "failed");
	chrony.chronyc = "/nonexistent/chronyc";
	is_int(read_to_the_end(), -ENODATA);
	ok(strstr(source.why, "started") || strstr(source.why, "failed"));
}

TAP_TEST(a_report_without_a_reference_is_no_time)
{
	is_lost(REPORT("00000000", "0.000000000", "Not synchronised"), "not synchronised");
	is_lost(REPORT("7F7F0101", "0.000000000", "Normal"), "local");
	is_lost(REPORT("C0A80001", "-999999999.0", "Normal"), "future");
}

/* 2016-12-31 12:00:00: the last day of a month in which a second is inserted. */
TAP_TEST(a_leap_second_only_chronyd_knows_of_is_told)
{
	fake_running();
	kernel.real_ns = 1483185600 * SEC;
	is_int(read_with("printf '%s\\n' 'C0A80001,host,2,1483185590.000000000,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,16.0,Insert second'"), 0);
	is_u64(reading.leap_indicator, VMCLOCK_PAGE_LEAP_PRE_POS);
	is_int(read_with("printf '%s\\n' 'C0A80001,host,2,1483185590.000000000,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,16.0,Delete second'"), 0);
	is_u64(reading.leap_indicator, VMCLOCK_PAGE_LEAP_PRE_NEG);
	/* Not yet: the last day is tomorrow. */
	kernel.real_ns -= 86400 * SEC;
	is_int(read_with("printf '%s\\n' 'C0A80001,host,2,1483099190.000000000,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,16.0,Insert second'"), 0);
	is_u64(reading.leap_indicator, VMCLOCK_PAGE_LEAP_NONE);
}

/* A pipe that a script can wait for, in a directory of its own. */
static int hold(void)
{
	char held[] = "/tmp/vmclock-held-XXXXXX";
	int fd = -1;

	if (ok(mkdtemp(held)) && ok(!chdir(held)) && ok(!mkfifo("go", 0600)))
		fd = open("go", O_RDWR | O_CLOEXEC);
	ok(fd >= 0);
	return fd;
}

static void unhold(int fd)
{
	char dir[64];

	close(fd);
	unlink("go");
	ok(getcwd(dir, sizeof(dir)) && !chdir("/") && !rmdir(dir));
}

TAP_TEST(nobody_waits_for_chronyc_and_the_reading_stays_until_it_has_answered)
{
	struct source_reading before;
	int go;

	fake_running();
	is_int(read_with(GOOD), 0);
	before = reading;
	go = hold();
	open_with("read word <go\n" GOOD);
	for (int i = 0; i < 3; i++) {
		is_int(source.read(&source, &reading), -EINPROGRESS);
		ok(!memcmp(&reading, &before, sizeof(reading)));
		ok(fcntl(source.fd, F_GETFD) >= 0);
	}
	is_int(write(go, "\n", 1), 1);
	is_int(read_to_the_end(), 0);
	ok(reading.counter != before.counter);
	/* It does not outlive the source. */
	is_int(source.read(&source, &reading), -EINPROGRESS);
	source.close(&source);
	is_int(chrony.child.pid, 0);
	unhold(go);
}

static ssize_t run(const char *script, char *answer, size_t size, uint64_t timeout_ns)
{
	char *argv[] = { path, NULL };
	struct child child;
	ssize_t n;

	play(script);
	fake_running();
	if (!is_int(child_start(&child, argv, answer, size, timeout_ns), 0))
		return 0;
	while ((n = child_work(&child)) == -EINPROGRESS)
		wait_for(child.fd);
	is_int(child.pid, 0);
	return n;
}

TAP_TEST(a_child_that_hangs_is_killed_with_its_children)
{
	char answer[64] = "", script[256], pidfile[64], line[32];
	FILE *file;
	int i;

	snprintf(pidfile, sizeof(pidfile), "%s.pid", path);
	snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s; wait", pidfile);
	is_int(run(script, answer, sizeof(answer), 2 * SEC), -ETIMEDOUT);
	file = fopen(pidfile, "re");
	need(file);
	need(fgets(line, sizeof(line), file));
	fclose(file);
	unlink(pidfile);
	/* Whoever inherits it may take a moment to notice its end. */
	snprintf(script, sizeof(script), "/proc/%d/cmdline", atoi(line));
	for (i = 0; i < 1000; i++) {
		file = fopen(script, "re");
		if (!file || fgetc(file) == EOF)
			break;
		fclose(file);
		usleep(10000);
	}
	if (i < 1000 && file)
		fclose(file);
	ok(i < 1000);
	/* One that closes its output and stays is no better. */
	is_int(run("exec >&-; sleep 1000", answer, sizeof(answer), 2 * SEC), -ETIMEDOUT);
}

TAP_TEST(an_answer_fits_or_is_refused)
{
	char answer[8];

	is_int(run("printf 1234567", answer, sizeof(answer), PATIENCE), 7);
	ok(!strcmp(answer, "1234567"));
	is_int(run("printf 12345678", answer, sizeof(answer), PATIENCE), -E2BIG);
	is_int(run("printf 1234; exit 3", answer, sizeof(answer), PATIENCE), -ECHILD);
}

TAP_TEST(a_child_has_no_signal_mask_and_no_input_of_ours)
{
	char answer[64];
	sigset_t set, old;
	ssize_t n;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	n = run("read line; echo \"$?\"; exec grep SigBlk /proc/self/status", answer,
		sizeof(answer), PATIENCE);
	sigprocmask(SIG_SETMASK, &old, NULL);
	ok(n > 0 && !strcmp(answer, "1\nSigBlk:\t0000000000000000\n"));
}

int main(void)
{
	int fd = mkstemp(path), status;

	if (fd < 0)
		return 1;
	close(fd);
	status = tap_main();
	unlink(path);
	return status;
}
