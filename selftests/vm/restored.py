#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Is CLOCK_REALTIME right after a restore?

A machine is migrated, saved and restored, and put back to a snapshot, as life.py does
it, with a vmclock-hostd beside each QEMU that does its part: INITIALIZING before, a new
marker and a counter that is measured anew after it. In the guest several programs wait
for the end of the disruption and then read CLOCK_REALTIME (restore_witness.c): with
on_restore=step none of them may read a time that the page says it can't be, nor one
that the host's own clock says it can't be; with off nobody sets it.

After that the same by somebody who tells the daemon nothing:

  unprepared   the daemon is killed, the machine saved and restored, and then it runs
               for a while with the old line, its good status, and QEMU's new marker

TAP on stdout. For how long the clock was wrong, and how much of that the driver took,
are figures and no gates.
"""

import argparse
import re
import sys
import time

import judge
import life
import moving
import vm

POLICIES = ("off", "step")
KINDS = ("migrate", "twice", "snapshot", "unprepared")
WAYS = ("WAIT", "eventfd", "poll")
# For that long it runs with the old line.
UNFED_S = 1
DISRUPTED = r"^disrupted policy=(\w+) at=(\d+)$"
TOLD = re.compile(r"^told way=(\w+) policy=(\w+) set=(\d) late=(\d) at=(\d+) looks=(\d+) outside=(\d+)"
                  r" counters=(\d+)-(\d+) real=(-?\d+) bound=(\d+)$")
NUMBERS = ("was_set", "was_set_late", "at", "looks", "outside", "before", "after", "real", "bound")


class Told:
    """What a program in the guest says: times in ns, its counter around one look."""

    low = high = 0		# how far the clock was from the host's, then

    def __init__(self, match):
        self.way, self.policy = match.groups()[:2]
        for name, value in zip(NUMBERS, match.groups()[2:]):
            setattr(self, name, int(value))

    def __str__(self):
        return (f"{self.way} {(self.low + self.high) / 2e3:+.1f}"
                f" (+/- {(self.high - self.low) / 2e3:.1f})")


def distance(told, where, clock):
    """How far a program's clock was from the host's when it looked: two ends, ns."""
    before, after = ((counter - where.offset) & judge.MASK
                     for counter in (told.before, told.after))
    deadline = time.monotonic() + 10
    while not clock.knows(after + where.error) and time.monotonic() < deadline:
        time.sleep(0.05)
    earliest, doubt = clock.at(before, where.error)
    latest, more_doubt = clock.at(after, where.error)
    return told.real - latest - more_doubt, told.real - earliest + doubt


def wrongs(told):
    """What must not be."""
    if told.was_set_late:
        yield "somebody has set the clock after the event"
    if told.policy == "off":
        if told.was_set:
            yield "somebody has set the clock"
        if told.outside != told.looks:
            yield "the clock is right by itself: this shows nothing"
        return
    if not told.was_set:
        yield "the clock was not set before the event"
    if told.outside:
        yield f"{told.outside} of {told.looks} looks were outside of the page's bound"
    if told.high < -told.bound or told.low > told.bound:
        yield "the host's clock says that it is wrong"


class Restored(life.Run):
    """A life with programs in it that want to know the time."""

    name = "restored"
    moves = ("migrate", "twice", "unprepared")

    def __init__(self, args):
        super().__init__(args)
        self.policies = iter(POLICIES)
        self.heard = []

    def make_image(self):
        # Each kind of happening is one disruption; loading a snapshot takes back one.
        policies = " ".join(policy for policy in POLICIES for _ in KINDS)
        self.image = self.logs / "initramfs"
        vm.make_image(self.image, self.build, [self.args.module],
                      ["vm/stamps", "selftests/restore_witness"],
                      f"3600 restore_witness /selftests/restore_witness {policies}\n")

    def round(self, side, stack, kinds):
        self.policy = next(self.policies)
        return super().round(side, stack, kinds)

    def end_life(self, side):
        side.guest.read_line("^ready$")
        return super().end_life(side)

    def begin_life(self, side, what):
        super().begin_life(side, what)
        if what != "booted":
            self.hear(side)

    def do_unprepared(self, side, stack):
        path = moving.room_for(self.logs / "image")
        side.guest.read_line("^ready$")
        self.drain(side)
        side.daemon.process.kill()
        side.daemon.process.wait()
        side.guest.save(path)
        self.quit(side.guest)
        guest = self.add_guest(stack, True)
        guest.receive(f"file:{path}")
        guest.arrived()
        guest.forget()
        guest.cont()
        time.sleep(UNFED_S)
        daemon = stack.enter_context(life.Daemon(self.build, guest, "keep"))
        daemon.wait_run("running")
        guest.wait_page(life.INITIALIZING, daemon.alive)
        guest.wait_stamps(1)
        # It was told lies until now. If not, this shows nothing.
        if not any(record.status in judge.GOOD for record in guest.take()):
            self.trouble.append("unprepared: the old line has not come with a good status")
        other = life.Side(guest, daemon, side.generation)
        self.begin_life(other, "unprepared")
        path.unlink()
        return other

    def hear(self, side):
        """What the programs in the guest have seen of what just happened."""
        policy, disrupted_at = side.guest.read_line(DISRUPTED).groups()
        programs = [Told(side.guest.read_line(TOLD)) for _ in WAYS]
        ways = tuple(sorted(one.way for one in programs))
        wrong = [] if policy == self.policy and ways == WAYS else [f"{policy}, {ways}"]
        for one in programs:
            one.low, one.high = distance(one, side.life, self.judge.clock)
            wrong += [f"{one.way}: {why}" for why in wrongs(one)]
        self.heard.append((f"{policy}, {side.life.name}", not wrong, "\n".join(wrong)))
        late = max(one.at for one in programs) - int(disrupted_at)
        self.say(f"{policy}, {side.life.name}: {', '.join(map(str, programs))} us from the"
                 f" host's clock, by the page +/- {programs[0].bound / 1e3:.1f};"
                 f" told {late / 1e6:.1f} ms of the guest's time after the disruption")
        if policy == "step":
            self.say(side.guest.read_line(".*CLOCK_REALTIME.*")[0])

    def checks(self):
        yield from self.heard
        yield from super().checks()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    life.add_machine(parser)
    life.add_keep(parser, 20)
    return parser.parse_args(namespace=argparse.Namespace(
        rounds=len(POLICIES), kinds=KINDS, reset=False))


if __name__ == "__main__":
    sys.exit(life.go(Restored(parse_args())))
