#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclockctl watch on a terminal: a pseudo-terminal, and an emulator of it that knows
just what may be sent. TAP on stdout. BUILD is the directory with vmclockctl.
"""

import fcntl
import os
import pathlib
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from tap import PATIENCE, check, main

BUILD = pathlib.Path(os.environ["BUILD"])
HERE = pathlib.Path(__file__).parent
TOKEN = re.compile(r"\x1b\[(\d*)([HJKm])|([^\x1b])")


class Screen:
    """What a terminal of this size would show. Nothing may wrap or scroll."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [""] * rows
        self.row, self.column = 0, 0
        self.colors = set()

    def put(self, char):
        check(self.column < self.columns - 1, f"line {self.row} is too long")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + char + line[self.column + 1:]
        self.column += 1

    def feed(self, text):
        while text:
            token = TOKEN.match(text)
            if not token:
                return text         # the rest of it is still to come
            text = text[token.end():]
            number, command, char = token.groups()
            if command == "H":
                self.row = self.column = 0
            elif command == "K":
                self.lines[self.row] = self.lines[self.row][:self.column]
            elif command == "J":
                start = 0 if number == "2" else self.row + 1
                self.lines[start:] = [""] * (self.rows - start)
            elif command == "m":
                self.colors.add(int(number))
            elif char == "\n":
                self.row += 1
                check(self.row < self.rows, "it scrolls")
            elif char == "\r":
                self.column = 0
            else:
                check(char.isprintable(), f"sends {char!r}")
                self.put(char)
        return text


def heed_interrupts():
    """Who was started in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def fill(slave):
    """Nothing more can be written until somebody reads. There is room again when the
    kernel has moved what was written to the reader's side.
    """
    os.set_blocking(slave, False)
    written = 1
    while written:
        written = 0
        try:
            while True:
                written += os.write(slave, b"\r" * 64)
        except BlockingIOError:
            time.sleep(0.2)
    os.set_blocking(slave, True)


class Terminal:
    """vmclockctl watch, looking at a page of its own."""

    def __init__(self, *args, rows=24, columns=80, term="xterm", is_full=False, **environ):
        self.dir = tempfile.mkdtemp(dir="/dev/shm")
        self.page = self.dir + "/page"
        self.write()
        self.master, slave = os.openpty()
        self.screen = Screen(rows, columns)
        self.rest, self.raw = "", ""
        self.set_size(rows, columns)
        if is_full:
            fill(slave)
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        env.update(LD_LIBRARY_PATH=str(BUILD), TERM=term, **environ)
        self.proc = subprocess.Popen([BUILD / "vmclockctl", "watch", *args, self.page],
                                     stdin=slave, stdout=slave, stderr=slave, env=env,
                                     start_new_session=True, preexec_fn=heed_interrupts)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        os.close(self.master)
        shutil.rmtree(self.dir)

    def edit(self, *fields):
        self.write("edit=1", *fields)

    def write(self, *fields):
        subprocess.run([sys.executable, HERE / "mkpage.py", self.page, *fields], check=True)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.screen = Screen(rows, columns)
        self.set_size(rows, columns)
        self.proc.send_signal(signal.SIGWINCH)

    def read(self):
        """Return: False at the end"""
        if not select.select([self.master], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self.master, 65536).decode("ascii")
        except OSError:
            return False
        self.raw += data
        return bool(data)

    def shows(self, pattern):
        end = time.monotonic() + PATIENCE
        while not any(re.search(pattern, line) for line in self.screen.lines):
            check(time.monotonic() < end,
                  f"no '{pattern}' in:\n" + "\n".join(self.screen.lines))
            before = len(self.raw)
            check(self.read(), "it ended: " + "\n".join(self.screen.lines))
            self.rest = self.screen.feed(self.rest + self.raw[before:])

    def wait(self):
        end = time.monotonic() + PATIENCE
        while self.read():
            check(time.monotonic() < end, "it goes on: " + self.raw[-200:])
        return self.proc.wait(PATIENCE)


def one_screen_says_it_all():
    with Terminal("--interval=0.05") as t:
        for pattern in (r"^/dev/shm/.*/page$", r"^status +synchronized$",
                        r"^time +2\d{3}-\d\d-\d\d .* TAI$", r"^bound +\+/- [\d.]+ [mun]?s$",
                        r"^offset +[-+][\de.+]+ m?s from CLOCK_REALTIME", r"^age +[\d.]+ ",
                        r"^marker +0x8000000000000001$", r"^generation +0xf{16}$",
                        r"^bounds +[.:=+*%#-]{5,} ", r"^no events yet$"):
            t.shows(pattern)
        check(t.screen.lines[0].startswith("/dev/shm"), t.screen.lines[0])


def what_changed_is_listed_and_a_bad_status_is_red():
    with Terminal("--interval=0.05") as t:
        t.shows("^no events yet")
        t.edit("disruption_marker=77", "clock_status=4", "seq_count=4")
        t.shows(r"^status +unreliable")
        t.shows(r"^time +-$")
        t.shows(r"\d\d:\d\d:\d\d  disrupted: marker 0x8000000000000001 -> 0x4d")
        t.shows(r"status synchronized -> unreliable")
        t.shows(r"^bounds +.*!!!")
        check({32, 31} <= t.screen.colors, f"colours {t.screen.colors}")
        t.edit("clock_status=3", "tai_offset_sec=-38", "seq_count=6")
        t.shows(r"^status +freerunning")
        t.shows("UTC - TAI -37 -> -38")
        check(33 in t.screen.colors, f"colours {t.screen.colors}")


def a_terminal_of_another_size_is_filled_at_once():
    with Terminal("--interval=3600") as t:
        t.shows("^no events yet")
        t.resize(6, 30)
        t.shows(r"^marker|^age|^offset")
        t.resize(3, 9)
        t.shows(r"^time    $|^time +")
        t.resize(40, 600)
        t.shows("^no events yet")


def switches_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1]


def wait_until_idle(proc):
    before = None
    while before != switches_of(proc.pid):
        before = switches_of(proc.pid)
        time.sleep(0.5)


def another_size_loses_nothing_where_the_terminal_is_full():
    with Terminal("--interval=0.001", "--count=100") as t:
        wait_until_idle(t.proc)     # it would look each millisecond
        for _ in range(4):      # a write that got somewhere goes on after the first
            t.proc.send_signal(signal.SIGWINCH)
            time.sleep(0.2)
        check(t.wait() == 0, f"its exit status: {t.raw[-200:]!r}")
        check(t.raw.count("no events yet") == 100, "lines are lost")


def another_size_while_it_writes_is_seen_at_once():
    with Terminal("--interval=3600", rows=10, columns=40, is_full=True) as t:
        wait_until_idle(t.proc)
        t.resize(24, 80)
        t.shows("^no events yet")


def no_color_means_none():
    with Terminal("--interval=0.05", NO_COLOR="1") as t:
        t.shows("^status +synchronized")
        check(not t.screen.colors, f"colours {t.screen.colors}")
    with Terminal("--interval=0.05", NO_COLOR="") as t:
        t.shows("^status +synchronized")
        check(t.screen.colors, "an empty NO_COLOR means nothing")


def it_ends_below_what_it_has_drawn():
    with Terminal("--interval=0.05", "--count=3") as t:
        check(t.wait() == 0, "its exit status")
        check(t.raw.endswith("\n"), "no end of line")
    with Terminal("--interval=0.05") as t:
        t.shows("^status +synchronized")
        t.proc.send_signal(signal.SIGINT)
        check(t.wait() == -signal.SIGINT, "its exit status")


def an_update_that_does_not_end_is_an_event():
    with Terminal("--interval=0.05") as t:
        t.shows("^no events yet")
        t.edit("seq_count=5")
        time.sleep(0.5)
        t.edit("seq_count=6")
        t.shows(r"\d\d:\d\d:\d\d  .*updat")


def dumb_terminals_and_json_get_lines():
    for args, term in ((["--count=2"], "dumb"), (["--count=2", "--json"], "xterm")):
        with Terminal("--interval=0.05", *args, term=term) as t:
            check(t.wait() == 0, "its exit status")
            check("\x1b" not in t.raw and t.raw.count("\n") == 2, t.raw)


TESTS = [
    one_screen_says_it_all,
    what_changed_is_listed_and_a_bad_status_is_red,
    a_terminal_of_another_size_is_filled_at_once,
    another_size_loses_nothing_where_the_terminal_is_full,
    another_size_while_it_writes_is_seen_at_once,
    no_color_means_none,
    it_ends_below_what_it_has_drawn,
    an_update_that_does_not_end_is_an_event,
    dumb_terminals_and_json_get_lines,
]


if __name__ == "__main__":
    sys.exit(main(TESTS))
