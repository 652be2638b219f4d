// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page in a file that somebody cuts short, deletes or replaces; and what a process
 * shows as its page that is something else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host_shm.h"
#include "target.h"

static struct target target;
static char path[32];

static void open_page(void)
{
	int fd;

	strcpy(path, "/tmp/vmclock-target-XXXXXX");
	fd = mkstemp(path);
	ok(fd >= 0);
	close(fd);
	is_int(target_file_open(&target, path, false), 0);
	is_int(target_check(&target), 0);
}

static void close_page(void)
{
	target_close(&target);
	unlink(path);
}

TAP_TEST(a_page_that_was_missed_is_gone_for_ever)
{
	open_page();
	need(!truncate(path, 0));
	is_int(*(volatile uint32_t *)target.map, 0);
	need(!truncate(path, TARGET_SIZE));
	is_int(target_check(&target), -EIO);
	is_int(target_check(&target), -EIO);
	close_page();
}

TAP_TEST(a_file_that_ends_within_the_page_has_none)
{
	open_page();
	need(!truncate(path, TARGET_SIZE - 1));
	is_int(target_check(&target), -EIO);
	close_page();
}

TAP_TEST(a_longer_file_is_none_of_our_business)
{
	open_page();
	need(!truncate(path, 2 * TARGET_SIZE));
	is_int(target_check(&target), 0);
	close_page();
}

static enum target_named watch(void)
{
	target_watch_name(&target);
	is_int(target_check(&target), 0);
	return target.named;
}

TAP_TEST(a_page_whose_file_is_deleted_is_known_to_be)
{
	open_page();
	is_int(watch(), TARGET_NAMED);
	need(!unlink(path));
	is_int(watch(), TARGET_DELETED);
	is_int(watch(), TARGET_DELETED);
	close_page();
}

TAP_TEST(a_page_in_whose_place_there_is_another_file_is_known_to_be)
{
	char away[40];

	open_page();
	snprintf(away, sizeof(away), "%s.away", path);
	need(!rename(path, away));
	is_int(watch(), TARGET_DELETED);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	is_int(watch(), TARGET_REPLACED);
	need(!rename(away, path));
	is_int(watch(), TARGET_NAMED);
	close_page();
}

/* Who may write to the directory can have it point to where nobody answers. */
TAP_TEST(a_link_in_place_of_a_page_is_not_followed)
{
	char away[40];

	open_page();
	snprintf(away, sizeof(away), "%s.away", path);
	need(!rename(path, away) && !symlink(away, path));
	is_int(watch(), TARGET_REPLACED);
	need(!rename(away, path));
	close_page();
}

TAP_TEST(a_page_is_watched_where_it_was_opened_whatever_becomes_of_its_path)
{
	char dir[] = "/tmp/vmclock-target-XXXXXX", file[40], away[40];

	need(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/page", dir);
	snprintf(away, sizeof(away), "%s.away", dir);
	is_int(target_file_open(&target, file, false), 0);
	need(!rename(dir, away) && !symlink("/nowhere", dir));
	is_int(watch(), TARGET_NAMED);
	need(!unlink(dir) && !rename(away, dir) && !unlink(file) && !rmdir(dir));
	is_int(watch(), TARGET_DELETED);
	target_close(&target);
}

static unsigned int count_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (fds && readdir(fds))
		count++;
	if (fds)
		closedir(fds);
	return count;
}

TAP_TEST(pages_of_one_directory_share_what_is_open_of_it)
{
	char dir[] = "/dev/shm/vmclock-target-XXXXXX", files[4][40];
	unsigned int before = count_descriptors();
	struct target targets[4];

	need(mkdtemp(dir));
	for (int i = 0; i < 4; i++) {
		/* The last by another path. */
		snprintf(files[i], sizeof(files[i]), "%s/%spage%d", dir, i == 3 ? "./" : "", i);
		is_int(target_file_open(&targets[i], files[i], false), 0);
	}
	is_int(count_descriptors(), before + 4 + 1);
	/* Who goes first takes nothing away. */
	for (int i = 0; i < 4; i++) {
		target_watch_name(&targets[i]);
		is_int(targets[i].named, TARGET_NAMED);
		unlink(files[i]);
		target_watch_name(&targets[i]);
		is_int(targets[i].named, TARGET_DELETED);
		target_close(&targets[i]);
	}
	is_int(count_descriptors(), before);
	rmdir(dir);
}

TAP_TEST(a_page_without_a_name_has_none_to_lose)
{
	is_int(target_memory_open(&target, TARGET_SIZE), 0);
	is_int(watch(), TARGET_NAMED);
	target_close(&target);
}

/* A child, and both ends of the talk with it. */
struct shower {
	pid_t pid;
	int to, from;
};

#define UNABLE	'-'
#define READY	'+'

/* Whatever it does, it does it before the first byte, and ends with the next. */
static char shower_new(struct shower *c, int (*run)(void), int (*end)(void))
{
	int in[2], out[2];
	char byte = UNABLE;

	ok(!pipe(in) && !pipe(out));
	c->to = in[1];
	c->from = out[0];
	c->pid = fork();
	if (!c->pid) {
		byte = run() ? UNABLE : READY;
		if (write(out[1], &byte, 1) == 1 && read(in[0], &byte, 1) == 1)
			_exit(end ? end() : 0);
		_exit(0);
	}
	close(in[0]);
	close(out[1]);
	is_int(read(c->from, &byte, 1), 1);
	return byte;
}

static int shower_end(struct shower *c)
{
	int status = -1;

	is_int(write(c->to, "", 1), 1);
	is_int(waitpid(c->pid, &status, 0), c->pid);
	close(c->to);
	close(c->from);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int with_memfd(void)
{
	int fd = memfd_create("vmclock_page", 0);
	uint8_t page[TARGET_SIZE] __attribute__((aligned(8))) = { 0 };

	return vmclk_writer_format(page, sizeof(page)) ||
	       write(fd, page, sizeof(page)) != sizeof(page);
}

TAP_TEST(the_memfd_of_that_name_is_the_page)
{
	struct shower c;

	is_int(shower_new(&c, with_memfd, NULL), READY);
	is_int(target_qemu_open(&target, c.pid, geteuid()), 0);
	target_close(&target);
	is_int(shower_end(&c), 0);
}

/* A file system that nobody finds any more: names in it begin at its own root. */
#define SHOWN	"memfd:vmclock_page (deleted)"

static int in_own_tmpfs(int (*make)(void))
{
	char dir[] = "/tmp/vmclock-target-XXXXXX";
	int err;

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return -1;
	if (!mkdtemp(dir))
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, NULL) || chdir(dir)) {
		rmdir(dir);
		return -1;
	}
	err = make();
	return umount2(dir, MNT_DETACH) || rmdir(dir) || err;
}

/* A page that others see as well: somebody else's, say. */
static int make_named(void)
{
	uint8_t page[TARGET_SIZE] __attribute__((aligned(8))) = { 0 };
	int fd = open(SHOWN, O_CREAT | O_RDWR, 0600);

	return vmclk_writer_format(page, sizeof(page)) ||
	       write(fd, page, sizeof(page)) != sizeof(page);
}

static int with_named(void)
{
	return in_own_tmpfs(make_named);
}

TAP_TEST(a_file_that_has_a_name_is_not_the_page)
{
	struct shower c;
	bool able = shower_new(&c, with_named, NULL) == READY;

	if (able)
		ok(target_qemu_open(&target, c.pid, geteuid()) < 0);
	is_int(shower_end(&c), 0);
	if (!able)
		skip("no file systems of its own here");
}

/* Who may not open it shows it all the same; and to open some things does something. */
static int make_fifo(void)
{
	return mkfifo(SHOWN, 0600) || open(SHOWN, O_PATH) < 0 ||
	       dup2(open(SHOWN, O_RDONLY | O_NONBLOCK), 100) < 0;
}

static int with_fifo(void)
{
	return in_own_tmpfs(make_fifo);
}

/* 1 if somebody had it open for writing. */
static int was_opened(void)
{
	struct pollfd p = { .fd = 100, .events = POLLIN };

	return poll(&p, 1, 0) && p.revents & POLLHUP;
}

TAP_TEST(what_is_no_memory_is_not_even_opened)
{
	struct shower c;
	bool able = shower_new(&c, with_fifo, was_opened) == READY;

	if (able)
		ok(target_qemu_open(&target, c.pid, geteuid()) < 0);
	is_int(shower_end(&c), 0);
	if (!able)
		skip("no file systems of its own here");
}

int main(void)
{
	return tap_main();
}
