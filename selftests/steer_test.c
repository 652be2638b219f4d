// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmclockctl steer, with the simulator's page: it ends up on the page's time, says
 * honestly how good the clock is, and does not fight.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "simpage.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

#define CTL "/userspace/vmclockctl-static"
#define BOUND "maxerror_ns=100000 maxerror_ppb=1000"
#define PPM 65536

FIXTURE(steer) {
	struct sim_feed feed;
	int64_t since_boot;
	int timer;
	pid_t pid;
	FILE *out;
	char node[64];
	char line[512];
};

static int64_t since_boot(void)
{
	return t_clock_ns(CLOCK_REALTIME) - t_clock_ns(CLOCK_BOOTTIME);
}

static void arm(int timer)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };

	timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static bool was_set(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) < 0 && errno == ECANCELED;
}

FIXTURE_SETUP(steer)
{
	self->since_boot = since_boot();
	mkdir("/run", 0755);
	ASSERT_EQ(0, t_load(SIM_MODULE, BOUND));
	ASSERT_TRUE(sim_node(self->node, sizeof(self->node)));
	ASSERT_TRUE(sim_feed_open(&self->feed));
	self->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	arm(self->timer);
}

FIXTURE_TEARDOWN(steer)
{
	struct timex tx = { .modes = ADJ_FREQUENCY | ADJ_STATUS | ADJ_TAI, .status = STA_UNSYNC };
	struct timespec now;

	if (self->pid) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
		fclose(self->out);
	}
	adjtimex(&tx);
	clock_gettime(CLOCK_BOOTTIME, &now);
	now.tv_sec += self->since_boot / NSEC;
	clock_settime(CLOCK_REALTIME, &now);
	close(self->timer);
	sim_feed_close(&self->feed);
	EXPECT_EQ(0, t_unload("vmclock_sim"));
}

/* Standard output and error of "vmclockctl steer ARGUMENT... PATH". */
static pid_t start(FILE **out, char *node, ...)
{
	char *argv[12] = { CTL, "steer" };
	int fds[2], n = 2;
	va_list args;
	pid_t pid;

	va_start(args, node);
	while ((argv[n] = va_arg(args, char *)))
		n++;
	va_end(args);
	argv[n] = node;
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	*out = fdopen(fds[0], "r");
	return pid;
}

#define START(...) do {								\
	self->pid = start(&self->out, self->node, __VA_ARGS__, NULL);			\
	ASSERT_LT(0, self->pid);							\
} while (0)

/* Wait for its end. Return: its exit status. */
static int finish(pid_t *pid, FILE *out, char *line, size_t size)
{
	char next[512];
	int status = -1;

	while (fgets(next, sizeof(next), out))
		snprintf(line, size, "%s", next);
	waitpid(*pid, &status, 0);
	*pid = 0;
	fclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define FINISH() finish(&self->pid, self->out, self->line, sizeof(self->line))

/* Read on until a line has @text. Return: false if none does. */
static bool says(FILE *out, char *line, size_t size, const char *text)
{
	while (fgets(line, size, out))
		if (strstr(line, text))
			return true;
	return false;
}

#define SAYS(text) says(self->out, self->line, sizeof(self->line), text)

static double number(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtod(at + strlen(key) + (at[strlen(key)] == '"'), NULL) : 1e18;
}

static void move_page(struct sim_feed *feed, int64_t sec)
{
	feed->image.time_sec = htole64(le64toh(feed->image.time_sec) + sec);
	sim_publish(feed);
}

TEST_F(steer, finds_offset_and_rate)
{
	uint64_t period = le64toh(self->feed.image.counter_period_frac_sec);
	struct timex tx = { };

	self->feed.image.counter_period_frac_sec = htole64(period + period / 1000000 * 20);
	sim_publish(&self->feed);
	START("--json", "--interval=0.25", "--for=25");
	ASSERT_EQ(0, FINISH());
	printf("# %s", self->line);
	EXPECT_TRUE(!!strstr(self->line, "\"following\""));
	EXPECT_TRUE(!!strstr(self->line, "\"synchronized\":true"));
	EXPECT_GT(50000, llabs((long long)number(self->line, "\"offset_ns\":")));
	EXPECT_FALSE(was_set(self->timer));
	/* It leaves what it has learned, and nothing that is still to be made up for. */
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_GT(5 * PPM, labs(tx.freq - 20 * PPM)) TH_LOG("freq %ld", tx.freq);
	EXPECT_EQ(0, tx.status & STA_UNSYNC);
	EXPECT_LE(100, tx.maxerror);
	EXPECT_GT(10000, tx.maxerror);
	EXPECT_LE(1, tx.esterror);
}

TEST_F(steer, does_not_set_the_clock_unasked)
{
	move_page(&self->feed, 60);
	START("--interval=0.1", "--count=10");
	ASSERT_TRUE(SAYS("--step sets it"));
	ASSERT_EQ(0, FINISH());
	EXPECT_FALSE(was_set(self->timer));
}

TEST_F(steer, sets_the_clock_first_if_asked)
{
	move_page(&self->feed, 60);
	START("--json", "--step", "--interval=0.1", "--for=5");
	ASSERT_TRUE(SAYS("the clock is set by +60"));
	ASSERT_EQ(0, FINISH());
	EXPECT_EQ(60, (since_boot() - self->since_boot + NSEC / 2) / NSEC);
	EXPECT_GT(1000000, llabs((long long)number(self->line, "\"offset_ns\":")));
}

/* Within seconds of the start the clock may be set, but not in the middle. */
TEST_F(steer, sets_the_clock_once)
{
	START("--step", "--interval=0.1");
	ASSERT_TRUE(SAYS("following"));
	move_page(&self->feed, 1);
	sleep(1);
	EXPECT_FALSE(was_set(self->timer));
	kill(self->pid, SIGTERM);
	EXPECT_EQ(0, FINISH());
}

TEST_F(steer, holds_the_rate_while_there_is_no_time)
{
	START("--json", "--interval=0.1");
	ASSERT_TRUE(SAYS("\"following\""));
	self->feed.image.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	sim_publish(&self->feed);
	ASSERT_TRUE(SAYS("\"no time\""));
	/* It was right a moment ago: the error grows by itself. */
	EXPECT_TRUE(!!strstr(self->line, "\"synchronized\":true"));
	self->feed.image.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	sim_publish(&self->feed);
	ASSERT_TRUE(SAYS("\"following\""));
}

TEST_F(steer, trusts_no_clock_after_a_disruption)
{
	struct timex tx = { };

	START("--json", "--step", "--interval=0.1");
	ASSERT_TRUE(SAYS("\"following\""));
	/* As QEMU does: another marker, the old line. */
	self->feed.image.disruption_marker ^= 0xff;
	sim_publish(&self->feed);
	ASSERT_TRUE(SAYS("\"disrupted\""));
	EXPECT_TRUE(!!strstr(self->line, "\"synchronized\":false"));
	EXPECT_EQ(16000000, number(self->line, "\"maxerror_us\":"));
	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(SAYS("\"state\""));
		EXPECT_TRUE(!!strstr(self->line, "\"disrupted\""));
	}
	EXPECT_FALSE(was_set(self->timer));
	move_page(&self->feed, 60);
	ASSERT_TRUE(SAYS("the clock is set by +60"));
	ASSERT_TRUE(SAYS("\"following\""));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(0, tx.status & STA_UNSYNC);
}

TEST_F(steer, does_not_follow_a_bound_that_is_too_wide)
{
	self->feed.image.time_maxerror_nanosec = htole64(200000000);
	sim_publish(&self->feed);
	START("--json", "--interval=0.1", "--count=3");
	ASSERT_EQ(0, FINISH());
	EXPECT_TRUE(!!strstr(self->line, "\"bound too wide\""));
	EXPECT_TRUE(!!strstr(self->line, "\"synchronized\":false"));
}

TEST_F(steer, announces_a_leap_second_and_tells_tai)
{
	struct timex tx = { };

	/* Noon of 2016-12-31, in TAI. */
	self->feed.image.time_type = VMCLOCK_PAGE_TIME_TAI;
	self->feed.image.tai_offset_sec = htole16(-36);
	self->feed.image.flags |= htole64(VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID);
	self->feed.image.time_sec = htole64(1483142400 + 43200 + 36);
	sim_publish(&self->feed);
	START("--json", "--step", "--interval=0.1");
	ASSERT_TRUE(SAYS("\"following\""));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(0, tx.status & (STA_INS | STA_DEL));
	EXPECT_EQ(36, tx.tai);
	self->feed.image.leap_indicator = VMCLOCK_PAGE_LEAP_PRE_POS;
	sim_publish(&self->feed);
	for (int i = 0; i < 5; i++)
		ASSERT_TRUE(SAYS("\"following\""));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(STA_INS, tx.status & (STA_INS | STA_DEL));
	self->feed.image.leap_indicator = VMCLOCK_PAGE_LEAP_NONE;
	sim_publish(&self->feed);
	for (int i = 0; i < 5; i++)
		ASSERT_TRUE(SAYS("\"following\""));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(0, tx.status & (STA_INS | STA_DEL));
}

static pid_t pretend(const char *name)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_NAME, name);
		pause();
		_exit(0);
	}
	usleep(100000);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(steer, refuses_where_chronyd_runs)
{
	struct timex before = { }, after = { };
	pid_t rival = pretend("chronyd");

	ASSERT_LE(0, adjtimex(&before));
	START("--count=3", "--interval=0.1");
	EXPECT_EQ(2, FINISH());
	EXPECT_TRUE(!!strstr(self->line, "chronyd"));
	EXPECT_TRUE(!!strstr(self->line, "it steers the clock, too"));
	ASSERT_LE(0, adjtimex(&after));
	EXPECT_EQ(before.freq, after.freq);
	EXPECT_EQ(before.status, after.status);
	end(rival);
}

TEST_F(steer, gives_way_to_a_chronyd_that_comes_later)
{
	pid_t rival;

	START("--interval=0.1", "--for=60");
	ASSERT_TRUE(SAYS("following"));
	rival = pretend("chronyd");
	EXPECT_EQ(2, FINISH());
	EXPECT_TRUE(!!strstr(self->line, "chronyd"));
	end(rival);
}

TEST_F(steer, gives_way_to_whoever_changes_the_rate)
{
	struct timex tx = { .modes = ADJ_FREQUENCY, .freq = 77 * PPM };

	START("--interval=0.1", "--for=60");
	ASSERT_TRUE(SAYS("following"));
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(2, FINISH());
	EXPECT_TRUE(!!strstr(self->line, "somebody else steers the clock"));
	ASSERT_LE(0, adjtimex(&tx));
	tx.modes = 0;
	ASSERT_LE(0, adjtimex(&tx));
	EXPECT_EQ(77 * PPM, tx.freq);
}

TEST_F(steer, refuses_a_second_one)
{
	char line[512] = "";
	pid_t second;
	FILE *out;

	START("--interval=0.1", "--for=60");
	ASSERT_TRUE(SAYS("following"));
	second = start(&out, self->node, NULL);
	EXPECT_EQ(2, finish(&second, out, line, sizeof(line)));
	EXPECT_TRUE(!!strstr(line, "another 'vmclockctl steer' is running"));
}

TEST_F(steer, ends_with_the_device)
{
	START("--interval=0.1", "--for=60");
	ASSERT_TRUE(SAYS("following"));
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/unbind", "vmclock-sim"));
	EXPECT_NE(0, FINISH());
	ASSERT_EQ(0, t_write_file(T_DRIVER_DIR "/bind", "vmclock-sim"));
}

TEST_F(steer, is_for_root)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		setuid(1);
		execl(CTL, CTL, "steer", "--count=1", self->node, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(2, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
