#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What "make bench" runs of the host side works, and says so if it does not. Its figures
# are nobody's business here.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

runs()
{
	"$BUILD/host-bench" --seconds=3 --warm=1 20 50 100 > "$dir/table" || {
		cat "$dir/table"; return 1
	}
}

# has_rows COUNT COLUMNS: of numbers
has_rows()
{
	[ "$(grep -v '[a-z]' "$dir/table" | awk -v n="$2" 'NF == n' | wc -l)" = "$1" ] || {
		cat "$dir/table"; return 1
	}
}

# Each page at least once, and the windows of as many updates as that is.
all_are_fed()
{
	awk '$1 == 100 && NF == 6 { split($4, each, "-"); fed = each[1] }
	     /odd window/ { seen = $5 }
	     END { exit !(fed > 0 && seen >= 100) }' "$dir/table" || {
		cat "$dir/table"; return 1
	}
}

# fails_with SCRIPT WORDS: in the place of the daemon; WORDS are shown.
fails_with()
{
	mkdir -p "$dir/other"
	cp "$BUILD/host-bench" "$dir/other/"
	printf '#!/bin/sh\n%s\n' "$1" > "$dir/other/vmclock-hostd"
	chmod +x "$dir/other/vmclock-hostd"
	"$dir/other/host-bench" --seconds=1 --warm=0 3 > "$dir/table" && return 1
	grep -q "page 0 of 3 is not synchronized" "$dir/table" && grep -q "$2" "$dir/table"
}

test_that "the bench of many pages runs" runs
test_that "it has a line for each number of pages" has_rows 3 9
test_that "and a line through them" grep -q "a line through these" "$dir/table"
test_that "the daemon's line is there" has_rows 1 6
test_that "the daemon fed each page, and its odd windows were seen" all_are_fed
test_that "a daemon that does not start is no result" fails_with "echo no luck >&2; exit 1" "no luck"
tap_done
