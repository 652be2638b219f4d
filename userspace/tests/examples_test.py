#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples do what the manual says they do."""

import json
import os
import pathlib
import subprocess
import sys
import threading

from tap import PATIENCE, Skipped, main, page_path

BUILD = pathlib.Path(os.environ["BUILD"])
EXAMPLES = BUILD / "examples"
os.environ["LD_LIBRARY_PATH"] = str(BUILD)


def make_page(path, *words):
    subprocess.run([sys.executable, "tests/mkpage.py", path, *words], check=True)


def make_page_now(path, *words):
    """Its reference point is the counter's present value: that can be trusted."""
    make_page(path)
    done = subprocess.run([BUILD / "vmclockctl", "now", "--json", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    make_page(path, "counter_value=" + json.loads(done.stdout)["counter"], *words)


def need_time(page):
    """A good page gives time only where the kernel trusts the counter."""
    done = subprocess.run([BUILD / "vmclockctl", "check", page], text=True,
                          stdout=subprocess.PIPE, check=False)
    if "counter is not one" in done.stdout:
        raise Skipped("the kernel does not trust this machine's counter")


class Program:
    """An example that runs beside the test, and is ended if it hangs."""

    def __init__(self, *words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, bufsize=1)
        self.patience = threading.Timer(PATIENCE, self.process.kill)
        self.patience.daemon = True
        self.patience.start()

    def line(self):
        return self.process.stdout.readline().strip()

    def end(self, input_ends=True):
        if input_ends:
            self.process.stdin.close()
        status = self.process.wait()
        self.patience.cancel()
        return status


def the_loop_tells_each_event_does_its_own_work_and_ends_with_the_page(page):
    make_page(page)
    loop = Program(EXAMPLES / "event-loop", page)
    loop.process.stdin.write("work\n")
    assert loop.line() == "work"
    for words, told in (
            (("disruption_marker=5", "seq_count=4"), "disrupted"),
            (("vm_generation_counter=7", "seq_count=6"), "cloned"),
            (("clock_status=4", "seq_count=8"), "status"),
            (("flags=0x17b", "seq_count=10"), "maintenance"),
            (("magic=0x454e4f47", "seq_count=12"), "gone")):
        make_page(page, "edit=1", *words)
        line = loop.line()
        assert line.startswith(told + ":"), (told, line)
    status = loop.end(input_ends=False)
    assert status == 0, status


def a_commit_is_answered_after_it_was_written_and_later_ones_are_later(page):
    make_page_now(page)
    need_time(page)
    database = Program(EXAMPLES / "commit-wait", page)
    times = []
    for what in ("one", "two"):
        database.process.stdin.write(what + "\n")
        time, text = database.line().split(" ")
        assert text == what
        assert database.line() == "committed"
        times.append(tuple(map(int, time.split("."))))
    assert times[0] < times[1], times
    status = database.end()
    assert status == 0, status


def a_commit_whose_time_is_not_certainly_past_is_not_answered(page):
    # A clock that nearly stands still: no wait for it ends.
    make_page_now(page, "time_maxerror_nanosec=50000000", "counter_period_shift=50",
                  "counter_period_maxerror_rate_frac_sec=0")
    need_time(page)
    database = Program(EXAMPLES / "commit-wait", page)
    database.process.stdin.write("one\n")
    assert database.line().endswith(" one")
    # Disrupted while it waits: that time is void, and there is another.
    make_page(page, "edit=1", "disruption_marker=5", "seq_count=4")
    assert database.line().endswith(" one")
    make_page(page, "edit=1", "clock_status=4", "seq_count=6")
    assert database.line() == ""
    status = database.end()
    assert status == 1, status


def without_a_page_each_example_says_so_and_fails(page):
    for example, says in (("event-loop", "event-loop:"), ("now", "no clock:"),
                          ("commit-wait", "commit-wait:")):
        done = subprocess.run([EXAMPLES / example, f"{page}.none"], text=True,
                              stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        assert done.returncode > 0, example
        assert done.stderr == says + " No such file or directory\n", done.stderr


TESTS = [
    the_loop_tells_each_event_does_its_own_work_and_ends_with_the_page,
    a_commit_is_answered_after_it_was_written_and_later_ones_are_later,
    a_commit_whose_time_is_not_certainly_past_is_not_answered,
    without_a_page_each_example_says_so_and_fails,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=page_path))
