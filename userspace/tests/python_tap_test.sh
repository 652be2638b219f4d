#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does tap.py, which runs the tests in Python, see what goes wrong in them?
set -u
. tests/tap.sh

# two_tests FIRST: the first does this, the second nothing
two_tests()
{
	printf '%s\n' "import sys" "from tap import Skipped, check, directory, main" \
		"def first(tmp): $1" "def second(tmp): pass" \
		"sys.exit(main([first, second], 'a note', given=directory))" |
		PYTHONPATH=tests python3 -
}

# results_are STATUS RESULT FIRST
results_are()
{
	got=$(two_tests "$3")
	status=$?
	# what counts them takes these for an end of line, too
	results=$(echo "$got" | tr '\r\v' '[\n*]' | grep -v '^#')
	[ "$status" = "$1" ] && [ "$results" = "TAP version 13
1..2
$2
ok 2 - second" ] && return
	echo "exit status $status: $got"
	return 1
}

fails()
{
	results_are 1 "not ok 1 - first" "$1"
}

test_that "what raises nothing passes" results_are 0 "ok 1 - first" 'check(tmp.is_dir(), "no directory")'
test_that "a skip says why" results_are 0 "ok 1 - first # SKIP not here" 'raise Skipped("not here")'
test_that "a check that does not hold is a failure" fails 'check(False, "so it is")'
test_that "and so is an error that nobody expected" fails '{}["none"]'
test_that "and an end of the program" fails 'sys.exit(0)'
test_that "what a failure says is no result" fails 'check(False, "so\nok 2 - x\r\nok 3\x0bok 4\rok 5")'
tap_done
