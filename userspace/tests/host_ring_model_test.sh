#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The model of the ring, searched to its end: it keeps what it promises, and
# without any one of its barriers it does not.

model=$PWD/tests/model/ring.pml
# shellcheck source-path=SCRIPTDIR/..
. tests/model/search.sh

test_that "the lines of source that the model names exist" lines_exist 15

check "a ring with event index keeps its promises" holds
check "a ring without it does" holds -DFLAGS

for mode in EVENT_IDX FLAGS; do
	check "$mode: without B1 a stale request is taken" \
		fails '(got[0]==want[0])' -D$mode -DNO_B1
	check "$mode: without B2 a response is announced that is not there" \
		fails '(word[(2+(seen&1))]==(seen+1))' -D$mode -DNO_B2
	check "$mode: if B2 orders stores only, a request is loaded after it was given back" \
		fails '(got[0]==want[0])' -D$mode -DSTORES_ONLY_B2
	check "$mode: without B3 both sleep" sleeps -D$mode -DNO_B3
done
check "without B4 both sleep" sleeps -DNO_B4
check "without a second look at the index both sleep" sleeps -DNO_SECOND_LOOK
check "without a limit to looking back both sleep" sleeps -DNO_LOOK_BACK
tap_done
