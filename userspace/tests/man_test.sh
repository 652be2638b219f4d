#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages of section 3 agree with the headers.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pages=$(echo man/*.3)

# All that a program can call: what is exported, and what the headers define. A
# name with two underscores is not for callers.
{
	sed -n 's/^\t\(vmclk_[a-z_]*\);$/\1/p' lib/libvmclk.map
	sed -n 's/^static inline .*[ *]\(vmclk_[a-z][a-z_]*\)(.*/\1/p' include/*.h
} | sort > "$dir/functions"

# The names of a page, as make install finds them too, and those it declares.
names()
{
	sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z_]*\).*/\1/p' "$1"
}

declared()
{
	sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/s/^\.Fn \([a-z_]*\) .*/\1/p' "$1"
}

all_have_a_page()
{
	for page in $pages; do names "$page"; done | sort | diff "$dir/functions" -
}

named_by_the_first()
{
	for page in $pages; do
		[ "$(names "$page" | head -n 1)" = "$(basename "$page" .3)" ] || {
			echo "$page"; return 1
		}
	done
}

synopsis_is_complete()
{
	for page in $pages; do
		names "$page" | sort > "$dir/names"
		declared "$page" | sort | diff "$dir/names" - || return
	done
}

compiles()
{
	${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I../uapi -Iinclude "$1"
}

# A prototype that is not the header's is an error of the compiler.
prototypes()
{
	for page in $pages; do
		awk -F '"' '
			/^\.Sh/ { in_synopsis = /SYNOPSIS/ }
			!in_synopsis { next }
			/^\.In / { print "#include <" substr($0, 5) ">" }
			/^\.Ft / { type = substr($0, 5) }
			/^\.Fn / {
				split($1, word, " ")
				args = word[3]
				for (i = 2; i < NF; i += 2)
					args = args (i > 2 ? ", " : "") $i
				print type " " word[2] "(" args ");"
			}' "$page" > "$dir/prototypes.c"
		compiles "$dir/prototypes.c" || return
	done
}

# As they are printed: mdoc writes a backslash as \e.
examples()
{
	for page in $pages; do
		rm -f "$dir"/example*.c
		awk -v dir="$dir" '
			/^\.Sh/ { in_examples = /EXAMPLES/ }
			/^\.Ed/ { printing = 0 }
			printing { gsub(/\\e/, "\\"); print > (dir "/example" n ".c") }
			/^\.Bd -literal/ && in_examples { printing = 1; n++ }' "$page"
		for example in "$dir"/example*.c; do
			[ -e "$example" ] || { echo "$page: no example"; return 1; }
			compiles "$example" || return
		done
	done
}

sections()
{
	for page in $pages; do
		for section in NAME LIBRARY SYNOPSIS DESCRIPTION 'RETURN VALUES' ERRORS \
			'SEE ALSO'; do
			grep -qx ".Sh $section" "$page" || { echo "$page: $section"; return 1; }
		done
	done
}

# What the header says of a function, "-EINVAL" or "-VMCLK_EBUSY", is on its page.
errors_are_listed()
{
	awk '
		/^ \* vmclk_[a-z_]*\(\) - / { name = substr($2, 1, length($2) - 2) }
		/^ \*\// { name = "" }
		name {
			while (match($0, /-(VMCLK_)?E[A-Z0-9]+/)) {
				print name, substr($0, RSTART, RLENGTH)
				$0 = substr($0, RSTART + RLENGTH)
			}
		}' include/*.h > "$dir/errors"
	[ -s "$dir/errors" ] || return
	while read -r name error; do
		page=$(grep -l "^\.Nm $name\\( ,\\)*\$" man/*.3)
		grep -qwe "$error" "$page" || { echo "$page: $name: $error"; return 1; }
	done < "$dir/errors"
}

# Each row of the table is a number, and each error has a row.
table_of_errors()
{
	echo '#include <vmclk.h>' > "$dir/table.c"
	sed -n 's/^\.It Dv \(VMCLK_E[A-Z]*\) Ta \([0-9]*\) Ta Er \(E[A-Z]*\) .*/_Static_assert(\1 == VMCLK_ERROR(\2, \3), "\1");/p' \
		man/vmclk_strerror.3 >> "$dir/table.c"
	compiles "$dir/table.c" || return
	grep -o '^	VMCLK_E[A-Z]* = VMCLK_ERROR' include/vmclk.h | grep -o 'VMCLK_E[A-Z]* ' |
		tr -d ' ' | sort > "$dir/kinds"
	grep -o '(VMCLK_E[A-Z]*' "$dir/table.c" | tr -d '(' | sort | diff "$dir/kinds" -
}

words_exist()
{
	sed '/^\.Dt /d' man/*.[1-8] | grep -o 'VMCLK_[A-Z0-9_]*[A-Z0-9]' | sort -u > "$dir/words"
	while read -r word; do
		grep -qw "$word" include/*.h compat/preload.c || { echo "$word"; return 1; }
	done < "$dir/words"
}

# Nothing refers to a page of ours that is not there.
references()
{
	sed -n 's/^\.Xr \(vmc[a-z_.-]*\|libvmclk[a-z-]*\) \([1-8]\).*/\1 \2/p' man/*.[1-8] |
		sort -u > "$dir/references"
	while read -r name section; do
		[ -e "man/$name.$section" ] && continue
		[ "$section" = 3 ] && grep -qx "$name" "$dir/functions" && continue
		echo "$name($section)"; return 1
	done < "$dir/references"
}

concept_lists_pages()
{
	for page in $pages; do
		sed -n '/^\.Sh SEE ALSO/,$p' man/libvmclk.7 |
			grep -q "^\.Xr $(basename "$page" .3) 3" || { echo "$page"; return 1; }
	done
}

# Every option is on the daemon's page, and every key of its file on the file's.
options_are_described()
{
	sed -n 's/^\t{ "\([a-z-]*\)", [a-z]*_argument, NULL, OPT_.*/\1/p' host/options.c > "$dir/options"
	[ "$(wc -l < "$dir/options")" -gt 20 ] || return
	while read -r option; do
		case $option in help|version) continue;; esac
		grep -q "^\.It .*Fl -$option\>" man/vmclock-hostd.8 || { echo "$option"; return 1; }
		case $option in config|vhost-fd|publish-us) continue;; esac
		grep -qE "^\.It Cm (.* )?$option( |\$)" man/vmclock-hostd.conf.5 ||
			{ echo "$option: no key"; return 1; }
	done < "$dir/options"
}

test_that "there are functions" test -s "$dir/functions"
test_that "each is named on one page, and nothing else is" all_have_a_page
test_that "a page has the name of its first function" named_by_the_first
test_that "a page declares what it names" synopsis_is_complete
test_that "as the headers do" prototypes
test_that "no section is missing" sections
test_that "examples compile as they are printed" examples
test_that "errors of the headers are on the pages" errors_are_listed
test_that "the table of errors has all of them, with their values" table_of_errors
test_that "constants that are spoken of exist" words_exist
test_that "pages that are referred to exist" references
test_that "options and keys of the daemon are described" options_are_described
test_that "libvmclk(7) refers to all of section 3" concept_lists_pages
tap_done
