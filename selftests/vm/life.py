#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is told while it is stopped, saved, restored and moved.

A machine with a witness in it (stamps.c), a vmclock-hostd beside each QEMU that
follows it by its monitor, and a judge who knows the host's clock and measures the
guest's counter anew after each happening. A round has every kind of them:

  stop       stop, and go on
  snapshot   savevm, go on for a while, loadvm: back in time
  cancel     a migration that is given up
  fail       one whose other end goes away
  migrate    to another QEMU, whose machine its daemon continues
  twice      saved in a file, and restored by two QEMUs at the same time

and with --reset one reset at the end, for that takes a boot. TAP on stdout.

What each of them does to the guest's counter is held against host/LIFE.md. When it stood
is known from the host's counter, read before and after what the monitor was told.
"""

import argparse
import contextlib
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import judge		# pylint: disable=wrong-import-position
import kernel_log
import moving
import referee
import vm

INITIALIZING, SYNCHRONIZED = 1, 2
ASSUMED = "--assume-synchronized=100us"
KINDS = ("stop", "snapshot", "cancel", "fail", "migrate", "twice")
# What a failing migration's other end takes: much less than there is.
TAKEN = 100_000
GIVEN_UP = {"cancel": "cancelled", "fail": "failed"}
# Lives that begin with another generation: see begin_life().
RESTORED = ("loaded", "restored")


class Failure(Exception):
    """The run cannot go on."""


class Daemon:
    """A vmclock-hostd beside a guest. Leaving the context ends it."""

    def __init__(self, build, guest, generation):
        self.build, self.guest, self.generation = build, guest, generation
        self.log = None

    def __enter__(self):
        self.log = open(self.guest.logs / "hostd.log", "ab")
        self.start()
        return self

    def __exit__(self, *_):
        vm.stop(self.process)
        self.log.close()

    def start(self):
        self.control = self.guest.tmp / "control"
        self.process = vm.start([self.build / "userspace/vmclock-hostd", ASSUMED,
                                 f"--qmp={self.guest.daemon_socket()}", "--qmp-continue",
                                 f"--generation={self.generation}",
                                 f"--control={self.control}"],
                                stdout=self.log, stderr=self.log)

    def order(self, verb, *words):
        """vmclockctl host VERB vm ...: what an operator's scripts do."""
        subprocess.run([self.build / "userspace/vmclockctl-static", "host",
                        f"--socket={self.control}", verb, "vm", *words],
                       check=True, timeout=60)

    def status(self):
        """What it says of its machine; None if it does not answer."""
        answer = subprocess.run([self.build / "userspace/vmclockctl-static", "host",
                                 f"--socket={self.control}", "--json", "status", "vm"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                check=False, timeout=60).stdout
        return json.loads(answer)["vm"] if answer else None

    def wait_run(self, run):
        """Wait until it has heard that the machine runs, or will come in."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.alive():
            status = self.status()
            if status and status["life"]["run"] == run:
                return
            time.sleep(0.05)
        raise Failure(f"daemon {self.guest.name} does not see that its machine is {run}")

    def marker(self):
        """To be asked for before the counter is measured."""
        return self.status()["page"]["disruption_marker"]

    def tell(self, marker, offset, error):
        self.order("set-counter", f"--marker={marker}", f"--tsc-offset={offset}",
                   f"--tsc-offset-error={error}")

    def alive(self):
        return self.process.poll() is None

    def wait_end(self):
        """After its machine has ended it ends as well."""
        try:
            return self.process.wait(60) == 0
        except subprocess.TimeoutExpired:
            return False


class Side:
    """A guest, its daemon, the life that it is in, and its generation."""

    def __init__(self, guest, daemon, generation):
        self.guest, self.daemon, self.generation = guest, daemon, generation
        self.life = None


class Run:
    """One boot and all that happens to that guest."""

    name = "life"
    moves = ("migrate", "twice")	# kinds after which it is in another QEMU

    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build).resolve()
        self.logs = self.build / "vm" / self.name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.token = secrets.token_hex(16)
        self.judge = judge.Judge(referee.HostClock())
        self.happened = dict.fromkeys(args.kinds, 0)
        self.compared = dict.fromkeys((*KINDS, "reset"), 0)
        self.strayed = []
        # None: there is none.
        self.generations = {None}
        self.sides = 0
        self.trouble = []

    def start_clock(self, stack):
        """Follow the host's clock from now on."""
        clock = vm.start([self.build / "vm/host-clock"], stdout=subprocess.PIPE, text=True)
        stack.callback(vm.stop, clock)

        def follow():
            for line in clock.stdout:
                self.judge.clock.feed(line)
        threading.Thread(target=follow, daemon=True).start()

    def add_guest(self, stack, incoming):
        """Another QEMU for the same guest."""
        self.sides += 1
        return stack.enter_context(moving.Guest(self.args.kernel, self.image, self.logs,
                                                f"{self.sides:03}", self.token, incoming))

    def add_side(self, stack, source=None, generation="keep"):
        """One with its daemon."""
        guest = self.add_guest(stack, bool(source))
        daemon = stack.enter_context(Daemon(self.build, guest, generation))
        daemon.wait_run("incoming" if source else "running")
        return Side(guest, daemon, source and source.generation)

    def drain(self, side):
        """Have the stamps so far judged as of the side's life."""
        self.judge.feed(side.guest.take(), side.life)
        self.judge.judge_ready()

    def begin_life(self, side, what):
        """The counter is another one, and the guest runs: measure it, tell it."""
        side.guest.wait_stamps(2)
        self.drain(side)
        marker = side.daemon.marker()
        offset, error = side.guest.exchange(self.build)
        self.drain(side)
        side.life = self.judge.begin(judge.Life(what, side.guest.name, offset, error))
        side.daemon.tell(marker, offset, error)
        side.guest.wait_page(SYNCHRONIZED, side.daemon.alive)
        self.check_generation(side)
        side.guest.wait_stamps(10)
        self.drain(side)

    def check_generation(self, side):
        """A machine that was restored has another one than all before it; a moved one its own."""
        before, side.generation = side.generation, side.guest.generation()
        if side.life.what in RESTORED + ("booted",):
            if side.generation in self.generations:
                self.trouble.append(f"{side.life.name}: not a generation of its own")
        elif side.generation != before:
            self.trouble.append(f"{side.life.name}: another generation")
        self.generations.add(side.generation)
        side.life.generation = side.generation

    def measure(self, side):
        """The counter's offset and error, once more. It is one life up to now."""
        measured = side.guest.exchange(self.build)
        if judge.standstill(side.life.measured, measured, 0, 0)[1]:
            self.trouble.append(f"{side.life.name}: the counter moved by itself: {measured},"
                                f" {side.life.measured}")
        return measured

    def counter(self):
        """The host's, read after the call and before the return."""
        with subprocess.Popen([self.build / "vm/host-clock"], stdout=subprocess.PIPE) as clock:
            try:
                return int(clock.stdout.readline().split()[0])
            finally:
                clock.kill()

    def around(self, act):
        """Do it: the host's counter before and after that."""
        before = self.counter()
        act()
        return before, self.counter()

    def compare_counter(self, kind, before, side, stopped, went_on):
        """The counter was @before, and stood from some time in @stopped to some time in
        @went_on: was that so?"""
        least, most = max(0, went_on[0] - stopped[1]), went_on[1] - stopped[0]
        self.check_standstill(kind, before, side.life.measured, least, most)

    def check_standstill(self, kind, before, after, least, most):
        stood, wrong = judge.standstill(before, after, least, most)
        self.compared[kind] += 1
        self.say(f"{kind}: the counter stood for {stood} ticks; {least} to {most}")
        if wrong:
            self.strayed.append(f"{kind}: {wrong}")

    def end_life(self, side):
        """Something will happen to the counter: what it was."""
        measured = self.measure(side)
        side.daemon.order("prepare")
        side.guest.wait_stamps(2)
        self.drain(side)
        if not side.life.good:
            self.trouble.append(f"{side.life.name}: no stamp had a time")
        side.life = None
        return measured

    def do_stop(self, side):
        """Only the events tell of it; it goes on when the page is quiet."""
        measured = self.measure(side)
        running = self.counter()
        side.guest.stop()
        stopped_ns = time.time_ns()
        stopped = running, self.counter()
        side.guest.wait_page(INITIALIZING, side.daemon.alive)
        self.drain(side)
        before, side.life = side.life, None
        time.sleep(0.05)
        went_on = self.around(side.guest.cont)
        # The witness may have read the page, and not yet have said so.
        side.guest.wait_stamps(1)
        self.judge.feed(side.guest.take(1), before, stopped_ns)
        self.begin_life(side, "stopped")
        self.compare_counter("stop", measured, side, stopped, went_on)

    def do_snapshot(self, side):
        measured = self.end_life(side)
        stopped = self.around(side.guest.stop)
        side.guest.snapshot("snapshot-save", "round")
        self.drain(side)
        went_on = self.around(side.guest.cont)
        side.daemon.order("resume")
        self.begin_life(side, "saved")
        self.compare_counter("snapshot", measured, side, stopped, went_on)
        running = self.counter()
        measured = self.end_life(side)
        side.guest.stop()
        # It does not go back, but may to where the guest has read it last: since @running.
        stopped = running, self.counter()
        self.drain(side)
        side.guest.snapshot("snapshot-load", "round")
        side.guest.forget()
        side.daemon.order("disrupt")
        went_on = self.around(side.guest.cont)
        side.daemon.order("resume")
        self.begin_life(side, "loaded")
        self.compare_counter("snapshot", measured, side, stopped, went_on)
        side.guest.snapshot("snapshot-delete", "round")

    def do_cancel(self, side):
        side.guest.monitor.command("migrate-set-parameters", max_bandwidth=1 << 20)
        self.give_up("cancel", side, "exec:cat >/dev/null")
        side.guest.monitor.command("migrate-set-parameters", max_bandwidth=1 << 40)

    def do_fail(self, side):
        self.give_up("fail", side, f"exec:head -c {TAKEN} >/dev/null")

    def give_up(self, kind, side, uri):
        """It goes on as ever, no new marker, and nobody has to say so."""
        marker, measured = side.guest.page()[1], self.measure(side)
        side.daemon.order("prepare")
        side.guest.wait_stamps(2)
        self.drain(side)
        before, side.life = side.life, None
        side.guest.migrate(uri)
        if kind == "cancel":
            side.guest.wait_stamps(5)
            self.drain(side)
            side.guest.monitor.command("migrate_cancel")
        side.life = before
        side.guest.monitor.wait_migration(GIVEN_UP[kind], bad=("completed",))
        side.guest.wait_page(SYNCHRONIZED, side.daemon.alive)
        if side.guest.page()[1] != marker:
            self.trouble.append(f"{kind}: it has cost the disruption marker")
        side.guest.wait_stamps(5)
        self.drain(side)
        self.check_standstill(kind, measured, self.measure(side), 0, 0)

    def do_reset(self, side):
        """Only the event tells of it. The firmware takes longer than the daemon."""
        marker, measured = side.guest.page()[1], self.measure(side)
        side.guest.monitor.command("set-action", reboot="reset")
        running = self.counter()
        side.guest.monitor.command("system_reset")
        side.guest.monitor.wait_event("RESET")
        self.drain(side)
        side.life = None
        side.guest.wait_stamps(1, moving.BOOT_PATIENCE)
        if side.guest.page()[1] == marker:
            self.trouble.append("a reset has left the disruption marker")
        self.begin_life(side, "reset")
        # QEMU adds what one CPU of the host is ahead of another. That is not as much as passes.
        self.check_standstill("reset", measured, side.life.measured, running - self.counter(), 0)

    def arrive(self, side, taken):
        """The state has come; the daemon continues the machine."""
        side.guest.arrived()
        side.guest.taken = taken
        side.guest.monitor.wait_status("running")

    def do_migrate(self, side, stack):
        other = self.add_side(stack, side)
        path = moving.room_for(side.guest.tmp / "migration")
        measured = self.end_life(side)
        other.guest.receive(f"unix:{path}")
        running = self.counter()
        side.guest.migrate(f"unix:{path}")
        side.guest.monitor.wait_migration()
        self.drain(side)
        self.arrive(other, side.guest.taken)
        # It stops and goes on in that time, where nobody sees it.
        moved = running, self.counter()
        self.leave(side)
        self.begin_life(other, "migrated")
        self.compare_counter("migrate", measured, other, moved, moved)
        return other

    def do_twice(self, side, stack):
        path = moving.room_for(self.logs / "image")
        measured = self.end_life(side)
        stopped = self.around(side.guest.stop)
        side.guest.save(path)
        self.drain(side)
        self.leave(side)
        if self.args.keep:
            self.say(f"saved, and kept for {self.args.keep} s")
            time.sleep(self.args.keep)
        others = [self.add_side(stack, side, "new") for _ in range(2)]
        standing = self.counter()
        for other in others:
            other.guest.receive(f"file:{path}")
        for other in others:
            self.arrive(other, side.guest.taken)
        went_on = standing, self.counter()
        for other in others:
            self.begin_life(other, "restored")
            self.compare_counter("twice", measured, other, stopped, went_on)
        self.compare(*(other.guest for other in others))
        self.end_life(others[0])
        self.leave(others[0])
        path.unlink()
        return others[1]

    def compare(self, one, two):
        """Restored from one image, at the same time: what tells them apart?"""
        if one.page()[1] == two.page()[1]:
            self.trouble.append("two restored machines have the same disruption marker")
        if one.generation() == two.generation():
            self.trouble.append("two restored machines have the same generation")

    def quit(self, guest):
        guest.monitor.command("quit")
        if not guest.wait_off(60):
            self.trouble.append(f"QEMU {guest.name} did not end well")

    def leave(self, side):
        """This QEMU is not used any more."""
        self.quit(side.guest)
        if not side.daemon.wait_end():
            self.trouble.append(f"daemon {side.guest.name} did not end well, see hostd.log")
        side.guest.end()

    def round(self, side, stack, kinds):
        for kind in kinds:
            self.say(f"{kind}: guest {side.guest.name}")
            if kind in self.moves:
                side = getattr(self, f"do_{kind}")(side, stack)
            else:
                if kind == "snapshot":
                    side.guest.ensure_disk()
                getattr(self, f"do_{kind}")(side)
            self.happened[kind] += 1
        return side

    def say(self, text):
        print(f"# {text}", flush=True)

    def finish(self, side):
        """The witness has said all; the guest ends by itself."""
        self.drain(side)
        side.guest.end_witness()
        if not side.guest.wait_off(180):
            self.trouble.append("QEMU did not end by itself")
        if not side.guest.got_token():
            self.trouble.append("no token: the guest did not get to the end")
        if not side.daemon.wait_end():
            self.trouble.append("the daemon did not end well")
        deadline = time.monotonic() + 10
        while self.judge.judge_ready() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.judge.faults += [f"not judged: {record}" for record, *_ in self.judge.pending]

    def make_image(self):
        self.image = self.logs / "initramfs"
        vm.make_image(self.image, self.build, [self.args.module], ["vm/stamps"],
                      "3600 stamps /vm/stamps\n")

    def run(self):
        self.make_image()
        with contextlib.ExitStack() as stack:
            self.start_clock(stack)
            side = self.add_side(stack)
            self.say(f"booting the machine (half a minute to three), logs in {self.logs}")
            side.guest.wait_witness()
            self.begin_life(side, "booted")
            for number in range(self.args.rounds):
                self.say(f"round {number + 1} of {self.args.rounds}")
                side = self.round(side, stack, self.args.kinds)
                self.say(self.judge.summary())
            if self.args.reset:
                self.say("reset")
                self.do_reset(side)
            self.finish(side)
            self.trouble += [f"kernel log: {line}"
                             for line in kernel_log.complaints(self.kernel_log())]

    def kernel_log(self):
        """It goes on in every QEMU that the guest is in."""
        return "\n".join((self.logs / f"{number:03}/console.log").read_text(errors="replace")
                         for number in range(1, self.sides + 1))

    def checks(self):
        """What is judged: (name, passed, explanation)."""
        for kind in self.args.kinds:
            yield (f"every {kind} went to its end", self.happened[kind] == self.args.rounds,
                   f"{self.happened[kind]} of {self.args.rounds}")
        yield ("no stamp claims a time that it has not",
               self.judge.good > 0 and self.judge.quiet > 0 and not self.judge.faults,
               "\n".join([self.judge.summary(), *self.judge.faults[:20]]))
        happened = [kind for kind in (*self.args.kinds, *["reset"] * self.args.reset)
                    if kind in self.compared]
        yield ("what happened did to the counter what LIFE.md says",
               not self.strayed and all(self.compared[kind] for kind in happened),
               "\n".join([f"compared: {self.compared}", *self.strayed]))
        yield "nothing else was wrong", not self.trouble, "\n".join(self.trouble)

    def report(self):
        checks = list(self.checks())
        print(f"TAP version 13\n1..{len(checks)}")
        for number, (name, passed, why) in enumerate(checks, 1):
            print(f"{'ok' if passed else 'not ok'} {number} {name}")
            if not passed or "stamp" in name:
                print("\n".join(f"# {line}" for line in why.splitlines()))
        return all(passed for _, passed, _ in checks)


def add_machine(parser):
    """The options that say what the machine is made of."""
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--kernel", required=True, help="the guest's kernel image")
    parser.add_argument("--module", required=True, help="vmclock.ko for that kernel")


def add_keep(parser, seconds):
    parser.add_argument("--keep", type=float, default=seconds,
                        help="seconds that a saved machine is kept before it is restored")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_machine(parser)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--reset", action="store_true", help="reset it at the end")
    add_keep(parser, 0)
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def go(run):
    """Do it, and report; return the exit status."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run.run()
    except (Failure, OSError, ValueError, subprocess.SubprocessError) as error:
        run.trouble.append(f"it could not go on: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0 if run.report() else 1


def main():
    return go(Run(parse_args()))


if __name__ == "__main__":
    sys.exit(main())
