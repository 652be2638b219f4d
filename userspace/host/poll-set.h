/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the main loop waits for: made anew each time, by everybody who waits for
 * something, so that no descriptor is waited for that was closed meanwhile. (epoll
 * would go on with one that its sender still has open.)
 *
 * Who adds descriptors keeps their number, and looks there what came of it, before
 * the next round.
 */
#ifndef HOST_POLL_SET_H
#define HOST_POLL_SET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct poll_set - descriptors
 * @fds: @count of them, -1 for a place that holds nothing; moves when one is added
 * @count: in use
 * @room: allocated, and as many again that are private
 * @has_work: somebody need not wait for any
 */
struct poll_set {
	struct pollfd *fds;
	size_t count;
	size_t room;
	bool has_work;
};

/**
 * poll_set_clear() - begin a round
 * @set: the set; all zero at first
 */
void poll_set_clear(struct poll_set *set);

/**
 * poll_set_room() - add some
 * @set: the set
 * @count: how many, at least 1
 * @first: the number of the first of them; all are -1, that is nothing, so far
 *
 * Return: 0 or -ENOMEM.
 */
int poll_set_room(struct poll_set *set, size_t count, size_t *first);

/**
 * poll_set_add() - add one, waited for until it is readable
 * @set: the set
 * @fd: the descriptor, or -1: nothing
 * @index: its number
 *
 * Return: 0 or -ENOMEM.
 */
int poll_set_add(struct poll_set *set, int fd, size_t *index);

/**
 * poll_set_revents() - what came
 * @set: after poll_set_wait()
 * @index: the number
 *
 * Return: POLL*, 0 if nothing.
 */
short poll_set_revents(const struct poll_set *set, size_t index);

/**
 * poll_set_wait() - wait
 * @set: the set
 * @ns: for so long at most; not at all if somebody has work, or if negative
 *
 * Return: true, or false if it was interrupted: then nothing has come.
 */
bool poll_set_wait(struct poll_set *set, int64_t ns);

/**
 * poll_set_free() - give it back
 * @set: the set; may be used again
 */
void poll_set_free(struct poll_set *set);

#endif /* HOST_POLL_SET_H */
