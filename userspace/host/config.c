// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "log.h"

#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

/* "key=value". */
struct config_string {
	struct config_string *next;
	char text[];
};

/*
 * While it is read: @line counts what inih has been given, @into is where the section
 * puts its keys.
 *
 * Sections are entered here and not by inih, which cuts their names short and says
 * nothing of one without keys.
 */
struct reader {
	struct config *config;
	const char *path;
	FILE *file;
	unsigned int line;
	unsigned int daemon_line;
	struct options *into;
	struct options vm;
	size_t room;
	int err;
};

static int bad(struct reader *r, const char *what, const char *why)
{
	if (!r->err)
		log_line("%s:%u: %s: %s", r->path, r->line, what, why);
	r->err = -EPROTO;
	return 0;
}

/* Keeps a key of this list. Returns its value there. */
static const char *keep(struct config_string **list, const char *key, const char *value)
{
	size_t at = strlen(key) + 1, size = at + strlen(value) + 1;
	struct config_string *s = malloc(sizeof(*s) + size);

	if (!s)
		return NULL;
	snprintf(s->text, size, "%s=%s", key, value);
	s->next = *list;
	*list = s;
	return s->text + at;
}

static bool has_key(const struct config_string *s, const char *key)
{
	size_t len = strlen(key);

	while (s && (strncmp(s->text, key, len) || s->text[len] != '='))
		s = s->next;
	return s;
}

static bool is_same(const struct config_string *a, const struct config_string *b)
{
	for (; a && b && !strcmp(a->text, b->text); a = a->next)
		b = b->next;
	return !a && !b;
}

static void free_strings(struct config_string *s)
{
	struct config_string *next;

	for (; s; s = next) {
		next = s->next;
		free(s);
	}
}

bool config_is_same_daemon(const struct config *a, const struct config *b)
{
	return is_same(a->strings, b->strings);
}

bool config_is_same_vm(const struct config_vm *a, const struct config_vm *b)
{
	return is_same(a->strings, b->strings);
}

struct config_vm *config_vm_new(const char *name)
{
	struct config_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->options = options_default.vm;
	return vm;
}

void config_vm_free(struct config_vm *vm)
{
	if (!vm)
		return;
	free_strings(vm->strings);
	free(vm);
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= CONFIG_NAME_MAX && strspn(name, NAME_CHARS) == len;
}

static int add_vm(struct reader *r, const char *name)
{
	struct config *c = r->config;
	struct config_vm **vms, *vm;

	if (!is_name(name))
		return bad(r, name, "a VM's name has 1 to 64 letters, digits, '.', '-' and '_'");
	if (c->count == r->room) {
		vms = reallocarray(c->vms, 2 * r->room + 16, sizeof(struct config_vm *));
		if (!vms)
			return bad(r, name, "out of memory");
		c->vms = vms;
		r->room = 2 * r->room + 16;
	}
	vm = config_vm_new(name);
	if (!vm)
		return bad(r, name, "out of memory");
	vm->line = r->line;
	c->vms[c->count++] = vm;
	return 1;
}

static int enter(struct reader *r, const char *section)
{
	if (!strncmp(section, "vm ", 3)) {
		r->vm = options_default;
		r->into = &r->vm;
		return add_vm(r, section + 3);
	}
	if (strcmp(section, "daemon"))
		return bad(r, section, "no section: there are [daemon] and [vm NAME]");
	if (r->daemon_line)
		return bad(r, section, "given twice");
	r->daemon_line = r->line;
	r->into = &r->config->daemon;
	return 1;
}

/* "[section]", and blanks or a comment behind it. */
static int look_for_section(struct reader *r, const char *text)
{
	size_t len = strcspn(text, "]");
	char section[256];

	if (isspace((unsigned char)text[0]) && text[strspn(text, " \t\r\n")])
		return bad(r, "line", "begins with a blank");
	if (text[0] != '[' || !text[len])
		return 1;
	snprintf(section, sizeof(section), "%.*s", (int)len - 1, text + 1);
	return enter(r, section);
}

/* A line at a time, as fgets() would. inih has no room for longer ones. */
static char *read_line(char *text, int size, void *context)
{
	struct reader *r = context;
	char *got = r->err ? NULL : fgets(text, size, r->file);

	if (!got)
		return NULL;
	r->line++;
	if (!strchr(text, '\n') && !feof(r->file))
		bad(r, "line", "too long");
	else
		look_for_section(r, text);
	return r->err ? NULL : got;
}

static int take_key(void *context, const char *section, const char *name, const char *value)
{
	struct reader *r = context;
	struct config *c = r->config;
	bool is_vm = r->into == &r->vm;
	struct config_vm *vm = is_vm ? c->vms[c->count - 1] : NULL;
	struct config_string **strings = is_vm ? &vm->strings : &c->strings;
	const char *kept, *wrong;

	(void)section;
	if (r->err)
		return 0;
	if (!r->into)
		return bad(r, name, "before any section");
	if (has_key(*strings, name))
		return bad(r, name, "given twice");
	kept = keep(strings, name, value);
	if (!kept)
		return bad(r, name, "out of memory");
	wrong = options_set(r->into, is_vm, name, kept);
	if (wrong)
		return bad(r, name, wrong);
	if (is_vm)
		vm->options = r->vm.vm;
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct config_vm *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void check(struct reader *r)
{
	struct config *c = r->config;
	const char *wrong = options_check_clock(&c->daemon.clock);

	r->line = r->daemon_line;
	if (wrong)
		bad(r, "[daemon]", wrong);
	if (c->count)
		qsort(c->vms, c->count, sizeof(struct config_vm *), compare);
	for (size_t i = 0; i < c->count && !r->err; i++) {
		struct config_vm *vm = c->vms[i];

		r->line = vm->line;
		wrong = options_check_vm(&vm->options);
		if (wrong)
			bad(r, vm->name, wrong);
		else if (i && !strcmp(c->vms[i - 1]->name, vm->name))
			bad(r, vm->name, "two VMs of this name");
	}
}

static void parse(struct reader *r)
{
	int line = ini_parse_stream(read_line, r, take_key, r);

	if (line < 0 && !r->err) {
		r->err = log_error(r->path, -ENOMEM);
	} else if (line > 0 && !r->err) {
		r->line = line;
		bad(r, "line", "neither [SECTION] nor KEY = VALUE");
	}
	if (ferror(r->file) && !r->err)
		r->err = log_error(r->path, -EIO);
	if (!r->err)
		check(r);
}

int config_load(const char *path, struct config *config)
{
	struct reader r = { .config = config, .path = path };

	*config = (struct config){ .daemon = options_default };
	r.file = fopen(path, "re");
	if (!r.file)
		return log_error(path, -errno);
	parse(&r);
	fclose(r.file);
	if (r.err)
		config_free(config);
	return r.err;
}

void config_free(struct config *config)
{
	free_strings(config->strings);
	for (size_t i = 0; i < config->count; i++)
		config_vm_free(config->vms[i]);
	free(config->vms);
	*config = (struct config){ 0 };
}
