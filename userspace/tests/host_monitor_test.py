#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd follows a QEMU by its monitor. The QEMU is this process: it has a
memfd of the right name and a monitor that says what each test wants. TAP on stdout.

BUILD is the directory with vmclock-hostd and vmclockctl.
"""

import ctypes
import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time

from host_hostd_test import (ASSUME, INITIALIZING, NOBODY, QEMU_PAGE, SYNCHRONIZED, SYS_PTRACE,
                             UNRELIABLE, Hostd, Player, ctl, need_root, page_is, wait_listens)
from tap import Failed, check, directory, main, wait_for

GREETING = {"QMP": {"version": {}, "capabilities": ["oob"]}}


class Qemu:
    """A memfd, and a monitor that answers with what is in @state."""

    def __init__(self, tmp, status="running", kvm=False):
        self.path = tmp / "monitor"
        self.state = {"query-status": {"status": status}, "query-kvm": {"enabled": kvm},
                      "query-migrate": {}}
        self.seen = []
        self.on_cont = lambda: None
        self.on_asked = lambda name: None
        self.connection = None
        self.fd = os.memfd_create("vmclock_page")
        os.truncate(self.fd, 4096)
        self.page = mmap.mmap(self.fd, 4096)
        self.page[:len(QEMU_PAGE)] = QEMU_PAGE
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        self.hang_up()
        self.page.close()
        os.close(self.fd)

    def serve(self):
        while True:
            try:
                self.connection = self.listener.accept()[0]
            except OSError:
                return
            try:
                self.talk()
            except (OSError, ValueError):
                pass

    def say(self, message):
        self.send(json.dumps(message) + "\r\n")

    def talk(self):
        self.say(GREETING)
        for line in self.connection.makefile("r"):
            command = json.loads(line)
            self.on_asked(command["execute"])
            self.seen.append(command["execute"])
            if command["execute"] == "cont":
                self.on_cont()
            self.say({"return": self.state.get(command["execute"], {}),
                      "id": command["id"]})

    def send(self, text):
        self.connection.sendall(text.encode())

    def event(self, name, **data):
        self.say({"event": name, "data": data} if data else {"event": name})

    def run(self, event, status):
        """Something happens to the machine."""
        self.state["query-status"] = {"status": status}
        self.event(event)

    def migrate(self, status):
        self.state["query-migrate"] = {"status": status}
        self.event("MIGRATION", status=status)

    def wait_heard(self):
        wait_for(lambda: "query-migrate" in self.seen, "the daemon asks")

    def hang_up(self):
        if self.connection:
            self.connection.shutdown(socket.SHUT_RDWR)

    def restore(self):
        """What QEMU does to the page when it has loaded a machine."""
        seq, = struct.unpack_from("<I", self.page, 0x0C)
        struct.pack_into("<I", self.page, 0x0C, (seq | 1) + 1)
        struct.pack_into("<Q", self.page, 0x10, self.marker() + 1)

    def notice(self):
        return self.page[0x18] & 6

    def status(self):
        return self.page[0x22]

    def generation(self):
        """None if there is none."""
        flags, = struct.unpack_from("<Q", self.page, 0x18)
        return struct.unpack_from("<Q", self.page, 0x68)[0] if flags & 1 << 8 else None

    def marker(self):
        return struct.unpack_from("<Q", self.page, 0x10)[0]

    def wait(self, status):
        wait_for(lambda: self.status() == status and not self.page[0x0C] & 1,
                 f"the page has status {status}")

    def stays(self, status, seconds=2.5):
        """Longer than two looks of the daemon."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check(self.status() == status, f"status {self.status()}, not {status}")
            time.sleep(0.01)


class Fed:
    """A Qemu and the daemon that follows it."""

    def __init__(self, tmp, *options, **what):
        self.control = tmp / "control"
        self.qemu = Qemu(tmp, **what)
        self.options = [*ASSUME, "--interval=50ms", f"--qmp={self.qemu.path}",
                        f"--control={self.control}", *options]

    def __enter__(self):
        self.hostd = Hostd(*self.options)
        wait_listens(self.control)
        return self

    def __exit__(self, *_):
        self.hostd.__exit__()
        self.qemu.close()

    def ctl(self, verb, *args, status=0):
        return ctl(self.control, verb, *args, "vm", status=status)

    def tell(self, offset, status=0, marker=None):
        """Measured just now, or under that marker."""
        return self.ctl("set-counter", f"--marker={marker or self.qemu.marker()}",
                        f"--tsc-offset={offset}", status=status)

    def tell_in_the_end(self, offset):
        """As whoever measures has to: again, if the marker was another one by then."""
        def is_told():
            try:
                self.tell(offset)
            except Failed as why:
                if "measure again" not in str(why):
                    raise
                return False
            return True
        wait_for(is_told, "the counter is told")

    def prepare(self):
        """And QEMU has said what migrations do, as by the time that a real one begins."""
        self.ctl("prepare")
        self.wait_answered()

    def wait_answered(self):
        """The first may be a question from before, and the third comes after an answer."""
        before = self.qemu.seen.count("query-migrate")
        wait_for(lambda: self.qemu.seen.count("query-migrate") >= before + 3,
                 "the daemon asks")

    def restart(self):
        self.hostd.stop()
        self.hostd.__exit__()
        self.__enter__()


def fed(tmp, *options, **what):
    return Fed(tmp, "--tsc-offset=12345", *options, **what)


def a_running_machine_is_found_by_its_monitor_and_fed(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        check("migrate-set-capabilities" in f.qemu.seen, "it did not ask for events")
        check(f.hostd.stop() == 0, "it did not end well")
        check(f.qemu.status() == UNRELIABLE, "the page is left good")


def without_a_counter_the_page_says_so(tmp):
    with Fed(tmp) as f:
        f.qemu.wait(INITIALIZING)
        f.qemu.stays(INITIALIZING)
        f.tell(5)
        f.qemu.wait(SYNCHRONIZED)


def under_emulation_a_stop_costs_the_counter(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.qemu.run("STOP", "paused")
        f.qemu.wait(INITIALIZING)
        check("does not run" in f.tell(6, status=1), "it was told the counter of a stopped VM")
        f.qemu.run("RESUME", "running")
        f.qemu.stays(INITIALIZING)
        check(f.qemu.marker() != marker, "the marker is the same")
        check("measure again" in f.tell(6, status=1, marker=marker),
              "it was told what was measured before the stop")
        f.qemu.stays(INITIALIZING, 0.5)
        f.tell(6)
        f.qemu.wait(SYNCHRONIZED)


def a_restart_does_not_know_the_counter_and_takes_nothing_from_before(tmp):
    with Fed(tmp) as f:
        f.qemu.wait(INITIALIZING)
        f.tell(6)
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.restart()
        f.qemu.wait(INITIALIZING)
        wait_for(lambda: f.qemu.marker() != marker, "there is another marker")
        check("measure again" in f.tell(6, status=1, marker=marker),
              "it was told what was measured before the restart")
        f.tell(6)
        f.qemu.wait(SYNCHRONIZED)


def a_restart_that_is_given_the_counter_goes_on(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.restart()
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.marker() == marker, "the marker is another one")


def a_restart_tells_of_the_coming_disruption_all_the_same(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.ctl("drain", "imminent")
        check(f.qemu.notice() == 6, "it says nothing")
        f.restart()
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.notice() == 6, "it was called off by a restart")
        check("disruption to come" in f.hostd.text(), "the log says nothing")
        check('"drain":"imminent"' in f.ctl("status", "--json"), "the status says nothing")
        f.ctl("drain", "none")
        f.restart()
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.notice() == 0, "it is told of what was called off")


def under_kvm_a_counter_that_was_told_outlives_a_stop(tmp):
    with fed(tmp, kvm=True) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.qemu.run("STOP", "paused")
        f.qemu.wait(INITIALIZING)
        f.qemu.run("RESUME", "running")
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.marker() == marker, "the marker is another one")


def prepared_the_page_is_quiet_before_the_answer(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.ctl("prepare")
        check(f.qemu.status() == INITIALIZING, "it is not quiet yet")
        f.qemu.stays(INITIALIZING)
        f.ctl("resume")
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.marker() == marker, "the marker is another one")


def prepared_and_given_up_it_is_fed_again(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        for end in ("cancelled", "failed"):
            f.prepare()
            for status in ("setup", "active"):
                f.qemu.migrate(status)
            f.qemu.stays(INITIALIZING, 1.5)
            f.qemu.migrate(end)
            f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.marker() == marker, "the marker is another one")
        check('"prepared":false' in f.ctl("status", "--json"), "the status says otherwise")


def prepared_and_given_up_while_nobody_hears_it_is_fed_again(tmp):
    with Fed(tmp, "--tsc-offset=12345", kvm=True) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.prepare()
        f.qemu.migrate("active")
        wait_for(lambda: '"migrating":true' in f.ctl("status", "--json"), "it has heard")
        f.qemu.state["query-migrate"] = {"status": "cancelled"}
        marker = f.qemu.marker()
        f.qemu.hang_up()
        wait_for(lambda: f.qemu.marker() != marker, "it connects again")
        wait_for(lambda: '"run":"running"' in f.ctl("status", "--json"), "it has heard")
        f.tell(12345)
        f.qemu.wait(SYNCHRONIZED)


def a_machine_that_has_left_is_not_fed_by_that(tmp):
    with fed(tmp, kvm=True) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.prepare()
        f.qemu.migrate("active")
        f.qemu.run("STOP", "postmigrate")
        f.qemu.migrate("completed")
        f.qemu.run("RESUME", "running")
        f.qemu.stays(INITIALIZING)
        f.ctl("resume")
        f.qemu.wait(SYNCHRONIZED)


def what_is_heard_late_of_an_older_migration_ends_nothing(tmp):
    asked, may_answer = [], threading.Semaphore(0)

    def hold_back(name):
        asked.append(name)
        may_answer.acquire()

    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.on_asked = hold_back
        wait_for(lambda: asked, "it asks")
        f.ctl("prepare")
        # All that it had asked before that is answered before the older one is heard of.
        while asked.count("query-migrate") < 2:
            count = len(asked)
            may_answer.release()
            wait_for(lambda: len(asked) > count, "it has asked more")
        for status in ("setup", "failed"):
            f.qemu.migrate(status)
        f.qemu.on_asked = lambda name: None
        may_answer.release()
        f.wait_answered()
        f.qemu.event("MIGRATION", status="failed")
        f.qemu.stays(INITIALIZING)
        for status in ("setup", "failed"):
            f.qemu.migrate(status)
        f.qemu.wait(SYNCHRONIZED)


def a_migration_is_silence_until_it_is_cancelled(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        for status in ("setup", "active"):
            f.qemu.migrate(status)
        f.qemu.wait(INITIALIZING)
        f.qemu.stays(INITIALIZING)
        f.qemu.migrate("cancelled")
        f.qemu.wait(SYNCHRONIZED)


def a_migration_without_events_is_seen_as_well(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.state["query-migrate"] = {"status": "active"}
        f.qemu.wait(INITIALIZING)


def a_stop_without_an_event_is_seen_as_well(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.state["query-status"] = {"status": "paused"}
        f.qemu.wait(INITIALIZING)


def a_machine_that_comes_in_is_left_alone_and_continued_last(tmp):
    at_cont = []
    with Fed(tmp, "--qmp-continue", status="inmigrate") as f:
        f.qemu.wait_heard()
        f.qemu.on_cont = lambda: at_cont.append((f.qemu.status(), f.qemu.marker()))
        f.qemu.migrate("active")
        time.sleep(2.5)
        check(f.qemu.page[:len(QEMU_PAGE)] == QEMU_PAGE, "the page was written while QEMU loads it")
        check("no page" in f.ctl("drain", "soon", status=1), "there is no page to say it")
        f.qemu.page[0x22] = SYNCHRONIZED	# from where it comes
        f.qemu.page[0x18] = 6
        f.qemu.restore()
        marker = f.qemu.marker()
        f.qemu.state["query-status"] = {"status": "paused"}
        f.qemu.migrate("completed")
        wait_for(lambda: at_cont, "the machine is continued")
        check(at_cont[0][0] == INITIALIZING, f"continued with status {at_cont[0][0]}")
        check(at_cont[0][1] not in (1, marker, marker + 1), "continued with QEMU's marker")
        check(f.qemu.notice() == 0, "what was announced has happened")
        f.qemu.run("RESUME", "running")
        f.qemu.stays(INITIALIZING)
        f.tell(7)
        f.qemu.wait(SYNCHRONIZED)
        check(len(at_cont) == 1, "continued more than once")


def a_machine_that_comes_in_is_not_continued_unasked(tmp):
    with Fed(tmp, status="inmigrate") as f:
        f.qemu.wait_heard()
        f.qemu.state["query-status"] = {"status": "paused"}
        f.qemu.wait(INITIALIZING)
        f.qemu.stays(INITIALIZING, 1.5)
        check("cont" not in f.qemu.seen, "it was continued")


def save(tmp):
    """The page of a machine that has a generation counter and was saved."""
    with fed(tmp, "--generation=keep") as f:
        f.qemu.wait(SYNCHRONIZED)
        check(f.qemu.generation(), "it has no generation counter")
        f.ctl("prepare")
        return bytes(f.qemu.page)


def arrive(tmp, image, generation):
    """A machine of that page comes in: what its page says when it is continued."""
    tmp.mkdir()
    at_cont = []
    with Fed(tmp, "--qmp-continue", f"--generation={generation}", status="inmigrate") as f:
        f.qemu.wait_heard()
        f.qemu.on_cont = lambda: at_cont.append((f.qemu.marker(), f.qemu.generation()))
        f.qemu.page[:] = image
        f.qemu.restore()
        f.qemu.state["query-status"] = {"status": "paused"}
        f.qemu.migrate("completed")
        wait_for(lambda: at_cont, "the machine is continued")
        f.qemu.run("RESUME", "running")
        f.qemu.stays(INITIALIZING, 1.5)
        f.tell(7)
        f.qemu.wait(SYNCHRONIZED)
        check((f.qemu.marker(), f.qemu.generation()) == at_cont[0], "they changed later")
    return at_cont[0]


def one_image_restored_twice_has_two_markers_and_two_generations(tmp):
    image = save(tmp)
    # One after the other, for a process can have one page only; life.py has two QEMUs.
    markers, generations = zip(*(arrive(tmp / name, image, "new") for name in ("one", "two")))
    marker, = struct.unpack_from("<Q", image, 0x10)
    check(len({marker, marker + 1, *markers}) == 4, "a marker is repeated")
    generation, = struct.unpack_from("<Q", image, 0x68)
    check(len({None, generation, *generations}) == 4, "a generation is repeated, or missing")


def a_machine_that_is_moved_keeps_its_generation(tmp):
    image = save(tmp)
    marker, generation = arrive(tmp / "there", image, "keep")
    check(generation == struct.unpack_from("<Q", image, 0x68)[0], "it has another generation")
    check(marker != struct.unpack_from("<Q", image, 0x10)[0], "it has the same marker")


def a_snapshot_that_is_loaded_is_a_new_generation(tmp):
    with fed(tmp, "--generation=new") as f:
        f.qemu.wait(SYNCHRONIZED)
        generation = f.qemu.generation()
        f.qemu.run("STOP", "paused")
        f.qemu.wait(INITIALIZING)
        check(f.qemu.generation() == generation, "a stop has cost the generation")
        f.qemu.restore()
        wait_for(lambda: f.qemu.generation() != generation, "there is another generation")
        check(f.qemu.generation(), "it has no generation counter")


def unasked_there_is_no_generation_counter(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.restore()
        f.qemu.wait(INITIALIZING)
        check(f.qemu.generation() is None, "it has a generation counter")


def a_page_that_qemu_wrote_gets_a_marker_of_ours(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.restore()
        marker = f.qemu.marker()
        f.qemu.wait(INITIALIZING)
        check(f.qemu.marker() != marker, "QEMU's marker was left")
        f.qemu.stays(INITIALIZING)


def a_stopped_machines_page_that_qemu_wrote_is_not_left_good(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        f.qemu.run("STOP", "paused")
        f.qemu.wait(INITIALIZING)
        f.qemu.page[0x22] = SYNCHRONIZED
        f.qemu.restore()
        f.qemu.wait(INITIALIZING)


def a_lost_monitor_is_silence_and_a_new_marker(tmp):
    with fed(tmp) as f:
        f.qemu.wait(SYNCHRONIZED)
        marker = f.qemu.marker()
        f.qemu.hang_up()
        f.qemu.wait(INITIALIZING)
        wait_for(lambda: f.qemu.marker() != marker, "there is another marker")
        f.qemu.stays(INITIALIZING)
        f.tell(8)
        f.qemu.wait(SYNCHRONIZED)


def a_monitor_that_talks_rubbish_does_no_harm(tmp):
    with fed(tmp) as f:
        for rubbish in ("rubbish\n", "{\n", "[" * 20000, '{"event": 7}\n', "\0\n"):
            f.qemu.wait(INITIALIZING if f.qemu.status() == INITIALIZING else SYNCHRONIZED)
            connection = f.qemu.connection
            f.qemu.send(rubbish)
            wait_for(lambda: f.qemu.connection is not connection, "it connects again")
        check(f.hostd.proc.poll() is None, "it has ended")
        wait_for(lambda: f.qemu.status() == INITIALIZING, "the page is quiet")
        wait_for(lambda: "query-status" in f.qemu.seen[-4:], "it listens")
        f.tell_in_the_end(9)
        f.qemu.wait(SYNCHRONIZED)


def a_monitor_that_comes_late_is_waited_for(tmp):
    f = fed(tmp)
    f.qemu.path.rename(tmp / "elsewhere")
    with f:
        time.sleep(1.5)
        check(f.hostd.proc.poll() is None, "it has ended")
        (tmp / "elsewhere").rename(f.qemu.path)
        f.qemu.wait(SYNCHRONIZED)


class Anothers:
    """A Qemu of another user's, in a process of its own."""

    def __init__(self, tmp):
        self.path = tmp / "monitor"
        tmp.chmod(0o777)
        said, saying = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(said)
            self.be(tmp, saying)
        os.close(saying)
        with open(said, "rb") as is_there:
            check(is_there.read(1), "there is no other user")

    @staticmethod
    def be(tmp, saying):
        try:
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)      # as if it had been started so
            qemu = Qemu(tmp)
            os.write(saying, b"+")
            while "give up" not in qemu.seen:
                time.sleep(1)
        finally:
            os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def page(self):
        for fd in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            if "memfd:vmclock_page" in os.readlink(fd):
                return fd.read_bytes()
        raise Failed("it has no page")


def root_hears_anothers_monitor_only_where_that_user_is_named(tmp):
    need_root(SYS_PTRACE)
    with Anothers(tmp) as qemu:
        options = [*ASSUME, "--interval=50ms", f"--qmp={qemu.path}", "--tsc-offset=1"]
        for more in ((), ("--qemu-user=1",), (f"--qemu-pid={os.getpid()}",)):
            with Hostd(*options, *more) as hostd:
                wait_for(lambda h=hostd: "another user" in h.text(), "it is told")
                time.sleep(1.5)
                check("--qemu-user" in hostd.text(), f"no word of how: {hostd.text()}")
                check(qemu.page() == QEMU_PAGE.ljust(4096, b"\0"), "the page was written")
                check(hostd.proc.poll() is None, "it has ended")
        with Hostd(*options, f"--qemu-user={NOBODY}"):
            wait_for(lambda: qemu.page()[0x22] == SYNCHRONIZED, "the page is synchronized")


def a_monitor_that_root_has_opened_for_a_machine_is_heard(tmp):
    """As libvirt does it; but it is not its process that has the page."""
    need_root(SYS_PTRACE)
    with Player("4096:vmclock_page", user=NOBODY) as player, \
            fed(tmp, f"--qemu-user={NOBODY}") as f:
        wait_for(lambda: "another user" in f.hostd.text(), "it is told")
        f.hostd.__exit__()
        check(f.qemu.page[:len(QEMU_PAGE)] == QEMU_PAGE, "the page was written")
        f.options.append(f"--qemu-pid={player.pid}")
        f.hostd = Hostd(*f.options)
        wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")


def the_monitor_of_a_process_without_a_page_is_explained(tmp):
    f = fed(tmp)
    os.ftruncate(f.qemu.fd, 0)
    with Hostd(*f.options) as hostd:
        check(hostd.wait() == 1, "it did not fail")
        check("not a page" in hostd.text(), hostd.text())
    f.qemu.close()


TESTS = [
    a_running_machine_is_found_by_its_monitor_and_fed,
    without_a_counter_the_page_says_so,
    under_emulation_a_stop_costs_the_counter,
    a_restart_does_not_know_the_counter_and_takes_nothing_from_before,
    a_restart_that_is_given_the_counter_goes_on,
    a_restart_tells_of_the_coming_disruption_all_the_same,
    under_kvm_a_counter_that_was_told_outlives_a_stop,
    prepared_the_page_is_quiet_before_the_answer,
    prepared_and_given_up_it_is_fed_again,
    prepared_and_given_up_while_nobody_hears_it_is_fed_again,
    a_machine_that_has_left_is_not_fed_by_that,
    what_is_heard_late_of_an_older_migration_ends_nothing,
    a_migration_is_silence_until_it_is_cancelled,
    a_migration_without_events_is_seen_as_well,
    a_stop_without_an_event_is_seen_as_well,
    a_machine_that_comes_in_is_left_alone_and_continued_last,
    a_machine_that_comes_in_is_not_continued_unasked,
    one_image_restored_twice_has_two_markers_and_two_generations,
    a_machine_that_is_moved_keeps_its_generation,
    a_snapshot_that_is_loaded_is_a_new_generation,
    unasked_there_is_no_generation_counter,
    a_page_that_qemu_wrote_gets_a_marker_of_ours,
    a_stopped_machines_page_that_qemu_wrote_is_not_left_good,
    a_lost_monitor_is_silence_and_a_new_marker,
    a_monitor_that_talks_rubbish_does_no_harm,
    a_monitor_that_comes_late_is_waited_for,
    root_hears_anothers_monitor_only_where_that_user_is_named,
    a_monitor_that_root_has_opened_for_a_machine_is_heard,
    the_monitor_of_a_process_without_a_page_is_explained,
]

if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
