#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots the test machine and judges what comes out of it.

  run.py stock   QEMU's device as it is, markers only, and pages of our own
  run.py unstable  the same, with a TSC that the kernel does not trust, and pages
                   that the host writer serves
  run.py soak    stock, and for long: see --set and --patience
  run.py feed    the host writer puts real time into the device's page
  run.py host    the writer is a clock device's back-end, and feeds the page so
  run.py planted  the kernel must report bugs that a module is full of
  run.py run     as feed, for people to watch; see --seconds
  run.py bench   the same, for what an ioctl costs

All but run print TAP and store that of the guest's programs; what the
guest runs is in MODE.list, and in MODE-SERIES.list for a series of kernels:

  [status=N] PROGRAM [ARGUMENT...]
  also PROGRAM
  x86 LINE

PROGRAM is a path below the build directory and, in the guest, below /. It
speaks TAP, or with status=N is one test: does it exit with N? The second form
only puts a program there, for others to use; the third one is for the machine
that has its name only.
"""

import argparse
import contextlib
import json
import pathlib
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import arm64		# pylint: disable=wrong-import-position
import kernel_log
import pages
import planted
import referee
import rtc
import served
import sleeper
import tap
import vm

TIMEOUT = 900
PROGRAM_TIMEOUT = 300
LINE_MAX = 65536
PEER = "clock-peer"
PEER_AGAIN = "clock-peer-again"
# What the harness says before and after each test. It is in the log.
NOISE = re.compile(r"#\s+(RUN|OK)\s|TAP version|# (Starting|Totals)")


class Failure(Exception):
    """The run cannot go on."""


class Program:
    """A line of a list."""

    def __init__(self, line):
        words = shlex.split(line)
        self.status = None
        if words[0].startswith("status="):
            self.status = words.pop(0).partition("=")[2]
        self.path, self.args = words[0], words[1:]
        base = pathlib.PurePath(self.path).name.removesuffix("-static")
        self.name = re.sub(r"[^\w.]+", "-", "-".join([base, *self.args])).strip("-")

    def in_guest(self, seconds):
        return f"{seconds} {self.name} /{self.path} {' '.join(self.args)}\n"


def read_list(mode, series, seconds):
    """The programs that run, and all paths that are needed."""
    text = "".join(path.read_text() for path in
                   (HERE / f"{mode}.list", HERE / f"{mode}-{series}.list") if path.exists())
    text = text.replace("@SECONDS@", str(seconds))
    lines = [line.removeprefix("x86 ") for line in text.splitlines()
             if line.strip() and line[0] != "#"
             and not (series == "arm64" and line.startswith("x86 "))]
    extra = {line.split()[1] for line in lines if line.startswith("also ")}
    programs = [Program(line) for line in lines if not line.startswith("also ")]
    if len({program.name for program in programs}) < len(programs):
        raise Failure(f"{mode}.list: a line is there twice")
    return programs, extra | {program.path for program in programs}


class Lines:
    """Cuts what arrives at a file descriptor into lines."""

    def __init__(self, recv):
        self.recv = recv
        self.rest = b""

    def read(self):
        """The complete lines that came; None at the end."""
        try:
            data = self.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return None
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.rest = self.rest[-LINE_MAX:]
        return [line.decode(errors="replace").rstrip("\r") for line in lines]


class Run:
    """One boot, from QEMU's start to its end."""

    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build).resolve()
        # The default kernel goes without saying.
        self.name = args.mode if args.series == "6.1" else f"{args.series}-{args.mode}"
        self.logs = self.build / "vm" / self.name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.programs, self.paths = read_list(args.mode, args.series, args.seconds)
        self.fed = any(program.name == PEER for program in self.programs)
        self.frames = {}
        self.current = None
        self.hostd = self.referee = self.machine = self.served = self.device = None
        self.trouble = []
        self.missing = None
        self.offset_checked = False
        self.judged = 0

    def say(self, text):
        print(text if self.args.mode == "run" else f"# {text}", flush=True)

    def run(self):
        """Boot, and follow the machine to its end."""
        patience = PROGRAM_TIMEOUT * self.args.patience + 4 * self.args.seconds
        image = self.logs / "initramfs"
        vm.make_image(image, self.build, [*self.args.before, self.args.module], self.paths,
                      "".join(program.in_guest(patience) for program in self.programs))
        self.say(f"booting the {self.name} machine"
                 f" (half a minute to three), logs in {self.logs}")
        with contextlib.ExitStack() as stack:
            options = []
            if self.args.mode == "unstable":
                self.served = served.Served(stack, self.build, self.logs)
                options = self.served.options()
            machine = arm64.Machine if self.args.series == "arm64" else vm.Machine
            self.machine = stack.enter_context(
                machine(self.args.kernel, image, self.logs, self.args.mode, self.args.set,
                        options, self.args.qemu))
            self.stack = stack
            self.sleeper = sleeper.Sleeper(self.machine)
            self.selector = stack.enter_context(selectors.DefaultSelector())
            self.record = stack.enter_context(open(self.logs / "output.log", "w",
                                                   encoding="utf-8"))
            self.watch(self.machine.output, self.machine.output.recv, self.guest_line)
            self.watch(self.machine.link, self.machine.link.recv, self.link_line)
            self.follow(TIMEOUT * self.args.patience + 4 * self.args.seconds)
            self.finish()

    def watch(self, fileobj, recv, handler):
        self.selector.register(fileobj, selectors.EVENT_READ, (Lines(recv), handler))

    def follow(self, seconds):
        """Handle what comes in until the guest's output ends."""
        deadline = time.monotonic() + seconds
        while self.machine.output in self.selector.get_map():
            if time.monotonic() > deadline:
                self.trouble.append(f"the guest did not end within {seconds} s,"
                                    f" see {self.logs / 'console.log'}")
                self.machine.ask_why()
                return
            self.handle()

    def handle(self):
        """One round: what came in within a second."""
        for key, _ in self.selector.select(self.sleeper.patience()):
            source, handler = key.data
            lines = source.read()
            if lines is None:
                self.selector.unregister(key.fileobj)
            for line in lines or ():
                handler(line)
        self.sleeper.work(self.do_for_guest)

    def link_line(self, line):
        """A line of ttyS3: a test wants a page changed."""
        answer = self.sleeper.answer(line) or self.do_for_guest(line)
        self.machine.link.sendall(f"{answer}\n".encode())

    def do_for_guest(self, line):
        return (self.device or self.machine).answer(line)

    def guest_line(self, line):
        """A line of ttyS1."""
        self.record.write(line + "\n")
        self.record.flush()
        if match := re.fullmatch(r"# begin (\S+)", line):
            self.current = match[1]
            self.frames[self.current] = [None, []]
            if self.current == PEER:
                self.feed()
            elif self.current == PEER_AGAIN:
                self.check_offset()
            return
        if match := re.fullmatch(r"# end (\S+) status=(\S+)", line):
            if match[1] == self.current:
                self.frames[self.current][0] = match[2]
            if match[1] == PEER:
                self.machine.ram[pages.LINK:pages.LINK + 64] = bytes(64)
            self.current = None
            self.check_hostd()
            return
        if self.current:
            self.frames[self.current][1].append(line)
        self.guest_text(line)

    def guest_text(self, line):
        """A line that a program in the guest printed."""
        watching = self.referee and (self.current or "").startswith("vmclockctl-watch")
        if watching and line.startswith("{"):
            try:
                self.referee.add(json.loads(line))
            except (ValueError, KeyError, TypeError):
                self.trouble.append(f"not a line of vmclockctl watch --json: {line}")
            self.judge()
        elif line and not NOISE.match(line):
            self.say(f"guest: {line}")

    def check_hostd(self):
        if self.hostd and self.hostd.poll() is not None:
            self.trouble.append(f"vmclock-hostd ended with {self.hostd.returncode},"
                                f" see {self.logs / 'hostd.log'}")
            self.hostd = None

    def lines_expected(self):
        """How many lines the guest's watch will print."""
        return sum(int(arg.partition("=")[2]) for program in self.programs
                   for arg in program.args if arg.startswith("--count="))

    def exchange(self):
        """Measure the guest's counter against the host's: offset, error."""
        ram_fd = self.machine.ram_fd
        measured = subprocess.run([*self.machine.run_by, self.build / "vm/clock-exchange",
                                   str(ram_fd)],
                                  pass_fds=(ram_fd,), stdout=subprocess.PIPE, text=True,
                                  check=False, timeout=120)
        match = re.fullmatch(r"offset=(-?\d+) error=(\d+)\n", measured.stdout)
        if measured.returncode or not match:
            raise Failure(f"the clock exchange failed: status {measured.returncode}")
        return int(match[1]), int(match[2])

    def release_peer(self):
        """End the exchange in the guest."""
        self.machine.ram[pages.LINK:pages.LINK + 8] = b"\xff" * 8

    def feed(self):
        """The guest answers the exchange: find the offset, start the writer."""
        offset, error = self.exchange()
        error += self.machine.creep
        self.start_hostd(offset, error)
        if self.args.mode == "host":
            self.plug_device()
        self.start_referee(offset, error)
        if not self.machine.wait_fed(lambda: self.hostd.poll() is None):
            raise Failure(f"no time in the page: see {self.logs / 'hostd.log'}")
        self.release_peer()

    def check_offset(self):
        """The writer and the referee rest on the same offset: does it still hold?"""
        offset, error = self.exchange()
        self.release_peer()
        self.offset_checked = True
        self.say(f"guest counter = host counter {offset:+} +/- {error} cycles at the end,"
                 f" {offset - self.referee.offset:+}")
        if abs(offset - self.referee.offset) > error + self.referee.error:
            self.trouble.append(f"the guest's counter moved: offset {offset} +/- {error} now,"
                                f" {self.referee.offset} +/- {self.referee.error} before")

    def start_hostd(self, offset, error):
        command = [*self.machine.run_by, self.build / "userspace/vmclock-hostd",
                   self.page_option(),
                   f"--tsc-offset={offset}", f"--tsc-offset-error={error}",
                   f"--assume-synchronized={self.args.assume_synchronized}",
                   *shlex.split(self.args.hostd_options)]
        log = self.stack.enter_context(open(self.logs / "hostd.log", "wb"))
        self.hostd = vm.start(command, stdout=log, stderr=log)
        self.stack.callback(vm.stop, self.hostd)
        self.say(f"the host's clock is taken as synchronised within"
                 f" {self.args.assume_synchronized} (--assume-synchronized)")
        self.say(f"guest counter = host counter {offset:+} +/- {error} cycles, measured;"
                 f" {self.machine.creep} of them in case it creeps")

    def page_option(self):
        if self.args.mode == "host":
            return f"--vhost-socket={self.machine.tmp}/clock"
        return self.machine.page_option()

    def plug_device(self):
        tmp = self.machine.tmp
        self.device = rtc.Device(self.machine.qemu, self.hostd, tmp / "qmp", tmp / "clock",
                                 self.say)
        self.stack.callback(self.device.close)
        self.device.plug()

    def start_referee(self, offset, error):
        clock = vm.start([*self.machine.run_by, self.build / "vm/host-clock"], stdout=subprocess.PIPE, bufsize=0)
        self.stack.callback(vm.stop, clock)
        self.referee = referee.Referee(referee.HostClock(), offset, error, self.lines_expected())
        self.watch(clock.stdout, clock.stdout.read, self.host_clock)
        if self.args.mode == "run":
            print(f"\n{referee.HEADER}", flush=True)

    def host_clock(self, line):
        self.referee.clock.feed(line)
        self.judge()

    def judge(self):
        for line, verdict in self.referee.judge_ready():
            self.judged += 1
            text = referee.row(self.judged, line, verdict)
            print(text if self.args.mode == "run" else f"# {text}", flush=True)

    def finish(self):
        """After the guest's last word."""
        deadline = time.monotonic() + 5
        while self.referee and self.referee.pending and time.monotonic() < deadline:
            self.handle()
        if not self.machine.wait_off(60):
            self.trouble.append("QEMU did not end by itself")
        if not self.machine.got_token():
            self.trouble.append("no token: the guest did not get to the end")
        if self.hostd and vm.stop(self.hostd):
            self.trouble.append(f"vmclock-hostd did not end well: {self.hostd.returncode},"
                                f" see {self.logs / 'hostd.log'}")
        if self.served:
            self.trouble += self.served.end()
        self.judge_log(kernel_log.splats(self.logs / "console.log"))

    def judge_log(self, complaints):
        if self.args.mode == "planted":
            self.missing = planted.missing(complaints)
        else:
            self.trouble += [f"kernel log: {line}" for line in complaints]

    def checks(self):
        """What is judged here: (name, passed, explanation)."""
        for name in ("insmod", "rmmod"):
            status, lines = self.frames.get(name, (None, []))
            yield name, status == "0", f"status {status}: {' '.join(lines).strip()}"
        for program in self.programs:
            status, _ = self.frames.get(program.name, (None, []))
            if program.status is None:
                yield f"{program.name} ran", status is not None, "it did not run to its end"
            else:
                yield (f"{program.name} exits with {program.status}",
                       status == program.status, f"status {status}")
        if self.fed:
            verdict = self.referee.summary() if self.referee else "no clock exchange"
            yield "the counter's offset was measured again", self.offset_checked, "it was not"
            yield ("the host's time is inside the guest's interval",
                   bool(self.referee) and self.referee.all_inside(), verdict)
        if self.missing is not None:
            yield ("debug kernel reports: KASAN, lockdep, UBSAN, kmemleak",
                   not self.missing, f"not reported: {'; '.join(self.missing)}")
        clean = ", its log is clean" if self.missing is None else ""
        yield f"the machine ends well{clean}", not self.trouble, "\n".join(self.trouble)

    def report_tap(self):
        """Store the guest's TAP, print our own."""
        for program in self.programs:
            status, lines = self.frames.get(program.name, (None, None))
            if program.status is None and lines is not None:
                tap.store(self.args.results, f"{self.name}-{program.name}",
                          "\n".join(lines) + "\n", status or "")
        checks = list(self.checks())
        print(f"TAP version 13\n1..{len(checks)}")
        for number, (name, passed, why) in enumerate(checks, 1):
            print(f"{'ok' if passed else 'not ok'} {number} {name}")
            if not passed or why.startswith("host time"):
                print("\n".join(f"# {line}" for line in why.splitlines()))
        return all(passed for _, passed, _ in checks)

    def report_people(self):
        """The verdict of `run`."""
        print(f"\n{self.referee.summary() if self.referee else 'the guest was never fed'}")
        failed = [(name, why) for name, passed, why in self.checks() if not passed]
        for name, why in failed:
            print(f"FAILED: {name}" + ("" if why.startswith("host time") else f": {why}"))
        return not failed


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("stock", "unstable", "soak", "feed", "host",
                                         "planted", "run", "bench"))
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--qemu", help="another emulator")
    parser.add_argument("--kernel", required=True, help="the guest's kernel image")
    parser.add_argument("--module", required=True, help="vmclock.ko for that kernel")
    parser.add_argument("--before", action="append", default=[], metavar="MODULE",
                        help="a module that vmclock.ko needs")
    parser.add_argument("--series", default="6.1", help="what the kernel is called")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="in the environment of the guest's programs")
    parser.add_argument("--patience", type=int, default=1, help="how slow the kernel is")
    parser.add_argument("--results", help="where the guest's TAP is stored")
    parser.add_argument("--seconds", type=int, default=20, help="lines that run shows")
    parser.add_argument("--assume-synchronized", default="100us", metavar="BOUND")
    parser.add_argument("--hostd-options", default="", help="more options of the writer")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    args = parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run = Run(args)
        run.run()
        passed = run.report_people() if args.mode == "run" else run.report_tap()
    except (Failure, rtc.Wrong, OSError, subprocess.SubprocessError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
