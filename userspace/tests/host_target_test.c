// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page in a file that somebody cuts short.
 */
#define _GNU_SOURCE
#include <errno.h>

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

int main(void)
{
	return tap_main();
}
