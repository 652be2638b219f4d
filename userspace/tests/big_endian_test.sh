#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The library on other machines, emulated: s390x, which is big-endian and has no
# counter that a page could name, and arm64. Their pages are this machine's.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
programs="write_test writer_test writer_replace_test race_test read_test"

# builds ARCH: with all warnings of the native build.
builds()
{
	arch=$1
	shift
	for program in $programs; do
		set -- "$@" "$dir/$arch/tests/$program"
	done
	MAKEFLAGS='' make -s OUT="$dir/$arch" CC="$arch-linux-gnu-gcc" CFLAGS=-O2 \
		LDFLAGS=-static "$@"
}

# is_built_for MACHINE PROGRAM
is_built_for()
{
	readelf -h "$2" | grep -q "Machine:.*$1"
}

# runs ARCH PROGRAM [ARGUMENT]
runs()
{
	arch=$1 program=$2
	shift 2
	"qemu-$arch" "$dir/$arch/tests/$program" "$@"
}

# The two differ nowhere, and in length they are one page.
writes_the_same()
{
	runs "$1" write_test "$dir/page-$1" && cmp "$dir/native" "$dir/page-$1" &&
		[ "$(wc -c <"$dir/native")" = 4096 ]
}

# counter.h: the counter is read behind the branch on the sequence number that an
# ISB needs in front of it. The fence after that number's load is a DMB ISHLD.
counter_waits_for_branch()
{
	aarch64-linux-gnu-objdump -d --no-show-raw-insn "$dir/aarch64/lib/now.o" \
		"$dir/aarch64/lib/read.o" | awk '
	/>:$/ { function_name = $2; waits = 1 }
	$2 == "dmb" && $3 == "ishld" { waits = 0 }
	$2 ~ /^(b\..*|cbn?z|tbn?z)$/ { waits = 1 }
	$2 == "isb" { seen++; if (!waits) { print function_name, $0; bad = 1 } }
	END { exit bad || seen < 3 }'
}

test_that "the native writer writes a page" "$BUILD/tests/write_test" "$dir/native"
for arch in s390x aarch64; do
	case $arch in s390x) machine=S/390;; *) machine=AArch64;; esac
	test_that "$arch: library and tests build" builds $arch
	test_that "$arch: they are of that machine" \
		is_built_for $machine "$dir/$arch/tests/write_test"
	for program in $programs; do
		test_that "$arch: $program passes" runs $arch "$program"
	done
	test_that "$arch: a page has the same bytes" writes_the_same $arch
done
test_that "aarch64: no counter is read before the sequence number is known" \
	counter_waits_for_branch
tap_done
