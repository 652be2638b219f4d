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
		fds = reallocarray(set->fds, 2 * need, sizeof(*fds));
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

bool poll_set_wait(struct poll_set *set, int64_t ns)
{
	struct timespec wait = { 0 };

	if (ns > 0 && !set->has_work)
		wait = (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	if (ppoll(set->fds, set->count, &wait, NULL) >= 0)
		return true;
	for (size_t i = 0; i < set->count; i++)
		set->fds[i].revents = 0;
	return false;
}

void poll_set_free(struct poll_set *set)
{
	free(set->fds);
	*set = (struct poll_set){ 0 };
}
