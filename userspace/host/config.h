/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file: [daemon], and a [vm NAME] for each VM.
 */
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* Of a VM's name: letters, digits, '.', '-' and '_'. */
#define CONFIG_NAME_MAX	64

struct config_string;

/**
 * struct config_vm - a VM's section
 * @name: its name
 * @line: where the section begins
 * @options: its keys
 * @strings: the same as text, and what @options points to; private
 */
struct config_vm {
	char name[CONFIG_NAME_MAX + 1];
	unsigned int line;
	struct vm_options options;
	struct config_string *strings;
};

/**
 * struct config - a whole file
 * @daemon: [daemon]; its @vm means nothing
 * @strings: the same as text, and what @daemon points to; private
 * @vms: @count of them, sorted by name; who takes one away leaves NULL
 * @count: how many
 */
struct config {
	struct options daemon;
	struct config_string *strings;
	struct config_vm **vms;
	size_t count;
};

/**
 * config_load() - read and check a file
 * @path: the file
 * @config: filled in; empty on error
 *
 * Return: 0, -EPROTO if something is wrong in it, or what reading it gave. The
 * reason has been logged, with file and line.
 */
int config_load(const char *path, struct config *config);

/**
 * config_is_same_daemon() - do two files say the same of the daemon?
 * @a: one
 * @b: the other
 *
 * Return: true if their [daemon] has the same keys in the same order.
 */
bool config_is_same_daemon(const struct config *a, const struct config *b);

/**
 * config_is_same_vm() - do they say the same of a VM?
 * @a: what one says
 * @b: what the other says
 *
 * Return: true if both have the same keys in the same order.
 */
bool config_is_same_vm(const struct config_vm *a, const struct config_vm *b);

/**
 * config_vm_new() - a VM without keys
 * @name: its name, a good one
 *
 * Return: it, to be freed by config_vm_free(); or NULL.
 */
struct config_vm *config_vm_new(const char *name);

/**
 * config_vm_free() - give it back
 * @vm: a VM that was taken away, or NULL; its options are void then
 */
void config_vm_free(struct config_vm *vm);

/**
 * config_free() - give it back
 * @config: loaded, or empty; options that were copied from it are void
 */
void config_free(struct config *config);

#endif /* HOST_CONFIG_H */
