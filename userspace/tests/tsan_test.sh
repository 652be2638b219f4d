#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What threads share is accessed atomically: the tests that race, under TSan.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

# Where the kernel spreads mappings over more bits than TSan expects, nothing
# starts: it is asked not to.
if setarch -R true 2>/dev/null; then
	still="setarch -R"
fi

for test in $THREADED_TESTS; do
	# shellcheck disable=SC2086	# two words, or none
	test_that "no data race in $test" $still "${BUILD%-asan}-tsan/tests/$test"
done
tap_done
