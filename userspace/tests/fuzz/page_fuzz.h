/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What page_fuzz.c has seen: inputs that reach none of it prove nothing.
 */
#ifndef TESTS_FUZZ_PAGE_FUZZ_H
#define TESTS_FUZZ_PAGE_FUZZ_H

#include <stdbool.h>

enum page_seen {
	SEEN_MAPPED,
	SEEN_FILE,
	SEEN_REFUSED,
	SEEN_BUSY,
	SEEN_TIME,
	SEEN_NO_TIME,
	SEEN_TO_UTC,
	SEEN_TO_TAI,
	SEEN_WRITTEN,
	SEEN_NOT_WRITTEN,
	SEEN_MAX,
};

extern bool page_fuzz_seen[SEEN_MAX];

#endif /* TESTS_FUZZ_PAGE_FUZZ_H */
