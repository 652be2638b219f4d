#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The headers, the map and the library name the same functions.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# A declaration in a header is a name in front of a parenthesis, outside comments,
# on a line that is neither in a body nor of an inline function.
sed -e '/^\/\*/,/\*\//d' -e '/^[[:space:]#]/d' -e '/^static/d' include/*.h |
	grep -o 'vmclk_[a-z_]*(' | tr -d '(' | sort -u > "$dir/header"
sed -n 's/^\t\(vmclk_[a-z_]*\);$/\1/p' lib/libvmclk.map | sort > "$dir/map"
nm -D --defined-only "$BUILD/libvmclk.so.0" | sed -n 's/.* [A-Z] //p' |
	grep -v '^LIBVMCLK_0.1$' | sort > "$dir/library"
sed 's/$/@@LIBVMCLK_0.1/' "$dir/map" > "$dir/versioned"
nm -g --defined-only "$BUILD/libvmclk.a" | sed -n 's/.* [TDBRV] //p' |
	grep -v '^vmclk_' > "$dir/foreign"

soname()
{
	readelf -d "$BUILD/libvmclk.so.0" | grep -q 'SONAME.*\[libvmclk.so.0\]'
}

needs_no_uring()
{
	! readelf -d "$BUILD/libvmclk.so.0" | grep "NEEDED.*uring"
}

no_foreign_names()
{
	if [ -s "$dir/foreign" ]; then cat "$dir/foreign"; return 1; fi
}

alone()
{
	for header in include/*.h; do
		printf '#include "%s"\n%s\n' "${header#include/}" "$2" > "$dir/alone.$1"
		${CC:-cc} -x "$1" -Wall -Wextra -Werror -fsyntax-only -Iinclude -I../uapi \
			"$dir/alone.$1" || return
	done
}

test_that "the headers declare functions" test -s "$dir/header"
test_that "the map lists what the headers declare" diff "$dir/header" "$dir/map"
test_that "the library exports the map under its node" \
	diff "$dir/versioned" "$dir/library"
test_that "the soname is libvmclk.so.0" soname
test_that "the library does not need liburing" needs_no_uring
test_that "the static library brings no names of others" no_foreign_names
test_that "each header stands alone in C" alone c 'int x;'
test_that "each header stands alone in C++" alone c++ 'extern "C" int x;'
tap_done
