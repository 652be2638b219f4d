#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One vmclock-hostd for many VMs: its file, its control socket, what one VM does to
the others, and what is left when it is killed. TAP on stdout.

BUILD is the directory with vmclock-hostd and vmclockctl.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import sys
import time

from host_hostd_test import (ASSUME, INITIALIZING, SYNCHRONIZED, UNRELIABLE, Hostd, Page, Player,
                             ctl, page_is, programs, refused, wait_listens)
from tap import PATIENCE, check, directory, main, wait_for

DAEMON = "".join(f"{option.lstrip('-').replace('=', ' = ', 1)}\n" for option in ASSUME)


class Fleet:
    """A configuration of VMs by name, each with its keys, and the daemon for it."""

    def __init__(self, tmp, vms, daemon="interval = 50ms\n"):
        self.tmp = tmp
        self.conf = tmp / "conf"
        self.socket = tmp / "control"
        self.daemon = daemon
        self.write(vms)
        self.hostd = None

    def write(self, vms):
        self.vms = vms
        text = f"[daemon]\n{DAEMON}control = {self.socket}\n{self.daemon}"
        for name, keys in vms.items():
            text += f"[vm {name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
        self.conf.write_text(text)

    def __enter__(self):
        self.hostd = Hostd(f"--config={self.conf}")
        wait_listens(self.socket)
        return self

    def __exit__(self, *_):
        self.hostd.__exit__()

    def ctl(self, *args, status=0):
        return ctl(self.socket, *args, status=status)

    def tell(self, name, *args, status=0):
        """Its counter, measured just now."""
        marker = self.status(name)[name]["page"]["disruption_marker"]
        self.ctl("set-counter", name, f"--marker={marker}", *args, status=status)

    def status(self, *args):
        """What each VM is like, by its name."""
        lines = [json.loads(line) for line in self.ctl("status", "--json", *args).splitlines()]
        check(lines[-1]["ok"], f"{lines[-1]}")
        return {line["vm"]["name"]: line["vm"] for line in lines if "vm" in line}

    def wait_status(self, name, **want):
        def is_so():
            vm = self.status(name)[name]
            flat = dict(vm, **(vm["page"] or {}), known=vm["counter"]["known"],
                        page=vm["page"] and vm["page"]["status"])
            return all(flat[key] == value for key, value in want.items())
        wait_for(is_so, f"{name} is {want}")


def files(tmp, count, **keys):
    """VMs with a page in a file each, and a counter of their own."""
    return {f"vm{i}": {"file": tmp / f"p{i}", "tsc-offset": i << 40, **keys}
            for i in range(count)}


def wait_synchronized(*paths):
    for path in paths:
        wait_for(lambda p=path: page_is(p, SYNCHRONIZED), f"{path} is synchronized")


class Undisturbed:
    """Pages that go on meanwhile: updated, synchronized, under their old marker."""

    def __init__(self, *paths):
        self.paths = paths

    def __enter__(self):
        wait_synchronized(*self.paths)
        self.before = [Page(path) for path in self.paths]

    def __exit__(self, kind, *_):
        if kind:
            return
        for path, before in zip(self.paths, self.before):
            now = Page(path)
            wait_for(lambda p=path, s=now.seq: Page(p).seq > s + 4, f"{path} goes on")
            now = Page(path)
            check(now.marker == before.marker, f"{path}: the marker changed")
            wait_for(lambda p=path: page_is(p, SYNCHRONIZED), f"{path} is synchronized")


def many_vms_are_fed_each_in_its_own_counter(tmp):
    with Fleet(tmp, files(tmp, 20)) as fleet:
        wait_synchronized(*(tmp / f"p{i}" for i in range(20)))
        vms = fleet.status()
        check(sorted(vms) == sorted(fleet.vms), f"{sorted(vms)}")
        values = [struct.unpack_from("<Q", Page(tmp / f"p{i}").raw, 0x28)[0] >> 40
                  for i in range(20)]
        check([v - values[0] for v in values] == list(range(20)), f"counters {values}")
        markers = {vm["page"]["disruption_marker"] for vm in vms.values()}
        check(len(markers) == 20, "markers are shared")
        for name, vm in vms.items():
            check(vm["state"] == "running" and vm["page"]["status"] == "synchronized", vm)
            check(200000 <= int(vm["page"]["bound_ns"]) < 10**9, vm)
            check(vm["target"] == str(fleet.vms[name]["file"]), vm)
            check(vm["counter"]["offset"] == str(fleet.vms[name]["tsc-offset"]), vm)
        check(fleet.hostd.stop() == 0, "exit status")
        for i in range(20):
            check(page_is(tmp / f"p{i}", UNRELIABLE), f"p{i} is not UNRELIABLE")


def a_page_whose_file_is_gone_goes_on_and_is_told_of(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        wait_synchronized(tmp / "p0", tmp / "p1")
        fleet.wait_status("vm0", file="there")
        with open(tmp / "p0", "rb") as held:
            (tmp / "p0").unlink()
            fleet.wait_status("vm0", file="deleted")
            (tmp / "p0").write_bytes(b"another")
            fleet.wait_status("vm0", file="replaced", page="synchronized")
            old = f"/proc/self/fd/{held.fileno()}"
            seq = Page(old).seq
            wait_for(lambda: Page(old).seq > seq + 4, "who has the old file gets its time")
            fleet.wait_status("vm1", file="there")
            lines = fleet.ctl("status").splitlines()
            check("p0 (replaced)" in lines[1] and "(" not in lines[2], lines)
            check((tmp / "p0").read_bytes() == b"another", "what is there now was written")
            text = fleet.hostd.text()
            check(text.count("deleted") == 1 and text.count("replaced") == 1, text)
            # To make another one is for who knows what has become of the first.
            (tmp / "p0").unlink()
            fleet.ctl("stop", "vm0")
            fleet.ctl("reload")
            fleet.wait_status("vm0", file="there", page="synchronized")
            check(page_is(old, UNRELIABLE), "the old page is good")


def a_table_for_people_has_a_line_for_each(tmp):
    with Fleet(tmp, files(tmp, 3)) as fleet:
        wait_synchronized(tmp / "p0", tmp / "p1", tmp / "p2")
        lines = fleet.ctl("status").splitlines()
        check(len(lines) == 5 and lines[0].startswith("VM ") and "3 VMs" in lines[4], lines)
        check(all("synchronized" in line for line in lines[1:4]), lines)


def a_vm_that_cuts_its_page_disturbs_no_other(tmp):
    with Fleet(tmp, files(tmp, 6)) as fleet:
        with Undisturbed(*(tmp / f"p{i}" for i in (0, 1, 3, 5))):
            wait_synchronized(tmp / "p2", tmp / "p4")
            os.truncate(tmp / "p2", 0)
            os.truncate(tmp / "p4", 100)
            fleet.wait_status("vm2", state="failed")
            fleet.wait_status("vm4", state="failed")
        check("gone" in fleet.status("vm2")["vm2"]["message"], "the message says nothing")


def vms_that_die_stall_or_are_restored_disturb_no_other(tmp):
    with Player("4096:vmclock_page") as dies, Player("4096:vmclock_page") as stalls, \
            Player("4096:vmclock_page") as cuts, Player("4096:vmclock_page") as restored:
        vms = dict(files(tmp, 3), **{
            name: {"qemu-pid": player.pid, "tsc-offset": 0} for name, player in
            (("dies", dies), ("stalls", stalls), ("cuts", cuts), ("restored", restored))})
        with Fleet(tmp, vms) as fleet:
            with Undisturbed(tmp / "p0", tmp / "p1", tmp / "p2", stalls.page()):
                wait_synchronized(dies.page(), cuts.page(), restored.page())
                stalls.proc.send_signal(signal.SIGSTOP)
                os.truncate(cuts.page(), 0)
                with open(restored.page(), "r+b") as file:  # as QEMU does at a restore
                    file.seek(0x0c)
                    file.write(struct.pack("<I", 1000000))
                dies.proc.kill()
                dies.proc.wait()
                fleet.wait_status("dies", state="ended")
                fleet.wait_status("cuts", state="failed")
                fleet.wait_status("restored", page="initializing", known=False,
                                  state="running", disruptions="1")
            check(page_is(restored.page(), INITIALIZING), "the page has a status")
            check(Page(restored.page()).period == 0, "the page has a line")
            fleet.tell("restored", "--tsc-offset=1000")
            wait_synchronized(restored.page())
            check(Page(restored.page()).marker != 1, "the marker stayed")


def a_front_end_that_stalls_or_talks_nonsense_disturbs_no_other(tmp):
    vms = files(tmp, 3)
    for i in range(3):
        vms[f"vm{i}"]["vhost-socket"] = tmp / f"s{i}"
    with Fleet(tmp, vms):
        with Undisturbed(tmp / "p0", tmp / "p1", tmp / "p2"):
            fronts = [socket.socket(socket.AF_UNIX) for _ in range(2)]
            for i, front in enumerate(fronts):
                front.connect(str(tmp / f"s{i}"))
            fronts[0].sendall(b"\x01\0\0")         # and no more
            fronts[1].sendall(b"\xff" * 4096)
            fronts[1].close()
        fronts[0].close()
        check((tmp / "s2").exists(), "no socket for the third")


def each_kind_of_page_has_a_name_in_the_status(tmp):
    with Player("4096:vmclock_page") as player:
        vms = {"f": {"file": tmp / "p"}, "q": {"qemu-pid": player.pid},
               "i": {"ivshmem-socket": tmp / "i"}, "v": {"vhost-socket": tmp / "v"}}
        with Fleet(tmp, vms) as fleet:
            targets = {name: vm["target"] for name, vm in fleet.status().items()}
            check(targets == {"f": f"{tmp}/p", "q": f"qemu-pid:{player.pid}",
                              "i": f"{tmp}/i", "v": "vhost-user"}, f"{targets}")


def two_vms_of_one_page_are_one_vm(tmp):
    vms = {"a": {"file": tmp / "p"}, "b": {"file": tmp / "p"}}
    with Fleet(tmp, vms) as fleet:
        with Undisturbed(tmp / "p"):
            fleet.wait_status("b", state="failed")
        check("another writer" in fleet.status("b")["b"]["message"], "the message says nothing")


def a_reload_touches_nothing_that_stays(tmp, how):
    vms = files(tmp, 5)
    with Fleet(tmp, vms) as fleet:
        with Undisturbed(tmp / "p0", tmp / "p1", tmp / "p2"):
            wait_synchronized(tmp / "p3", tmp / "p4")
            marker = Page(tmp / "p4").marker
            del vms["vm3"]
            vms["vm4"] = {"file": tmp / "p4", "tsc-offset": 1 << 50}
            vms["new"] = {"file": tmp / "new"}
            fleet.write(vms)
            how(fleet)
            wait_synchronized(tmp / "new")
            wait_for(lambda: page_is(tmp / "p3", UNRELIABLE), "p3 is left UNRELIABLE")
            wait_synchronized(tmp / "p4")
            check(Page(tmp / "p4").marker != marker, "another counter under the old marker")
            check("vm3" not in fleet.status(), "vm3 is still there")
        check(fleet.status("vm0")["vm0"]["disruptions"] == "0", "it was disrupted")
        check(fleet.hostd.text().count("vm0: page of") == 1, "vm0 was started again")


def a_reload_by_command_touches_nothing_that_stays(tmp):
    a_reload_touches_nothing_that_stays(tmp, lambda fleet: fleet.ctl("reload"))


def a_reload_by_sighup_touches_nothing_that_stays(tmp):
    a_reload_touches_nothing_that_stays(
        tmp, lambda fleet: fleet.hostd.proc.send_signal(signal.SIGHUP))


def a_bad_file_at_reload_changes_nothing(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        with Undisturbed(tmp / "p0", tmp / "p1"):
            good = fleet.conf.read_text()
            fleet.conf.write_text("[vm vm0]\nfile = x\n[vm vm9]\nfile = y\nnonsense = 1\n")
            text = fleet.ctl("reload", status=1)
            check("conf:5: nonsense" in text, text)
            fleet.hostd.proc.send_signal(signal.SIGHUP)
            fleet.conf.write_text(good.replace("50ms", "60ms"))
            text = fleet.ctl("reload", status=1)
            check("[daemon]" in text and "restart" in text, text)
            fleet.conf.unlink()
            check("No such file" in fleet.ctl("reload", status=1), "no file")
        check(sorted(fleet.status()) == ["vm0", "vm1"], "VMs came or went")


def what_has_failed_or_was_stopped_is_started_by_a_reload(tmp):
    with Fleet(tmp, files(tmp, 3)) as fleet:
        with Undisturbed(tmp / "p0"):
            wait_synchronized(tmp / "p1", tmp / "p2")
            fleet.ctl("stop", "vm1")
            check(page_is(tmp / "p1", UNRELIABLE), "the page is not UNRELIABLE")
            os.truncate(tmp / "p2", 0)
            fleet.wait_status("vm2", state="failed")
            check(fleet.status("vm1")["vm1"]["state"] == "stopped", "vm1 is not stopped")
            fleet.ctl("disrupt", "vm1", status=1)
            fleet.ctl("reload")
            wait_synchronized(tmp / "p1", tmp / "p2")


def a_reload_tells_how_many_can_not_be_fed(tmp):
    vms = files(tmp, 2)
    with Fleet(tmp, vms) as fleet:
        check(fleet.ctl("reload") == "", "there was nothing to tell")
        (tmp / "none").write_text("no page")
        fleet.write({**vms, "bad": {"file": tmp / "none"}})
        text = fleet.ctl("reload")
        check("1 of 3" in text and "status" in text, text)


def a_machine_without_a_page_says_why(tmp):
    with Fleet(tmp, {"a": {"qmp": tmp / "none"}}) as fleet:
        fleet.wait_status("a", page=None, known=False, state="running")
        wait_for(lambda: "No such file" in fleet.ctl("status"), "the monitor is missed")


def a_bad_file_at_the_start_is_exit_status_2(tmp):
    (tmp / "conf").write_text("[daemon]\ninterval = 5\n")
    refused("conf:2: interval", f"--config={tmp}/conf")
    refused("No such file", f"--config={tmp}/none")


def a_second_daemon_on_the_socket_is_refused_and_touches_no_page(tmp):
    with Fleet(tmp, files(tmp, 1)) as fleet:
        with Undisturbed(tmp / "p0"):
            other = tmp / "other"
            other.write_text(f"[daemon]\ncontrol = {fleet.socket}\n[vm x]\nfile = {tmp}/x\n")
            refused("in use", f"--config={other}")
            check(not (tmp / "x").exists(), "it made a page")


def disruptions_to_come_are_flags_on_the_page(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        wait_synchronized(tmp / "p0", tmp / "p1")
        for when, flags in (("soon", 2), ("imminent", 6), ("none", 0)):
            fleet.ctl("drain", when, "vm0")
            wait_for(lambda f=flags: Page(tmp / "p0").flags & 6 == f, f"vm0 says {when}")
            check(fleet.status("vm0")["vm0"]["page"]["drain"] == when, when)
        check(not Page(tmp / "p1").flags & 6, "vm1 says so too")
        fleet.ctl("drain", "imminent", "--all")
        check(Page(tmp / "p1").flags & 6 == 6, "vm1 says nothing")
        fleet.ctl("drain", "none", "vm0")
        fleet.hostd.stop(signal.SIGKILL)
        fleet.hostd.__exit__()
        fleet.socket.unlink()
        fleet.__enter__()
        wait_synchronized(tmp / "p0", tmp / "p1")
        drains = {name: vm["page"]["drain"] for name, vm in fleet.status().items()}
        check(drains == {"vm0": "none", "vm1": "imminent"}, f"after a restart: {drains}")
        check(Page(tmp / "p1").flags & 6 == 6, "vm1 does not say it any more")


def a_disruption_by_command_is_a_new_marker_and_waits(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        with Undisturbed(tmp / "p1"):
            wait_synchronized(tmp / "p0")
            before = Page(tmp / "p0")
            fleet.ctl("disrupt", "vm0")
            check(page_is(tmp / "p0", INITIALIZING), "not INITIALIZING")
            marker = Page(tmp / "p0").marker
            check(marker not in (0, before.marker), "the marker stayed")
            check(not fleet.status("vm0")["vm0"]["counter"]["known"], "the counter is known")
            fleet.tell("vm0", "--tsc-offset=12", "--tsc-offset-error=1000000")
            wait_synchronized(tmp / "p0")
            check(Page(tmp / "p0").marker == marker, "the marker changed again")
            vm = fleet.status("vm0")["vm0"]
            check(vm["counter"]["offset"] == "12" and int(vm["page"]["bound_ns"]) > 300000, vm)
            fleet.tell("vm0", "--tsc-offset=x", status=1)
            fleet.tell("vm0", "--tsc-offset=1", "--tsc-frac-bits=32", status=1)
            fleet.tell("vm0", status=1)
            fleet.ctl("set-counter", "vm0", "--tsc-offset=1", status=1)
            check(fleet.status("vm0")["vm0"]["counter"]["offset"] == "12", "it was changed")


def a_qemu_whose_counter_is_told_later_is_initializing_until_then(tmp):
    with Player("4096:vmclock_page") as player:
        with Fleet(tmp, {"q": {"qemu-pid": player.pid}}) as fleet:
            fleet.wait_status("q", state="running", page="initializing", known=False)
            time.sleep(0.3)
            check(page_is(player.page(), INITIALIZING), "it has a status without a counter")
            fleet.tell("q", "--tsc-offset=-99")
            wait_synchronized(player.page())
            check(Page(player.page()).marker == 1, "a page without a clock was disrupted")


def connect(fleet):
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(fleet.socket))       # waits while others are before it
    client.settimeout(PATIENCE)
    return client


def clients_that_talk_nonsense_are_told_and_harm_nobody(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        with Undisturbed(tmp / "p0", tmp / "p1"):
            for text in (b"hello", b"[]", b"{}", b'{"command":7}', b'{"command":"explode"}',
                         b'{"command":"status","vm":3}', b'{"command":"status","vm":"none"}',
                         b'{"command":"stop"}', b'{"command":"stop","vm":"vm0","all":true}',
                         b'{"command":"stop","all":"yes"}', b'{"command":"status","x":"y"}',
                         b'{"command":"status","command":"stop"}', b"\0\xff{", b"[" * 4000,
                         b'{"command":"drain","vm":"vm0","when":"never"}'):
                with connect(fleet) as client:
                    client.sendall(text + b"\n")
                    answer = json.loads(client.makefile().readline())
                    check(answer.get("ok") is False and answer["error"], f"{text}: {answer}")
            with connect(fleet) as client:
                client.sendall(b"x" * 5000)
                answer = json.loads(client.makefile().readline())
                check("too long" in answer["error"], f"{answer}")
            with connect(fleet) as client:
                client.sendall(b'{"command":"sta')     # and no more
                client.shutdown(socket.SHUT_WR)
                check(client.recv(100) == b"", "an answer to half a request")
        check(all(vm["state"] == "running" for vm in fleet.status().values()), "one is gone")


def requests_in_one_piece_are_answered_in_order(tmp):
    # Nothing else happens that the daemon could wake up by.
    with Fleet(tmp, files(tmp, 2), "interval = 60s\n") as fleet:
        wait_synchronized(tmp / "p0", tmp / "p1")
        with connect(fleet) as client:
            client.sendall(b'{"command":"status","vm":"vm1"}\n{"command":"nonsense"}\n' * 40)
            lines = client.makefile()
            for _ in range(40):
                check(json.loads(lines.readline())["vm"]["name"] == "vm1", "another VM")
                check(not json.loads(lines.readline())["ok"], "no error")


def clients_that_do_not_read_or_do_not_speak_keep_nobody_waiting(tmp):
    with Fleet(tmp, files(tmp, 300)) as fleet:
        with Undisturbed(tmp / "p0", tmp / "p150", tmp / "p299"):
            silent = [connect(fleet) for _ in range(10)]
            deaf = [connect(fleet) for _ in range(10)]
            for client in deaf:
                client.settimeout(0.2)
                try:
                    client.sendall(b'{"command":"status"}\n' * 5000)
                except (socket.timeout, BrokenPipeError, ConnectionResetError):
                    pass
            check(len(fleet.status()) == 300, "not all VMs are told")
        size = int((pathlib.Path("/proc") / str(fleet.hostd.proc.pid) / "statm").read_text()
                   .split()[1]) * 4096
        for client in silent + deaf:
            client.close()
        check(fleet.hostd.stop() == 0, "exit status")
        check(size < 1 << 30, f"{size} bytes")


def ask_without_end(client, text):
    """Until nobody takes anything any more."""
    client.settimeout(1)
    try:
        while True:
            client.sendall(text * 100)
    except socket.timeout:
        pass


# Each answer is sent as soon as it is made, without a look whether there is room.
def small_answers_that_nobody_reads_keep_nobody_waiting(tmp):
    with Fleet(tmp, files(tmp, 2)) as fleet:
        with connect(fleet) as client:
            with Undisturbed(tmp / "p0", tmp / "p1"):
                ask_without_end(client, b'{"command":"nonsense"}\n')
            check(len(fleet.status()) == 2, "another client is not answered")
            client.settimeout(PATIENCE)
            check(b"no such command" in client.recv(1000), "the answers are lost")


def asks_in_vain(fleet):
    """As somebody else. Returns 0 if there was no answer."""
    try:
        os.setgid(65534)
        os.setuid(65534)
        with connect(fleet) as client:
            client.sendall(b'{"command":"stop","all":true}\n')
            return len(client.recv(100))
    except (BrokenPipeError, ConnectionResetError):
        return 0
    except OSError:
        return 1


def the_socket_is_its_users_alone(tmp):
    with Fleet(tmp, files(tmp, 1)) as fleet:
        mode = stat.S_IMODE(fleet.socket.stat().st_mode)
        check(mode == 0o600, f"mode {mode:o}")
        if os.geteuid():
            return
        tmp.chmod(0o755)
        fleet.socket.chmod(0o666)
        child = os.fork()
        if not child:
            os._exit(asks_in_vain(fleet))
        _, status = os.waitpid(child, 0)
        check(os.WIFEXITED(status) and not os.WEXITSTATUS(status), f"child: {status}")
        check(fleet.status("vm0")["vm0"]["state"] == "running", "nobody stopped it")


def line_of(page):
    """Counter, time in units of 2^-64 s, period, its error, bound in ns, shift."""
    value, period, _, error, sec, frac, _, bound = struct.unpack_from("<8Q", page.raw, 0x28)
    return value, (sec << 64) + frac, period, error, bound, page.shift


def time_at(line, counter):
    value, start, period, _, _, shift = line
    return start + ((counter - value) * period >> shift)


def bound_at(line, counter):
    value, _, _, error, bound, shift = line
    return ((bound + 1) << 64) // 10**9 + (abs(counter - value) * error >> shift) + 1


def killed_it_leaves_lines_that_a_restart_continues(tmp):
    count = 50
    paths = [tmp / f"p{i}" for i in range(count)]
    with Fleet(tmp, files(tmp, count)) as fleet:
        wait_synchronized(*paths)
        fleet.hostd.stop(signal.SIGKILL)
        fleet.hostd.__exit__()
        left = [Page(path) for path in paths]
        check(all(p.status == SYNCHRONIZED for p in left), "SIGKILL can't have been handled")
    with fleet:
        for path, old in zip(paths, left):
            wait_for(lambda p=path, s=old.seq: page_is(p, SYNCHRONIZED) and Page(p).seq > s + 2,
                     f"{path} is synchronized")
            new = Page(path)
            if old.seq & 1:     # killed within its update: nothing there can be believed
                check(new.marker != old.marker, "a torn page was continued")
                continue
            check(new.marker == old.marker, f"{path}: the marker changed")
            before, after = line_of(old), line_of(new)
            for counter in (before[0], after[0]):
                off = abs(time_at(after, counter) - time_at(before, counter))
                check(off <= bound_at(before, counter), f"{path}: not nested at {counter}")
            check(bound_at(before, after[0]) > bound_at(before, before[0]), "it does not age")


def the_service_manager_is_told_when_it_is_ready(tmp):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp / "notify"))
        manager.settimeout(PATIENCE)
        os.environ["NOTIFY_SOCKET"] = str(tmp / "notify")
        try:
            with Fleet(tmp, files(tmp, 1)) as fleet:
                check(manager.recv(100) == b"READY=1", "not ready")
                check(fleet.socket.exists(), "ready without its socket")
                fleet.hostd.stop()
                check(manager.recv(100) == b"STOPPING=1", "not stopping")
        finally:
            del os.environ["NOTIFY_SOCKET"]


def a_chronyc_that_hangs_keeps_nobody_waiting(tmp):
    """What is asked for while it hangs is done before it is killed."""
    said, page, control = tmp / "pid", tmp / "p", tmp / "control"
    with contextlib.ExitStack() as stack:
        chronyc = stack.enter_context(programs()) / "chronyc"
        chronyc.write_text(f"#!/bin/sh\necho $$ >{said}.new; mv {said}.new {said}\n"
                           "exec sleep 1000\n")
        chronyc.chmod(0o755)
        stack.enter_context(Hostd(f"--file={page}", "--source=chrony", f"--chronyc={chronyc}",
                                  "--interval=10ms", f"--control={control}"))
        wait_listens(control)

        def is_served_meanwhile():
            before = said.read_text()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(control))
                client.sendall(b'{"command":"disrupt","vm":"vm"}\n')
                check(b"true" in client.recv(4096), "refused")
            return os.path.exists(f"/proc/{int(before)}") and said.read_text() == before
        wait_for(said.exists, "chronyc is asked")
        wait_for(is_served_meanwhile, "somebody is served while chronyc hangs")


def a_lone_vm_has_a_control_socket_too(tmp):
    with Hostd(f"--file={tmp}/p", f"--control={tmp}/control", *ASSUME) as hostd:
        fleet = Fleet(tmp, {})
        wait_synchronized(tmp / "p")
        check(list(fleet.status()) == ["vm"], "not one VM")
        check("no configuration file" in fleet.ctl("reload", status=1), "reloaded")
        fleet.ctl("stop", "vm")
        check(hostd.wait() == 0, "exit status")
        check(page_is(tmp / "p", UNRELIABLE), "not UNRELIABLE")
        check(not fleet.socket.exists(), "the socket stayed")


TESTS = [
    many_vms_are_fed_each_in_its_own_counter,
    a_page_whose_file_is_gone_goes_on_and_is_told_of,
    a_table_for_people_has_a_line_for_each,
    a_vm_that_cuts_its_page_disturbs_no_other,
    vms_that_die_stall_or_are_restored_disturb_no_other,
    a_front_end_that_stalls_or_talks_nonsense_disturbs_no_other,
    each_kind_of_page_has_a_name_in_the_status,
    two_vms_of_one_page_are_one_vm,
    a_reload_by_command_touches_nothing_that_stays,
    a_reload_by_sighup_touches_nothing_that_stays,
    a_bad_file_at_reload_changes_nothing,
    what_has_failed_or_was_stopped_is_started_by_a_reload,
    a_reload_tells_how_many_can_not_be_fed,
    a_machine_without_a_page_says_why,
    a_bad_file_at_the_start_is_exit_status_2,
    a_second_daemon_on_the_socket_is_refused_and_touches_no_page,
    disruptions_to_come_are_flags_on_the_page,
    a_disruption_by_command_is_a_new_marker_and_waits,
    a_qemu_whose_counter_is_told_later_is_initializing_until_then,
    clients_that_talk_nonsense_are_told_and_harm_nobody,
    requests_in_one_piece_are_answered_in_order,
    clients_that_do_not_read_or_do_not_speak_keep_nobody_waiting,
    small_answers_that_nobody_reads_keep_nobody_waiting,
    the_socket_is_its_users_alone,
    killed_it_leaves_lines_that_a_restart_continues,
    the_service_manager_is_told_when_it_is_ready,
    a_chronyc_that_hangs_keeps_nobody_waiting,
    a_lone_vm_has_a_control_socket_too,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
