# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Searches the model $model with spin, for the tests that source this.

# shellcheck source-path=SCRIPTDIR/..
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

: "${model:?is to be set}"

have_spin()
{
	command -v spin || {
		echo "no spin here: apt-get install spin"
		return 1
	}
}

# explore DEFINE...: leaves what the search said in $dir/log.
explore()
{
	(
		cd "$dir" || exit
		rm -f pan*
		spin "$@" -a "$model" >log 2>&1 &&
			${CC:-cc} -O1 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1024 -o pan pan.c >>log 2>&1 &&
			./pan -m100000 >>log 2>&1
	)
}

# The search ended by itself, saw all processes, and got to the assertions.
is_complete()
{
	! grep -Eq 'Search not completed|max search depth too small|out of memory' "$dir/log" &&
		[ "$(grep -c 'unreached in proctype' "$dir/log")" = \
			"$(grep -c '^active proctype' "$model")" ] &&
		! grep 'pml:[0-9]*, state .*"assert' "$dir/log"
}

holds()
{
	explore "$@" && grep -q 'errors: 0$' "$dir/log" && is_complete && return
	cat "$dir/log"
	return 1
}

# ends_with MESSAGE DEFINE...: the search ends there, with that error.
ends_with()
{
	wanted="pan:1: $1"
	shift
	explore "$@"
	grep -qF "$wanted" "$dir/log" && return
	cat "$dir/log"
	return 1
}

# fails ASSERTION DEFINE...: the search ends at that one, violated.
fails()
{
	violated=$1
	shift
	ends_with "assertion violated $violated" "$@"
}

# sleeps DEFINE...: the search ends where nothing goes on.
sleeps()
{
	ends_with "invalid end state" "$@"
}

states()
{
	sed -n 's/^ *\([0-9]*\) states, stored.*/# \1 states explored/p' "$dir/log"
}

# lines_exist COUNT: the lines that the model says it stands for, at least so
# many, are still there.
lines_exist()
{
	sed -n 's|.*/\* \([a-z]*\.[ch]: .*\) \*/$|\1|p' "$model" >"$dir/lines"
	[ "$(wc -l <"$dir/lines")" -ge "$1" ] || return 1
	while IFS= read -r line; do
		cat "lib/${line%%:*}" "host/${line%%:*}" 2>/dev/null |
			grep -qF -- "${line#*: }" || {
			echo "not there: $line"
			return 1
		}
	done <"$dir/lines"
}

check()
{
	test_that "$@"
	states
}

test_that "spin is installed" have_spin
