#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The model of the sequence protocol, searched to its end: it keeps what it
# promises, and without any one of its barriers it does not.

model=$PWD/tests/model/seqcount.pml
# shellcheck source-path=SCRIPTDIR/..
. tests/model/search.sh

test_that "the lines of source that the model names exist" lines_exist 15

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
