// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* ppoll() */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "poll-set.h"

#define NSEC_PER_SEC	1000000000LL

void poll_set_clear(struct poll_set *set)
{
	set->count = 0;
	set->has_work = false;
}

int poll_set_room(struct poll_set *set, size_t count, size_t *first)
{
	size_t need = set->count + count;
	struct pollfd *fds;

	if (need > set->room) {
		/* As many again behind them, for pack(). */
		fds = reallocarray(set->fds, 4 * need, sizeof(*fds));
		if (!fds)
			return -ENOMEM;
		set->fds = fds;
		set->room = 2 * need;
	}
	*first = set->count;
	while (set->count < need)
		set->fds[set->count++] = (struct pollfd){ .fd = -1 };
	return 0;
}

int poll_set_add(struct poll_set *set, int fd, size_t *index)
{
	int err = poll_set_room(set, 1, index);

	if (!err)
		set->fds[*index] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return err;
}

short poll_set_revents(const struct poll_set *set, size_t index)
{
	return index < set->count ? set->fds[index].revents : 0;
}

/*
 * poll(2) counts what is -1 as well, and refuses more than a process may open: then
 * nothing would be heard any more, no signal either. Of these there are never more.
 */
static size_t pack(const struct poll_set *set, struct pollfd *packed)
{
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		if (set->fds[i].fd >= 0)
			packed[n++] = set->fds[i];
	return n;
}

static void unpack(struct poll_set *set, const struct pollfd *packed, bool has_come)
{
	for (size_t i = 0; i < set->count; i++) {
		set->fds[i].revents = 0;
		if (set->fds[i].fd >= 0 && has_come)
			set->fds[i].revents = (packed++)->revents;
	}
}

bool poll_set_wait(struct poll_set *set, int64_t ns)
{
	struct pollfd *packed = set->fds + set->room;
	struct timespec wait = { 0 };
	bool has_come;

	if (ns > 0 && !set->has_work)
		wait = (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	has_come = ppoll(packed, pack(set, packed), &wait, NULL) >= 0;
	unpack(set, packed, has_come);
	return has_come;
}

void poll_set_free(struct poll_set *set)
{
	free(set->fds);
	*set = (struct poll_set){ 0 };
}
