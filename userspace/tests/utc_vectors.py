#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test vectors for UTC around leap seconds, from whole numbers and fractions.

Written from what UTC is: a list of one leap second, the offsets before and
after it, and the instant of TAI where one gives way to the other. An interval
is converted as the set of its moments. Prints

  KIND REF OFF IND POINT EARLIEST LATEST = POINT EARLIEST LATEST FLAGS REF OFF

where times are SEC NSEC. KIND is "utc" (TAI in, UTC out), "line" (the line of a
page in UTC, OFF 0), "noon" or "sls" (TAI in; no FLAGS, REF, OFF), or

  tai REF OFF IND POINT EARLIEST LATEST FLAGS = POINT EARLIEST LATEST FLAGS REF OFF

The seed is VECTORS_SEED, or a new one each time.
"""

import datetime
import math
import os
import random
from fractions import Fraction

NS = 10**9
DAY = 86400
LEAP_SECOND, POINT_IS_60 = 8, 16
EPOCH = datetime.date(1970, 1, 1).toordinal()
ERA = 146097    # days after which the calendar repeats


def month_of(utc):
    """00:00:00 of the first day of the month of @utc, and of the next month."""
    day = utc // DAY
    era = (day + EPOCH) // ERA - 2      # to a year that datetime knows
    date = datetime.date.fromordinal(day + EPOCH - era * ERA)
    first = date.replace(day=1)
    after = (first + datetime.timedelta(days=40)).replace(day=1)
    return tuple((d.toordinal() - EPOCH + era * ERA) * DAY for d in (first, after))


class Leap:
    """What a page in TAI tells: ref, off (UTC - TAI) and indicator at ref."""

    def __init__(self, ref, off, ind):
        utc = ref + off
        self.ok = off <= 0 and ind <= 5
        if ind == 3 and month_of(utc)[0] == utc:    # counted by the offset before
            utc, off = utc - 1, off - 1
            self.ok &= off >= -2**15
        first, after = month_of(utc)
        self.ref_utc, self.off = utc, off
        self.kind = {1: 1, 2: -1, 3: 1, 4: 1, 5: -1}.get(ind, 0)
        self.midnight = first if ind >= 4 else after
        self.old = off + self.kind if ind >= 3 else off
        self.new = self.old - self.kind
        if ind == 3:
            self.ok &= utc == after - 1
        if ind == 2:
            self.ok &= utc != after - 1
        # The moment of TAI from which the new offset holds.
        self.step = (self.midnight - (self.kind < 0) - self.old) * NS
        self.known = (first - 27 * DAY) * NS, (after + 27 * DAY) * NS

    def number(self, t):
        offset = self.new if self.kind and t >= self.step else self.old
        return t + offset * NS

    def moments(self, number):
        """All moments of TAI with that number of UTC, in order."""
        candidates = {number - self.old * NS, number - self.new * NS}
        return sorted(t for t in candidates if self.number(t) == number)

    def knows(self, early, late):
        low, high = self.known
        return low <= early + self.old * NS and late + self.old * NS < high

    def touches(self, early, late):
        return self.kind > 0 and early < self.step + NS and late >= self.step


def to_utc(ref, off, ind, point, early, late):
    leap = Leap(ref, off, ind)
    if not leap.ok or not leap.knows(early, late):
        return None
    lows, highs, flags = [leap.number(early)], [leap.number(late)], 0
    if leap.touches(early, late):
        flags |= LEAP_SECOND
        lows.append((leap.midnight - 1) * NS)
        highs.append(leap.midnight * NS)
        if early >= leap.step:
            lows = lows[1:]
        if late < leap.step + NS:
            highs = highs[1:]
    if leap.kind > 0 and leap.step <= point < leap.step + NS:
        flags |= POINT_IS_60
    return (leap.number(point), min(lows), max(highs)), (flags, leap.ref_utc, leap.off)


def to_tai(ref, off, ind, point, early, late, flags):
    if ind == 3 and ref + 1 != month_of(ref)[1]:
        return None
    leap = Leap(ref - off, off, ind)
    points, lows, highs = (leap.moments(x) for x in (point, early, late))
    if not leap.ok or not points or not lows or not highs:
        return None
    point = points[-1] if flags & POINT_IS_60 else points[0]
    late = highs[-1] if flags & LEAP_SECOND else highs[0]
    if not leap.knows(lows[0], late):
        return None
    return (point, lows[0], late), (0, ref - off, off)


def smear(start, end, leap, t):
    """UTC, but for a straight line between two moments of TAI."""
    if not leap.kind or not start <= t < end:
        return leap.number(t)
    low, high = leap.number(start), leap.number(end)
    return low + (t - start) * Fraction(high - low, end - start)


def smears(kind, ref, off, ind, *times):
    leap = Leap(ref, off, ind)
    if not leap.ok or not leap.knows(*times[1:]):
        return None
    midnight = (leap.midnight - leap.new) * NS
    if kind == "noon":
        half = DAY // 2
        ends = (leap.midnight - half - leap.old) * NS, midnight + half * NS
    else:
        ends = midnight - 1000 * NS, midnight
    point, early, late = (smear(*ends, leap, t) for t in times)
    return (math.floor(point), math.floor(early), math.ceil(late)), ()


def show(kind, page, times, more, result):
    def flat(ns):
        return [part for t in ns for part in divmod(t, NS)]
    words = ["refused"] if result is None else [*flat(result[0]), *result[1]]
    print(kind, *page, *flat(times), *more, "=", *words)


def put(page, times):
    """The vectors of one interval; @times are even, agreeing with UTC at ref."""
    ref, off, ind = page
    tai = [t - off * NS for t in times]
    utc = to_utc(ref, off, ind, *tai)
    show("utc", page, tai, (), utc)
    for kind in "noon", "sls":
        show(kind, page, tai, (), smears(kind, ref, off, ind, *tai))
    line = (ref + off, 0, ind)
    # Inside the inserted second a line of UTC is not told apart.
    show("line", line, times, (), None if ind == 3 else to_utc(*line, *times))
    if utc:
        labels, (flags, ref_utc, new_off) = utc
        args = ref_utc, new_off, ind, *labels, flags
        show("tai", args[:3], labels, (flags,), to_tai(*args))
    for flags in 0, LEAP_SECOND, LEAP_SECOND | POINT_IS_60:
        args = ref + off, off, ind, *times, flags
        show("tai", args[:3], times, (flags,), to_tai(*args))


def specification():
    """The end of 2016, by hand: 23:59:60 was at 1483228836 s of TAI."""
    midnight = 1483228800
    page = midnight + 36 - 10, -36, 1
    at = [(midnight + 36) * NS + n for n in (500 * 10**6, 400 * 10**6, 600 * 10**6)]
    assert to_utc(*page, *at) == (
        ((midnight - 1) * NS + 500 * 10**6, (midnight - 1) * NS, midnight * NS),
        (24, midnight - 10, -36))
    at = [t + NS for t in at]
    assert to_utc(*page, *at)[0] == tuple(t - 37 * NS for t in at)
    noon = [(midnight + 36 - 43200 + 43200) * NS] * 3
    # Half of 86401 s have not quite passed at the start of 23:59:60.
    assert smears("noon", *page, *noon)[0][0] == (midnight - 1) * NS + 500005786


MONTHS = [(y, m) for y in (1972, 1999, 2000, 2016, 2023, 2024, 2100) for m in (1, 2, 3, 12)]


def place(rnd, midnight, first):
    """A moment where something may happen, or anywhere near."""
    edge = rnd.choice((
        midnight, midnight + 1, midnight - 1, midnight - 2, midnight - 1000,
        midnight - 1001, midnight - 999, midnight - DAY // 2, midnight + DAY // 2,
        midnight + DAY // 2 + 1, midnight + DAY // 2 - 1, midnight + 27 * DAY,
        first, first - 1, first + 1, first - 2, first - 1000, first - 999, first - 998,
        first - 27 * DAY, first + DAY // 2, first - DAY // 2 - 1))
    shift = rnd.choice((0, 1, -1, NS - 1, rnd.randint(-3 * NS, 3 * NS),
                        rnd.randint(-DAY * NS, DAY * NS)))
    return edge * NS + shift


def widths(rnd):
    top = rnd.choice((0, 1, 10**3, NS, 2 * NS, 3 * NS, DAY * NS))
    return rnd.choice((0, top, rnd.randint(0, top)))


def put_month(rnd, start):
    first, after = month_of(start)
    ind = rnd.choice((0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 255))
    ref_utc = rnd.choice((first, after - 1, after - 2, rnd.randint(first, after - 1)))
    if ind == 3:
        ref_utc = rnd.choice((after - 1, after - 1, after, after - 2))
    off = rnd.choice((0, -10, -37, -37, 1, -32768, rnd.randint(-100, 0)))
    point = place(rnd, after, first)
    put((ref_utc - off, off, ind), (point, point - widths(rnd), point + widths(rnd)))


def some_month(rnd):
    if rnd.random() < 0.5:
        year, month = rnd.choice(MONTHS)
        return (datetime.date(year, month, 1).toordinal() - EPOCH) * DAY
    return rnd.getrandbits(rnd.randint(20, 60)) * rnd.choice((1, 1, -1))


def main():
    seed = int(os.environ.get("VECTORS_SEED") or random.SystemRandom().getrandbits(32))
    print("seed", seed)
    specification()
    rnd = random.Random(seed)
    for _ in range(8000):
        put_month(rnd, some_month(rnd))


main()
