// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz/vhost_fuzz.h"

#define CORPUS			"tests/fuzz/corpus/vhost"
#define CORPUS_MIN		20
#define SEEN			vhost_fuzz_seen
#define INPUTS			20000
#define RANDOM_REACHES_ALL	true

#include "fuzz/test.h"
