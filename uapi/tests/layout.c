// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause)
/*
 * The layout is what the specification and existing programs say it is: the
 * one place where that is asserted. It compiles, or it does not.
 */
#include <stddef.h>

#include <linux/vmclock-dev.h>

#ifdef __cplusplus
#define ASSERT(cond) static_assert(cond, #cond)
#else
#define ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define STRUCT(tag, bytes) ASSERT(sizeof(struct tag) == (bytes));
#define FIELD(tag, field, off, bytes) \
	ASSERT(offsetof(struct tag, field) == (off)); \
	ASSERT(sizeof(((struct tag *)0)->field) == (bytes));
#define END(tag)
#define NUMBER(name, value) ASSERT((name) == (value));
#include "fields.h"
#undef STRUCT
#undef FIELD
#undef END
#undef NUMBER

/* No field is missing from the list, and no padding hides between them. */
#define STRUCT(tag, bytes) enum { listed_##tag = 0
#define FIELD(tag, field, off, bytes) + (bytes)
#define END(tag) }; ASSERT(listed_##tag == sizeof(struct tag));
#define NUMBER(name, value)
#include "fields.h"
