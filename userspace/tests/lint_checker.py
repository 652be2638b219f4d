#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a trace of `vmclockctl record` keep the page's two promises?

Written from the specification's sections 4, 8 and 9 and the manual's description
of the format, with whole numbers of any size, not from the C code. Prints how
many looks find their page's line outside an earlier bracket, or outside one that is
old, and how many find time behind an earlier look's.
"""

import struct
import sys
from fractions import Fraction

MAX_ERROR, MAX_RATE, MONOTONIC = 1 << 6, 1 << 4, 1 << 7
# Of brackets that are so many updates old or less all are to be kept.
UPDATES_NESTED = 64
COUNTERS = {"arm": 0, "tsc": 1, "none": None}


class Page:
    """The fields that the promises are about."""

    def __init__(self, raw):
        (self.magic, self.size, self.version, self.counter_id, self.scale, self.seq,
         self.marker, self.flags, self.status, _, self.tai, self.leap, self.shift,
         self.c1, self.period, _, self.rate, self.sec, self.frac, _, self.error,
         _) = struct.unpack("<IIHBBIQQ2xBBhBB9Q", raw)

    def distance(self, counter):
        d = (counter - self.c1) % 2**64
        return d - 2**64 if d >= 2**63 else d

    def time(self, counter):
        """In 2^-64 s, rounded down."""
        return (self.sec * 2**64 + self.frac +
                (self.distance(counter) * self.period >> self.shift))

    def error_ns(self, counter):
        ticks = -(-(abs(self.distance(counter)) * self.rate) // 2**self.shift)
        return self.error - (-ticks * 10**9 // 2**64)

    def tells_time(self, counter_id):
        return self.status in (2, 3) and self.counter_id == counter_id

    def has_bound(self):
        return self.flags & MAX_ERROR and self.flags & MAX_RATE

    def epoch(self):
        return self.marker, self.scale, self.counter_id


def looks_of(lines):
    """(counter's id, [(page, counter)])"""
    lines = [line for line in lines if not line.startswith("#")]
    counter_id = COUNTERS[lines[1].split()[1]]
    looks, page = [], None
    for line in lines[2:]:
        words = line.split()
        if words[0] == "p":
            page = Page(bytes.fromhex(words[1]))
        else:
            looks.append((page, int(words[1])))
    return counter_id, looks


def brackets_left(page, brackets):
    """Has it left one that is not old, has it left an old one?"""
    left = {False: 0, True: 0}
    for seq, counter, time, error in brackets:
        if Fraction(abs(page.time(counter) - time), 2**64) > Fraction(error, 10**9):
            left[(page.seq - seq) % 2**32 > 2 * UPDATES_NESTED] = 1
    return left[False], left[True]


def check(lines):
    counter_id, looks = looks_of(lines)
    nesting = old = backwards = 0
    brackets, latest, epoch, last = [], None, None, None
    for page, counter in looks:
        if page.epoch() != epoch:
            brackets, latest, epoch = [], None, page.epoch()
        if last and (page.seq - last.seq) % 2**32 not in (0, 2):
            latest = None
        last = page
        if not page.tells_time(counter_id):
            latest = None
            continue
        left, left_old = brackets_left(page, brackets)
        nesting += left
        old += left_old
        if not page.flags & MONOTONIC:
            latest = None
        else:
            backwards += latest is not None and page.time(counter) < latest
            latest = page.time(counter)
        if page.has_bound():
            brackets.append((page.seq, counter, page.time(counter), page.error_ns(counter)))
    return {"nesting": nesting, "nesting-old": old, "backwards": backwards, "looks": len(looks)}


if __name__ == "__main__":
    print(check(open(sys.argv[1], encoding="ascii").read().splitlines()))
