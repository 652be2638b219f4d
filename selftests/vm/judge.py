# SPDX-License-Identifier: GPL-2.0-only
"""Was what the witness was told true? All in integers, from the page's own fields.

A Record is what stamps.c wrote: see stamp-ring.h. The Judge is fed with records,
and with what the harness knows at that moment: the life that the guest is in, or
that nobody can know its counter now.

A life is the time in which the guest's counter keeps its relation to the host's:
from one stop, reset, restore or arrival to the next. What the judge asks of every
record whose status is good:
 - it belongs to a life whose counter has been told to the daemon;
 - the true time, by the host's clock and that life's offset, can be in the interval
   that the page's fields give at the counter that was read;
 - its disruption marker is of this life only, and its generation this life's;
 - the library has computed the same interval.
And of every other record that the library gives no time.
"""

import struct

NS = 1_000_000_000
MASK = (1 << 64) - 1
GOOD = (2, 3)
TAI = 1
FLAG_TAI_OFFSET = 1 << 0
FLAGS_BOUND = 1 << 4 | 1 << 6
FLAG_GENERATION = 1 << 8

RECORD = struct.Struct("<11Q2q2Ih6B8x")
FIELDS = ("number", "counter", "marker", "generation", "flags", "counter_value", "period",
          "period_maxerror", "time_sec", "time_frac", "time_maxerror", "earliest_ns",
          "latest_ns", "seq", "reason", "tai_offset", "status", "time_type", "shift",
          "counter_id", "has_time", "counter_valid")


def standstill(before, after, least, most):
    """The guest's counter should have stood for @least to @most ticks of the host's between
    two measurements (offset, error): for how long it did, and what is wrong with that."""
    stood, error = before[0] - after[0], before[1] + after[1]
    if stood < least - error:
        return stood, f"it stood for {stood} +/- {error} ticks, and not for {least} or more"
    if stood > most + error:
        return stood, f"it stood for {stood} +/- {error} ticks, and not for {most} or less"
    return stood, None


class Record:
    """One stamp."""

    def __init__(self, memory, offset):
        for name, value in zip(FIELDS, RECORD.unpack_from(memory, offset)):
            setattr(self, name, value)

    def __repr__(self):
        return " ".join(f"{name}={getattr(self, name)}" for name in FIELDS)


def interval(record):
    """What the page's fields say of the counter that was read: earliest, latest, ns."""
    ticks = (record.counter - record.counter_value) & MASK
    if ticks >> 63:
        ticks -= 1 << 64
    unit = 64 + record.shift
    # Floor division: the interval's point is rounded down, and so its lower end.
    point = ((record.time_sec << 64 | record.time_frac)
             + (ticks * record.period >> record.shift))
    growth = -(-abs(ticks) * record.period_maxerror * NS // (1 << unit))
    error = record.time_maxerror + growth
    nanoseconds = point * NS >> 64
    return nanoseconds - error, nanoseconds + error + 1


class Life:
    """@offset: guest's counter - host's, +/- @error, in the QEMU that @guest names."""

    def __init__(self, what, guest, offset, error):
        self.what, self.guest, self.name = what, guest, f"{what} {guest}"
        self.offset, self.error = self.measured = offset, error
        self.generation = None
        self.markers = set()
        self.good = 0


class Judge:
    """See above. @clock is a referee.HostClock."""

    def __init__(self, clock):
        self.clock = clock
        self.lives = []
        self.pending = []
        self.faults = []
        self.total = self.good = self.quiet = 0

    def begin(self, life):
        self.lives.append(life)
        return life

    def feed(self, records, life, until_ns=None):
        """@life is None while nobody knows the counter. It ended at @until_ns, if given: by
        the host's clock nothing may have been read after that."""
        self.total += len(records)
        for record in records:
            if record.status in GOOD:
                self.pending.append((record, life, until_ns))
            else:
                self.quiet += 1
                if record.has_time:
                    self.fault(record, life, "the library gave a time")

    def fault(self, record, life, why):
        name = life.name if life else "between two lives"
        self.faults.append(f"{name}: {why}: {record}")

    def host_counter(self, record, life):
        return (record.counter - life.offset) & MASK

    def judge_ready(self):
        """Judge what the host's clock has got beyond; say how many wait."""
        waiting = []
        for record, life, until_ns in self.pending:
            if life is None:
                self.fault(record, life, "a good status")
            elif self.clock.knows(self.host_counter(record, life) + life.error):
                self.judge(record, life, until_ns)
            else:
                waiting.append((record, life, until_ns))
        self.pending = waiting
        return len(waiting)

    def judge(self, record, life, until_ns):
        self.good += 1
        life.good += 1
        life.markers.add(record.marker)
        for other in self.lives:
            if other is not life and record.marker in other.markers:
                self.fault(record, life, f"the marker of {other.name}")
        for why in self.wrongs(record, life, until_ns):
            self.fault(record, life, why)

    def wrongs(self, record, life, until_ns):
        """Everything that is wrong with a record that claims to be good."""
        if (record.generation if record.flags & FLAG_GENERATION else None) != life.generation:
            yield f"not of generation {life.generation}"
        if record.flags & FLAGS_BOUND != FLAGS_BOUND:
            yield "no bound"
            return
        earliest, latest = interval(record)
        if not record.has_time or abs(record.earliest_ns - earliest) > 1 \
                or abs(record.latest_ns - latest) > 1:
            yield f"the library says otherwise than {earliest} to {latest}"
        if record.time_type == TAI:
            if not record.flags & FLAG_TAI_OFFSET:
                yield "TAI without an offset to UTC"
            earliest += record.tai_offset * NS
            latest += record.tai_offset * NS
        try:
            host, doubt = self.clock.at(self.host_counter(record, life), life.error)
        except ValueError as error:
            yield str(error)
            return
        if until_ns is not None and host - doubt > until_ns:
            yield f"it was read at {host} +/- {doubt}, after its end at {until_ns}"
        if host + doubt < earliest or host - doubt > latest:
            yield f"it was {host} +/- {doubt}, not {earliest} to {latest}"

    def summary(self):
        return (f"{self.total} stamps in {len(self.lives)} lives: {self.good} with a time,"
                f" {self.quiet} without; {len(self.faults)} false")
