#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd with --ivshmem-socket, from start to end: a client in QEMU's place
gets the page and is told of each update. TAP on stdout.

BUILD is the directory with vmclock-hostd.
"""

import contextlib
import json
import mmap
import os
import select
import socket
import struct
import sys

from host_hostd_test import (ASSUME, INITIALIZING, SYNCHRONIZED, UNRELIABLE, Hostd, Page, ctl,
                             refused)
from tap import PATIENCE, check, directory, main, wait_for

NOTIFICATION_PRESENT = 1 << 9


class Client:
    """What QEMU's ivshmem-doorbell device does."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        wait_for(lambda: not self.sock.connect_ex(str(path)), "there is a socket")
        version, none = self.hear()
        self.id, none_either = self.hear()
        check(version == 0 and none is none_either is None, "no greeting")
        minus_one, self.path_fd = self.hear()
        own_id, self.bell = self.hear()
        check(minus_one == -1 and own_id == self.id, "no memory and no eventfd")
        self.path = f"/proc/self/fd/{self.path_fd}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        os.close(self.path_fd)
        os.close(self.bell)

    def hear(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 8, 1)
        check(len(data) == 8, "the connection has ended")
        return struct.unpack("<q", data)[0], fds[0] if fds else None

    def page(self):
        return Page(self.path)

    def is_at(self, status):
        page = self.page()
        return page.status == status and not page.seq & 1

    def rings(self, seconds=0):
        """How often it rang since the last look."""
        if not select.select([self.bell], [], [], seconds)[0]:
            return 0
        return os.eventfd_read(self.bell)


def doorbell(tmp, *args):
    return Hostd(f"--ivshmem-socket={tmp}/s", "--tsc-offset=0", *ASSUME, *args)


@contextlib.contextmanager
def fed(tmp, *args):
    with doorbell(tmp, *args) as hostd, Client(tmp / "s") as client:
        wait_for(lambda: client.is_at(SYNCHRONIZED), "the page is synchronized")
        yield hostd, client


def the_page_promises_notifications(tmp):
    with fed(tmp) as (hostd, client):
        page = client.page()
        check(page.flags & NOTIFICATION_PRESENT, f"flags {page.flags:#x}")
        check(len(page.raw) == 65536 and page.size == 4096, f"{len(page.raw)}, {page.size}")
        check(hostd.stop() == 0, hostd.text())
        page = client.page()
        check(page.status == UNRELIABLE and page.flags & NOTIFICATION_PRESENT,
              f"status {page.status}, flags {page.flags:#x}")
        check(not client.sock.recv(1), "the connection goes on")
        check(not (tmp / "s").exists(), "the socket is still there")


def each_even_number_rings_once(tmp):
    with doorbell(tmp, "--interval=10ms") as hostd, Client(tmp / "s") as client:
        # As many rings as updates, from some state of both to the last one.
        first = client.page().seq // 2
        rung = 0
        while client.page().seq // 2 < first + 20:
            rung += client.rings(PATIENCE)
        check(hostd.stop() == 0, hostd.text())
        rung += client.rings()
        updates = client.page().seq // 2 - first
        # One or two may have fallen between the two looks at the start.
        check(updates <= rung <= updates + 2, f"{updates} updates, {rung} rings")


def the_last_word_rings(tmp):
    with fed(tmp, "--interval=60s") as (hostd, client):
        client.rings()
        check(not client.rings(), "it rings again")
        check(hostd.stop() == 0, hostd.text())
        check(client.rings() == 1, "UNRELIABLE was not told")


def a_file_promises_none(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME):
        wait_for(lambda: (tmp / "p").exists() and (tmp / "p").stat().st_size == 4096 and
                 Page(tmp / "p").status == SYNCHRONIZED, "the page is synchronized")
        check(not Page(tmp / "p").flags & NOTIFICATION_PRESENT, "it does")


def a_client_can_not_cut_it_short(tmp):
    with fed(tmp) as (hostd, client):
        for size in 0, 4096, 1 << 20:
            try:
                os.truncate(client.path_fd, size)
                check(False, f"it is {size} bytes long")
            except PermissionError:
                pass
        check(hostd.stop() == 0, hostd.text())


def what_a_client_writes_ends_its_page(tmp):
    with fed(tmp, "--interval=10ms") as (hostd, client):
        with mmap.mmap(client.path_fd, 4096) as page:
            page[0x0C:0x10] = b"junk"
        check(hostd.wait() == 1, "exit status")
        check("somebody else" in hostd.text(), hostd.text())
        check(client.page().status == UNRELIABLE, "it is still believed")


def another_client_is_another_machine(tmp):
    with fed(tmp) as (hostd, first):
        before = first.page()
        with Client(tmp / "s") as second:
            wait_for(lambda: first.page().marker != before.marker, "the marker changes")
            check(second.id != first.id, "two of the same number")
            check(second.is_at(INITIALIZING) and not second.page().period, "it has a line")
            check(os.fstat(second.path_fd).st_ino == os.fstat(first.path_fd).st_ino,
                  "another page")
        check("another client" in hostd.text(), hostd.text())
        check(hostd.stop() == 0, hostd.text())


def it_has_time_again_when_the_counter_is_told(tmp):
    control = tmp / "control"
    with fed(tmp, f"--control={control}") as (hostd, _), Client(tmp / "s") as second:
        wait_for(lambda: second.is_at(INITIALIZING), "the page is disrupted")
        wait_for(second.rings, "the machine is told")
        lines = map(json.loads, ctl(control, "--json", "status").splitlines())
        vm = next(line["vm"] for line in lines if "vm" in line)
        ctl(control, "set-counter", vm["name"], "--tsc-offset=1000000",
            f"--marker={vm['page']['disruption_marker']}")
        wait_for(lambda: second.is_at(SYNCHRONIZED), "there is a line again")
        check(second.rings(PATIENCE), "the machine is not told")
        check(hostd.stop() == 0, hostd.text())


def who_only_connects_holds_nobody(tmp):
    with fed(tmp) as (hostd, client):
        client.rings()
        deaf = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for sock in deaf:
            sock.connect(str(tmp / "s"))
        check(client.rings(PATIENCE), "it is not told that its counter is unknown")
        wait_for(lambda: "Too many users" in hostd.text(), "there are too many")
        check(hostd.stop() == 0, hostd.text())
        check(client.is_at(UNRELIABLE) and client.rings(), "it is not told of the end")
        for sock in deaf:
            sock.close()


def usage_says_what_it_needs(tmp):
    refused("need --tsc-offset", f"--ivshmem-socket={tmp}/s")
    refused("exclude each other", f"--ivshmem-socket={tmp}/s", f"--file={tmp}/p",
            "--tsc-offset=0")
    with doorbell(tmp), Client(tmp / "s"):
        refused("in use", f"--ivshmem-socket={tmp}/s", "--tsc-offset=0", *ASSUME)


TESTS = [
    the_page_promises_notifications,
    each_even_number_rings_once,
    the_last_word_rings,
    a_file_promises_none,
    a_client_can_not_cut_it_short,
    what_a_client_writes_ends_its_page,
    another_client_is_another_machine,
    it_has_time_again_when_the_counter_is_told,
    who_only_connects_holds_nobody,
    usage_says_what_it_needs,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
