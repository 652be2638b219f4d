// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm-counter.h"
#include "vmclock_math.h"

#define FRAC_BITS_MAX	63
/* Without the files on scaling the counter is not scaled: as guest_counter has it. */
#define FRAC_BITS_NONE	48

/* A directory below another, or NULL and errno. */
static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* A number and a line's end, nothing else. One below zero is wrapped. */
static int parse(const char *text, uint64_t *value)
{
	bool is_negative = *text == '-';
	char *end;

	/* strtoull() would take blanks and a second sign as well. */
	if (text[is_negative] < '0' || text[is_negative] > '9')
		return -EPROTO;
	errno = 0;
	*value = is_negative ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
	return errno || strcmp(end, "\n") ? -EPROTO : 0;
}

static int read_number(int vcpu, const char *name, uint64_t *value)
{
	int fd = openat(vcpu, name, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	text[len] = '\0';
	return parse(text, value);
}

static int read_vcpu(int vcpu, struct guest_counter *counter)
{
	uint64_t ratio, bits;
	int err = read_number(vcpu, "tsc-offset", &counter->offset);

	if (err)
		return err;
	counter->frac_bits = FRAC_BITS_NONE;
	counter->ratio = 1ULL << FRAC_BITS_NONE;
	err = read_number(vcpu, "tsc-scaling-ratio", &ratio);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = read_number(vcpu, "tsc-scaling-ratio-frac-bits", &bits);
	if (err)
		return err == -ENOENT ? -EPROTO : err;
	if (!ratio || !bits || bits > FRAC_BITS_MAX)
		return -EPROTO;
	counter->frac_bits = bits;
	counter->ratio = ratio;
	return 0;
}

/* @counter is that of the CPUs before, if @count is not 0. */
static int add_vcpu(int machine, const char *name, unsigned int count,
		    struct guest_counter *counter)
{
	int fd = openat(machine, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct guest_counter one;
	int err;

	if (fd < 0)
		return -errno;
	err = read_vcpu(fd, &one);
	close(fd);
	if (err)
		return err;
	if (count && (one.offset != counter->offset || one.ratio != counter->ratio ||
		      one.frac_bits != counter->frac_bits))
		return -EDOM;
	*counter = one;
	return 0;
}

static int read_machine(DIR *machine, struct guest_counter *counter)
{
	unsigned int count = 0, number;
	struct dirent *entry;
	int err = 0;
	char rest;

	while (!err && (entry = readdir(machine)))
		if (sscanf(entry->d_name, "vcpu%u%c", &number, &rest) == 1)
			err = add_vcpu(dirfd(machine), entry->d_name, count++, counter);
	return err || count ? err : -ENOENT;
}

static bool is_of_process(const char *name, pid_t pid)
{
	int number, fd;
	char rest;

	return sscanf(name, "%d-%d%c", &number, &fd, &rest) == 2 && number == pid;
}

/* The one machine of the process. */
static int find_machine(DIR *root, pid_t pid, DIR **machine)
{
	struct dirent *entry;

	*machine = NULL;
	while ((entry = readdir(root))) {
		if (!is_of_process(entry->d_name, pid))
			continue;
		if (*machine) {
			closedir(*machine);
			return -ENOTUNIQ;
		}
		*machine = open_dir(dirfd(root), entry->d_name);
		if (!*machine)
			return -errno;
	}
	return *machine ? 0 : -ENOENT;
}

int kvm_counter_read(const char *root, pid_t pid, struct guest_counter *counter)
{
	DIR *dir = open_dir(AT_FDCWD, root), *machine;
	struct guest_counter found;
	int err;

	if (!dir)
		return -errno;
	err = find_machine(dir, pid, &machine);
	closedir(dir);
	if (err)
		return err;
	err = read_machine(machine, &found);
	closedir(machine);
	if (!err)
		*counter = found;
	return err;
}

bool kvm_counter_is_known(const char *root, pid_t pid)
{
	struct guest_counter unused;
	int err = pid ? kvm_counter_read(root, pid, &unused) : -ENOENT;

	return !err || err == -EDOM;
}

/* Intel and AMD write the same ratio in two ways. */
static bool is_same_ratio(const struct guest_counter *a, const struct guest_counter *b)
{
	return (vmclock_u128)a->ratio << b->frac_bits == (vmclock_u128)b->ratio << a->frac_bits;
}

enum kvm_counter_word kvm_counter_compare(const char *root, pid_t pid,
					  const struct guest_counter *told, uint64_t error)
{
	struct guest_counter now;
	int err = pid ? kvm_counter_read(root, pid, &now) : -ENOENT;

	if (err)
		return err == -EDOM ? KVM_COUNTER_DENIES : KVM_COUNTER_SILENT;
	if (!is_same_ratio(told, &now) ||
	    (now.offset - told->offset > error && told->offset - now.offset > error))
		return KVM_COUNTER_DENIES;
	return KVM_COUNTER_AGREES;
}
