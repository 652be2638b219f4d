#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclockctl feed-chrony: what it sends, to a socket of ours; and with a real chronyd
that runs as an ordinary program (-x). The time in the page comes from another chronyd,
which believes that the host's clock is 5 ms slow. TAP on stdout.

BUILD is the directory with vmclockctl and vmclock-hostd.
"""

import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

import host_chronyd_test as host
from host_chronyd_test import CLIENTS, NO_CHRONYD, SLOW_NS
from host_hostd_test import BUILD, SYNCHRONIZED, UNRELIABLE, Program, now, page_is
from tap import PATIENCE, check, directory, main, wait_for

os.environ["LD_LIBRARY_PATH"] = str(BUILD)
SAMPLE = struct.Struct("@lldiiii")
PAGE_UTC = 1767225600           # what mkpage.py writes, when its counter was read


def make_page(tmp, *fields):
    """A page whose reference point is now"""
    def write(*more):
        subprocess.run([sys.executable, pathlib.Path(__file__).with_name("mkpage.py"),
                        tmp / "page", "counter=native", *more], check=True)

    write()
    write(f"counter_value={now(tmp / 'page')['counter']}", *fields)


def feed(tmp, *options):
    return Program(BUILD / "vmclockctl", "feed-chrony", f"--socket={tmp}/feed", *options,
                   tmp / "page")


class Listener:
    """In the place of chronyd"""

    def __init__(self, tmp):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(tmp / "feed"))

    def samples(self):
        self.sock.setblocking(False)
        got = []
        while True:
            try:
                got.append(SAMPLE.unpack(self.sock.recv(4096)))
            except BlockingIOError:
                return got


def run_feed(tmp, *options):
    with feed(tmp, *options) as program:
        return program.wait(), program.text()


def a_sample_is_how_far_the_clock_is_from_the_page(tmp):
    listener = Listener(tmp)
    make_page(tmp)
    before = time.time()
    code, text = run_feed(tmp, "--count=3", "--interval=0.01")
    check(code == 0 and text.count("\n") == 1 and "gets samples" in text, text)
    got = listener.samples()
    check(len(got) == 3, f"{len(got)} samples")
    for sec, usec, offset, pulse, leap, _, magic in got:
        now = sec + usec / 1e6
        check(before - 1 < now < time.time() + 1, f"taken at {now}")
        check(0 <= now + offset - PAGE_UTC < 600, f"the page's time is {now + offset}")
        check((pulse, leap, magic) == (0, 0, host.SOCK_MAGIC), f"{pulse} {leap} {magic}")


def a_leap_second_that_comes_is_announced(tmp):
    listener = Listener(tmp)
    for indicator, leap in ((1, 1), (2, 2), (4, 0), (5, 0)):
        make_page(tmp, f"leap_indicator={indicator}")
        code, text = run_feed(tmp, "--count=1")
        check(code == 0, text)
        check([s[4] for s in listener.samples()] == [leap], f"indicator {indicator}")


def nothing_is_sent_of_a_page_that_is_not_trusted(tmp):
    listener = Listener(tmp)
    for fields in (["clock_status=4"], ["clock_status=1"], ["clock_status=0"],
                   ["time_maxerror_nanosec=100000001"], ["counter_value=0"],
                   ["tai_offset_sec=37"], ["time_type=2"], ["flags=0x139"]):
        make_page(tmp, *fields)
        code, text = run_feed(tmp, "--for=0.05", "--interval=0.01")
        check(code == 1, f"{fields}: exit status {code}")
        check(text.count("no samples:") == 1, text)
        check(not listener.samples(), f"{fields}: a sample was sent")


def in_an_inserted_second_nothing_is_sent(tmp):
    listener = Listener(tmp)
    quiet = 0
    for _ in range(10):
        # A microsecond before 23:59:60, so what reads it is in there.
        make_page(tmp, "leap_indicator=1", "time_sec=1767225636",
                  f"time_frac_sec={2**64 - 2**64 // 10**6}")
        text = run_feed(tmp, "--for=0.05", "--interval=0.01")[1]
        quiet += "no samples" in text
        early = [s for s in listener.samples() if s[0] + s[1] / 1e6 + s[2] < PAGE_UTC]
        check(not early, f"sent {early}")
    check(quiet, "never was the second hit")


def it_waits_for_a_chronyd_that_comes_later(tmp):
    make_page(tmp)
    with feed(tmp, "--interval=0.01") as program:
        wait_for(lambda: "is chronyd running" in program.text(), "it says so")
        time.sleep(0.2)
        listener = Listener(tmp)
        wait_for(lambda: "gets samples" in program.text(), "it says so, too")
        check(listener.samples(), "no sample")
        check(program.text().count("\n") == 2, program.text())
        check(program.stop() == 0, "its exit status")


def wrong_words_are_refused(tmp):
    make_page(tmp)
    ctl = [BUILD / "vmclockctl", "feed-chrony", tmp / "page"]
    for more in ([], ["--socket=" + "x" * 108], ["--socket=a", "--json"]):
        done = subprocess.run([*ctl, *more], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        check(done.returncode == 2 and done.stderr, f"{more}: {done.returncode}")


class Chronyd:
    """The one that is fed"""

    def __init__(self, tmp):
        self.tmp = tmp / "fed"
        self.tmp.mkdir(mode=0o700)
        self.program = host.chronyd(self.tmp, f"refclock SOCK {tmp}/feed refid VMCK poll 0")

    def ask(self, what):
        return subprocess.run([CLIENTS / "bin/chronyc", "-c", "-h", self.tmp / "socket", what],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=PATIENCE, check=False).stdout.strip()

    def is_selected(self):
        return self.ask("sources").startswith("#,*,VMCK,")

    def reach(self):
        found = re.match(r"#,.,VMCK,\d+,\d+,(\d+),", self.ask("sources"))
        return int(found[1], 8) if found else None

    def slow_ns(self):
        """How slow chronyd believes the clock to be"""
        words = self.ask("tracking").split(",")
        return float(words[4]) * 1e9 if len(words) > 4 and words[1] == "VMCK" else None


def a_real_chronyd_selects_the_page_and_follows_its_time(tmp):
    with host.fed_chronyd(tmp), host.hostd(tmp, "--drift=100"):
        wait_for(lambda: page_is(tmp / "page", SYNCHRONIZED), "the page is synchronized")
        fed = Chronyd(tmp)
        with fed.program, feed(tmp, "--interval=0.1"):
            wait_for(fed.is_selected, "the page is selected")
            wait_for(lambda: fed.slow_ns() is not None and
                     abs(fed.slow_ns() - SLOW_NS) < SLOW_NS / 5, "chronyd has its time")
            print("# sourcestats:", fed.ask("sourcestats"), "tracking:", fed.ask("tracking"))


def a_real_chronyd_hears_nothing_of_a_page_that_went_bad(tmp):
    with host.hostd(tmp, "--holdover-after=500ms", "--drift=1000", "--holdover-max-bound=40ms"):
        with host.fed_chronyd(tmp) as reference:
            wait_for(lambda: page_is(tmp / "page", SYNCHRONIZED), "the page is synchronized")
            fed = Chronyd(tmp)
            with fed.program, feed(tmp, "--interval=0.1") as program:
                wait_for(fed.is_selected, "the page is selected")
                wait_for(lambda: fed.reach() == 0o377, "all samples arrive")
                reference.stop()
                wait_for(lambda: page_is(tmp / "page", UNRELIABLE), "the page is unreliable")
                wait_for(lambda: "no samples" in program.text().split("gets")[1], "it says so")
                wait_for(lambda: fed.reach() == 0, "chronyd has lost the page")


TESTS = [
    a_sample_is_how_far_the_clock_is_from_the_page,
    a_leap_second_that_comes_is_announced,
    nothing_is_sent_of_a_page_that_is_not_trusted,
    in_an_inserted_second_nothing_is_sent,
    it_waits_for_a_chronyd_that_comes_later,
    wrong_words_are_refused,
]
TESTS_WITH_CHRONYD = [
    a_real_chronyd_selects_the_page_and_follows_its_time,
    a_real_chronyd_hears_nothing_of_a_page_that_went_bad,
]


if __name__ == "__main__":
    sys.exit(main(TESTS + TESTS_WITH_CHRONYD, given=directory) if CLIENTS else
             main(TESTS, NO_CHRONYD, given=directory))
