// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl host: see and steer what vmclock-hostd feeds.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "host-client.h"

#define SOCKET_DEFAULT	"/run/vmclock/hostd.sock"

/* @words: how many behind the command, at least and at most */
static const struct command {
	const char *name;
	int words_min, words_max;
} commands[] = {
	{ "status", 0, 1 }, { "disrupt", 0, 1 }, { "drain", 1, 2 }, { "stop", 0, 1 },
	{ "set-counter", 1, 1 }, { "reload", 0, 0 }, { "prepare", 0, 1 }, { "resume", 0, 1 },
};

enum { OPT_JSON = 256, OPT_SOCKET, OPT_ALL, OPT_KEY };

static const struct option longs[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "marker", required_argument, NULL, OPT_KEY },
	{ "tsc-offset", required_argument, NULL, OPT_KEY },
	{ "tsc-ratio", required_argument, NULL, OPT_KEY },
	{ "tsc-frac-bits", required_argument, NULL, OPT_KEY },
	{ "tsc-offset-error", required_argument, NULL, OPT_KEY },
	{ 0 }
};

static int usage(const char *object, const char *reason)
{
	complain(object, "%s (try 'vmclockctl --help')", reason);
	return EXIT_SYSTEM;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void put(json_t *request, const char *key, const char *value)
{
	/* What is no UTF-8 is no word of ours either: the daemon misses it. */
	json_object_set_new(request, key, json_string(value));
}

/* The words behind the options: a command and what it takes. */
static int take_words(json_t *request, int argc, char **argv)
{
	const struct command *command = argc ? find_command(argv[0]) : NULL;
	int words = argc - 1, at = 1;

	if (!argc)
		return usage("host", "say what to do");
	if (!command)
		return usage(argv[0], "no such command");
	if (words < command->words_min || words > command->words_max)
		return usage(argv[0], "too few or too many words behind it");
	put(request, "command", command->name);
	if (!strcmp(command->name, "drain"))
		put(request, "when", argv[at++]);
	if (at <= words)
		put(request, "vm", argv[at]);
	return EXIT_OK;
}

static int parse(int argc, char **argv, json_t *request, const char **path, bool *json)
{
	int c, which = 0;

	while ((c = getopt_long(argc, argv, "", longs, &which)) != -1) {
		switch (c) {
		case OPT_JSON:
			*json = true;
			break;
		case OPT_SOCKET:
			*path = optarg;
			break;
		case OPT_ALL:
			json_object_set_new(request, "all", json_true());
			break;
		case OPT_KEY:
			put(request, longs[which].name, optarg);
			break;
		default:
			return EXIT_SYSTEM;	/* getopt has said why */
		}
	}
	return take_words(request, argc - optind, argv + optind);
}

/* After reload, which is done all the same. */
static void warn_of_failed(const json_t *answer)
{
	long long failed = json_integer_value(json_object_get(answer, "failed"));
	long long count = json_integer_value(json_object_get(answer, "count"));

	if (failed)
		complain("vmclock-hostd", "%lld of %lld VMs can't be fed; 'status' says why",
			 failed, count);
}

static int finish(const json_t *answer, bool json)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok"))) {
		if (!json) {
			host_print_clock(answer);
			warn_of_failed(answer);
		}
		return EXIT_OK;
	}
	if (!json)
		complain("vmclock-hostd", "%s", error ? error : "refused");
	return EXIT_UNUSABLE;
}

/* Lines until the last one, which has "ok". */
static int print_answer(struct host_client *client, bool json)
{
	const json_t *vm, *ok = NULL;
	bool has_header = false;
	int status = EXIT_SYSTEM;
	const char *text;
	json_t *answer;

	while (!ok && (answer = host_client_next(client, &text))) {
		ok = json_object_get(answer, "ok");
		vm = json_object_get(answer, "vm");
		if (json) {
			puts(text);
		} else if (vm) {
			if (!has_header)
				host_print_header();
			has_header = true;
			host_print_vm(vm);
		}
		if (ok)
			status = finish(answer, json);
		json_decref(answer);
	}
	return status;
}

int cmd_host(const struct options *opt)
{
	static struct host_client client = { .fd = -1 };
	const char *path = SOCKET_DEFAULT;
	json_t *request = json_object();
	bool json = false;
	int argc = 0, status;

	while (opt->command[argc])
		argc++;
	status = parse(argc, opt->command, request, &path, &json);
	if (!status)
		status = host_client_open(&client, path);
	if (!status)
		status = host_client_send(&client, request);
	if (!status)
		status = print_answer(&client, json);
	host_client_close(&client);
	json_decref(request);
	return status;
}
