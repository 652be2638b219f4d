/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test program: functions that TAP_TEST() defines, run in their order by
 * tap_main(). A test passes unless a check in it failed; its name, with
 * spaces for underscores, is the sentence it proves.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TAP_TESTS_MAX	128

static struct tap_test {
	const char *name;
	void (*run)(void);
} tap_tests[TAP_TESTS_MAX];
static unsigned int tap_count;
static bool tap_failed;
static const char *tap_skipped;

#define TAP_TEST(test) \
	static void test(void); \
	static void __attribute__((constructor)) tap_register_##test(void) \
	{ \
		tap_register(#test, test); \
	} \
	static void test(void)

/* The check holds, or the test has failed: it goes on. Gives the condition. */
#define ok(cond) \
	tap_check(__FILE__, __LINE__, #cond, !!(cond))

/* The same, where the rest of the test makes no sense without it. */
#define need(cond) \
	do { \
		if (!ok(cond)) \
			return; \
	} while (0)

#define is_u64(got, want) tap_is_u64(__FILE__, __LINE__, #got, got, want)
#define is_int(got, want) tap_is_int(__FILE__, __LINE__, #got, got, want)

/* Leave the test, which proves nothing here. */
#define skip(reason) \
	do { \
		tap_skipped = (reason); \
		return; \
	} while (0)

#define note(...) \
	do { \
		printf("# " __VA_ARGS__); \
		putchar('\n'); \
	} while (0)

static inline void tap_register(const char *name, void (*run)(void))
{
	if (tap_count < TAP_TESTS_MAX)
		tap_tests[tap_count] = (struct tap_test){ name, run };
	tap_count++;
}

static inline bool tap_check(const char *file, int line, const char *text, bool good)
{
	if (!good) {
		tap_failed = true;
		printf("# %s:%d: not so: %s\n", file, line, text);
	}
	return good;
}

static inline bool tap_is_u64(const char *file, int line, const char *text,
			      uint64_t got, uint64_t want)
{
	if (got == want)
		return true;
	tap_failed = true;
	printf("# %s:%d: %s is %" PRIu64 " (0x%" PRIx64 "), not %" PRIu64
	       " (0x%" PRIx64 ")\n", file, line, text, got, got, want, want);
	return false;
}

static inline bool tap_is_int(const char *file, int line, const char *text,
			      int64_t got, int64_t want)
{
	if (got == want)
		return true;
	tap_failed = true;
	printf("# %s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, text,
	       got, want);
	return false;
}

static inline void tap_sentence(const char *name)
{
	for (; *name; name++)
		putchar(*name == '_' ? ' ' : *name);
}

static inline int tap_main(void)
{
	bool all_good = tap_count <= TAP_TESTS_MAX;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	for (unsigned int i = 0; i < tap_count && i < TAP_TESTS_MAX; i++) {
		tap_failed = false;
		tap_skipped = NULL;
		tap_tests[i].run();
		if (tap_failed)
			all_good = false;
		printf("%sok %u - ", tap_failed ? "not " : "", i + 1);
		tap_sentence(tap_tests[i].name);
		if (tap_skipped && !tap_failed)
			printf(" # SKIP %s", tap_skipped);
		putchar('\n');
	}
	printf("1..%u\n", tap_count);
	return !all_good;
}

#endif /* TESTS_TAP_H */
