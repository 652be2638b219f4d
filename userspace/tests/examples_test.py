#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples do what the manual says they do."""

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

    def end(self):
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
    status = loop.end()
    assert status == 0, status


def no_page(page):
    """Without a page each example says so and fails."""
    for example, says in (("event-loop", "event-loop:"), ("now", "no clock:")):
        done = subprocess.run([EXAMPLES / example, page + ".none"], text=True,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode > 0, example
        assert done.stderr == says + " No such file or directory\n", done.stderr


def main():
    tests = (event_loop, no_page)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, test in enumerate(tests, 1):
            try:
                test(os.path.join(folder, "page"))
                verdict = "ok"
            except Exception as error:
                print(f"# {error!r}")
                verdict = "not ok"
                failed += 1
            print(f"{verdict} {number} - {test.__doc__}", flush=True)
    print(f"1..{len(tests)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
