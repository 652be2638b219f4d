# SPDX-License-Identifier: GPL-2.0-only
"""A guest that goes to sleep: what happens meanwhile, and who wakes it.

Commands of the link:

 later MS COMMAND         answer ok; do COMMAND then, and do not answer
 nap MS                   answer ok; wake the guest then, and again each second
                          until it says something
 awake                    answer awake; what came before it means nothing

Of S3 the monitor wakes it; of s2idle, in which QEMU sees nothing but processors
that are idle, a byte on the link, if the guest has made that port wake it.
"""

import contextlib
import time

import qmp

AGAIN = 1


class Sleeper:
    """What is due when. @machine must have a monitor only if the guest sleeps."""

    def __init__(self, machine):
        self.machine = machine
        self.due = []
        self.wake_at = None

    def answer(self, line):
        """Do a command, if it is one for us; return the answer, or None."""
        self.wake_at = None
        try:
            verb, *rest = line.split(None, 2)
            if verb == "awake":
                return verb
            if verb not in ("later", "nap"):
                return None
            at = time.monotonic() + int(rest[0]) / 1000
            if verb == "later":
                self.due.append((at, rest[1]))
            else:
                self.wake_at = at
            return "ok"
        except (ValueError, IndexError):
            return "bad"

    def patience(self):
        """Seconds until something is due, at most one."""
        times = [at for at, _ in self.due] + ([self.wake_at] if self.wake_at else [])
        return min([1, *(max(0, at - time.monotonic()) for at in times)])

    def work(self, do):
        """What is due now: commands are given to @do."""
        now = time.monotonic()
        for item in [item for item in self.due if item[0] <= now]:
            self.due.remove(item)
            do(item[1])
        if self.wake_at and self.wake_at <= now:
            self.wake_at = now + AGAIN
            self.wake()

    def wake(self):
        # It may have woken up meanwhile.
        with contextlib.suppress(qmp.Error):
            if self.machine.monitor.status() == "suspended":
                self.machine.monitor.command("system_wakeup")
            else:
                self.machine.link.sendall(b"\n")
