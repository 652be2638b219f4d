// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz/ring_fuzz.h"

#define CORPUS			"tests/fuzz/corpus/ring"
#define CORPUS_MIN		20
#define SEEN			ring_fuzz_seen
#define INPUTS			200000
#define RANDOM_REACHES_ALL	true

#include "fuzz/test.h"
