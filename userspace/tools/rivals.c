// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rivals.h"

#define CHRONYD_SOCKET "/run/chrony/chronyd.sock"

/* As the kernel cuts them, to 15 letters. ntpsec and OpenNTPD are "ntpd", too. */
static const char *const known[] = {
	"chronyd", "ntpd", "systemd-timesyn", "phc2sys", "ptpd", "ptpd2", "sfptpd", "clockadj",
};

static bool is_known(const char *comm)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(comm, known[i]))
			return true;
	return false;
}

static bool read_comm(const char *proc, const char *pid, char *comm, size_t size)
{
	char path[512];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s/comm", proc, pid);
	f = fopen(path, "re");
	ok = f && fgets(comm, size, f);
	if (f)
		fclose(f);
	if (ok)
		comm[strcspn(comm, "\n")] = '\0';
	return ok;
}

static bool find_process(const char *proc, char *name, size_t size)
{
	DIR *dir = opendir(proc);
	struct dirent *entry;
	bool found = false;
	char comm[32];

	while (dir && !found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		found = read_comm(proc, entry->d_name, comm, sizeof(comm)) && is_known(comm);
		if (found)
			snprintf(name, size, "%s (process %.16s)", comm, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* A socket that was left behind by a dead chronyd refuses. */
static bool chronyd_listens(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = CHRONYD_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool listens = fd >= 0 && !connect(fd, (void *)&addr, sizeof(addr));

	if (fd >= 0)
		close(fd);
	return listens;
}

bool rivals_find(const char *proc, char *name, size_t size)
{
	if (find_process(proc, name, size))
		return true;
	if (!chronyd_listens())
		return false;
	snprintf(name, size, "chronyd (%s)", CHRONYD_SOCKET);
	return true;
}
