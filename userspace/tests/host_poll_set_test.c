// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the main loop waits for, where many places hold nothing.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "poll-set.h"
#include "tap.h"

#define NSEC_PER_SEC	1000000000LL
#define PLACES		200

static struct poll_set set;

/* A descriptor that is readable, between places without one. */
static size_t add_between(int fd)
{
	size_t first, at;

	poll_set_clear(&set);
	is_int(poll_set_room(&set, PLACES, &first), 0);
	is_int(poll_set_add(&set, fd, &at), 0);
	is_int(poll_set_room(&set, PLACES, &first), 0);
	return at;
}

TAP_TEST(places_without_a_descriptor_do_not_count_against_the_limit)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	struct rlimit before, few;
	size_t at = add_between(fd);

	/* poll(2) refuses to wait for more than a process may open. */
	is_int(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ PLACES / 2, before.rlim_max };
	is_int(setrlimit(RLIMIT_NOFILE, &few), 0);
	ok(poll_set_wait(&set, NSEC_PER_SEC));
	is_int(setrlimit(RLIMIT_NOFILE, &before), 0);
	is_int(poll_set_revents(&set, at), POLLIN);
	for (size_t i = 0; i < set.count; i++)
		is_int(i == at ? 0 : poll_set_revents(&set, i), 0);
	close(fd);
	poll_set_free(&set);
}

TAP_TEST(what_came_in_the_round_before_is_forgotten)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	size_t at = add_between(fd);
	eventfd_t count;

	ok(poll_set_wait(&set, 0));
	is_int(poll_set_revents(&set, at), POLLIN);
	is_int(eventfd_read(fd, &count), 0);
	ok(poll_set_wait(&set, 0));
	is_int(poll_set_revents(&set, at), 0);
	/* Its place is given up between two waits. */
	is_int(eventfd_write(fd, 1), 0);
	set.fds[at].fd = -1;
	set.fds[at].revents = POLLIN;
	ok(poll_set_wait(&set, 0));
	is_int(poll_set_revents(&set, at), 0);
	close(fd);
	poll_set_free(&set);
}

int main(void)
{
	return tap_main();
}
