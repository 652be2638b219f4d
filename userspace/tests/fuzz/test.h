/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TAP program that drives a fuzz target without clang: over its corpus, and
 * over what chance makes of it. A finding ends the program. FUZZ_SEED and
 * FUZZ_INPUTS in the environment try others, or more.
 *
 * Who includes it defines first:
 *
 *	CORPUS		the folder of the corpus
 *	CORPUS_MIN	fewer files than this are no corpus
 *	SEEN		the target's array of SEEN_MAX flags: what it has reached
 *	INPUTS		how many inputs each test makes
 *	RANDOM_REACHES_ALL	inputs without any order reach all of it too
 */
#ifndef TESTS_FUZZ_TEST_H
#define TESTS_FUZZ_TEST_H

#include "fuzz.h"
#include "../tap.h"

#define CORPUS_MAX	256

static struct fuzz_input corpus[CORPUS_MAX];
static unsigned int corpus_count;
static uint64_t seed;
static uint64_t inputs;

static void did_everything(void)
{
	for (unsigned int i = 0; i < SEEN_MAX; i++) {
		if (!ok(SEEN[i]))
			note("event %u was not seen", i);
	}
}

TAP_TEST(the_corpus_is_run_and_reaches_everything)
{
	corpus_count = fuzz_read_corpus(CORPUS, corpus, CORPUS_MAX);
	need(corpus_count >= CORPUS_MIN);
	memset(SEEN, 0, sizeof(SEEN));
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

TAP_TEST(random_inputs_do_no_harm_and_reach_what_they_can)
{
	uint64_t state = seed;
	struct fuzz_input input;

	memset(SEEN, 0, sizeof(SEEN));
	for (uint64_t i = 0; i < inputs; i++) {
		fuzz_make(&input, &state);
		fuzz_run(&input);
	}
	if (RANDOM_REACHES_ALL)
		did_everything();
	note("%" PRIu64 " inputs, seed %" PRIu64, inputs, seed);
}

int main(void)
{
	seed = fuzz_setting("FUZZ_SEED", 1);
	inputs = fuzz_setting("FUZZ_INPUTS", INPUTS);
	return tap_main();
}

#endif /* TESTS_FUZZ_TEST_H */
