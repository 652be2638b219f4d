#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks of the source text, one per call. Run at the top of the tree, with
# KERNEL_SCRIPTS and IOCTL_NUMBER_RST from build/setup.mk in the environment.
set -eu

# What is good advice in the kernel and wrong outside of it:
#  ARRAY_SIZE			there is no such macro
#  VOLATILE			sig_atomic_t; shared memory in tests
#  STATIC_CONST_CHAR_ARRAY	argv's strings are not const
#  ENOSYS			what a kernel without a system call answers
#  COMPLEX_MACRO, MULTISTATEMENT_MACRO_USE_DO_WHILE, TRAILING_SEMICOLON
#				macros of tests make declarations and lists
#  QUOTED_WHITESPACE_BEFORE_NEWLINE	separators for strtok() and strsep()
USER_IGNORES=ARRAY_SIZE,VOLATILE,STATIC_CONST_CHAR_ARRAY,QUOTED_WHITESPACE_BEFORE_NEWLINE,ENOSYS,\
COMPLEX_MACRO,MULTISTATEMENT_MACRO_USE_DO_WHILE,TRAILING_SEMICOLON

check_checkpatch() {
	find driver uapi/linux -name '*.[ch]' -exec \
		perl "$KERNEL_SCRIPTS/checkpatch.pl" --terse -f {} + &&
	find uapi/tests userspace selftests -name '*.[ch]' -exec \
		perl "$KERNEL_SCRIPTS/checkpatch.pl" --terse --ignore "$USER_IGNORES" -f {} +
}

# SC2317: it takes functions for dead code that are called through "$@".
check_shellcheck() {
	{
		grep -rlE '^#!/bin/(ba)?sh' .ci
		find driver uapi userspace selftests -name '*.sh'
	} | xargs shellcheck -x --source-path=userspace:uapi --exclude=SC2317
}

# It prints what is missing and exits with 0.
check_kernel_doc() {
	complaints=$(for header in uapi/linux/*.h driver/vmclock_math.h driver/vmclock_kvmclock.h userspace/include/*.h \
			userspace/compat/*.h; do
		perl "$KERNEL_SCRIPTS/kernel-doc" -none "$header" 2>&1
	done)
	[ -z "$complaints" ] || {
		echo "$complaints"
		return 1
	}
}

check_man() {
	mandoc -T lint -W warning userspace/man/*.[1-8]
}

# Has nobody else our ioctl number? The list writes it as 0xC7 or as 'a'.
check_ioctl_magic() {
	magic=$(sed -n 's/^#define VMCLOCK_IOC_MAGIC[[:space:]]*0x//p' uapi/linux/vmclock-dev.h)
	# shellcheck disable=SC2059	# the character with that octal code
	letter=$(printf "\\$(printf %o "0x$magic")")
	[ "$(grep -c '^0x' "$IOCTL_NUMBER_RST")" -gt 50 ] || {
		echo "$IOCTL_NUMBER_RST: not the list that was expected"
		return 1
	}
	! grep -i "^0x$magic " "$IOCTL_NUMBER_RST" || return 1
	! grep -aF "'$letter' " "$IOCTL_NUMBER_RST"
}

# Does the example know the driver's uevents?
check_udev_rules() {
	python3 selftests/udev-rules.py driver/vmclock-udev.rules driver/*.c
}

"check_$(echo "$1" | tr - _)"
