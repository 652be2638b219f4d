#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Did the pages of a simulated run keep what they promise? sim_checker.py [N] < trace

Written from the page's specification and the text of host/BOUND.md, with whole
numbers of any size: it shares no line with the writer. The true time in the trace
is the simulator's; everything else is computed here.

A trace is a line of text and then records, little endian. Each is a letter and the
true time (TAI, 16 bytes, units of 2^-95 s), followed by
  S  8 bytes: a reader read its counter
  U  8, 8, 112: the page changed between two readings of the counter; the page
  R  8, 8, 8: a reading of the reference: how wrong it was in ns (signed), how wrong
     it said it could be, whether it said so at all
  N  the reference gave nothing
  K  the daemon was killed
  X  and starts again
  E  the end

Each new line is compared with N of the brackets kept, by default with all.
"""

import collections
import datetime
import struct
import sys

UNIT = 1 << 31                  # of true time in one of 2^-64 s
SECOND = 1 << 95
TRUSTED = (2, 3)
# With a line: 0 has no bound, and 4 too wide a one, but goes on from line to line too.
OFFERED = (0, 2, 3, 4)
MAXERRORS, MONOTONIC, TAI_VALID = 1 << 4 | 1 << 6, 1 << 7, 1
LINES_KEPT = 64                 # the promise is for the brackets of so many lines
# A rate rests on the readings of so long, or on so many if they are further apart.
RATE_SPAN, RATE_READINGS = 66 * SECOND, 6
SAMPLE, UPDATE, READING = (struct.Struct(f) for f in ("<Q", "<QQ112s", "<qQQ"))
PAGE = struct.Struct("<IIHBBIQQ2xBBhBB9Q")


class Page:
    """A page, its times turned into TAI by its own offset."""

    def __init__(self, raw, header):
        (_, _, _, self.counter_id, self.scale, self.seq, self.marker, self.flags,
         self.status, _, self.offset, self.leap, self.shift, self.c1, self.period, _,
         self.rate, sec, frac, _, self.error, _) = PAGE.unpack(raw)
        self.t1 = sec << 64 | frac
        self.trusted = self.status in TRUSTED
        self.bounded = self.flags & MAXERRORS == MAXERRORS
        self.has_line = self.period != 0
        if self.scale == 0:
            self.t1 += header.utc_to_tai(sec, self.leap) << 64
        self.line = (self.period, self.shift, self.marker)

    def distance(self, counter):
        d = (counter - self.c1) & 0xffffffffffffffff
        return d - (1 << 64) if d >> 63 else d

    def time(self, counter):
        """2^-64 s, rounded down"""
        return self.t1 + (self.distance(counter) * self.period >> self.shift)

    def growth_ns(self, ticks):
        """of the bound, rounded up"""
        growth = -(-ticks * self.rate >> self.shift)
        return -(-growth * 10**9 >> 64)

    def error_ns(self, counter):
        return self.error + self.growth_ns(abs(self.distance(counter)))


class Header:
    """The first line of a trace."""

    def __init__(self, line):
        words = line.decode("ascii").split()
        if words[:2] != ["vmclock-sim", "1"]:
            raise SystemExit("sim_checker: no trace of the simulator")
        self.value = dict(w.split("=") for w in words[2:])
        self.tai = int(self.value["tai"])
        self.leaps = [tuple(map(int, w.split(":")))
                      for w in self.value["leaps"].split(",") if w]
        for name in ("interval_ns", "after_ns", "max_bound_ns", "offset_error", "hz"):
            setattr(self, name, int(self.value[name]))

    def offset_at(self, tai_sec):
        return self.tai + sum(sign for at, sign in self.leaps if tai_sec >= at)

    def utc_to_tai(self, utc_sec, indicator):
        """TAI - UTC for the label of a UTC page."""
        offset = self.tai
        for at, sign in self.leaps:
            midnight = at - offset + (sign < 0)
            inside = sign > 0 and indicator == 3 and utc_sec >= midnight - 1
            if utc_sec >= midnight and not (indicator in (1, 2) and
                                            utc_sec < midnight + 86400) or inside:
                offset += sign
        return offset


def month_end(utc_sec):
    """POSIX time of the first second of the next month"""
    day = datetime.datetime.fromtimestamp(utc_sec, datetime.timezone.utc)
    day = day.replace(day=28, hour=0, minute=0, second=0, microsecond=0)
    return int((day + datetime.timedelta(days=4)).replace(day=1).timestamp())


class Histogram:
    """Of ns, in classes of 1/16 of an octave."""

    def __init__(self):
        self.count = collections.Counter()

    def add(self, value):
        top = max(value.bit_length() - 5, 0)
        self.count[value >> top << top] += 1

    def at(self, share):
        left = share * sum(self.count.values())
        for value, n in sorted(self.count.items()):
            left -= n
            if left <= 0:
                return value
        return 0


class Checker:
    """Takes the records one by one."""

    def __init__(self, header, nesting):
        self.header = header
        self.nesting = nesting
        self.page = None
        self.last_line = None           # the last page that offered a line
        self.markers = set()
        self.brackets = collections.deque()
        self.latest = None              # time must not be earlier than this
        self.tainted = False            # the line rests on readings that were false
        self.lied = None                # true time of the last reading that was
        self.streak = 0                 # readings since then
        self.answered = None            # true time of the last reading
        self.silence = 0
        self.alive = True
        self.turn = 0
        self.n = collections.Counter()
        self.bounds, self.offsets = Histogram(), Histogram()
        self.violations = collections.Counter()

    def fail(self, what, truth, *details):
        self.violations[what] += 1
        if sum(self.violations.values()) <= 3:
            print(f"# {what} at {truth / SECOND:.6f}:", *details)

    def sample(self, truth, counter):
        page = self.page
        if page is None or not page.has_line:
            return
        point = page.time(counter)
        if page.flags & MONOTONIC:
            if self.latest is not None and point < self.latest:
                self.fail("backwards", truth, self.latest - point)
            self.latest = point
        if not page.trusted:
            return
        error = page.error_ns(counter)
        off = abs(point * UNIT - truth)
        self.n["samples"] += 1
        if self.tainted:
            self.n["excused"] += 1
        elif not page.bounded or off * 10**9 > error * SECOND:
            self.fail("outside", truth, off * 10**9 / SECOND, "ns of", error)
        else:
            self.bounds.add(error)
            self.offsets.add(off * 10**9 // SECOND)
        if self.brackets:
            self.brackets[-1].append((counter, point, error))
        self.check_silence(truth, page, error)
        self.check_leap(truth, page, point, error)

    def check_silence(self, truth, page, error):
        head = self.header
        if not self.alive:              # nobody is there to say so, or not yet
            return
        if self.silence * 10**9 > (head.after_ns + 2 * head.interval_ns) * SECOND:
            if page.status == 2:
                self.fail("synchronized with nothing", truth, self.silence / SECOND)
        # The daemon looks once in an interval; the bound grows in between.
        if error > head.max_bound_ns + page.growth_ns(
                head.interval_ns * head.hz // 10**9 + 1) + 1:
            self.fail("too wide for its status", truth, error)

    def check_leap(self, truth, page, point, error):
        """UTC, as a reader has it: offset and indicator are those at t1."""
        t1, t = page.t1 >> 64, point >> 64
        near = error // 10**9 + 1
        for at, sign in self.header.leaps:
            if not at - 90000 < t1 < at + 90000:
                continue
            if min(abs(at - t1), abs(at + 1 - t1), abs(at - t), abs(at + 1 - t)) <= near and (
                    min(abs(at * 2**64 - x) for x in (page.t1, point,
                                                      page.t1 - 2**64, point - 2**64)) *
                    10**9 <= (error + 1) << 64):
                self.n["at a leap second"] += 1
                continue
            offset = -page.offset if page.flags & TAI_VALID else self.header.utc_to_tai(
                (page.t1 >> 64) - self.header.offset_at(t1), page.leap)
            if page.leap in (1, 2) and t1 - offset < month_end(t1 - offset) <= (
                    t - offset + (page.leap == 2)):
                offset += 1 if page.leap == 1 else -1
            self.n["near a leap second"] += 1
            if offset != self.header.offset_at(t):
                self.fail("leap", truth, "offset", offset, "indicator", page.leap,
                          "t1", t1 - at, "t", t - at, "status", page.status)

    def update(self, truth, before, after, raw):
        page = Page(raw, self.header)
        old = self.page
        self.page = page
        self.alive = True
        self.n["updates"] += 1
        if page.seq & 1 or old and (page.seq - old.seq) % 2**32 != 2:
            self.fail("sequence", truth, page.seq)
        if old and page.marker != old.marker:
            self.change_marker(truth, page, old)
        if not page.flags & MONOTONIC:
            self.latest = None
        if page.status not in OFFERED or not page.has_line:
            return
        last = self.last_line
        if last is None or page.line != last.line:
            self.new_line(truth, page, last)
        if page.c1 != (last and last.c1) and page.distance(after) - page.distance(before) > 0:
            limit = self.header.offset_error
            if page.distance(after) + limit < 0 or page.distance(before) - limit > 0:
                self.fail("reference point", truth, page.c1, before, after)
        self.last_line = page
        self.sample(truth, after)

    def change_marker(self, truth, page, old):
        if page.marker in self.markers:
            self.fail("marker again", truth, page.marker)
        self.markers.add(page.marker)
        if old.trusted:
            self.fail("marker without a warning", truth, old.status)
        self.n["markers"] += 1
        self.brackets.clear()
        self.last_line = None

    def new_line(self, truth, page, last):
        self.n["lines"] += 1
        if page.status in (2, 4):
            self.tainted = self.lied is not None and (
                self.streak < RATE_READINGS or truth - self.lied < RATE_SPAN)
        if last and page.marker == last.marker:
            jump = page.t1 - last.time(page.c1)
            if not 0 <= jump <= 2:
                self.fail("jump", truth, jump * 10**9 / 2**64, "ns")
            if page.trusted:
                self.check_nesting(truth, page)
        self.brackets.append([])
        if len(self.brackets) > LINES_KEPT:
            self.brackets.popleft()

    def check_nesting(self, truth, page):
        kept = [b for line in self.brackets for b in line]
        step = max(len(kept) // self.nesting, 1) if self.nesting else 1
        self.turn += 1
        for counter, point, error in kept[self.turn % step::step]:
            self.n["nested"] += 1
            off = abs(page.time(counter) - point)
            if off * 10**9 > error << 64:
                self.fail("nesting", truth, off * 10**9 / 2**64, "ns of", error, "age",
                          page.distance(counter) / self.header.hz)

    def reading(self, truth, error, maxerror, bounded):
        # A source that has used up half of what is allowed is lost, though it answers.
        if not bounded or maxerror > self.header.max_bound_ns // 2:
            self.silent(truth)
            return
        self.streak += 1
        if abs(error) > maxerror:
            self.lied, self.streak = truth, 0
        self.answered = truth
        self.silence = 0

    def silent(self, truth):
        if self.answered is not None:
            self.silence = truth - self.answered

    def restart(self):
        """Who starts knows what the page says, from its reference point on."""
        self.n["restarts"] += 1
        self.answered, self.silence = None, 0
        kept = [b for line in self.brackets for b in line
                if self.page.distance(b[0]) >= 0]
        self.brackets = collections.deque([kept])


def run(stream, nesting):
    header = Header(stream.readline())
    checker = Checker(header, nesting)
    read = stream.read
    while True:
        head = read(17)
        truth, kind = int.from_bytes(head[1:], "little"), head[:1]
        if kind == b"S":
            checker.sample(truth, *SAMPLE.unpack(read(SAMPLE.size)))
        elif kind == b"U":
            checker.update(truth, *UPDATE.unpack(read(UPDATE.size)))
        elif kind == b"R":
            checker.reading(truth, *READING.unpack(read(READING.size)))
        elif kind == b"N":
            checker.silent(truth)
        elif kind == b"K":
            checker.alive = False
        elif kind == b"X":
            checker.restart()
        elif kind == b"E":
            return checker
        else:
            raise SystemExit("sim_checker: the trace is broken")


def main():
    checker = run(sys.stdin.buffer, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    numbers = ", ".join(f"{k} {v}" for k, v in sorted(checker.n.items()))
    print(f"# seed {checker.header.value['seed']}: {numbers}")
    print("# bound of the samples: median", checker.bounds.at(.5), "ns, p99",
          checker.bounds.at(.99), "ns; off the truth: median", checker.offsets.at(.5),
          "ns, p99", checker.offsets.at(.99), "ns")
    for what, count in sorted(checker.violations.items()):
        print(f"# VIOLATED: {what}, {count} times")
    return bool(checker.violations) or not checker.n["samples"]


if __name__ == "__main__":
    sys.exit(main())
