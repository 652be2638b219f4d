#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Is the guest's clock right after a restore? A guest with on_restore is saved, kept,
restored, migrated and put back to a snapshot, with a host writer that does its
part: it leaves the page before the save, and measures the counter anew after it.

What the witness in the guest (restore_witness.c) reads right after the driver has
told it that the page is good again is compared with the host's own clock. TAP on
stdout; the figures are no gates.
"""

import argparse
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import kernel_log		# pylint: disable=wrong-import-position
import pages
import referee
import vm

PATIENCE = 400
# See run.py.
CREEP = 30000
NS = 1_000_000_000
ASSUMED = "--assume-synchronized=100us"
TOLD = re.compile(r"told policy=(\w+) valid=(\d+) counter=(\d+) real=(-?\d+) page=(-?\d+)"
                  r" bound=(\d+) wrong=(\d+) set=(\d)")
VALID = 7		# counter, correlated, time


class Guest(vm.Machine):
    """A machine with a monitor; @incoming: where its state comes from."""

    def __init__(self, kernel, image, logs, token, incoming):
        logs.mkdir(parents=True, exist_ok=True)
        super().__init__(kernel, image, logs, "restored")
        self.token, self.incoming = token or self.token, incoming
        self.text = self.answers = b""

    def command(self):
        words = super().command() + ["-qmp", f"unix:{self.tmp}/monitor,server=on,wait=off"]
        return words + (["-incoming", self.incoming] if self.incoming else [])

    def __enter__(self):
        super().__enter__()
        self.monitor = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        self.monitor.settimeout(PATIENCE)
        self.connect()
        self.answer_of_monitor()
        self.ask("qmp_capabilities")
        return self

    def connect(self):
        """QEMU may not have made the socket yet."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.monitor.connect(str(self.tmp / "monitor"))
            except (FileNotFoundError, ConnectionRefusedError):
                if self.qemu.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def answer_of_monitor(self):
        """The next message that is no event."""
        while True:
            while b"\n" not in self.answers:
                data = self.monitor.recv(65536)
                if not data:
                    raise OSError("QEMU has closed its monitor")
                self.answers += data
            line, self.answers = self.answers.split(b"\n", 1)
            message = json.loads(line)
            if "event" not in message:
                return message

    def ask(self, name, **arguments):
        self.monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        answer = self.answer_of_monitor()
        if "return" not in answer:
            raise OSError(f"{name}: {answer}")
        return answer["return"]

    def do_job(self, name, **arguments):
        """A command that takes a while, to its end."""
        self.ask(name, **{"job-id": "job"}, **arguments)
        deadline = time.monotonic() + PATIENCE
        while (job := self.ask("query-jobs")[0])["status"] != "concluded":
            if time.monotonic() > deadline:
                raise OSError(f"{name} does not end")
            time.sleep(0.02)
        if error := job.get("error"):
            raise OSError(f"{name}: {error}")
        self.ask("job-dismiss", id="job")

    def add_disk(self):
        """A place for a snapshot. The guest does not see it."""
        path = str(self.tmp / "disk")
        self.do_job("blockdev-create", options={"driver": "file", "filename": path, "size": 0})
        self.ask("blockdev-add", **{"driver": "file", "filename": path, "node-name": "file"})
        self.do_job("blockdev-create",
                    options={"driver": "qcow2", "file": "file", "size": 1 << 30})
        self.ask("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})

    def snapshot(self, verb):
        self.do_job(verb, tag="here", vmstate="disk", devices=["disk"])

    def send_state(self, uri):
        """Stop, and send the state."""
        self.ask("stop")
        self.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.ask("migrate", uri=uri)
        self.wait_for("query-migrate", "completed")

    def wait_for(self, query, wanted):
        deadline = time.monotonic() + PATIENCE
        while (status := self.ask(query).get("status")) != wanted:
            if status == "failed" or time.monotonic() > deadline:
                raise OSError(f"{query}: {status}")
            time.sleep(0.02)

    def read_line(self, pattern):
        """What the guest says, up to a line like this: the match."""
        deadline = time.monotonic() + PATIENCE
        self.output.settimeout(1)
        while time.monotonic() < deadline:
            while b"\n" in self.text:
                line, self.text = self.text.split(b"\n", 1)
                text = line.decode(errors="replace").strip()
                with open(self.logs / "output.log", "a", encoding="utf-8") as log:
                    log.write(text + "\n")
                if match := re.search(pattern, text):
                    return match
            with contextlib.suppress(TimeoutError):
                data = self.output.recv(65536)
                if not data:
                    break
                self.text += data
        raise OSError(f"the guest does not say {pattern!r}, see {self.logs}")


class Writer:
    """vmclock-hostd beside a guest, and the offset that it was told."""

    def __init__(self, build, guest):
        self.build, self.guest = build, guest
        self.process = None

    def begin(self):
        """Measure the counter, and feed the page."""
        fd = self.guest.ram_fd
        measured = subprocess.run([self.build / "vm/clock-exchange", str(fd)], pass_fds=(fd,),
                                  stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        self.offset, error = (int(word.partition("=")[2]) for word in measured.stdout.split())
        self.error = error + CREEP
        self.guest.ram[pages.LINK:pages.LINK + 8] = b"\xff" * 8
        with open(self.guest.logs / "hostd.log", "ab") as log:
            self.process = vm.start([self.build / "userspace/vmclock-hostd", ASSUMED,
                                     f"--qemu-pid={self.guest.qemu.pid}",
                                     f"--tsc-offset={self.offset}",
                                     f"--tsc-offset-error={self.error}"],
                                    stdout=log, stderr=log)
        if not self.guest.wait_fed(lambda: self.process.poll() is None):
            raise OSError(f"no time in the page: see {self.guest.logs}/hostd.log")

    def end(self):
        """The page says UNRELIABLE from now on."""
        if self.process:
            vm.stop(self.process)
        self.process = None
        self.guest.ram[pages.LINK:pages.LINK + 64] = bytes(64)


class Run:
    """One guest, and all that happens to it."""

    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build).resolve()
        self.logs = self.build / "vm/restored"
        self.clock = referee.HostClock()
        self.checks = []
        self.token = None
        self.lives = 0

    def follow_clock(self, stack):
        """Read the host's clock all the time from now on."""
        clock = vm.start([self.build / "vm/host-clock"], stdout=subprocess.PIPE, text=True)
        stack.callback(vm.stop, clock)

        def follow():
            for line in clock.stdout:
                self.clock.feed(line)
        threading.Thread(target=follow, daemon=True).start()

    def add_guest(self, stack, incoming=None):
        self.lives += 1
        guest = stack.enter_context(Guest(self.args.kernel, self.image,
                                          self.logs / str(self.lives), self.token, incoming))
        self.token = guest.token
        writer = Writer(self.build, guest)
        stack.callback(writer.end)
        return guest, writer

    def saved(self, guest, stack):
        """Saved in a file, kept, and restored by another QEMU."""
        path = self.logs / "image"
        guest.send_state(f"file:{path}")
        guest.ask("quit")
        self.say(f"saved, and kept for {self.args.keep} s")
        time.sleep(self.args.keep)
        other = self.add_guest(stack, f"file:{path}")
        other[0].wait_for("query-status", "paused")
        path.unlink()
        return other

    def migrated(self, guest, stack):
        """From one QEMU to another."""
        path = guest.tmp / "state"
        other = self.add_guest(stack, f"unix:{path}")
        guest.send_state(f"unix:{path}")
        guest.ask("quit")
        other[0].wait_for("query-status", "paused")
        return other

    def loaded(self, guest, _):
        """Back to a snapshot."""
        guest.add_disk()
        guest.ask("stop")
        guest.snapshot("snapshot-save")
        guest.ask("cont")
        time.sleep(self.args.keep / 4)
        guest.ask("stop")
        guest.snapshot("snapshot-load")
        return None

    def happen(self, what, guest, writer, stack):
        """Do it to the guest, and hear what the witness has to say."""
        guest.read_line("^ready$")
        time.sleep(1)
        writer.end()
        other = getattr(self, what)(guest, stack)
        guest, writer = other or (guest, writer)
        guest.ask("cont")
        writer.begin()
        told = guest.read_line(TOLD)
        self.judge(what, told, writer)
        if told[1] == "step":
            self.say(guest.read_line("vmclock: .*CLOCK_REALTIME.*")[0])
        return guest, writer

    def host_time(self, counter, writer):
        """The host's time at a counter of the guest's, and its uncertainty, ns."""
        host = (counter - writer.offset) % (1 << 64)
        deadline = time.monotonic() + 10
        while not self.clock.knows(host + writer.error) and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.clock.at(host, writer.error)

    def judge(self, what, told, writer):
        policy = told[1]
        valid, counter, real, page, bound, wrong, was_set = map(int, told.groups()[1:])
        true, doubt = self.host_time(counter, writer)
        self.say(f"{what}, {policy}: the clock is {(real - true) / 1e3:+.1f} us from the"
                 f" host's (+/- {doubt / 1e3:.1f} us), {(real - page) / 1e3:+.1f} us from the"
                 f" page (+/- {bound / 1e3:.1f} us); it was wrong for {wrong / 1e6:.1f} ms"
                 f" of the guest's time")
        if policy == "step":
            self.check(f"{what}: the clock was set before the event", was_set == 1)
            self.check(f"{what}: it is within the page's bound",
                       valid == VALID and abs(real - page) <= bound)
            self.check(f"{what}: the host's clock agrees", abs(real - true) <= bound + doubt)
        else:
            self.check(f"{what}: with off nothing was set", was_set == 0)
            self.check(f"{what}: so the clock is wrong", valid == VALID and
                       abs(real - page) > bound)

    def check(self, name, passed, why=""):
        self.checks.append((name, passed, why))

    def say(self, text):
        print(f"# {text}", flush=True)

    def run(self):
        happenings = ["migrated", "saved", "loaded", "saved"]
        policies = "step step step off"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self.image = self.logs / "initramfs"
        vm.make_image(self.image, self.build, [self.args.module],
                      ["vm/clock-peer", "selftests/restore_witness"],
                      "300 clock-peer /vm/clock-peer\n"
                      f"3600 restore_witness /selftests/restore_witness {policies}\n")
        with contextlib.ExitStack() as stack:
            self.follow_clock(stack)
            guest, writer = self.add_guest(stack)
            self.say(f"booting the machine (half a minute to three), logs in {self.logs}")
            guest.read_line("^# begin clock-peer")
            writer.begin()
            for what in happenings:
                guest, writer = self.happen(what, guest, writer, stack)
            self.finish(guest)

    def finish(self, guest):
        status = guest.read_line("^# end restore_witness status=(.*)")[1]
        self.check("the witness ends well", status == "0", status)
        self.check("the machine ends well", guest.wait_off(180) and guest.got_token())
        splats = [line for log in self.logs.glob("*/console.log")
                  for line in log.read_text(errors="replace").splitlines()
                  if kernel_log.SPLAT.search(line)]
        self.check("its log is clean", not splats, "\n".join(splats))

    def report(self):
        print(f"TAP version 13\n1..{len(self.checks)}")
        for number, (name, passed, why) in enumerate(self.checks, 1):
            print(f"{'ok' if passed else 'not ok'} {number} {name}")
            if not passed:
                print("\n".join(f"# {line}" for line in why.splitlines()))
        return all(passed for _, passed, _ in self.checks)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--kernel", required=True, help="the guest's kernel image")
    parser.add_argument("--module", required=True, help="vmclock.ko for that kernel")
    parser.add_argument("--keep", type=float, default=20, help="seconds that it is kept saved")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    run = Run(parse_args())
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run.run()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        run.check("all of it was done", False, str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0 if run.report() else 1


if __name__ == "__main__":
    sys.exit(main())
