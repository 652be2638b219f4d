/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the lines of vectors.py and its like: "KIND ARGS = RESULTS".
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <stdlib.h>

#include "tap.h"

#define VECTOR_NUMBERS_MAX	10

/**
 * struct vector - a line of the table
 * @args: the numbers before the "="
 * @results: those after it; may be negative for times
 * @refused: "refused" stands there instead
 */
struct vector {
	uint64_t args[VECTOR_NUMBERS_MAX];
	int64_t results[VECTOR_NUMBERS_MAX];
	bool refused;
};

/* Unsigned numbers above 2^63 - 1 keep their bits in the signed array. */
static inline int64_t vector_number(const char *word)
{
	return *word == '-' ? strtoll(word, NULL, 10) : (int64_t)strtoull(word, NULL, 10);
}

static inline void vector_parse(char *words, struct vector *v)
{
	unsigned int args = 0, results = 0;
	bool behind = false;
	char *save = NULL;

	memset(v, 0, sizeof(*v));
	for (char *w = strtok_r(words, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		if (*w == '=')
			behind = true;
		else if (*w == 'r')
			v->refused = true;
		else if (behind && results < VECTOR_NUMBERS_MAX)
			v->results[results++] = vector_number(w);
		else if (args < VECTOR_NUMBERS_MAX)
			v->args[args++] = (uint64_t)vector_number(w);
	}
}

/*
 * Runs @test on every vector of @kind that @script prints, until the tenth that
 * fails. The whole table is fetched anew, with the same seed if the environment
 * has one.
 */
static inline void vectors_from(const char *script, const char *kind, unsigned int at_least,
				void (*test)(const struct vector *v))
{
	unsigned int n = 0, refused = 0, bad = 0;
	char line[512], shown[512], command[128];
	struct vector v;
	FILE *table;

	snprintf(command, sizeof(command), "python3 tests/%s", script);
	table = popen(command, "r");

	need(table);
	while (bad < 10 && fgets(line, sizeof(line), table)) {
		size_t len = strlen(kind);
		bool failed = tap_failed;

		if (!strncmp(line, "seed ", 5))
			printf("# %s, %s", script, line);
		if (strncmp(line, kind, len) || line[len] != ' ')
			continue;

		strcpy(shown, line);
		vector_parse(line + len, &v);
		tap_failed = false;
		test(&v);
		if (tap_failed) {
			printf("# in: %s", shown);
			bad++;
		}
		tap_failed |= failed;
		refused += v.refused;
		n++;
	}
	while (fgets(line, sizeof(line), table))
		;
	is_int(pclose(table), 0);
	note("%u vectors, %u of them refused", n, refused);
	ok(bad || n >= at_least);
}

static inline void vectors_each(const char *kind, unsigned int at_least,
				void (*test)(const struct vector *v))
{
	vectors_from("vectors.py", kind, at_least, test);
}

#endif /* TESTS_VECTORS_H */
