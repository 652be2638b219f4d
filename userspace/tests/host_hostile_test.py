#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One vmclock-hostd, three machines with a page in a file, and beside them machines whose
monitors are up to no good. TAP on stdout.

BUILD is the directory with vmclock-hostd and vmclockctl.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import sys
import threading

from host_fleet_test import Fleet, files, wait_synchronized
from host_hostd_test import INITIALIZING, Page, Player, page_is
from host_monitor_test import GREETING, Qemu
from tap import check, directory, main, wait_for

# What ASan keeps of what was freed would be taken for a leak.
os.environ["ASAN_OPTIONS"] = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=1"
FORK = multiprocessing.get_context("fork")
UPDATES = 40
MEGABYTE = 1 << 20


class Hostile(Qemu):
    """A process of its own: what it does when the daemon has come is @habit, forever."""

    def __init__(self, tmp, name, habit):
        self.name, self.habit, self.path = name, habit, tmp / name / "monitor"
        self.path.parent.mkdir()
        self.amount = FORK.Value("L", 0)
        self.goes_on = FORK.Event()
        self.is_there = FORK.Event()
        self.proc = FORK.Process(target=self.live, daemon=True)
        self.proc.start()
        check(self.is_there.wait(60), f"{name} does not start")

    def live(self):
        super().__init__(self.path.parent)
        self.is_there.set()
        threading.Event().wait()

    def talk(self):
        self.habit(self)

    def done(self, amount=1):
        self.amount.value += amount

    def answer(self, until=None):
        """As a QEMU does, up to that command."""
        super().say(GREETING)
        for line in self.connection.makefile("r"):
            command = json.loads(line)
            if command["execute"] == until:
                return
            self.say({"return": self.state.get(command["execute"], {}), "id": command["id"]})
            self.done()

    def end(self):
        self.proc.kill()
        self.proc.join()

    def page_path(self):
        return Player.page(self.proc)


# Habits.

def never_answers(vm):
    vm.done()
    vm.connection.recv(1 << 16)
    threading.Event().wait()


def greets_and_never_answers(vm):
    vm.say(GREETING)
    never_answers(vm)


def falls_silent(vm):
    """It has answered one query-migrate, so that its page is fed; the second is too much."""
    seen = 0
    vm.say(GREETING)
    for line in vm.connection.makefile("r"):
        command = json.loads(line)
        seen += command["execute"] == "query-migrate"
        if seen == 3:
            vm.done()
            vm.goes_on.wait()
        vm.say({"return": vm.state.get(command["execute"], {}), "id": command["id"]})


def flood(vm, text):
    data = text.encode()
    while True:
        vm.connection.sendall(data)
        vm.done(len(data))


def floods_with_events(vm):
    vm.answer(until="query-status")
    flood(vm, (json.dumps({"event": "NOBODY_KNOWS", "data": {"a": ["b"] * 20}}) + "\n") * 100)


def floods_with_resets(vm):
    vm.answer(until="query-migrate")
    flood(vm, '{"event": "RESET"}\n' * 100)


def has_an_endless_line(vm):
    vm.answer(until="query-status")
    flood(vm, '{"event": "' + "x" * 100000)


def nests_deeply(vm):
    vm.answer(until="query-status")
    flood(vm, ("[" * 8000 + "]" * 8000 + "\n") * 10)


def nests_objects(vm):
    """No deeper than what is read, and so thousands of objects at a time."""
    vm.answer(until="query-status")
    flood(vm, ('{"event":"X","data":' + '{"a":' * 1500 + "1" + "}" * 1501 + "\n") * 10)


def closes_at_once(vm):
    vm.done()
    vm.connection.close()


def closes_when_it_was_asked(vm):
    vm.answer(until="query-migrate")
    vm.done()
    vm.connection.close()


class Beside:
    """A daemon for three pages in files, which go on, and for the hostile ones."""

    def __init__(self, tmp, **habits):
        self.paths = [tmp / f"p{i}" for i in range(3)]
        self.stack = contextlib.ExitStack()
        self.vms = {}
        with self.stack:
            for name, habit in habits.items():
                self.vms[name] = Hostile(tmp, name, habit)
                self.stack.callback(self.vms[name].end)
            keys = {name: {"qmp": vm.path, "tsc-offset": 0} for name, vm in self.vms.items()}
            self.fleet = Fleet(tmp, {**files(tmp, 3), **keys})
            self.stack = self.stack.pop_all()

    def __enter__(self):
        with self.stack:
            self.stack.enter_context(self.fleet)
            wait_synchronized(*self.paths)
            self.before = [Page(path) for path in self.paths]
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, kind, *_):
        with self.stack:
            if not kind:
                self.go_on()

    def seqs(self):
        return [Page(path).seq for path in self.paths]

    def go_on(self):
        """Updated while the others do what they do, and never disrupted."""
        then, did = self.seqs(), {name: vm.amount.value for name, vm in self.vms.items()}
        wait_for(lambda: all(now > seq + 2 * UPDATES for now, seq in zip(self.seqs(), then)),
                 "the others are updated")
        for path, before in zip(self.paths, self.before):
            wait_synchronized(path)
            check(Page(path).marker == before.marker, f"{path}: the marker changed")
        return did

    def wait_did(self, name, amount):
        wait_for(lambda: self.vms[name].amount.value >= amount, f"{name} did {amount}")

    def status(self, name):
        return self.fleet.status(name)[name]

    def memory(self):
        text = pathlib.Path(f"/proc/{self.fleet.hostd.proc.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) * 1024


def monitors_that_never_answer_keep_nobody_waiting(tmp):
    with Beside(tmp, mute=never_answers, greets=greets_and_never_answers) as b:
        b.wait_did("mute", 1)
        b.wait_did("greets", 1)
        b.go_on()
        for name in ("mute", "greets"):
            vm = b.status(name)
            check(vm["state"] == "running" and vm["page"] is None, f"{vm}")
            check(not vm["life"]["heard"] and vm["life"]["run"] == "unknown", f"{vm}")


def a_monitor_that_falls_silent_has_no_good_page(tmp):
    with Beside(tmp, silent=falls_silent) as b:
        page = b.vms["silent"].page_path()
        wait_synchronized(page)
        marker = Page(page).marker
        b.wait_did("silent", 1)
        wait_for(lambda: page_is(page, INITIALIZING), "its page says that nothing is known")
        vm = b.status("silent")
        check(vm["life"]["silent"] and vm["page"]["status"] == "initializing", f"{vm}")
        check("does not answer" in vm["message"], f"{vm}")
        check("not heard" in b.fleet.ctl("set-counter", "silent", f"--marker={marker}",
                                      "--tsc-offset=0", status=1), "its counter was told")
        b.go_on()
        check(page_is(page, INITIALIZING), "its page is good")
        # All that it had to say is heard now.
        b.vms["silent"].goes_on.set()
        wait_synchronized(page)
        check(Page(page).marker == marker, "its counter has not changed")
        check(not b.status("silent")["life"]["silent"], "it is still called silent")


def floods_disturb_nobody_and_take_no_memory(tmp):
    with Beside(tmp, events=floods_with_events, resets=floods_with_resets,
                objects=nests_objects) as b:
        for name in b.vms:
            b.wait_did(name, MEGABYTE)
        before = b.memory()
        did = b.go_on()
        for name in b.vms:
            b.wait_did(name, did[name] + 6 * MEGABYTE)
        grown = b.memory() - before
        check(grown < 6 * MEGABYTE, f"{grown} bytes of memory more")
        b.fleet.wait_status("resets", page="initializing", state="running")
        check(int(b.status("resets")["disruptions"]) > 0, "its resets were none")


def lines_without_an_end_and_nests_without_a_bottom_end_the_connection(tmp):
    with Beside(tmp, line=has_an_endless_line, nest=nests_deeply) as b:
        b.go_on()
        b.fleet.wait_status("line", state="running")
        text = b.fleet.hostd.text
        wait_for(lambda: "line: monitor" in text() and "does not end" in text(), "a word of it")
        wait_for(lambda: "nest: monitor" in text() and "not JSON" in text(), "a word of it")
        for name in b.vms:
            check(b.status(name)["page"] is None, f"{name} has a page that nobody vouches for")


def who_comes_and_goes_all_the_time_is_waited_for_in_turn(tmp):
    with Beside(tmp, gone=closes_at_once, asked=closes_when_it_was_asked) as b:
        for name in b.vms:
            b.wait_did(name, 3)
        then, amount = b.seqs(), b.vms["gone"].amount.value
        b.wait_did("gone", amount + 4)
        # Once a second: there are updates in between, which are due every 50 ms.
        check(all(now > seq + UPDATES for now, seq in zip(b.seqs(), then)), "they were held up")
        b.go_on()
        check(b.vms["gone"].amount.value > amount, "it does not come any more")
        check(b.status("gone")["page"] is None, "its page was touched")
        for name in b.vms:
            check(b.status(name)["state"] == "running", "it is given up")
            # Reset, if not all was read that the daemon had to say.
            message = b.status(name)["message"]
            check("closed" in message or "reset" in message, message)


TESTS = [
    monitors_that_never_answer_keep_nobody_waiting,
    a_monitor_that_falls_silent_has_no_good_page,
    floods_disturb_nobody_and_take_no_memory,
    lines_without_an_end_and_nests_without_a_bottom_end_the_connection,
    who_comes_and_goes_all_the_time_is_waited_for_in_turn,
]

if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
