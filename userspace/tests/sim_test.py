#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calibration in simulated time: hours at one reading a second, a month and a year at
one a minute, judged by sim_checker.py; and traces that were tampered with, which it
must not let pass. TAP on stdout.

BUILD is the sanitised build directory; the simulator runs at full speed beside it.
SIM_SEED repeats one run that is another each time.
"""

import io
import os
import random
import struct
import subprocess
import sys

import sim_checker
from tap import check, main

SIM = os.environ["BUILD"].removesuffix("-asan") + "/tests/sim/sim"
HOUR, DAY = 3600, 86400
SEED = int(os.environ.get("SIM_SEED", random.randrange(2**32)))
# Where struct vmclock_page has these.
MARKER, STATUS, LEAP, PERIOD, SEC, MAXERROR = 0x10, 0x22, 0x26, 0x30, 0x48, 0x60


def simulate(seed, seconds, *options):
    return subprocess.run([SIM, f"--seed={seed}", f"--seconds={seconds}", *options],
                          stdout=subprocess.PIPE, check=True).stdout


def judge(trace, nesting=0):
    return sim_checker.run(io.BytesIO(trace), nesting)


def passes(seed, seconds, *options):
    checker = judge(simulate(seed, seconds, *options), 8)
    print(f"# seed {seed}, {seconds} s {' '.join(options)}: {checker.n['samples']} samples,",
          f"bound {checker.bounds.at(.5)} ns, p99 {checker.bounds.at(.99)} ns")
    check(not checker.violations, f"seed {seed}: {dict(checker.violations)}")
    check(checker.n["excused"] < checker.n["samples"] / 2, f"seed {seed}: lies only")
    return checker


def pages(trace):
    """Where the trace has its pages"""
    at = trace.index(b"\n") + 1
    size = {b"S": 8, b"U": 128, b"R": 24, b"N": 0, b"K": 0, b"X": 0, b"E": 0}
    while at < len(trace):
        kind = trace[at:at + 1]
        if kind == b"U":
            yield at + 17 + 16
        at += 17 + size[kind]


def tamper(trace, number, offset, layout, change):
    trace = bytearray(trace)
    at = list(pages(bytes(trace)))[number] + offset
    value, = struct.unpack_from(layout, trace, at)
    struct.pack_into(layout, trace, at, change(value))
    return bytes(trace)


def finds(what, *tampering):
    trace = simulate(1, HOUR, "--calm")
    check(not judge(trace).violations, "the trace is bad from the start")
    bad = judge(tamper(trace, *tampering)).violations
    check(bad[what], f"looked for '{what}', found {dict(bad)}")


def many_seeds_keep_all_promises():
    total = 0
    for seed in [*range(1, 9), SEED]:
        total += passes(seed, HOUR).n["near a leap second"]
    check(total, "no leap second")


def a_year_of_a_reading_a_minute_keeps_them_too():
    passes(21, 30 * DAY, "--interval-ms=60000")
    markers = passes(22, 365 * DAY, "--interval-ms=60000").n["markers"]
    check(markers > 10, f"{markers} markers: nothing happened")


def a_late_first_line_leaves_the_page_without_one():
    # After a restart, behind the time for which it was planned.
    for seed in (499, 1068):
        passes(seed, HOUR)


def lines_nest_for_a_reader_whose_counter_is_off_too():
    # By as much as was said, which is outside of where the line was in use.
    check(passes(1909, HOUR).n["nested"] > 10000, "nothing to nest in")


def a_seed_gives_the_same_run():
    check(simulate(5, HOUR) == simulate(5, HOUR), "two runs differ")
    check(simulate(5, HOUR) != simulate(6, HOUR), "two seeds do not differ")


def a_bound_that_is_too_small_is_found():
    finds("outside", 1000, MAXERROR, "<Q", lambda error: error // 1000)


def a_line_that_starts_elsewhere_is_found():
    finds("jump", 1000, SEC, "<Q", lambda sec: sec + 1)
    finds("backwards", 1000, SEC, "<Q", lambda sec: sec - 1)


def a_line_that_turns_too_fast_is_found():
    finds("nesting", 1000, PERIOD, "<Q", lambda period: period - period // 5000)


def a_marker_that_comes_without_a_warning_is_found():
    finds("marker without a warning", 1000, MARKER, "<Q", lambda marker: marker ^ 1)
    finds("marker again", 1000, MARKER, "<Q", lambda marker: marker ^ 1)


def a_leap_second_that_nobody_announced_is_found():
    trace = simulate(1, HOUR, "--calm")
    silent = bytearray(trace)
    for at in pages(trace):
        silent[at + LEAP] = 0
    check(judge(silent).violations["leap"], "not found")


def a_status_that_says_too_much_is_found():
    trace = simulate(4, HOUR)
    lost = [n for n, at in enumerate(pages(trace)) if trace[at + STATUS] == 3]
    check(len(lost) > 20, "the reference was never lost for long")
    for number in lost[:20]:
        trace = tamper(trace, number, STATUS, "B", lambda status: 2)
    check(judge(trace, 8).violations["synchronized with nothing"], "not found")


def a_page_held_over_for_too_long_is_found():
    trace = simulate(4, HOUR)
    lost = [n for n, at in enumerate(pages(trace)) if trace[at + STATUS] == 3]
    trace = tamper(trace, lost[19], MAXERROR, "<Q", lambda error: 129_000_000)
    check(judge(trace, 8).violations["too wide for its status"], "not found")


def a_source_that_is_told_nothing_any_more_is_lost():
    for seed in [*range(31, 35), SEED]:
        passes(seed, HOUR, "--untold")
    trace = simulate(36, 8 * HOUR, "--untold", "--calm", "--interval-ms=10000")
    check(not judge(trace, 8).violations, "not even this")
    seen = [trace[at + STATUS] for at in pages(trace)]
    runs = [s for n, s in enumerate(seen) if not n or s != seen[n - 1]]
    check(runs == [1, 2, 3, 4, 2], f"statuses {runs}")


def a_source_that_answers_and_is_lost_is_found():
    trace = simulate(36, HOUR, "--untold", "--calm")
    for number, at in enumerate(pages(trace)):
        if trace[at + STATUS] == 3:
            trace = tamper(trace, number, STATUS, "B", lambda status: 2)
    check(judge(trace, 8).violations["synchronized with nothing"], "not found")


def a_bound_that_is_too_wide_is_found_whatever_made_it_so():
    finds("too wide for its status", 1000, MAXERROR, "<Q", lambda error: 129_000_000)


TESTS = [
    many_seeds_keep_all_promises,
    a_year_of_a_reading_a_minute_keeps_them_too,
    a_late_first_line_leaves_the_page_without_one,
    lines_nest_for_a_reader_whose_counter_is_off_too,
    a_seed_gives_the_same_run,
    a_bound_that_is_too_small_is_found,
    a_line_that_starts_elsewhere_is_found,
    a_line_that_turns_too_fast_is_found,
    a_marker_that_comes_without_a_warning_is_found,
    a_leap_second_that_nobody_announced_is_found,
    a_status_that_says_too_much_is_found,
    a_page_held_over_for_too_long_is_found,
    a_source_that_is_told_nothing_any_more_is_lost,
    a_source_that_answers_and_is_lost_is_found,
    a_bound_that_is_too_wide_is_found_whatever_made_it_so,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, f"SIM_SEED={SEED}"))
