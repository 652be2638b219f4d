// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that know PTP clocks, on a page that a host writer feeds: phc_ctl
 * reads ours, and chronyd selects it, and sets the system's clock by it; chronyd
 * does so, too, by what vmclockctl feeds it. They say how far that clock is off;
 * SNAPSHOT says it too.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define MODULE "/vmclock.ko"
#define DIR "/tmp/chrony"
#define SOCKET DIR "/socket"
#define NSEC 1000000000LL
#define PATIENCE_SEC 200

static bool take(struct vmclock_snapshot *snap)
{
	int fd = t_open(T_QEMU, O_RDONLY);
	int err, tries = 100;

	do {
		memset(snap, 0, sizeof(*snap));
		snap->size = sizeof(*snap);
		err = ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap);
	} while (err && errno == ETIMEDOUT && --tries);
	close(fd);
	return !err && (snap->valid & VMCLOCK_SNAPSHOT_TIME) &&
	       (snap->valid & VMCLOCK_SNAPSHOT_CORRELATED);
}

static int64_t utc_ns(const struct vmclock_snapshot *snap)
{
	int64_t sec = snap->time_sec;

	if (snap->page.time_type == VMCLOCK_PAGE_TIME_TAI)
		sec += (int16_t)le16toh(snap->page.tai_offset_sec);
	return sec * NSEC + snap->time_nsec;
}

/* How far the system's clock is ahead of the page, in seconds, and the bound. */
static bool our_offset(double *offset, double *bound)
{
	struct vmclock_snapshot snap;

	if (!take(&snap))
		return false;
	*offset = (snap.before.realtime_ns - utc_ns(&snap)) / 1e9;
	*bound = snap.maxerror_ns / 1e9;
	return true;
}

static bool node(char *path, size_t size)
{
	int index, fd = t_open_ptp(T_QEMU, &index, O_RDONLY);

	close(fd);
	snprintf(path, size, "/dev/ptp%d", index);
	return fd >= 0;
}

#define RUN_PHC_CTL(...) t_run((char *const[]){ "/clients/phc_ctl", path, __VA_ARGS__, NULL }, \
			       output, sizeof(output))

TEST(phc_ctl_reads_the_clock)
{
	struct vmclock_snapshot before, after;
	char path[32], output[4096], *p;
	double now;

	ASSERT_EQ(0, t_load_with_utc());
	ASSERT_TRUE(node(path, sizeof(path)));
	ASSERT_TRUE(take(&before));
	EXPECT_EQ(0, RUN_PHC_CTL("get"));
	ASSERT_TRUE(take(&after));
	p = strstr(output, "clock time is ");
	ASSERT_NE(NULL, p) TH_LOG("phc_ctl: %s", output);
	now = strtod(p + strlen("clock time is "), NULL);
	printf("# phc_ctl: %s", output);
	/* A double holds microseconds of these. */
	EXPECT_LE(utc_ns(&before) / 1e9 - 1e-6, now);
	EXPECT_LE(now, utc_ns(&after) / 1e9 + 1e-6);
}

TEST(phc_ctl_agrees_about_the_system_clock)
{
	double before, after, theirs, bound;
	char path[32], output[4096], *p;

	ASSERT_EQ(0, t_load_with_utc());
	ASSERT_TRUE(node(path, sizeof(path)));
	ASSERT_TRUE(our_offset(&before, &bound));
	EXPECT_EQ(0, RUN_PHC_CTL("cmp"));
	ASSERT_TRUE(our_offset(&after, &bound));
	p = strstr(output, "offset from CLOCK_REALTIME is ");
	ASSERT_NE(NULL, p) TH_LOG("phc_ctl: %s", output);
	theirs = strtod(p + strlen("offset from CLOCK_REALTIME is "), NULL) / 1e9;
	printf("# phc_ctl: %s# ours: %.9f before, %.9f after\n", output, before, after);
	EXPECT_LE(fmin(before, after) - 1e-3, theirs);
	EXPECT_LE(theirs, fmax(before, after) + 1e-3);
}

TEST(phc_ctl_cannot_set_the_clock)
{
	char path[32], output[4096];

	ASSERT_TRUE(node(path, sizeof(path)));
	RUN_PHC_CTL("set", "1");
	EXPECT_NE(NULL, strstr(output, "Operation not supported"))
		TH_LOG("phc_ctl: %s", output);
}

FIXTURE(chrony) {
	pid_t pid, feeder;
};

FIXTURE_VARIANT(chrony) {
	const char *params;
	const char *options;
	bool is_fed;
};

FIXTURE_VARIANT_ADD(chrony, on_utc) {
	.params = "ptp_timescale=utc", .options = ""
};

FIXTURE_VARIANT_ADD(chrony, on_tai) {
	.params = "ptp_timescale=tai", .options = " tai"
};

FIXTURE_VARIANT_ADD(chrony, fed) {
	.params = "", .is_fed = true
};

static void log_to(const char *path)
{
	int log = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
}

static void exec_feeder(void)
{
	log_to(DIR "/feed.log");
	execl("/userspace/vmclockctl-static", "vmclockctl", "feed-chrony",
	      "--socket=" DIR "/feed", "--interval=0.25", NULL);
	_exit(127);
}

static void exec_chronyd(const char *options, bool is_fed)
{
	char path[32], refclock[128];

	node(path, sizeof(path));
	if (is_fed)
		snprintf(refclock, sizeof(refclock), "refclock SOCK %s poll 0 refid VMCK",
			 DIR "/feed");
	else
		snprintf(refclock, sizeof(refclock),
			 "refclock PHC %s poll 0 dpoll -2 refid VMCK%s", path, options);
	setenv("TZDIR", "/clients", 1);
	log_to(DIR "/log");
	execl("/clients/chronyd", "chronyd", "-d", "-u", "root", refclock,
	      "leapsectz right/UTC", "makestep 0.001 -1", "port 0", "cmdport 0",
	      "bindcmdaddress " SOCKET, "pidfile " DIR "/pid", NULL);
	_exit(127);
}

FIXTURE_SETUP(chrony)
{
	FILE *passwd;

	mkdir("/etc", 0755);
	passwd = fopen("/etc/passwd", "we");
	ASSERT_NE(NULL, passwd);
	fputs("root:x:0:0::/:/\n", passwd);
	fclose(passwd);
	ASSERT_EQ(0, mkdir(DIR, 0700));

	ASSERT_EQ(0, t_unload("vmclock"));
	ASSERT_EQ(0, t_load(MODULE, variant->params));
	self->pid = fork();
	if (!self->pid)
		exec_chronyd(variant->options, variant->is_fed);
	ASSERT_LT(0, self->pid);
	if (!variant->is_fed)
		return;
	self->feeder = fork();
	if (!self->feeder)
		exec_feeder();
	ASSERT_LT(0, self->feeder);
}

FIXTURE_TEARDOWN(chrony)
{
	int status = -1;

	kill(self->pid, SIGTERM);
	waitpid(self->pid, &status, 0);
	EXPECT_EQ(0, status);
	if (variant->is_fed) {
		kill(self->feeder, SIGTERM);
		waitpid(self->feeder, &status, 0);
		EXPECT_EQ(0, status);
		unlink(DIR "/feed");
		unlink(DIR "/feed.log");
	}
	unlink(DIR "/log");
	EXPECT_EQ(0, rmdir(DIR));
	EXPECT_EQ(0, t_unload("vmclock"));
	EXPECT_EQ(0, t_load(MODULE, ""));
}

static void print_file(const char *who, const char *path)
{
	char line[512];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		printf("# %s: %s", who, line);
	if (f)
		fclose(f);
}

/* Ask chronyd; its answer as comma separated fields. */
static bool ask(const char *what, char *output, size_t size)
{
	return !t_run((char *const[]){ "/clients/chronyc", "-h", SOCKET, "-c", (char *)what,
				       NULL }, output, size);
}

/* Field @n of an answer, from 0. */
static const char *field(const char *answer, int n)
{
	while (n-- && answer)
		answer = strchr(answer, ',') ? strchr(answer, ',') + 1 : NULL;
	return answer ? answer : "";
}

/* Selected, and the last eight polls have all given a sample. */
static bool is_tracked(char *output, size_t size)
{
	return ask("sources", output, size) && !strncmp(output, "#,*,VMCK,", 9) &&
	       atoi(field(output, 5)) == 377;
}

TEST_F_TIMEOUT(chrony, selects_and_tracks_the_clock, 2 * PATIENCE_SEC)
{
	int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + PATIENCE_SEC * NSEC;
	double ours, bound, theirs, claimed;
	char output[4096] = "";

	while (!is_tracked(output, sizeof(output)) &&
	       t_clock_ns(CLOCK_MONOTONIC) < deadline)
		sleep(1);
	print_file("chronyd", DIR "/log");
	print_file("vmclockctl", DIR "/feed.log");
	printf("# chronyc sources: %s", output);
	ASSERT_TRUE(is_tracked(output, sizeof(output)));

	ASSERT_TRUE(ask("tracking", output, sizeof(output)));
	ASSERT_TRUE(our_offset(&ours, &bound));
	printf("# chronyc tracking: %s", output);
	/* What it still has to correct, positive if slow, and how wrong it may be in all. */
	theirs = -atof(field(output, 4));
	claimed = atof(field(output, 10)) / 2 + atof(field(output, 11));
	printf("# the system's clock is ahead by %.9f by the page, %.9f by chronyd, which claims %.9f\n",
	       ours, theirs, claimed);
	EXPECT_LT(0, claimed);
	/* The page's line may have moved since its last sample, within the bound. */
	EXPECT_LE(fabs(ours - theirs), claimed + bound);
}

TEST_HARNESS_MAIN
