# SPDX-License-Identifier: GPL-2.0-only
"""Is the guest's time right? Compares it with the host's clock, exactly.

A guest's reading names the value of its counter. The host's counter at that
instant is that minus the measured offset, and the host's clock there lies on
the straight line between two samples that host-clock took around it. All of
it in integers; what is uncertain is added up and held against the guest.
"""

import bisect
import datetime
import statistics

NS = 1_000_000_000
KEPT = 6000		# samples, two minutes


def ns(instant):
    """Nanoseconds of a {"sec", "nsec"} pair."""
    return instant["sec"] * NS + instant["nsec"]


def readable(t_ns):
    """UTC, to the nanosecond."""
    try:
        when = datetime.datetime.fromtimestamp(t_ns // NS, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{t_ns} ns"		# not a time that a calendar has
    return f"{when:%Y-%m-%d %H:%M:%S}.{t_ns % NS:09d}"


class HostClock:
    """What the host's clock showed, as a function of the host's counter."""

    def __init__(self):
        self.samples = []

    def feed(self, line):
        """Take a line of host-clock."""
        self.samples.append(tuple(map(int, line.split())))
        if len(self.samples) > 2 * KEPT:
            del self.samples[:KEPT]

    def knows(self, counter):
        """Is there a sample after @counter?"""
        return bool(self.samples) and self.samples[-1][0] > counter

    def at(self, counter, cycles):
        """Time and its uncertainty, ns, at @counter +/- @cycles."""
        after = bisect.bisect_right(self.samples, (counter, float("inf")))
        if not 0 < after < len(self.samples):
            raise ValueError("no reading of the host's clock around this counter value")
        (c0, t0, u0), (c1, t1, u1) = self.samples[after - 1:after + 1]
        time = t0 + (t1 - t0) * (counter - c0) // (c1 - c0)
        # The straight line may be off by one at most, from rounding.
        return time, max(u0, u1) + 1 - -cycles * abs(t1 - t0) // (c1 - c0)


class Referee:
    """Judges the lines of `vmclockctl watch --json`, in order."""

    def __init__(self, clock, offset, error, expected):
        self.clock, self.offset, self.error = clock, offset, error
        self.expected = expected
        self.pending = []
        self.widths = []
        self.inside = self.total = 0

    def add(self, line):
        """Take a line; it raises an exception if it is not of that kind."""
        self.pending.append((line, (int(line["counter"]) - self.offset) % (1 << 64)))

    def judge_ready(self):
        """Judge what the host's clock has got beyond; yield (line, verdict)."""
        while self.pending:
            line, counter = self.pending[0]
            if line.get("point") and not self.clock.knows(counter):
                return
            del self.pending[0]
            yield line, self.judge(line, counter)

    def judge(self, line, counter):
        self.total += 1
        try:
            verdict = self.compare(line, counter)
        except (ValueError, KeyError, TypeError) as error:
            return {"inside": False, "why": f"no time: {line.get('reason') or error}"}
        self.widths.append(verdict["latest"] - verdict["earliest"])
        self.inside += verdict["inside"]
        return verdict

    def compare(self, line, counter):
        to_utc = 0
        if line["time_type"] == "TAI":
            to_utc = line["tai_offset_sec"] * NS
        elif line["time_type"] != "UTC":
            raise ValueError(f"scale {line['time_type']}")
        earliest, point, latest = (ns(line[key]) + to_utc
                                   for key in ("earliest", "point", "latest"))
        host, doubt = self.clock.at(counter, self.error)
        return {"earliest": earliest, "latest": latest, "host": host, "doubt": doubt,
                "off": host - point,
                "inside": earliest <= host - doubt and host + doubt <= latest}

    def all_inside(self):
        return self.inside == self.total == self.expected > 0 and not self.pending

    def summary(self):
        """The verdict, in one line or three."""
        text = f"host time inside the guest's interval: {self.inside} of {self.expected}"
        if self.total != self.expected:
            text += f"\n{self.total} lines came"
        if self.pending:
            text += f"\n{len(self.pending)} more could not be compared"
        if self.widths:
            text += (f"\nwidth of the interval: widest {max(self.widths) / 1000:.3f} us,"
                     f" median {statistics.median(self.widths) / 1000:.3f} us")
        return text


HEADER = (f"{'#':>4}  {'earliest (UTC)':29}  {'latest':>10}  {'width us':>9}  {'status':12}"
          f"  {'disruption':>20}  {'generation':>20}  {'host':>10}  {'off by us':>9}")


def row(number, line, verdict):
    """One line of the live table."""
    markers = (f"{line.get('status', '?'):12}  {line.get('disruption_marker', '?'):>20}  "
               f"{line.get('vm_generation_counter') or '-':>20}")
    if "why" in verdict:
        return f"{number:4}  {verdict['why']:50}  {markers}"
    mark = "" if verdict["inside"] else "  OUTSIDE"
    return (f"{number:4}  {readable(verdict['earliest'])}  "
            f".{verdict['latest'] % NS:09d}  "
            f"{(verdict['latest'] - verdict['earliest']) / 1000:9.3f}  {markers}  "
            f".{verdict['host'] % NS:09d}  {verdict['off'] / 1000:+9.3f}{mark}")
