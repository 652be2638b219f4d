#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The ACPI table for QEMU, as iasl understands it, and as it makes it.
set -u

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LD_LIBRARY_PATH="$BUILD"
ctl=$BUILD/vmclockctl

# The source that the tool's comment shows, for the function $1. iasl wants
# the function declared, and puts that into the table as well.
source_of() {
	sed -n '/^ \* DefinitionBlock/,/^ \* }/s/^ \* //p' tools/cmd-acpi-table.c |
		sed "s/S00/$1/; s/^  Scope/  External (\\\\_SB.PCI0.$1, DeviceObj)\n&/"
}

# Without the header's last words (who compiled it, and the checksum), and what
# External makes: 21 bytes.
code_of() {
	tail -c +37 "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/^a0140015[0-9a-f]\{34\}//'
}

sum_of() {
	od -An -v -tu1 "$1" | awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s % 256 }'
}

is_what_iasl_makes() {
	"$ctl" acpi-table --slot="$1" --output="$tmp/ours.aml" || return 1
	source_of "$2" >"$tmp/theirs.asl"
	iasl -p "$tmp/theirs" "$tmp/theirs.asl" >"$tmp/log" || { cat "$tmp/log"; return 1; }
	[ "$(code_of "$tmp/ours.aml")" = "$(code_of "$tmp/theirs.aml")" ]
}

has_a_good_header() {
	"$ctl" acpi-table --slot=31 >"$tmp/a.aml" || return 1
	[ "$(sum_of "$tmp/a.aml")" = 0 ] || return 1
	[ "$(od -An -tu4 -j4 -N4 "$tmp/a.aml" | tr -d ' ')" = "$(wc -c <"$tmp/a.aml")" ]
}

iasl_reads_it_without_a_complaint() {
	cp "$tmp/a.aml" "$tmp/b.aml"
	iasl -d "$tmp/b.aml" >"$tmp/log" 2>&1 || { cat "$tmp/log"; return 1; }
	grep -q 'Scope (\\_SB.PCI0.SF8)' "$tmp/b.dsl" && ! grep -i 'error\|warning' "$tmp/log"
}

refuses() {
	"$ctl" acpi-table "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = 2 ] && [ -s "$tmp/err" ] && [ ! -s "$tmp/out" ]
}

test_that "slot 1 is S08" is_what_iasl_makes 1 S08
test_that "slot 0x10 is S80" is_what_iasl_makes 0x10 S80
test_that "slot 31 is SF8" is_what_iasl_makes 31 SF8
test_that "length and checksum are right" has_a_good_header
test_that "iasl reads it" iasl_reads_it_without_a_complaint
test_that "a slot is needed" refuses
test_that "slot 0 is refused" refuses --slot=0
test_that "slot 32 is refused" refuses --slot=32
test_that "a slot that is no number is refused" refuses --slot=1x
test_that "an operand is refused" refuses --slot=1 /dev/null
test_that "a table that can't be written is an error" refuses --slot=1 --output=/nonexistent/a
test_that "a full disk is an error" refuses --slot=1 --output=/dev/full
tap_done
