# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# TAP for shell scripts: each test is one command line that succeeds or not.

tap_count=0
tap_failed=0

# test_that NAME COMMAND...: what the command printed is shown if it fails.
test_that()
{
	tap_name=$1
	shift
	tap_count=$((tap_count + 1))
	if tap_output=$("$@" 2>&1); then
		echo "ok $tap_count - $tap_name"
	else
		printf '%s\n' "$tap_output" | sed 's/^/# /'
		echo "not ok $tap_count - $tap_name"
		tap_failed=1
	fi
}

# tap_skip NAME REASON
tap_skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

tap_done()
{
	echo "1..$tap_count"
	exit "$tap_failed"
}
