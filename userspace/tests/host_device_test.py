#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd as a clock device, from start to end: a front-end of vhost-user
with a guest's memory, and in it the guest's own VMClock page. TAP on stdout.

BUILD is the directory with vmclock-hostd.
"""

import array
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time

from host_hostd_test import ASSUME, BUILD, QEMU_PAGE, SYNCHRONIZED, UNRELIABLE, Hostd
from tap import PATIENCE, Failed, check, directory, main, wait_for

(GET_FEATURES, SET_FEATURES, VRING_NUM, VRING_ADDR, VRING_BASE, GET_BASE, KICK, CALL, SET_PROTOCOL,
 ENABLE, ADD_MEMORY) = 1, 2, 8, 9, 10, 11, 12, 13, 16, 18, 37
FEATURES = 1 << 32 | 1 << 30 | 1
GPA, USER, SIZE = 0x100000, 0x7f0000000000, 0x10000
PAGE_GPA, PAGE_USER = 0xfeffb000, 0x7e0000000000
DESC, AVAIL, USED, REQUEST, RESPONSE = 0, 0x1000, 0x2000, 0x3000, 0x4000
UTC, TAI, MONOTONIC = 0, 1, 2
READ, READ_CROSS, CROSS_CAP = 1, 2, 0x1002
TSC = 1


class FrontEnd:
    """What QEMU does, and its guest's driver."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(PATIENCE)
        self.memory_fd = os.memfd_create("memory")
        os.truncate(self.memory_fd, SIZE)
        self.memory = mmap.mmap(self.memory_fd, SIZE)
        self.page_fd = os.memfd_create("page")
        os.truncate(self.page_fd, 4096)
        os.pwrite(self.page_fd, QEMU_PAGE, 0)
        self.kick, self.call = os.eventfd(0), os.eventfd(0)
        self.used = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        self.memory.close()
        for fd in self.memory_fd, self.page_fd, self.kick, self.call:
            os.close(fd)

    def ask(self, request, payload=b"", fds=()):
        header = struct.pack("=III", request, 1 | 8, len(payload))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([header + payload], rights)
        answer, flags, size = struct.unpack("=III", self.sock.recv(12, socket.MSG_WAITALL))
        check(answer == request and flags == 5, f"the answer to {request}: {answer}, {flags}")
        return self.sock.recv(size, socket.MSG_WAITALL)

    def do(self, request, payload, fds=()):
        check(self.ask(request, payload, fds) == bytes(8), f"request {request} was refused")

    def start(self, with_page=True):
        self.ask(GET_FEATURES)
        self.sock.sendall(struct.pack("=IIIQ", SET_PROTOCOL, 1, 8, 1 << 3 | 1 << 15))
        self.do(SET_FEATURES, struct.pack("=Q", FEATURES))
        self.do(ADD_MEMORY, struct.pack("=QQQQQ", 0, GPA, SIZE, USER, 0), [self.memory_fd])
        if with_page:
            self.do(ADD_MEMORY, struct.pack("=QQQQQ", 0, PAGE_GPA, 4096, PAGE_USER, 0),
                    [self.page_fd])
        self.do(VRING_NUM, struct.pack("=II", 0, 4))
        self.do(VRING_BASE, struct.pack("=II", 0, self.used))
        self.do(VRING_ADDR, struct.pack("=IIQQQQ", 0, 0, USER + DESC, USER + USED,
                                        USER + AVAIL, 0))
        self.do(CALL, struct.pack("=Q", 0), [self.call])
        self.do(KICK, struct.pack("=Q", 0), [self.kick])
        self.do(ENABLE, struct.pack("=II", 0, 1))

    def stop(self):
        base = struct.unpack("=II", self.ask(GET_BASE, struct.pack("=II", 0, 0)))
        check(base == (0, self.used), f"stopped at {base}, not {self.used}")

    def put(self, at, layout, *values):
        struct.pack_into(layout, self.memory, at, *values)

    def get(self, at, layout):
        return struct.unpack_from(layout, self.memory, at)

    def request(self, message, clock, counter=0):
        """Status and the rest of the answer, through the ring."""
        self.put(REQUEST, "<H6xHB5x", message, clock, counter)
        self.put(DESC, "<QIHHQIHH", GPA + REQUEST, 16, 1, 1, GPA + RESPONSE, 24, 2, 0)
        self.put(AVAIL + 4 + 2 * (self.used % 4), "<H", 0)
        self.used = (self.used + 1) % 65536
        self.put(AVAIL + 2, "<H", self.used)
        os.eventfd_write(self.kick, 1)
        end = time.monotonic() + PATIENCE
        while self.get(USED + 2, "<H")[0] != self.used:
            check(time.monotonic() < end, "the request is not answered")
            select.select([self.call], [], [], 1)
        return self.get(RESPONSE, "<B7xQQ")

    def page(self):
        """An even page: sequence number, status, C1, T1 and the line's slope."""
        while True:
            raw = os.pread(self.page_fd, 112, 0)
            seq, = struct.unpack_from("<I", raw, 12)
            if not seq & 1 and os.pread(self.page_fd, 112, 0) == raw:
                return raw


def status(raw):
    return raw[0x22]


def tai_at(raw, counter):
    """ns, by the page's line."""
    shift = raw[0x27]
    start, period = struct.unpack_from("<QQ", raw, 0x28)
    sec, frac = struct.unpack_from("<QQ", raw, 0x48)
    ticks = (counter - start) % 2**64
    at = (sec << 64 | frac) + (ticks * period >> shift)
    return at * 10**9 >> 64


def connect(path):
    sock = socket.socket(socket.AF_UNIX)

    def is_there():
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True

    wait_for(is_there, "there is a socket")
    return FrontEnd(sock)


def device(tmp, *args):
    return Hostd(f"--vhost-socket={tmp}/s", "--interval=100ms", *ASSUME, *args)


def the_clocks_say_what_the_page_says(tmp):
    compared = 0
    with device(tmp, "--tsc-offset=0"), connect(tmp / "s") as front:
        front.start()
        wait_for(lambda: status(front.page()) == SYNCHRONIZED, "the page is synchronized")
        end = time.monotonic() + PATIENCE
        while compared < 1000:
            check(time.monotonic() < end, f"only {compared} readings")
            before = front.page()
            code, tai, counter = front.request(READ_CROSS, TAI, TSC)
            _, utc, utc_counter = front.request(READ_CROSS, UTC, TSC)
            check(code == 0, f"status {code}")
            if front.page() != before:
                continue
            check(tai == tai_at(before, counter), f"TAI {tai} and not {tai_at(before, counter)}")
            check(utc == tai_at(before, utc_counter) - 37 * 10**9, f"UTC {utc}")
            compared += 1


def the_page_is_left_when_the_ring_stops_and_fed_when_it_starts(tmp):
    with device(tmp, "--tsc-offset=0"), connect(tmp / "s") as front:
        for _ in range(3):
            front.start()
            wait_for(lambda: status(front.page()) == SYNCHRONIZED, "the page is synchronized")
            marker = front.page()[0x10:0x18]
            check(marker == QEMU_PAGE[0x10:0x18], "the marker has changed")
            front.stop()
            left = front.page()
            check(status(left) == UNRELIABLE, "not UNRELIABLE")
            time.sleep(0.25)
            check(front.page() == left, "it was written all the same")
            for gpa, user in (GPA, USER), (PAGE_GPA, PAGE_USER):
                size = SIZE if gpa == GPA else 4096
                front.do(38, struct.pack("=QQQQQ", 0, gpa, size, user, 0))


def without_an_offset_the_page_is_left_alone_and_all_else_answered(tmp):
    with device(tmp) as hostd, connect(tmp / "s") as front:
        front.start()
        wait_for(lambda: "its counter is not known" in hostd.text(), "it says so")
        check(front.request(CROSS_CAP, TAI, TSC)[:2] == (0, 0), "a counter is offered")
        check(front.request(READ_CROSS, TAI, TSC)[0] == 2, "a counter is told")
        code, utc, _ = front.request(READ, UTC)
        check(code == 0 and abs(utc - time.time_ns()) < 10**10, f"UTC {utc}")
        first = front.request(READ, MONOTONIC)[1]
        check(front.request(READ, MONOTONIC)[1] >= first, "monotonic goes back")
        check(front.page() == QEMU_PAGE.ljust(112, b"\0"), "the page was written")


def a_front_end_comes_after_another(tmp):
    with device(tmp, "--tsc-offset=0") as hostd:
        for _ in range(3):
            with connect(tmp / "s") as front:
                front.start()
                check(front.request(READ, UTC)[0] == 0, "no answer")
                page_fd = os.dup(front.page_fd)
            wait_for(lambda fd=page_fd: os.pread(fd, 1, 0x22) == bytes([UNRELIABLE]),
                     "the page is left")
            os.close(page_fd)
        check(hostd.stop() == 0, "exit status")
        check(not (tmp / "s").exists(), "the socket is still there")


def a_signal_leaves_the_guests_page_unreliable(tmp):
    with device(tmp, "--tsc-offset=0") as hostd, connect(tmp / "s") as front:
        front.start()
        wait_for(lambda: status(front.page()) == SYNCHRONIZED, "the page is synchronized")
        check(hostd.stop() == 0, "exit status")
        check(status(front.page()) == UNRELIABLE, "not UNRELIABLE")


def a_page_that_is_gone_does_not_end_the_device(tmp):
    with device(tmp, f"--file={tmp}/p") as hostd, connect(tmp / "s") as front:
        front.start()
        os.truncate(tmp / "p", 0)
        wait_for(lambda: "no page is fed any more" in hostd.text(), "it says so")
        check(front.request(READ, UTC)[0] == 0, "no answer")
        check(hostd.stop() == 0, "exit status")


def a_socket_that_was_passed_is_used_until_its_other_end_is_closed(_):
    ours, theirs = socket.socketpair()
    with subprocess.Popen([BUILD / "vmclock-hostd", f"--vhost-fd={theirs.fileno()}", *ASSUME],
                          pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL) as hostd:
        theirs.close()
        with FrontEnd(ours) as front:
            front.start()
            check(front.request(READ, UTC)[0] == 0, "no answer")
        try:
            check(hostd.wait(PATIENCE) == 0, "exit status")
        except subprocess.TimeoutExpired:
            hostd.kill()
            raise Failed("it does not end") from None


TESTS = [
    the_clocks_say_what_the_page_says,
    the_page_is_left_when_the_ring_stops_and_fed_when_it_starts,
    without_an_offset_the_page_is_left_alone_and_all_else_answered,
    a_front_end_comes_after_another,
    a_signal_leaves_the_guests_page_unreliable,
    a_page_that_is_gone_does_not_end_the_device,
    a_socket_that_was_passed_is_used_until_its_other_end_is_closed,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
