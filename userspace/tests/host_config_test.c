// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file: what it says, and what is wrong with it, where.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "tap.h"

static struct config config;
static struct log_subject said;

/* What it logs is looked at in @said: thousands of lines nobody would read. */
static int load_quietly(const char *path)
{
	FILE *printed = stderr;
	int err;

	stderr = fopen("/dev/null", "w");
	if (!ok(stderr))
		exit(1);
	log_about(&said);
	err = config_load(path, &config);
	log_about(NULL);
	fclose(stderr);
	stderr = printed;
	return err;
}

static int load_bytes(const void *bytes, size_t len)
{
	char path[] = "/tmp/vmclock-config-XXXXXX";
	int fd = mkstemp(path), err;

	ok(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
	err = load_quietly(path);
	unlink(path);
	return err;
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

/* It is refused, with the line, and with these words. */
static void refuses(const char *text, unsigned int line, const char *words)
{
	char where[16];

	snprintf(where, sizeof(where), ":%u: ", line);
	if (!is_int(load(text), -EPROTO) || !ok(strstr(said.last, where)) ||
	    !ok(strstr(said.last, words)))
		note("in \"%s\": %s", text, said.last);
	ok(!config.vms && !config.count && !config.strings);
}

static const char good[] =
	"# what the daemon does\n"
	"[daemon]\n"
	"source = chrony:/run/chrony.sock ; or the kernel\n"
	"interval=500ms\n"
	"control = /run/c\n"
	"\n"
	"[vm web-1]\n"
	"qemu-pid = 42\n"
	"[vm db]\n"
	"file = /run/db\n"
	"tsc-offset = -5\n"
	"replace = yes\n";

TAP_TEST(every_section_and_key_arrives)
{
	is_int(load(good), 0);
	ok(!strcmp(config.daemon.clock.source_path, "/run/chrony.sock"));
	is_u64(config.daemon.clock.interval_ns, 500000000);
	ok(!strcmp(config.daemon.control, "/run/c"));
	is_u64(config.count, 2);
	ok(!strcmp(config.vms[0]->name, "db") && !strcmp(config.vms[1]->name, "web-1"));
	ok(!strcmp(config.vms[0]->options.file, "/run/db"));
	is_u64(config.vms[0]->options.guest.offset, UINT64_MAX - 4);
	is_u64(config.vms[0]->options.guest.ratio, 1ULL << 48);
	ok(config.vms[0]->options.replace && config.vms[0]->options.has_tsc_offset);
	is_int(config.vms[1]->options.qemu_pid, 42);
	ok(!config.vms[1]->options.has_tsc_offset && !config.vms[1]->options.file);
	is_int(config.vms[1]->options.vhost_fd, -1);
	config_free(&config);
}

TAP_TEST(an_empty_file_is_a_daemon_without_vms)
{
	is_int(load(""), 0);
	is_u64(config.count, 0);
	is_u64(config.daemon.clock.interval_ns, 1000000000);
	config_free(&config);
	is_int(load("[daemon]\n; nothing"), 0);
	config_free(&config);
}

TAP_TEST(a_file_that_is_not_there_is_told)
{
	is_int(config_load("/nonexistent/c", &config), -ENOENT);
	ok(!config.count);
}

TAP_TEST(what_is_wrong_is_told_with_its_line)
{
	refuses("[daemon]\ninterval = 5\n", 2, "interval");
	refuses("[daemon]\n\nfile = x\n", 3, "belongs to a VM");
	refuses("[vm a]\nfile = x\nverbose = yes\n", 3, "belongs into [daemon]");
	refuses("[vm a]\nfile = x\nfil = x\n", 3, "no such key");
	refuses("[vm a]\nfile = x\nvhost-fd = 3\n", 3, "no such key");
	refuses("interval = 1s\n", 1, "before any section");
	refuses("[vm a]\nfile = x\nfile = y\n", 3, "given twice");
	refuses("[daemon]\n[vm a]\nfile = x\n[daemon]\n", 4, "given twice");
	refuses("[daemon]\nsource = phc:/dev/ptp0\n", 1, "--assume-synchronized");
	refuses("[host]\n", 1, "there are [daemon] and [vm NAME]");
	refuses("[daemon]\ninterval 1s\n", 2, "neither");
	refuses("[daemon\n", 1, "neither");
	refuses("[daemon]\nverbose = yes\n indented = 1\n", 3, "begins with a blank");
}

TAP_TEST(a_vm_must_have_a_name_of_its_own_and_a_page_or_a_device)
{
	refuses("[vm a]\nfile = x\n[vm b]\nfile = y\n[vm a]\nfile = z\n", 5, "two VMs");
	refuses("[daemon]\n[vm a]\n[vm b]\nfile = x\n", 2, "give one of");
	refuses("[vm a]\nfile = x\nqemu-pid = 1\n", 1, "exclude each other");
	refuses("[vm ]\nfile = x\n", 1, "a VM's name");
	refuses("[vm a b]\nfile = x\n", 1, "a VM's name");
	refuses("[vm ../x]\nfile = x\n", 1, "a VM's name");
}

/* A name, or a value, of so many letters. */
static void refuses_long(const char *before, size_t letters, const char *after, unsigned int line,
			 const char *words)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%*s%s", before, (int)letters, "", after);
	for (char *p = text + strlen(before); *p == ' '; p++)
		*p = 'x';
	refuses(text, line, words);
}

TAP_TEST(what_is_too_long_is_refused_and_not_cut)
{
	char text[128];

	refuses_long("[vm ", 65, "]\nfile = x\n", 1, "a VM's name");
	refuses_long("[vm ", 300, "]\nfile = x\n", 1, "too long");
	refuses_long("[vm a]\nfile = ", 300, "\n", 2, "too long");
	snprintf(text, sizeof(text), "[vm %064d]\nfile = x\n", 7);
	is_int(load(text), 0);
	is_u64(strlen(config.vms[0]->name), 64);
	config_free(&config);
}

TAP_TEST(bytes_that_are_no_text_do_no_harm)
{
	static const char zero[] = "[daemon]\ninter\0val = 1s\n[vm a]\nfile = x\n";
	uint64_t seed = 88172645463325252;
	char text[sizeof(good)];

	is_int(load_bytes(zero, sizeof(zero) - 1), -EPROTO);
	for (int i = 0; i < 3000; i++) {
		memcpy(text, good, sizeof(text));
		for (int j = 0; j < 3; j++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			text[seed % (sizeof(text) - 1)] = seed >> 32;
		}
		*said.last = '\0';
		if (!load_bytes(text, sizeof(text) - 1))
			config_free(&config);
		else
			ok(strstr(said.last, "/tmp/vmclock-config-"));
		ok(!config.strings && !config.vms);
	}
}

static bool is_same_vm(const char *one, const char *other)
{
	struct config a, b;
	bool is_same;

	is_int(load(one), 0);
	a = config;
	is_int(load(other), 0);
	b = config;
	is_same = config_is_same_vm(a.vms[0], b.vms[0]) && config_is_same_daemon(&a, &b);
	config_free(&a);
	config_free(&b);
	return is_same;
}

TAP_TEST(only_what_is_said_makes_a_difference)
{
	ok(is_same_vm("[vm a]\nfile=x\n", "# new\n[vm a]\n\nfile = x\n"));
	ok(!is_same_vm("[vm a]\nfile=x\n", "[vm a]\nfile=y\n"));
	ok(!is_same_vm("[vm a]\nfile=x\n", "[vm a]\nfile=x\ntsc-offset=0\n"));
	ok(!is_same_vm("[vm a]\nfile=x\n", "[daemon]\nverbose=no\n[vm a]\nfile=x\n"));
	ok(!is_same_vm("[daemon]\ndrift=1\n[vm a]\nfile=x\n", "[daemon]\ndrift=2\n[vm a]\nfile=x\n"));
}

/* With its comments, and with the sections that they are. */
TAP_TEST(the_example_is_right)
{
	char text[4096], *p;
	size_t len;
	FILE *file = fopen("host/hostd.conf", "r");

	need(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	is_int(load(text), 0);
	ok(config.daemon.clock.source == CLOCK_CHRONY && config.daemon.control);
	config_free(&config);
	for (p = text; (p = strchr(p, '#')); p++)
		if (p[1] == '[' || (p[1] >= 'a' && p[1] <= 'z'))
			*p = '\n';
	is_int(load(text), 0);
	is_u64(config.count, 3);
	config_free(&config);
}

int main(void)
{
	return tap_main();
}
