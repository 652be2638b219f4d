#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The model of the sequence protocol, searched to its end: it keeps what it
# promises, and without any one of its barriers it does not.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

model=$PWD/tests/model/seqcount.pml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

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
			${CC:-cc} -O1 -w -DSAFETY -DMEMLIM=1024 -o pan pan.c >>log 2>&1 &&
			./pan -m100000 >>log 2>&1
	)
}

# The search ended by itself, saw all three processes, and got to the assertion.
is_complete()
{
	! grep -Eq 'Search not completed|max search depth too small|out of memory' "$dir/log" &&
		[ "$(grep -c 'unreached in proctype' "$dir/log")" = 3 ] &&
		! grep 'pml:[0-9]*, state .*"assert' "$dir/log"
}

holds()
{
	explore "$@" && grep -q 'errors: 0$' "$dir/log" && is_complete && return
	cat "$dir/log"
	return 1
}

# fails ASSERTION DEFINE...: the search ends at that one, violated.
fails()
{
	wanted="assertion violated $1"
	shift
	explore "$@"
	grep -qF "$wanted" "$dir/log" && return
	cat "$dir/log"
	return 1
}

states()
{
	sed -n 's/^ *\([0-9]*\) states, stored.*/# \1 states explored/p' "$dir/log"
}

# All lines that the model says it stands for are still there.
lines_exist()
{
	sed -n 's|.*/\* \([a-z]*\.[ch]: .*\) \*/$|\1|p' "$model" >"$dir/lines"
	[ "$(wc -l <"$dir/lines")" -ge 15 ] || return 1
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
test_that "the lines of source that the model names exist" lines_exist

check "a copy that passes is of one update" holds
check "its counter was read in the update's window" holds -DCHECK_WINDOW
check "copies pass after a successor's repair" \
	fails '( !(repaired)||(a!=repaired))' -DSHOW_REPAIRED

for barrier in R1 R3 W1 W3; do
	check "without $barrier a mixed copy passes" fails '(b==a)' -DNO_$barrier
done
for barrier in COUNTER_ORDERED COUNTER_DEPENDENT ODD_IS_VISIBLE; do
	check "without $barrier the counter is read outside the window" \
		fails '(c==a)' -DCHECK_WINDOW -DNO_$barrier
	check "without $barrier the copy is still of one update" holds -DNO_$barrier
done
check "a dead writer's odd number made even lets a mixed copy pass" \
	fails '(b==a)' -DNO_ODD_STAYS
check "which takes a death" holds -DNO_ODD_STAYS -DDEATHS=0
tap_done
