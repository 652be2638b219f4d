#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The headers alone and together, in each language and model they promise.
# OUT is a folder to build in, CC and CXX are the compilers.

# shellcheck source-path=SCRIPTDIR/..
. ../userspace/tests/tap.sh

# Debian has the headers of both sizes in the folder of one. The link that leads
# there comes with gcc-multilib, which can't be installed beside cross compilers.
m32="-m32 -isystem /usr/include/$($CC -print-multiarch)"

warnings='-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I.'

# include LANGUAGE COMPILER STANDARD HEADER...: they compile without a warning.
include()
{
	language=$1 compiler=$2 options=$3
	shift 3
	# shellcheck disable=SC2086
	for header in "$@"; do
		echo "#include <linux/$header>"
	done | $compiler -x "$language" $options $warnings -
}

# in_all_ways LANGUAGE COMPILER OPTIONS
in_all_ways()
{
	test_that "$2 $3: the page's header alone" include "$@" vmclock-page.h
	test_that "$2 $3: the device's header alone" include "$@" vmclock-dev.h
	test_that "$2 $3: both, and twice" \
		include "$@" vmclock-page.h vmclock-dev.h vmclock-page.h vmclock-dev.h
	# shellcheck disable=SC2086
	test_that "$2 $3: every offset, size and number" \
		"$2" -x "$1" $3 $warnings tests/layout.c
}

has()
{
	command -v "$1" > /dev/null
}

# A macro that is no number takes arguments, or guards a header.
numbers_are_listed()
{
	sed -n 's/^#define \(VMCLOCK_[A-Z0-9_]*\)[ \t].*/\1/p' linux/*.h | sort > "$OUT/numbers"
	sed -n 's/^NUMBER(\([A-Z0-9_]*\),.*/\1/p' tests/fields.h | sort | diff "$OUT/numbers" -
}

layout_is_recorded()
{
	# shellcheck disable=SC2086
	$CC $1 -I. -o "$OUT/print_layout" tests/print_layout.c &&
		"$OUT/print_layout" > "$OUT/layout" && diff abi/vmclock-dev.layout "$OUT/layout"
}

# Sparse says what it finds, whatever its exit status.
sparse_output()
{
	sparse -D__CHECK_ENDIAN__ -Wbitwise -Wno-decl "$@" -I. tests/endian.c 2>&1
}

sparse_is_silent()
{
	said=$(sparse_output) && echo "$said" && [ -z "$said" ]
}

sparse_finds_wrong_byte_order()
{
	said=$(sparse_output -DWRONG)
	echo "$said"
	[ "$(echo "$said" | grep -c 'restricted __le')" -ge 3 ]
}

in_all_ways c "$CC" -std=c11
in_all_ways c "$CC" "-std=gnu11 $m32"
in_all_ways c++ "$CXX" -std=c++17
in_all_ways c++ "$CXX" "-std=c++17 $m32"
if has clang; then
	in_all_ways c clang -std=c11
	in_all_ways c++ clang++ -std=c++17
fi
test_that "every number of the headers is in the list" numbers_are_listed
test_that "the layout is the recorded one" layout_is_recorded ''
test_that "the layout of 32-bit programs too" layout_is_recorded "$m32"
test_that "sparse finds nothing" sparse_is_silent
test_that "sparse would find a missing byte order" sparse_finds_wrong_byte_order
tap_done
