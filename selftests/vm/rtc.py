# SPDX-License-Identifier: GPL-2.0-only
"""The clock device of the host machine: plugged into a running QEMU, which is told
what to do by QMP, with vmclock-hostd behind it.

Guest tests ask for it through the link (ttyS3). A line each, answered by ok or by
what is wrong:

 plug       put the device into the root port
 unplug     and take it out again
 log USED   measure the dirty rate, and look into the log that QEMU shares with
            vmclock-hostd for that: were the vmclock page and the used ring, which
            is at the guest's address USED, marked and drained? Is it left alone
            afterwards?
 migrate    try to
"""

import json
import mmap
import os
import pathlib
import socket
import time

PORT = "rootport"
DEVICE = "rtc"
PATIENCE = 60
PAGE = 4096
# Where QEMU has the page of its vmclock device.
VMCLOCK_PAGE = 0xFEFFB000
ROUNDS = 10
MEASURE_SECONDS = 2
SILENCE = 1.5


class Wrong(Exception):
    """Something is not as it has to be."""


class Qmp:
    """QEMU's monitor."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rw", encoding="utf-8")
        self.version = self.receive()["QMP"]["version"]["qemu"]
        self.events = []
        self.do("qmp_capabilities")

    def close(self):
        self.file.close()
        self.sock.close()

    def receive(self):
        line = self.file.readline()
        if not line:
            raise Wrong("QEMU has closed its monitor")
        return json.loads(line)

    def ask(self, command, **arguments):
        """The whole answer."""
        json.dump({"execute": command, "arguments": arguments}, self.file)
        self.file.flush()
        while "event" in (answer := self.receive()):
            self.events.append(answer["event"])
        return answer

    def do(self, command, **arguments):
        answer = self.ask(command, **arguments)
        if "error" in answer:
            raise Wrong(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def wait_for(self, event):
        while event not in self.events:
            answer = self.receive()
            self.events.append(answer.get("event"))
        self.events.remove(event)


class Log:
    """The dirty log, as it is in memory: nobody else's view of it."""

    def __init__(self, pid, pages):
        self.pages = pages
        self.marked, self.drained = set(), set()
        fd = self.find(pid)
        self.map = mmap.mmap(fd, os.fstat(fd).st_size)
        os.close(fd)

    @staticmethod
    def find(pid):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if os.readlink(fd).startswith("/memfd:vhost-log"):
                        return os.open(fd, os.O_RDWR)
                except OSError:
                    continue
        raise Wrong("QEMU shares no log")

    def bit(self, address):
        page = address // PAGE
        return self.map[page // 8] >> page % 8 & 1

    def look(self):
        """Only vmclock-hostd sets a bit, and only QEMU clears it."""
        for name, address in self.pages.items():
            if self.bit(address):
                self.marked.add(name)
            elif name in self.marked:
                self.drained.add(name)

    def stays_clean(self, seconds):
        """Cleared by us, after QEMU is done with it: does anything come?"""
        self.map[:] = bytes(len(self.map))
        time.sleep(seconds)
        return self.map[:] == bytes(len(self.map))


class Device:
    """The clock device."""

    def __init__(self, qemu, hostd, qmp_path, socket_path, say):
        self.qemu, self.hostd, self.socket_path, self.say = qemu, hostd, socket_path, say
        self.qmp = Qmp(qmp_path)
        version = self.qmp.version
        say(f"QEMU {version['major']}.{version['minor']}.{version['micro']}")

    def close(self):
        self.qmp.close()

    def answer(self, line):
        """Do one command of the link; return the answer."""
        verb, *arguments = line.split() or [""]
        do = {"plug": self.plug, "unplug": self.unplug, "log": self.log,
              "migrate": self.migrate}.get(verb)
        try:
            if do:
                do(*arguments)
            return "ok" if do else "bad"
        except (Wrong, OSError, ValueError, KeyError, TypeError) as error:
            return f"{type(error).__name__}: {error}"

    def plug(self):
        end = time.monotonic() + PATIENCE
        while not self.socket_path.exists():
            if self.hostd.poll() is not None or time.monotonic() > end:
                raise Wrong("vmclock-hostd has made no socket")
            time.sleep(0.01)
        self.qmp.do("chardev-add", id=DEVICE, backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": str(self.socket_path)}},
            "server": False}})
        self.qmp.do("device_add", driver="vhost-user-rtc-pci", id=DEVICE, chardev=DEVICE,
                    bus=PORT)

    def unplug(self):
        self.qmp.do("device_del", id=DEVICE)
        # Of the device itself, and of what is on its bus.
        self.qmp.wait_for("DEVICE_DELETED")
        end = time.monotonic() + PATIENCE
        while "error" in (answer := self.qmp.ask("chardev-remove", id=DEVICE)):
            if time.monotonic() > end:
                raise Wrong(answer["error"]["desc"])
            time.sleep(0.1)

    def shares(self):
        """Has vmclock-hostd mapped the log?"""
        return "/memfd:vhost-log" in pathlib.Path(f"/proc/{self.hostd.pid}/maps").read_text(
            encoding="ascii", errors="replace")

    def measure(self, log_of):
        """One round; return its log."""
        self.qmp.do("calc-dirty-rate", **{"calc-time": MEASURE_SECONDS, "mode": "dirty-bitmap"})
        log = log_of()
        is_shared = False
        while (state := self.qmp.do("query-dirty-rate"))["status"] == "measuring":
            is_shared |= self.shares()
            for _ in range(100):
                log.look()
                time.sleep(0.0005)
        if state["status"] != "measured" or state["mode"] != "dirty-bitmap":
            raise Wrong(f"the dirty rate: {state}")
        if not is_shared:
            raise Wrong("vmclock-hostd has not mapped the log")
        log.look()
        self.say(f"dirty rate {state['dirty-rate']} MB/s, log of {len(log.map):#x} bytes;"
                 f" marked: {sorted(log.marked)}, drained: {sorted(log.drained)}")
        return log

    def log(self, used):
        pages = {"used ring": int(used, 0), "vmclock page": VMCLOCK_PAGE}
        drained = set()
        for _ in range(ROUNDS):
            log = self.measure(lambda: Log(self.qemu.pid, pages))
            if missing := pages.keys() - log.marked:
                raise Wrong(f"not marked within {MEASURE_SECONDS} s: {missing}")
            if not log.stays_clean(SILENCE):
                raise Wrong("the log is written although logging is off")
            drained |= log.drained
            if drained == pages.keys():
                return
        raise Wrong(f"never drained by QEMU: {pages.keys() - drained}")

    def migrate(self):
        answer = self.qmp.ask("migrate", uri="exec:cat >/dev/null")
        why = answer.get("error", {}).get("desc", "")
        self.say(f"QEMU on migration: {why or 'no error'}")
        if "non-migratable device" not in why:
            raise Wrong(f"QEMU tries to migrate the machine: {answer}")
