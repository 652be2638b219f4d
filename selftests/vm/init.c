// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the test machine.
 *
 * Loads the modules of /vm/modules, the last of which is vmclock.ko, runs the
 * programs of /vm/list one after the other, unloads vmclock, and powers off. What the programs print goes to ttyS1,
 * each program between two lines
 *
 *	# begin NAME
 *	# end NAME status=N
 *
 * where N is the exit status, 128 + the signal, or "timeout". Loading and
 * unloading the module are framed the same way, as insmod and rmmod, with an
 * errno value as N. A kernel that looks for leaks is asked for them. The very last
 * thing is the token of the kernel's command
 * line, on a port where nothing else is written: a machine that hung or
 * crashed cannot have sent it.
 *
 * With VMCLOCK_RESUME=DISK in the environment it is another machine that goes on, the
 * one that has hibernated there.
 *
 * A line of the list: SECONDS NAME PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define TOKEN_KEY	"vmclock.token="
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define ARGS_MAX	16

static volatile sig_atomic_t timed_out;

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* The kernel's log is the one place that is always there. */
static void die(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	power_off();
}

static void mount_one(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL))
		die(where);
}

static int open_port(const char *path)
{
	struct termios tio;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &tio))
		die(path);
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	if (tcsetattr(fd, TCSANOW, &tio))
		die(path);
	return fd;
}

static void frame_begin(int port, const char *name)
{
	dprintf(port, "# begin %s\n", name);
}

/* The empty line: a program that was killed may have left half of one. */
static void frame_end(int port, const char *name, int status)
{
	dprintf(port, "\n# end %s status=%d\n", name, status);
	tcdrain(port);
}

static int load_one(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

static int load_modules(void)
{
	FILE *list = fopen("/vm/modules", "re");
	char path[128];
	int err = 0;

	if (!list)
		return errno;
	while (!err && fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = '\0';
		err = load_one(path);
	}
	fclose(list);
	return err;
}

static int unload_module(void)
{
	return syscall(SYS_delete_module, "vmclock", O_NONBLOCK) ? errno : 0;
}

/* As PID 1, kill everything else. */
static void kill_all(void)
{
	kill(-1, SIGKILL);
}

static void on_alarm(int sig)
{
	(void)sig;
	timed_out = 1;
	kill_all();
}

static void exec_program(int port, char **argv)
{
	setsid();
	dup2(port, STDOUT_FILENO);
	dup2(port, STDERR_FILENO);
	execv(argv[0], argv);
	dprintf(port, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Wait for @pid, and for whatever orphans end meanwhile. */
static int reap(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(-1, &status, 0);
	} while (got != pid && (got > 0 || errno == EINTR));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void run_program(int port, unsigned int seconds, const char *name, char **argv)
{
	int status;
	pid_t pid;

	frame_begin(port, name);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		exec_program(port, argv);

	timed_out = 0;
	alarm(seconds);
	status = reap(pid);
	alarm(0);
	/* Nothing a program started may disturb the next one, or hold the module. */
	kill_all();
	while (wait(NULL) > 0)
		;
	if (timed_out)
		dprintf(port, "\n# end %s status=timeout\n", name);
	else
		frame_end(port, name, status);
}

static void run_line(int port, char *line)
{
	char *argv[ARGS_MAX + 1] = { NULL };
	char *seconds = strtok(line, " \n");
	char *name = strtok(NULL, " \n");
	int argc = 0;

	while (argc < ARGS_MAX && (argv[argc] = strtok(NULL, " \n")))
		argc++;
	if (!argc || argc == ARGS_MAX)
		die("/vm/list: bad line");
	run_program(port, strtoul(seconds, NULL, 10), name, argv);
}

static void run_list(int port)
{
	FILE *list = fopen("/vm/list", "re");
	char line[512];

	if (!list)
		die("/vm/list");
	while (fgets(line, sizeof(line), list))
		run_line(port, line);
	fclose(list);
}

static void send_token(int port)
{
	FILE *cmdline = fopen("/proc/cmdline", "re");
	char line[4096];
	char *token;

	if (!cmdline || !fgets(line, sizeof(line), cmdline))
		die("/proc/cmdline");
	token = strstr(line, TOKEN_KEY);
	if (!token)
		die("no token on the command line");
	dprintf(port, "%s\n", strtok(token + strlen(TOKEN_KEY), " \n"));
	tcdrain(port);
}

static bool framed(int port, const char *name, int (*step)(void))
{
	int err;

	frame_begin(port, name);
	err = step();
	if (err)
		dprintf(port, "%s: %s\n", name, strerror(err));
	frame_end(port, name, err);
	return !err;
}

static bool write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, word, strlen(word)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * Into the kernel's log, which is judged. What is not found is younger than 5 s,
 * or a pointer to it was still in some register at the first scan.
 */
static void tell_leaks(void)
{
	FILE *leaks, *log;
	char line[256];

	if (!write_word(KMEMLEAK, "scan"))
		return;
	sleep(6);
	write_word(KMEMLEAK, "scan");
	leaks = fopen(KMEMLEAK, "re");
	log = fopen("/dev/kmsg", "we");
	if (!leaks || !log)
		die(KMEMLEAK);
	setlinebuf(log);
	while (fgets(line, sizeof(line), leaks))
		fprintf(log, "memory leak: %s", line);
	fclose(log);
	fclose(leaks);
}

/*
 * Go on with the machine that is on the disk VMCLOCK_RESUME names, if one is. Does not
 * return then: this process is no more.
 */
static void wake_other(void)
{
	const char *disk = getenv("VMCLOCK_RESUME");
	char path[64], number[16] = "";
	FILE *f = NULL;

	if (!disk)
		return;
	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", disk);
	for (int i = 0; !f && i < 100; i++) {
		f = fopen(path, "re");
		usleep(100000);
	}
	if (!f || !fgets(number, sizeof(number), f))
		die(path);
	fclose(f);
	write_word("/sys/power/resume", number);
	die("/sys/power/resume");
}

int main(void)
{
	const struct sigaction alarm_action = { .sa_handler = on_alarm };
	int output, token;

	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("debugfs", "/sys/kernel/debug");
	mount_one("tmpfs", "/tmp");
	sigaction(SIGALRM, &alarm_action, NULL);
	wake_other();

	output = open_port("/dev/ttyS1");
	token = open_port("/dev/ttyS2");
	/* Without the module nothing else would say more than that. */
	if (framed(output, "insmod", load_modules)) {
		run_list(output);
		if (framed(output, "rmmod", unload_module)) {
			tell_leaks();
			send_token(token);
		}
	}
	power_off();
}
