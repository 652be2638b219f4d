#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples do what the manual says they do."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

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


class Skip(Exception):
    """The test proves nothing here."""


def need_time(page):
    """A good page gives time only where the kernel trusts the counter."""
    done = subprocess.run([BUILD / "vmclockctl", "check", page], text=True,
                          stdout=subprocess.PIPE, check=False)
    if "counter is not one" in done.stdout:
        raise Skip("the kernel does not trust this machine's counter")


class Program:
    """An example that runs beside the test, and is ended if it hangs."""

    def __init__(self, *words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, bufsize=1)
        self.patience = threading.Timer(60, self.process.kill)
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


def event_loop(page):
    """The loop tells each event, does its own work, and ends with the page."""
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


def commit_wait(page):
    """A commit is answered after it was written, and later ones are later."""
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


def commit_not_answered(page):
    """A commit whose time is not certainly past is not answered."""
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


def no_page(page):
    """Without a page each example says so and fails."""
    for example, says in (("event-loop", "event-loop:"), ("now", "no clock:"),
                          ("commit-wait", "commit-wait:")):
        done = subprocess.run([EXAMPLES / example, page + ".none"], text=True,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode > 0, example
        assert done.stderr == says + " No such file or directory\n", done.stderr


def main():
    tests = (event_loop, commit_wait, commit_not_answered, no_page)
    failed = 0
    # On a disk a page would give no time.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for number, test in enumerate(tests, 1):
            verdict, directive = "ok", ""
            try:
                test(os.path.join(folder, "page"))
            except Skip as reason:
                directive = f" # SKIP {reason}"
            except Exception as error:
                print(f"# {error!r}")
                verdict = "not ok"
                failed += 1
            print(f"{verdict} {number} - {test.__doc__}{directive}", flush=True)
    print(f"1..{len(tests)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
