// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ACPI_DIR "/sys/bus/acpi/devices"
#define PLATFORM_DIR "/sys/bus/platform/devices"
#define TRACING "/sys/kernel/tracing"

bool t_read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, size, f);

	if (f)
		fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

/* The first name in a directory that does not start with a dot. */
static bool only_entry(const char *dir, char *name, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return false;
	while ((e = readdir(d)) && e->d_name[0] == '.')
		;
	if (e)
		snprintf(name, size, "%s", e->d_name);
	closedir(d);
	return e;
}

#ifdef T_ARM64
/* Its name ends with that of its node in the device tree. */
bool t_platform_device(int page, char *name, size_t size)
{
	DIR *d = opendir(PLATFORM_DIR);
	struct dirent *e = NULL;
	char want[16] = ".vclk";
	const char *end;

	if (page != T_QEMU)
		snprintf(want, sizeof(want), ".vcp%x", page);
	while (d && (e = readdir(d))) {
		end = strrchr(e->d_name, '.');
		if (end && !strcmp(end, want))
			break;
	}
	if (e)
		snprintf(name, size, "%s", e->d_name);
	if (d)
		closedir(d);
	return e;
}
#else
static bool acpi_link(const char *acpi_name, char *name, size_t size)
{
	char path[512], target[512];
	ssize_t n;

	snprintf(path, sizeof(path), ACPI_DIR "/%s/physical_node", acpi_name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
	return true;
}

/* The name in sysfs of the ACPI device at a path in the firmware's tables. */
static bool acpi_device(const char *want, char *name, size_t size)
{
	char path[512], line[256];
	DIR *d = opendir(ACPI_DIR);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), ACPI_DIR "/%s/path", e->d_name);
		found = t_read_line(path, line, sizeof(line)) && !strcmp(line, want);
		if (found)
			snprintf(name, size, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

bool t_platform_device(int page, char *name, size_t size)
{
	char want[32], acpi_name[64];

	if (page == T_QEMU)
		strcpy(want, "\\_SB_.VCLK");
	else if (page == T_ACPI_SERVED)
		strcpy(want, "\\_SB_.PCI0.SA0_.VCLK");
	else
		snprintf(want, sizeof(want), "\\_SB_.VCP%X", page);
	return acpi_device(want, acpi_name, sizeof(acpi_name)) &&
	       acpi_link(acpi_name, name, size);
}

bool t_ring(void)
{
	char path[128], name[64], status[16];

	if (!acpi_device("\\_SB_.BELL", name, sizeof(name)))
		return false;
	snprintf(path, sizeof(path), ACPI_DIR "/%s/status", name);
	return t_read_line(path, status, sizeof(status)) && !strcmp(status, "15");
}
#endif

void t_pci_function(int page, char *name, size_t size)
{
	snprintf(name, size, "0000:00:%02x.0", page - T_PCI + 0x10);
}

void t_pci_dir(int page, char *path, size_t size)
{
	char name[16];

	t_pci_function(page, name, sizeof(name));
	snprintf(path, size, "/sys/bus/pci/devices/%s", name);
}

/* The directory in sysfs of the device that has a test page. */
static bool device_dir(int page, char *path, size_t size)
{
	char device[64];

	if (page >= T_PCI && page != T_ACPI_SERVED) {
		t_pci_dir(page, path, size);
		return true;
	}
	if (page == T_SIM) {
		snprintf(path, size, PLATFORM_DIR "/vmclock-sim");
		return !access(path, F_OK);
	}
	if (!t_platform_device(page, device, sizeof(device)))
		return false;
	snprintf(path, size, PLATFORM_DIR "/%s", device);
	return true;
}

bool t_node(int page, char *path, size_t size)
{
	char dir[256], name[256];

	if (!device_dir(page, dir, sizeof(dir) - strlen("/misc")))
		return false;
	strcat(dir, "/misc");
	if (!only_entry(dir, name, sizeof(name)))
		return false;
	snprintf(path, size, "/dev/%s", name);
	return true;
}

bool t_driver(int page, char *dir, char *name, size_t size)
{
	bool is_pci = page >= T_PCI && page != T_ACPI_SERVED;

	snprintf(dir, size, "%s", is_pci ? T_PCI_DRIVER_DIR : T_DRIVER_DIR);
	if (!is_pci)
		return t_platform_device(page, name, size);
	t_pci_function(page, name, size);
	return true;
}

int t_open(int page, int flags)
{
	char path[128];

	return t_node(page, path, sizeof(path)) ? open(path, flags | O_CLOEXEC) : -1;
}

int t_open_ptp(int page, int *index, int flags)
{
	struct vmclock_info info = { .size = sizeof(info) };
	int fd = t_open(page, O_RDONLY), err;
	char path[32];

	err = ioctl(fd, VMCLOCK_IOC_INFO, &info);
	close(fd);
	if (err || info.ptp_index < 0)
		return -1;
	if (index)
		*index = info.ptp_index;
	snprintf(path, sizeof(path), "/dev/ptp%d", info.ptp_index);
	return open(path, flags | O_CLOEXEC);
}

static int link_fd(void)
{
	static int fd = -1;
	struct termios tio;

	if (fd >= 0)
		return fd;
	fd = open("/dev/ttyS3", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && !tcgetattr(fd, &tio)) {
		cfmakeraw(&tio);
		tcsetattr(fd, TCSANOW, &tio);
	}
	return fd;
}

bool t_ask(const char *command, char *answer, size_t size)
{
	int fd = link_fd();
	size_t n = 0;

	if (fd < 0 || write(fd, command, strlen(command)) < 0)
		return false;
	while (n < size && read(fd, answer + n, 1) == 1 && answer[n] != '\n')
		n++;
	if (n == size)
		return false;
	answer[n] = '\0';
	return true;
}

bool t_later(int ms, const char *command)
{
	char line[600], answer[16];

	snprintf(line, sizeof(line), "later %d %s\n", ms, command);
	return t_ask(line, answer, sizeof(answer)) && !strcmp(answer, "ok");
}

bool t_nap(int ms)
{
	char line[32], answer[16];

	if (t_write_file("/sys/class/tty/ttyS3/power/wakeup", "enabled"))
		return false;
	snprintf(line, sizeof(line), "nap %d\n", ms);
	return t_ask(line, answer, sizeof(answer)) && !strcmp(answer, "ok");
}

bool t_awake(void)
{
	char answer[64];

	if (!t_ask("awake\n", answer, sizeof(answer)))
		return false;
	/* What woke us comes before the answer. */
	while (strcmp(answer, "awake"))
		if (!t_ask("", answer, sizeof(answer)))
			return false;
	return true;
}

bool t_poke(int page, size_t offset, const void *data, size_t len)
{
	char command[512], answer[16];
	const unsigned char *bytes = data;
	int n = snprintf(command, sizeof(command), "poke %d %zu ", page, offset);

	if (n + 2 * len + 2 > sizeof(command))
		return false;
	for (size_t i = 0; i < len; i++)
		n += sprintf(command + n, "%02x", bytes[i]);
	strcpy(command + n, "\n");
	return t_ask(command, answer, sizeof(answer)) && !strcmp(answer, "ok");
}

bool t_peek(int page, size_t offset, void *data, size_t len)
{
	char command[64], answer[512];
	unsigned char *bytes = data;

	snprintf(command, sizeof(command), "peek %d %zu %zu\n", page, offset, len);
	if (!t_ask(command, answer, sizeof(answer)) || strlen(answer) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (sscanf(answer + 2 * i, "%2hhx", &bytes[i]) != 1)
			return false;
	return true;
}

static bool ask_to_ring(int page)
{
	char command[16], answer[16];

	snprintf(command, sizeof(command), "ring %d\n", page);
	return t_ask(command, answer, sizeof(answer)) && !strcmp(answer, "ok");
}

bool t_ring_pci(void)
{
	return ask_to_ring(T_PCI_NOTIFIED);
}

#ifdef T_ARM64
bool t_ring(void)
{
	return ask_to_ring(T_NOTIFIED);
}
#endif

static bool notify(int page)
{
	return page == T_NOTIFIED ? t_ring() : page != T_PCI_NOTIFIED || t_ring_pci();
}

bool t_publish(int page, struct vmclock_page *p, uint32_t updates)
{
	const size_t start = offsetof(struct vmclock_page, disruption_marker);
	uint32_t seq = le32toh(p->seq_count);

	if (!t_poke_field(page, seq_count, htole32(seq | 1)) ||
	    !t_poke(page, start, (char *)p + start, sizeof(*p) - start))
		return false;
	p->seq_count = htole32(seq + 2 * updates);
	return t_poke_field(page, seq_count, p->seq_count) && notify(page);
}

bool t_settle(int fd, int page, struct vmclock_page *p)
{
	bool ok = pread(fd, p, sizeof(*p), 0) == sizeof(*p);
	char byte;

	return ok && t_publish(page, p, 1) && pread(fd, &byte, 1, 0) == 1;
}

/* The counts of a line of /proc/interrupts, all processors together. */
static long add_up(const char *line)
{
	const char *p = strchr(line, ':');
	char *end = NULL;
	long sum = 0;

	for (p = p ? p + 1 : ""; ; p = end) {
		sum += strtol(p, &end, 10);
		if (end == p)
			return sum;
	}
}

/* The line of /proc/interrupts that is the node's. */
static bool interrupt_line(int page, char *line, int size)
{
	char path[64], *name;
	bool found = false;
	FILE *f;

	if (!t_node(page, path, sizeof(path)))
		return false;
	f = fopen("/proc/interrupts", "re");
	while (f && !found && fgets(line, size, f)) {
		line[strcspn(line, "\n")] = '\0';
		name = strrchr(line, ' ');
		found = name && !strcmp(name + 1, path + strlen("/dev/"));
	}
	if (f)
		fclose(f);
	return found;
}

long t_interrupt_count(int page)
{
	char line[512];

	return interrupt_line(page, line, sizeof(line)) ? add_up(line) : -1;
}

int t_interrupt_number(int page)
{
	char line[512];

	return interrupt_line(page, line, sizeof(line)) ? atoi(line) : -1;
}

int t_wait(int fd, uint32_t mask, int64_t timeout_ns, struct vmclock_wait *wait)
{
	memset(wait, 0, sizeof(*wait));
	wait->size = sizeof(*wait);
	wait->events = mask;
	wait->timeout_ns = timeout_ns;
	return ioctl(fd, VMCLOCK_IOC_WAIT, wait) ? -errno : 0;
}

int t_set_events(int fd, uint32_t events)
{
	struct vmclock_events arg = { .size = sizeof(arg), .events = events };

	return ioctl(fd, VMCLOCK_IOC_EVENTS, &arg) ? -errno : 0;
}

int t_set_eventfd(int fd, uint32_t events, int eventfd)
{
	struct vmclock_eventfd arg = { .size = sizeof(arg), .events = events, .fd = eventfd };

	return ioctl(fd, VMCLOCK_IOC_EVENTFD, &arg) ? -errno : 0;
}

bool t_sleeps(pid_t tid)
{
	char path[64], line[256] = "";
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	for (int i = 0; i < 2000; i++) {
		if (!t_read_line(path, line, sizeof(line)))
			return false;
		state = strrchr(line, ')');
		if (state && state[2] == 'S')
			return true;
		usleep(1000);
	}
	return false;
}

int t_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int t_load(const char *path, const char *params)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;

	close(fd);
	return err;
}

int t_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

int t_load_with_utc(void)
{
	char scale[8] = "";

	if (t_read_line("/sys/module/vmclock/parameters/ptp_timescale", scale, sizeof(scale)) &&
	    !strcmp(scale, "utc"))
		return 0;
	return t_unload("vmclock") ?: t_load("/vmclock.ko", "ptp_timescale=utc");
}

int t_count_in_log(const char *first, const char *second, char *line, size_t size)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[1024];
	int count = 0;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		record[n] = '\0';
		record[strcspn(record, "\n")] = '\0';
		if (!strstr(record, first) || !strstr(record, second))
			continue;
		snprintf(line, size, "%s", strchr(record, ';') + 1);
		count++;
	}
	close(fd);
	return count;
}

bool t_trace(const char *event, bool on)
{
	char path[128];

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	/*
	 * Tasks need no names here, for which the kernel would rewrite its own scheduler
	 * each time; under emulation a processor was seen to run into what is left of that.
	 */
	t_write_file(TRACING "/options/record-cmd", "0");
	snprintf(path, sizeof(path), TRACING "/events/vmclock/%s/enable", event);
	if (t_write_file(path, on ? "1" : "0"))
		return false;
	return on || !close(open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

int t_count_in_trace(const char *event, const char *text)
{
	char line[512];
	FILE *f = fopen(TRACING "/trace", "re");
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, event) && strstr(line, text);
	if (f)
		fclose(f);
	return n;
}

int t_uevent_socket(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	return bind(fd, (void *)&addr, sizeof(addr)) ? -1 : fd;
}

static bool has_string(const char *msg, ssize_t len, const char *want)
{
	for (const char *s = msg; s < msg + len; s += strlen(s) + 1)
		if (!strcmp(s, want))
			return true;
	return false;
}

bool t_uevent_comes(int fd, const char *node, const char *want, int ms)
{
	int64_t deadline = t_clock_ns(CLOCK_MONOTONIC) + ms * 1000000LL;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char msg[4096], devname[64];

	snprintf(devname, sizeof(devname), "DEVNAME=%s", node + strlen("/dev/"));
	while (t_clock_ns(CLOCK_MONOTONIC) < deadline) {
		ssize_t n;

		if (poll(&p, 1, 100) != 1)
			continue;
		n = recv(fd, msg, sizeof(msg) - 1, 0);
		if (n < 0)
			return false;
		msg[n] = '\0';
		if (has_string(msg, n, "ACTION=change") && has_string(msg, n, devname) &&
		    has_string(msg, n, want))
			return true;
	}
	return false;
}

int64_t t_clock_ns(int clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void exec_to(int out, char *const argv[])
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

int t_run(char *const argv[], char *output, size_t size)
{
	int fds[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		exec_to(fds[1], argv);
	close(fds[1]);

	while ((n = read(fds[0], output + used, size - 1 - used)) > 0)
		used += n;
	output[used] = '\0';
	close(fds[0]);

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
