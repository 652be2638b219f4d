#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd on a real chronyd: an ordinary program here, with its own files and
no hold on the clock (-x). Its reference is this test, which tells it by SOCK samples
that the host's clock is 5 ms slow: the truth is known. TAP on stdout.

BUILD is the directory with vmclock-hostd; chronyd is where setup.mk says.
"""

import contextlib
import pathlib
import re
import socket
import struct
import sys
import threading
import time

from host_hostd_test import (BUILD, FREERUNNING, INITIALIZING, SYNCHRONIZED, TAI_NS, UNRELIABLE,
                             Hostd, Program, holds_truth, page_is)
from tap import check, directory, main, wait_for

SLOW_NS = 5 * 10**6
AHEAD_NS = SLOW_NS + TAI_NS
SOCK_MAGIC = 0x534f434b


def clients():
    """The directory with sbin/chronyd, or None."""
    try:
        text = (BUILD.parent / "setup.mk").read_text()
    except OSError:
        return None
    found = re.search(r"^CLIENTS := (.+)$", text, re.M)
    path = pathlib.Path(found[1]) if found else None
    return path if path and (path / "sbin/chronyd").exists() else None


CLIENTS = clients()
NO_CHRONYD = "no chronyd here: make setup fetches it"


class Reference(threading.Thread):
    """Tells chronyd four times a second how slow the clock is."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.ended = threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def run(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            while not self.ended.wait(0.25):
                sec, nsec = divmod(time.time_ns(), 10**9)
                sample = struct.pack("@lldiiii", sec, nsec // 1000, SLOW_NS / 1e9, 0, 0,
                                     0, SOCK_MAGIC)
                try:
                    sock.sendto(sample, str(self.path))
                except OSError:
                    pass        # chronyd does not listen yet, or any more


def chronyd(tmp, *config):
    """A chronyd of our own; its socket must lie in a directory that is ours alone."""
    return Program(CLIENTS / "sbin/chronyd", "-d", "-x", "-u", "root", "port 0",
                   "cmdport 0", f"bindcmdaddress {tmp}/socket", f"pidfile {tmp}/pid",
                   *config)


@contextlib.contextmanager
def fed_chronyd(tmp):
    with chronyd(tmp, f"refclock SOCK {tmp}/ref refid TEST poll 0 delay 0.0002") as program, \
            Reference(tmp / "ref"):
        yield program


def hostd(tmp, *options):
    return Hostd(f"--file={tmp}/page", "--interval=100ms", f"--source=chrony:{tmp}/socket",
                 f"--chronyc={CLIENTS}/bin/chronyc", "--tai-offset=-37", "--force-counter",
                 *options)


def chronyds_time_and_not_the_clocks_is_on_the_page(tmp):
    with fed_chronyd(tmp), hostd(tmp) as writer:
        wait_for(lambda: page_is(tmp / "page", SYNCHRONIZED), "the page is synchronized")
        for _ in range(5):
            holds_truth(tmp / "page", AHEAD_NS)
        text = writer.text()
        check("bound from chronyd" in text, text)


def a_chronyd_that_ends_is_held_over_and_then_given_up(tmp):
    with hostd(tmp, "--holdover-after=500ms", "--drift=1000",
               "--holdover-max-bound=40ms") as writer:
        with fed_chronyd(tmp) as daemon:
            wait_for(lambda: page_is(tmp / "page", SYNCHRONIZED), "the page is synchronized")
            daemon.stop()
        wait_for(lambda: page_is(tmp / "page", FREERUNNING), "the page is freerunning")
        holds_truth(tmp / "page", AHEAD_NS)
        wait_for(lambda: page_is(tmp / "page", UNRELIABLE), "the page is unreliable")
        with fed_chronyd(tmp):
            wait_for(lambda: page_is(tmp / "page", SYNCHRONIZED), "it is synchronized again")
            holds_truth(tmp / "page", AHEAD_NS)
        text = writer.text()
        check("disruption marker" in text and text.count("measuring anew") == 0, text)


def a_chronyd_that_has_only_its_own_clock_is_no_reference(tmp):
    with chronyd(tmp, "local stratum 5"), hostd(tmp) as writer:
        wait_for(lambda: "(local)" in writer.text(), "the writer says so")
        check(page_is(tmp / "page", INITIALIZING), "it has a status")


TESTS = [
    chronyds_time_and_not_the_clocks_is_on_the_page,
    a_chronyd_that_ends_is_held_over_and_then_given_up,
    a_chronyd_that_has_only_its_own_clock_is_no_reference,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory, skip=None if CLIENTS else NO_CHRONYD))
