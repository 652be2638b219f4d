#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes the picture of a migration: picture.py --build=... FILE.svg

A machine with a witness in it is moved from one QEMU to another, as life.py does it,
with a vmclock-hostd beside each. What the witness saw is made a trace, which
`vmclockctl plot` draws. The witness has no clock that could tell whether the page is
right: the trace has the host's, at the counter readings that the witness took. That
is known when both counters have been measured, so it is computed at the end.
"""

import argparse
import contextlib
import struct
import subprocess
import sys
import time

import life

# Before the migration, and after it.
SECONDS = 10
# Looks are no further apart than that.
EVERY_NS = 100_000_000
PAGE = struct.Struct("<IIHBBIQQ2xBBhBB9Q")
MAGIC = 0x4B4C4356
# Of fields that the witness has no room for.
FLAGS_ESTERROR = 1 << 3 | 1 << 5


def page(record):
    """The page's bytes, as far as the witness has written them down."""
    return PAGE.pack(MAGIC, 4096, 1, record.counter_id, record.time_type, record.seq,
                     record.marker, record.flags & ~FLAGS_ESTERROR, record.status, 0,
                     record.tai_offset, 0, record.shift, record.counter_value, record.period,
                     0, record.period_maxerror, record.time_sec, record.time_frac, 0,
                     record.time_maxerror, record.generation).hex()


def choose(looks):
    """Those that make the picture: before and after each update, and some in between."""
    before = taken = None
    for look in looks:
        is_update = before and look[2].seq != before[2].seq
        if is_update and before is not taken:
            yield before
        if not taken or is_update or look[0] - taken[0] >= EVERY_NS:
            taken = look
            yield look
        before = look


def write_trace(looks, file):
    """@looks: (host's time at the counter's reading, +/- doubt, record), in ns."""
    print("vmclock-trace 1\ncounter tsc", file=file)
    print("# Seen in the guest. CLOCK_REALTIME and CLOCK_MONOTONIC_RAW: the host's"
          " CLOCK_REALTIME.", file=file)
    last = None
    for time_ns, doubt, record in choose(looks):
        if (now := page(record)) != last:
            print(f"p {now}", file=file)
        last = now
        print(f"s {record.counter} {time_ns - doubt} {time_ns + doubt} {time_ns} -", file=file)


class Picture(life.Run):
    """A life with nothing in it but a migration."""

    def __init__(self, args):
        super().__init__(args)
        self.seen = []
        self.trace = self.logs / "migration.trace"

    def drain(self, side):
        """A QEMU's counter is the same from its machine's first instruction on."""
        records = side.guest.take()
        self.seen += [(side.guest.name, record) for record in records]
        self.judge.feed(records, side.life)
        self.judge.judge_ready()

    def watch(self, side):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.5)
            self.drain(side)

    def run(self):
        self.make_image()
        with contextlib.ExitStack() as stack:
            self.start_clock(stack)
            side = self.add_side(stack)
            self.say("booting the machine (half a minute to three)")
            side.guest.wait_witness()
            self.begin_life(side, "booted")
            self.seen.clear()
            self.watch(side)
            side = self.do_migrate(side, stack)
            self.watch(side)
            self.happened["migrate"] += 1
            self.finish(side)
            self.save()

    def save(self):
        """The host's clock has samples around each reading by now."""
        lives = {one.guest: one for one in self.judge.lives}
        with open(self.trace, "w", encoding="ascii") as file:
            write_trace([self.look(record, lives[guest]) for guest, record in self.seen], file)

    def look(self, record, one):
        counter = self.judge.host_counter(record, one)
        return *self.judge.clock.at(counter, one.error), record


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    life.add_machine(parser)
    parser.add_argument("picture")
    return parser.parse_args(namespace=argparse.Namespace(rounds=1, kinds=["migrate"],
                                                        reset=False))


def main():
    args = parse_args()
    run = Picture(args)
    if status := life.go(run):
        return status
    ctl = run.build / "userspace/vmclockctl-static"
    subprocess.run([ctl, "plot", f"--output={args.picture}", run.trace], check=True)
    return subprocess.run([ctl, "lint", run.trace], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
