/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzz target is LLVMFuzzerTestOneInput() in a file of its own: libFuzzer's
 * main() drives it, and so does, without clang, a TAP test by what is here.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_BYTES_MAX	512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fuzz targets say so, whatever drives them. */
#define fuzz_check(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

struct fuzz_input {
	uint8_t data[FUZZ_BYTES_MAX];
	size_t size;
};

/* In a block of exactly its size: ASan sees what is read beyond it. */
static inline void fuzz_run(const struct fuzz_input *input)
{
	uint8_t *copy = malloc(input->size);

	memcpy(copy, input->data, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

/* Reads up to @max inputs, one per file. Gives their number. */
static inline unsigned int fuzz_read_corpus(const char *path, struct fuzz_input *inputs,
					    unsigned int max)
{
	DIR *dir = opendir(path);
	unsigned int count = 0;
	struct dirent *entry;
	char name[512];
	FILE *file;

	while (dir && count < max && (entry = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(name, "rb");
		if (!file)
			continue;
		inputs[count].size = fread(inputs[count].data, 1, FUZZ_BYTES_MAX, file);
		fclose(file);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

/* xorshift64: the same inputs on every machine, from a seed that is not 0. */
static inline uint64_t fuzz_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void fuzz_make(struct fuzz_input *input, uint64_t *state)
{
	input->size = fuzz_random(state) % FUZZ_BYTES_MAX;
	for (size_t i = 0; i < input->size; i++)
		input->data[i] = fuzz_random(state) >> 32;
}

/* Some bytes changed, the end cut off or another input's put there. */
static inline void fuzz_mutate(struct fuzz_input *input, const struct fuzz_input *other,
			       uint64_t *state)
{
	size_t at = fuzz_random(state) % (input->size + 1);

	if (fuzz_random(state) % 2 && at < other->size) {
		memcpy(input->data + at, other->data + at, other->size - at);
		input->size = other->size;
	} else if (fuzz_random(state) % 8 == 0) {
		input->size = at;
	}
	for (unsigned int n = fuzz_random(state) % 8; n && input->size; n--)
		input->data[fuzz_random(state) % input->size] = fuzz_random(state) >> 32;
}

/* A number from the environment, so that the same program runs for longer. */
static inline uint64_t fuzz_setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

#endif /* TESTS_FUZZ_FUZZ_H */
