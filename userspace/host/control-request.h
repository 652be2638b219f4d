/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may be asked of the daemon, and the answers. No socket in here.
 *
 * A request is an object with "command" and what that takes; all else in it is an
 * error. The last line of an answer has "ok"; if that is false, "error" says why.
 * Before it, status has a line with "vm" for each VM. 64-bit numbers are strings of
 * digits, because many readers of JSON lose digits above 2^53.
 */
#ifndef HOST_CONTROL_REQUEST_H
#define HOST_CONTROL_REQUEST_H

#include <jansson.h>

#include "fleet.h"

/* The longest request, with its newline. */
#define CONTROL_REQUEST_MAX	4096

/**
 * struct control_host - what requests are about
 * @fleet: the VMs
 * @reload: read the configuration anew. Return: 0, or a negative errno value; then
 *	what was logged last says why.
 * @context: passed to @reload
 */
struct control_host {
	struct fleet *fleet;
	int (*reload)(void *context);
	void *context;
};

/**
 * struct control_listing - VMs that are still to be told of
 * @is_on: there may be more
 * @last: name of the one before
 * @count: how many there were
 */
struct control_listing {
	bool is_on;
	char last[CONFIG_NAME_MAX + 1];
	size_t count;
};

/**
 * control_request() - do what is asked for
 * @host: the host
 * @text: the request; anything may be in it
 * @len: its length
 * @listing: begins here, if that is asked for
 *
 * Return: a line of the answer, to be dropped by json_decref(); NULL without memory.
 */
json_t *control_request(const struct control_host *host, const char *text, size_t len,
			struct control_listing *listing);

/**
 * control_list() - go on with a listing
 * @host: the host
 * @listing: begun, and @is_on; ends with the last line
 *
 * Return: as control_request().
 */
json_t *control_list(const struct control_host *host, struct control_listing *listing);

/**
 * control_error() - an answer
 * @why: what is wrong
 *
 * Return: as control_request().
 */
json_t *control_error(const char *why);

#endif /* HOST_CONTROL_REQUEST_H */
