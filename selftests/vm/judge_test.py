#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do judge.py and restored.py see what is false? They are shown records that lie, each in
one way, and counters that did not stand for as long as the machine did."""

import sys

import claims
import judge
import referee
import restored

HZ = 1_000_000_000		# of the counter: ticks are ns
PERIOD, SHIFT = 0x89705F4136B4A597, 29
OFFSET = 5_000_000
HOST = 1_000_000_000_000	# counter of the host at T
T = 1_700_000_000 * judge.NS
TAI_OFFSET = -37
GENERATION = 4711


def clock():
    """A host's clock that is right: a sample each 20 ms."""
    c = referee.HostClock()
    for n in range(0, 500):
        c.feed(f"{HOST + n * 20_000_000} {T + n * 20_000_000} 50")
    return c


def record(at_ns=1_000_000_000, **changes):
    """The stamp of a good page, @at_ns after T, with the line from T."""
    fields = dict.fromkeys(judge.FIELDS, 0)
    fields |= {"number": 1, "counter": HOST + OFFSET + at_ns, "marker": 77,
               "flags": judge.FLAG_TAI_OFFSET | judge.FLAGS_BOUND | judge.FLAG_GENERATION,
               "generation": GENERATION,
               "counter_value": HOST + OFFSET, "period": PERIOD, "shift": SHIFT,
               "time_sec": T // judge.NS - TAI_OFFSET, "time_maxerror": 100_000,
               "status": 2, "time_type": judge.TAI, "tai_offset": TAI_OFFSET,
               "counter_id": 1, "has_time": 1, "counter_valid": 1}
    fields |= changes
    r = judge.Record(judge.RECORD.pack(*fields.values()), 0)
    if "earliest_ns" not in changes and r.has_time:
        earliest, latest = judge.interval(r)
        r = judge.Record(judge.RECORD.pack(*(fields | {
            "earliest_ns": earliest, "latest_ns": latest}).values()), 0)
    return r


def verdict(*labelled):
    """The faults that a judge finds in (record, life) pairs, by name of the life; a third is
    when that ended."""
    j = judge.Judge(clock())
    lives = {name: j.begin(judge.Life("lived", name, OFFSET, 1000)) for name in ("one", "two")}
    for life in lives.values():
        life.generation = GENERATION
    for r, name, *until in labelled:
        j.feed([r], lives.get(name), *until)
    return len(j.faults) if not j.judge_ready() else None


def what_is_true_is_not_complained_of():
    return verdict((record(), "one"), (record(2_000_000_000), "one")) == 0


def a_status_that_is_not_good_claims_nothing():
    return verdict((record(status=1, has_time=0), None),
                   (record(status=4, has_time=0, time_sec=1), "one")) == 0


def a_time_given_with_a_bad_status_is_false():
    return verdict((record(status=1), "one")) == 1


def a_good_status_between_two_lives_is_false():
    return verdict((record(), None)) == 1


def a_stamp_from_before_the_end_is_of_that_life():
    return verdict((record(1_000_000_000), "one", T + 1_000_000_000)) == 0


def a_stamp_from_after_the_end_is_false():
    return verdict((record(1_000_000_000), "one", T + 999_000_000)) == 1


def a_line_of_another_counter_is_false():
    return verdict((record(counter_value=HOST + OFFSET + 2_000_000), "one")) == 1


def a_line_that_is_off_by_more_than_its_bound_is_false():
    return verdict((record(time_frac=(1 << 64) * 110_000 // judge.NS), "one")) == 1 and \
        verdict((record(time_frac=(1 << 64) * 90_000 // judge.NS), "one")) == 0


def the_growth_of_the_bound_counts():
    wide = PERIOD // 1000
    return verdict((record(time_frac=(1 << 64) * 500_000 // judge.NS,
                           period_maxerror=wide), "one")) == 0


def a_wrong_offset_to_utc_is_false():
    return verdict((record(tai_offset=-36), "one")) == 1


def a_marker_of_two_lives_is_false():
    return verdict((record(), "one"), (record(2_000_000_000), "two")) > 0 and \
        verdict((record(), "one"), (record(2_000_000_000, marker=78), "two")) == 0


def another_generation_or_none_is_false():
    return verdict((record(generation=GENERATION + 1), "one")) == 1 and \
        verdict((record(flags=judge.FLAG_TAI_OFFSET | judge.FLAGS_BOUND), "one")) == 1


def a_library_that_computes_otherwise_is_false():
    good = record()
    return verdict((record(earliest_ns=good.earliest_ns - 2, latest_ns=good.latest_ns),
                    "one")) == 1


def a_good_status_without_a_bound_is_false():
    return verdict((record(flags=judge.FLAG_GENERATION), "one")) == 1


def a_counter_before_the_lines_start_is_computed_as_well():
    return verdict((record(1_000_000_000, counter_value=HOST + OFFSET + 2_000_000_000,
                           time_sec=T // judge.NS - TAI_OFFSET + 2), "one")) == 0


def what_the_clock_does_not_know_yet_waits():
    return verdict((record(20_000_000_000), "one")) is None


def told(policy="step", was_set=1, late=0, outside=0, off_by=0):
    """What is wrong with what a program says, a second after T, in a machine that is fed."""
    counter = HOST + OFFSET + 1_000_000_000
    one = restored.Told(restored.TOLD.match(
        f"told way=poll policy={policy} set={was_set} late={late} at=1 looks=100 outside={outside}"
        f" counters={counter}-{counter + 5000} real={T + 1_000_002_500 + off_by} bound=100000"))
    one.low, one.high = restored.distance(one, judge.Life("lived", "one", OFFSET, 1000), clock())
    return list(restored.wrongs(one))


def a_clock_that_was_set_in_time_is_not_complained_of():
    return not told() and not told(off_by=90_000) and not told(off_by=-90_000)


def a_clock_that_was_set_after_the_event_is_false():
    return len(told(was_set=0, late=1)) == 2 and len(told(late=1)) == 1


def a_single_look_outside_of_the_page_is_false():
    return len(told(outside=1)) == 1


def a_clock_that_was_set_from_a_page_that_lies_is_false():
    return len(told(off_by=110_000)) == 1 and len(told(off_by=-3 * judge.NS)) == 1


def with_off_a_clock_that_is_set_is_false():
    return len(told("off", outside=100)) == 1 and \
        len(told("off", was_set=0, late=1, outside=100)) == 1 and \
        not told("off", was_set=0, outside=100, off_by=-3 * judge.NS)


def with_off_a_clock_that_is_right_shows_nothing():
    return len(told("off", was_set=0, outside=99)) == 1


def stood(ticks, least, most):
    """Is that right? The first measurement is uncertain by 3 ticks, the second by 4."""
    before, after = (5_000, 3), (5_000 - ticks, 4)
    measured, wrong = judge.standstill(before, after, least, most)
    return measured == ticks and not wrong


def a_counter_that_stood_for_as_long_as_it_can_have_is_right():
    return all(stood(ticks, 100, 200) for ticks in (93, 100, 150, 200, 207))


def a_counter_that_stood_for_less_is_found():
    return not stood(92, 100, 200) and not stood(0, 100, 200)


def a_counter_that_stood_for_more_is_found():
    return not stood(208, 100, 200)


def a_counter_that_should_not_stand_must_neither_stand_nor_jump():
    return stood(7, 0, 0) and stood(-7, 0, 0) and not stood(8, 0, 0) and not stood(-8, 0, 0)


TESTS = [
    what_is_true_is_not_complained_of,
    a_status_that_is_not_good_claims_nothing,
    a_time_given_with_a_bad_status_is_false,
    a_good_status_between_two_lives_is_false,
    a_stamp_from_before_the_end_is_of_that_life,
    a_stamp_from_after_the_end_is_false,
    a_line_of_another_counter_is_false,
    a_line_that_is_off_by_more_than_its_bound_is_false,
    the_growth_of_the_bound_counts,
    a_wrong_offset_to_utc_is_false,
    a_marker_of_two_lives_is_false,
    another_generation_or_none_is_false,
    a_library_that_computes_otherwise_is_false,
    a_good_status_without_a_bound_is_false,
    a_counter_before_the_lines_start_is_computed_as_well,
    what_the_clock_does_not_know_yet_waits,
    a_clock_that_was_set_in_time_is_not_complained_of,
    a_clock_that_was_set_after_the_event_is_false,
    a_single_look_outside_of_the_page_is_false,
    a_clock_that_was_set_from_a_page_that_lies_is_false,
    with_off_a_clock_that_is_set_is_false,
    with_off_a_clock_that_is_right_shows_nothing,
    a_counter_that_stood_for_as_long_as_it_can_have_is_right,
    a_counter_that_stood_for_less_is_found,
    a_counter_that_stood_for_more_is_found,
    a_counter_that_should_not_stand_must_neither_stand_nor_jump,
]


if __name__ == "__main__":
    sys.exit(claims.main(TESTS))
