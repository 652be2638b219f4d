#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd on a real chronyd: an ordinary program here, with its own files and
no hold on the clock (-x). Its reference is this test, which tells it by SOCK samples
that the host's clock is 5 ms slow: the truth is known. TAP on stdout.

BUILD is the directory with vmclock-hostd; chronyd is where setup.mk says.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from tap import PATIENCE, check, directory, main, wait_for

BUILD = pathlib.Path(os.environ["BUILD"])
SLOW_NS = 5 * 10**6
TAI_NS = 37 * 10**9
SYNCHRONIZED, FREERUNNING, UNRELIABLE = 2, 3, 4
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


class Program:
    """A child with a log; killed at the end of the with block."""

    def __init__(self, *args):
        self.log = tempfile.TemporaryFile("w+")
        self.proc = subprocess.Popen([str(a) for a in args], stdout=self.log,
                                     stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()

    def text(self):
        self.log.seek(0)
        return self.log.read()


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
    return Program(BUILD / "vmclock-hostd", f"--file={tmp}/page", "--interval=100ms",
                   f"--source=chrony:{tmp}/socket", f"--chronyc={CLIENTS}/bin/chronyc",
                   "--tai-offset=-37", "--force-counter", *options)


def page_now(tmp):
    """Bracket of the present time, by the library's reader."""
    env = dict(os.environ, LD_LIBRARY_PATH=str(BUILD))
    out = subprocess.run([BUILD / "vmclockctl", "now", "--json", tmp / "page"], env=env,
                         stdout=subprocess.PIPE, timeout=PATIENCE, check=False).stdout
    return out


def status(tmp):
    try:
        raw = (tmp / "page").read_bytes()
        seq, = struct.unpack_from("<I", raw, 12)
        return None if seq & 1 else raw[STATUS_AT]
    except (OSError, IndexError, struct.error):
        return None


# Where struct vmclock_page has clock_status.
STATUS_AT = struct.calcsize("<IIHBBIQQH")


def holds_truth(tmp):
    before = time.time_ns() + SLOW_NS + TAI_NS
    now = json.loads(page_now(tmp))
    after = time.time_ns() + SLOW_NS + TAI_NS
    earliest, latest = (now[k]["sec"] * 10**9 + now[k]["nsec"]
                        for k in ("earliest", "latest"))
    check(earliest <= after and before <= latest,
          f"[{earliest}, {latest}] and [{before}, {after}] are apart")


def chronyds_time_and_not_the_clocks_is_on_the_page(tmp):
    with fed_chronyd(tmp), hostd(tmp) as writer:
        wait_for(lambda: status(tmp) == SYNCHRONIZED, "the page is synchronized")
        for _ in range(5):
            holds_truth(tmp)
        text = writer.text()
        check("bound from chronyd" in text, text)


def a_chronyd_that_ends_is_held_over_and_then_given_up(tmp):
    with hostd(tmp, "--holdover-after=500ms", "--drift=1000",
               "--holdover-max-bound=20ms") as writer:
        with fed_chronyd(tmp) as daemon:
            wait_for(lambda: status(tmp) == SYNCHRONIZED, "the page is synchronized")
            daemon.proc.send_signal(signal.SIGTERM)
            daemon.proc.wait()
        wait_for(lambda: status(tmp) == FREERUNNING, "the page is freerunning")
        holds_truth(tmp)
        wait_for(lambda: status(tmp) == UNRELIABLE, "the page is unreliable")
        with fed_chronyd(tmp):
            wait_for(lambda: status(tmp) == SYNCHRONIZED, "it is synchronized again")
            holds_truth(tmp)
        text = writer.text()
        check("disruption marker" in text and text.count("measuring anew") == 0, text)


def a_chronyd_that_has_only_its_own_clock_is_no_reference(tmp):
    with chronyd(tmp, "local stratum 5"), hostd(tmp) as writer:
        wait_for(lambda: "(local)" in writer.text(), "the writer says so")
        check(status(tmp) == 1, f"status {status(tmp)}")


TESTS = [
    chronyds_time_and_not_the_clocks_is_on_the_page,
    a_chronyd_that_ends_is_held_over_and_then_given_up,
    a_chronyd_that_has_only_its_own_clock_is_no_reference,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory, skip=None if CLIENTS else NO_CHRONYD))
