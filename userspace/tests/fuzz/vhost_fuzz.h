/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FUZZ_VHOST_FUZZ_H
#define TESTS_FUZZ_VHOST_FUZZ_H

/* What the inputs have got the device to do: all of it, or they are poor. */
enum vhost_fuzz_event {
	SEEN_NO_HEADER,
	SEEN_PIECES,
	SEEN_TOO_LONG,
	SEEN_REFUSED,
	SEEN_DONE,
	SEEN_NO_REPLY,
	SEEN_RUNNING,
	SEEN_ANSWERED,
	SEEN_NOTIFIED,
	SEEN_MARKED,
	SEEN_BROKEN,
	SEEN_STOPPED,
	SEEN_PAGE,
	SEEN_SAVED,
	SEEN_MAX,
};

extern unsigned long vhost_fuzz_seen[SEEN_MAX];

#endif /* TESTS_FUZZ_VHOST_FUZZ_H */
