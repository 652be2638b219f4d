# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, for tests: one command after the other, and the events."""

import json
import socket
import time

PATIENCE = 180


class Error(OSError):
    """The monitor has refused a command, or waiting was in vain."""


class Monitor:
    """A connection to a monitor's socket."""

    def __init__(self, path):
        self.events = []
        self.rest = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.connect(str(path))
        self.receive()
        self.command("qmp_capabilities")

    def connect(self, path):
        """QEMU may not have made it yet."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.socket.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self):
        self.socket.close()

    def receive(self):
        """The next message."""
        while b"\n" not in self.rest:
            data = self.socket.recv(65536)
            if not data:
                raise Error("QEMU has closed its monitor")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        """Do one command; return its result."""
        message = {"execute": name}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while True:
            answer = self.receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Error(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_for(self, what, question, key, wanted, bad=()):
        """Ask @question until its @key is one of @wanted; return it."""
        deadline = time.monotonic() + PATIENCE
        while (value := question().get(key)) not in wanted:
            if value in bad or time.monotonic() > deadline:
                raise Error(f"{what}: {key} is {value}")
            time.sleep(0.02)
        return value

    def status(self):
        return self.command("query-status")["status"]

    def wait_status(self, *wanted):
        return self.wait_for("the machine", lambda: self.command("query-status"),
                             "status", wanted)

    def wait_migration(self, *wanted, bad=("failed",)):
        return self.wait_for("the migration", lambda: self.command("query-migrate"),
                             "status", wanted or ("completed",), bad)

    def wait_event(self, name):
        """Wait until the event has come, and forget it."""
        deadline = time.monotonic() + PATIENCE
        while not any(event["event"] == name for event in self.events):
            if time.monotonic() > deadline:
                raise Error(f"no event {name}")
            time.sleep(0.02)
            self.command("query-status")
        self.events = [event for event in self.events if event["event"] != name]

    def wait_job(self, job):
        """Wait until the job is concluded; it is dismissed. Return its error or None."""
        def look():
            return next(j for j in self.command("query-jobs") if j["id"] == job)
        self.wait_for(f"job {job}", look, "status", ("concluded",))
        error = look().get("error")
        self.command("job-dismiss", id=job)
        return error
