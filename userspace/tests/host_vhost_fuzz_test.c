// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/vhost_fuzz.c over its corpus, and over what chance makes of it. A finding
 * ends the program. FUZZ_SEED and FUZZ_INPUTS in the environment try others, or
 * more.
 */
#include "fuzz/fuzz.h"
#include "fuzz/vhost_fuzz.h"
#include "tap.h"

#define CORPUS		"tests/fuzz/corpus/vhost"
#define CORPUS_MIN	20
#define CORPUS_MAX	256

static struct fuzz_input corpus[CORPUS_MAX];
static unsigned int corpus_count;
static uint64_t seed;
static uint64_t inputs;

static void did_everything(void)
{
	for (unsigned int i = 0; i < SEEN_MAX; i++) {
		if (!ok(vhost_fuzz_seen[i]))
			note("event %u of vhost_fuzz.h was not seen", i);
	}
}

TAP_TEST(the_corpus_is_run_and_reaches_everything)
{
	corpus_count = fuzz_read_corpus(CORPUS, corpus, CORPUS_MAX);
	need(corpus_count >= CORPUS_MIN);
	memset(vhost_fuzz_seen, 0, sizeof(vhost_fuzz_seen));
	for (unsigned int i = 0; i < corpus_count; i++)
		fuzz_run(&corpus[i]);
	did_everything();
}

TAP_TEST(changed_inputs_of_the_corpus_do_no_harm)
{
	uint64_t state = seed;
	struct fuzz_input input;

	need(corpus_count);
	for (uint64_t i = 0; i < inputs; i++) {
		input = corpus[fuzz_random(&state) % corpus_count];
		fuzz_mutate(&input, &corpus[fuzz_random(&state) % corpus_count], &state);
		fuzz_run(&input);
	}
	note("%" PRIu64 " inputs, seed %" PRIu64, inputs, seed);
}

TAP_TEST(random_inputs_do_no_harm_and_reach_everything)
{
	uint64_t state = seed;
	struct fuzz_input input;

	memset(vhost_fuzz_seen, 0, sizeof(vhost_fuzz_seen));
	for (uint64_t i = 0; i < inputs; i++) {
		fuzz_make(&input, &state);
		fuzz_run(&input);
	}
	did_everything();
	note("%" PRIu64 " inputs, seed %" PRIu64, inputs, seed);
}

int main(void)
{
	seed = fuzz_setting("FUZZ_SEED", 1);
	inputs = fuzz_setting("FUZZ_INPUTS", 20000);
	return tap_main();
}
