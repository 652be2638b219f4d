#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd with the system calls, address families and capabilities that its unit
leaves it, and no others: set up here as systemd does, for it is not run. TAP on stdout.

BUILD is the directory with vmclock-hostd and vmclockctl.
"""

import contextlib
import ctypes
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

from host_fleet_test import Fleet, files, wait_synchronized
from host_hostd_test import (BUILD, SETPCAP, SYS_PTRACE, Hostd, Player, need_capabilities, programs,
                             wait_listens)
from host_monitor_test import Qemu
from tap import PATIENCE, check, directory, main

UNIT = pathlib.Path(__file__).parents[1] / "host/vmclock-hostd.service.in"
NUMBERS = [path for path in (pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
                             pathlib.Path("/usr/include/asm/unistd_64.h")) if path.exists()]
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
LOAD, IS, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW, EAFNOSUPPORT = 0x80000000, 0x7fff0000, 0x00050000 | 97
X86_64, AT_NUMBER, AT_ARCH, AT_FIRST = 0xc000003e, 0, 4, 16
CAPABILITIES = {"CAP_DAC_OVERRIDE": 1, "CAP_SYS_PTRACE": 19}

# Leaks are looked for by a tracer, which no unit allows.
os.environ["ASAN_OPTIONS"] = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
ENV = dict(os.environ, LD_LIBRARY_PATH=str(BUILD))

CHRONYC = """#!/bin/sh
echo C0A80001,192.168.0.1,2,$(date +%s).000000000,0.000000010,0.0,0.0,0.0,0.0,0.001,\
0.0002,0.00001,1.0,Normal
"""


def words(key):
    """What the unit says of it."""
    return re.search(rf"^{key}=(.*)$", UNIT.read_text(), re.M)[1].split()


def members(name):
    """The system calls of one of systemd's groups."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and line[0] != "#"))


def numbers():
    found = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS[0].read_text())
    return {name: int(number) for name, number in found}


def step(code, value, then=0, otherwise=0):
    return struct.pack("<HBBI", code, then, otherwise, value)


def compile_filter(names, families):
    """As systemd has it: whatever else is called kills, other families are not there."""
    known = numbers()
    code = [step(LOAD, AT_ARCH), step(IS, X86_64, 1, 0), step(RETURN, KILL),
            step(LOAD, AT_NUMBER), step(IS, known["socket"], 0, len(families) + 3),
            step(LOAD, AT_FIRST)]
    code += [step(IS, family, len(families) - at) for at, family in enumerate(families)]
    code += [step(RETURN, EAFNOSUPPORT), step(RETURN, ALLOW)]
    for number in sorted(known[name] for name in names if name in known):
        code += [step(IS, number, 0, 1), step(RETURN, ALLOW)]
    return b"".join(code + [step(RETURN, KILL)])


def prctl(*what):
    if LIBC.prctl(*(ctypes.c_ulong(word) if isinstance(word, int) else word for word in what)):
        raise OSError(ctypes.get_errno(), "prctl")


def shut_in(code, kept):
    """For the child, before it is the daemon."""
    steps = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(code) // 8, ctypes.addressof(steps)))

    def act():
        last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
        if not os.geteuid():
            for capability in set(range(last + 1)) - kept:
                prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0)
        steps, program  # pylint: disable=pointless-statement
    return act


def sandbox(without=()):
    if not os.geteuid():
        need_capabilities(SETPCAP)
    names = members("@default").union(*map(members, words("SystemCallFilter")))
    families = [getattr(socket, name) for name in words("RestrictAddressFamilies")]
    kept = {CAPABILITIES[name] for name in words("CapabilityBoundingSet")}
    return shut_in(compile_filter(names - set(without), families), kept)


class Shut(Fleet):
    """A Fleet whose daemon is shut in."""

    def __enter__(self):
        self.hostd = Hostd(f"--config={self.conf}", preexec_fn=sandbox())
        wait_listens(self.socket)
        return self


def it_does_all_that_it_has_to(tmp):
    # The player, who is not shut in, has more of them than the daemon.
    if not os.geteuid():
        need_capabilities(SYS_PTRACE)
    with contextlib.ExitStack() as stack:
        chronyc = stack.enter_context(programs()) / "chronyc"
        chronyc.write_text(CHRONYC)
        chronyc.chmod(0o755)
        player = stack.enter_context(Player("4096:vmclock_page"))
        qemu = stack.enter_context(contextlib.closing(Qemu(tmp)))
        vms = dict(files(tmp, 3), qemu={"qemu-pid": player.pid, "tsc-offset": 0},
                   doorbell={"ivshmem-socket": tmp / "doorbell", "tsc-offset": 0},
                   device={"vhost-socket": tmp / "device", "tsc-offset": 0},
                   followed={"qmp": qemu.path, "tsc-offset": 0, "generation": "keep"})
        fleet = Shut(tmp, vms, f"interval = 50ms\nsource = chrony\nchronyc = {chronyc}\n")
        fleet.conf.write_text(re.sub("assume-synchronized.*\n", "", fleet.conf.read_text()))
        stack.enter_context(fleet)
        wait_synchronized(player.page(), *(tmp / f"p{i}" for i in range(3)))
        for name in ("doorbell", "followed"):
            fleet.wait_status(name, page="synchronized")
        for name in ("doorbell", "device"):
            wait_listens(tmp / name)
        # A page that is cut short, one that is deleted, and one that comes.
        os.truncate(tmp / "p1", 0)
        fleet.wait_status("vm1", state="failed")
        (tmp / "p2").unlink()
        fleet.wait_status("vm2", file="deleted")
        fleet.ctl("drain", "soon", "vm0")
        fleet.ctl("disrupt", "qemu")
        fleet.tell("qemu", "--tsc-offset=1")
        fleet.ctl("reload")
        wait_synchronized(tmp / "p1", player.page())
        check(fleet.hostd.stop() == 0, f"exit status: {fleet.hostd.text()}")


def it_tells_the_manager_that_it_is_ready(tmp):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp / "manager"))
        manager.settimeout(60)
        with Hostd(f"--file={tmp}/p", "--assume-synchronized=1ms", preexec_fn=sandbox(),
                   env=dict(ENV, NOTIFY_SOCKET=str(tmp / "manager"))) as hostd:
            check(manager.recv(64) == b"READY=1", "something else")
            check(hostd.stop() == 0, "exit status")


def so_does_who_has_it_reloaded(tmp):
    with Shut(tmp, files(tmp, 1)) as fleet:
        done = subprocess.run([BUILD / "vmclockctl", "host", f"--socket={fleet.socket}",
                               "reload"], env=ENV, preexec_fn=sandbox(), check=False,
                              timeout=PATIENCE)
        check(done.returncode == 0, f"{done}")


def what_the_unit_does_not_allow_kills_it(tmp):
    with Hostd(f"--file={tmp}/p", preexec_fn=sandbox(without=["ppoll"])) as hostd:
        check(hostd.wait() == -signal.SIGSYS, "ppoll() was let through")


def other_address_families_are_not_there(_):
    program = "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"
    done = subprocess.run([sys.executable, "-c", program], preexec_fn=sandbox(), text=True,
                          stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
    check("Address family not supported" in done.stderr, done.stderr)


TESTS = [
    it_does_all_that_it_has_to,
    it_tells_the_manager_that_it_is_ready,
    so_does_who_has_it_reloaded,
    what_the_unit_does_not_allow_kills_it,
    other_address_families_are_not_there,
]

if __name__ == "__main__":
    if not shutil.which("systemd-analyze") or platform.machine() != "x86_64":
        sys.exit(main(TESTS, skip="no systemd-analyze here to tell what a unit allows"))
    if not NUMBERS:
        sys.exit(main(TESTS, skip="no numbers of system calls here"))
    sys.exit(main(TESTS, given=directory))
