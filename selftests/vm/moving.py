# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is stopped, saved, restored and moved, with a witness in it.

A Guest is a Machine with a monitor. Several of them may be made of one image and
one token: then the state of one fits the others. Each has RAM of its own, and in
it the witness's stamps (stamps.c) and the page of the clock exchange, which live
on wherever the state goes.

  with Guest(kernel, image, logs, "a", token) as a: ...
"""

import contextlib
import os
import re
import struct
import subprocess
import time

import judge
import pages
import qmp
import vm

RING = pages.BASE + pages.ROOM
RING_SIZE = 0xf0000
RECORDS = RING + 128
CAPACITY = (RING_SIZE - 128) // judge.RECORD.size
EXCHANGE_MS = 300
# A boot under emulation, on a machine that has other things to do.
BOOT_PATIENCE = 400
# Anything else that a guest does.
PATIENCE = 120
# See run.py.
CREEP = 30000


class Guest(vm.Machine):
    """A guest with a monitor. @incoming: it waits for somebody's state."""

    room = pages.ROOM + RING_SIZE

    def __init__(self, kernel, image, logs, name, token, incoming=False):
        logs = logs / name
        logs.mkdir(parents=True, exist_ok=True)
        super().__init__(kernel, image, logs, "move")
        self.name, self.token, self.incoming = name, token, incoming
        self.taken = 0
        self.has_disk = False
        self.text = b""

    def __enter__(self):
        super().__enter__()
        try:
            self.monitor.command("migrate-set-parameters", max_bandwidth=1 << 40,
                                 downtime_limit=20000)
        except BaseException:
            self.stack.close()
            raise
        return self

    def command(self):
        """There is a second monitor, for the daemon."""
        return [*super().command(), "-qmp", f"unix:{self.daemon_socket()},server=on,wait=off",
                *(["-S", "-incoming", "defer"] if self.incoming else [])]

    def daemon_socket(self):
        return self.tmp / "daemon"

    def wait_witness(self):
        """Wait until the guest has booted and the witness writes."""
        self.wait_stamps(1, BOOT_PATIENCE)

    def count(self):
        """How many stamps there are, and were before those that are kept."""
        return struct.unpack_from("<Q", self.ram, RING)[0]

    def wait_stamps(self, more, patience=60):
        """Wait for stamps that begin from now on."""
        wanted = self.count() + more
        deadline = time.monotonic() + patience
        while self.count() < wanted:
            if self.qemu.poll() is not None or time.monotonic() > deadline:
                self.ask_why()
                raise OSError(f"guest {self.name}: its witness does not write,"
                              f" see {self.logs / 'console.log'}")
            time.sleep(0.005)

    def forget(self):
        """What is there was taken, by whoever had the state before."""
        self.taken = self.count()

    def take(self, most=CAPACITY):
        """The stamps since the last call, the oldest first."""
        count = self.count()
        if not 0 <= count - self.taken <= CAPACITY:
            raise OSError(f"guest {self.name}: {count - self.taken} stamps, some are lost")
        count = min(count, self.taken + most)
        records = [judge.Record(self.ram, RECORDS + n % CAPACITY * judge.RECORD.size)
                   for n in range(self.taken, count)]
        for number, record in enumerate(records, self.taken):
            if record.number != number:
                raise OSError(f"guest {self.name}: stamp {number} calls itself {record.number}")
        self.taken = count
        return records

    def read_line(self, pattern):
        """What its programs print, up to a line like this: the match."""
        deadline = time.monotonic() + PATIENCE
        self.output.settimeout(1)
        while time.monotonic() < deadline:
            while b"\n" in self.text:
                line, self.text = self.text.split(b"\n", 1)
                text = line.decode(errors="replace").strip()
                with open(self.logs / "output.log", "a", encoding="utf-8") as log:
                    log.write(text + "\n")
                if match := re.search(pattern, text):
                    return match
            with contextlib.suppress(TimeoutError):
                data = self.output.recv(65536)
                if not data:
                    break
                self.text += data
        self.ask_why()
        raise OSError(f"guest {self.name} does not say {pattern!r}, see {self.logs}")

    def end_witness(self):
        struct.pack_into("<Q", self.ram, RING + 64, 1)

    def exchange(self, build):
        """Measure the counter against the host's: offset, error; it may creep."""
        measured = subprocess.run([build / "vm/clock-exchange", str(self.ram_fd),
                                   str(EXCHANGE_MS)], pass_fds=(self.ram_fd,),
                                  stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        offset, error = (int(word.partition("=")[2]) for word in measured.stdout.split())
        return offset, error + CREEP

    def stop(self):
        self.monitor.command("stop")

    def cont(self):
        self.monitor.command("cont")

    def migrate(self, uri):
        """Begin to send the state."""
        self.monitor.command("migrate", uri=uri)

    def receive(self, uri):
        """Begin to take somebody's state."""
        self.monitor.command("migrate-incoming", uri=uri)

    def arrived(self):
        """Wait until it is there. It does not run yet, unless somebody continued it."""
        self.monitor.wait_migration()
        self.monitor.wait_status("paused", "running")

    def save(self, path):
        """Stop, and save the state in a file."""
        self.stop()
        self.migrate(f"file:{path}")
        self.monitor.wait_migration()

    def ensure_disk(self):
        """There is a place for snapshots. The guest does not see it."""
        if not self.has_disk:
            self.add_disk(1 << 30)
        self.has_disk = True

    def add_disk(self, size):
        path = str(self.tmp / "snapshots")
        command = self.monitor.command
        for job, options in (
                ("file", {"driver": "file", "filename": path, "size": 0}),
                ("qcow2", {"driver": "qcow2", "file": "disk-file", "size": size})):
            command("blockdev-create", job_id=job, options=options)
            if error := self.monitor.wait_job(job):
                raise qmp.Error(error)
            if job == "file":
                command("blockdev-add", driver="file", filename=path, node_name="disk-file")
        command("blockdev-add", driver="qcow2", file="disk-file", node_name="disk")

    def snapshot(self, verb, tag):
        """Do snapshot-save or snapshot-load of what ensure_disk() has made room for."""
        arguments = {"job_id": "snapshot", "tag": tag, "devices": ["disk"]}
        if verb != "snapshot-delete":
            arguments["vmstate"] = "disk"
        self.monitor.command(verb, **arguments)
        if error := self.monitor.wait_job("snapshot"):
            raise qmp.Error(f"{verb}: {error}")

    def page(self):
        """Status and marker of the page, as they are now."""
        with contextlib.closing(self.vmclock_page()) as page:
            return page[0x22], struct.unpack_from("<Q", page, 0x10)[0]

    def generation(self):
        """The page's generation counter, or None if it has none."""
        with contextlib.closing(self.vmclock_page()) as page:
            flags, = struct.unpack_from("<Q", page, 0x18)
            return struct.unpack_from("<Q", page, 0x68)[0] if flags & judge.FLAG_GENERATION \
                else None

    def wait_page(self, status, alive, patience=60):
        """Wait until the page has a status and no update is under way."""
        deadline = time.monotonic() + patience
        with contextlib.closing(self.vmclock_page()) as page:
            while page[0x22] != status or page[0x0C] & 1:
                if not alive() or time.monotonic() > deadline:
                    raise OSError(f"guest {self.name}: its page does not become {status}")
                time.sleep(0.01)


def room_for(path):
    """A file to save states in; what is there goes."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return path
