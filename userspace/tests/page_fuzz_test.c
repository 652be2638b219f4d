// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz/page_fuzz.h"

#define CORPUS			"tests/fuzz/corpus/page"
#define CORPUS_MIN		8
#define SEEN			page_fuzz_seen
#define INPUTS			100000
#define RANDOM_REACHES_ALL	false

#include "fuzz/test.h"
