#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclock-hostd from start to end: files, signals, locks, and a QEMU that is
played by a Python process with a memfd of the right name. TAP on stdout.

BUILD is the directory with vmclock-hostd and vmclockctl.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

from tap import PATIENCE, Failed, Skipped, check, directory, main, wait_for

BUILD = pathlib.Path(os.environ["BUILD"])
ASSUME = ["--assume-synchronized=200us", "--tai-offset=-37"]
ENV = dict(os.environ, LD_LIBRARY_PATH=str(BUILD))
TAI_NS = 37 * 10**9
UNKNOWN, INITIALIZING, SYNCHRONIZED, FREERUNNING, UNRELIABLE = range(5)
NOBODY = 65534
SETPCAP, SYS_PTRACE = 8, 19
BOUND_FLAGS = 1 << 4 | 1 << 6

# What QEMU's device offers: markers only.
QEMU_PAGE = struct.pack("<IIHBBIQQ", 0x4b4c4356, 4096, 1, 0xff, 0, 2, 1, 0)

# The other process: a memfd for each argument, of that size and name. A "+" in
# front of the size opens the memory a second time, "-" leaves it zero.
PLAYER = """
import os, sys
page = bytes.fromhex(sys.argv[1])
for what in sys.argv[2:]:
    size, name = what.split(":")
    fd = os.memfd_create(name)
    os.truncate(fd, abs(int(size)))
    if int(size) > 0:
        os.pwrite(fd, page, 0)
    if size[0] == "+":
        os.dup(fd)
print("ready", flush=True)
sys.stdin.read()
"""


# The same with a file that only looks so, on a file system of its own, which might keep
# whoever opens it waiting.
IMPOSTOR = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
NEWNS, NEWUSER, PRIVATE, DETACH = 0x20000, 0x10000000, 1 << 18 | 1 << 14, 2
at = sys.argv[1].encode()
good = not libc.unshare(NEWNS | (NEWUSER if os.geteuid() else 0))
good = good and not libc.mount(b"none", b"/", None, PRIVATE, None)
good = good and not libc.mount(b"none", at, b"tmpfs", 0, None)
if good:
    os.chdir(at)
    fd = os.open("memfd:vmclock_page", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes.fromhex(sys.argv[2]).ljust(4096, bytes(1)), 0)
    os.unlink("memfd:vmclock_page")
    os.chdir("/")
    libc.umount2(at, DETACH)
    print(os.readlink(f"/proc/self/fd/{fd}"), flush=True)
else:
    print("refused", flush=True)
sys.stdin.read()
"""


class Page:
    """A page as it lies in a file."""

    def __init__(self, path):
        self.raw = pathlib.Path(path).read_bytes()
        (self.magic, self.size, self.version, self.counter, self.scale, self.seq,
         self.marker, self.flags, _, self.status, _, self.tai, _, self.shift, _,
         self.period) = struct.unpack_from("<IIHBBIQQHBBhBBQQ", self.raw)


def page_is(path, status):
    try:
        page = Page(path)
    except (OSError, struct.error):
        return False
    return page.status == status and not page.seq & 1


def wait_listens(path):
    """That its name is there is not enough: who is refused takes it for a stale one."""
    def is_heard():
        with socket.socket(socket.AF_UNIX) as client:
            return not client.connect_ex(str(path))
    wait_for(is_heard, f"somebody listens at {path}")


class Program:
    """A child with a log; killed at the end of the with block."""

    def __init__(self, *args, **kwargs):
        self.log = tempfile.TemporaryFile("w+")
        self.proc = subprocess.Popen(list(map(str, args)), stdout=self.log,
                                     stderr=subprocess.STDOUT, **kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()

    def wait(self):
        try:
            return self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("it does not end") from None

    def stop(self, number=signal.SIGTERM):
        self.proc.send_signal(number)
        return self.wait()

    def text(self):
        self.log.seek(0)
        return self.log.read()


class Hostd(Program):
    """A running writer"""

    def __init__(self, *args, **kwargs):
        super().__init__(BUILD / "vmclock-hostd", *args, **kwargs)


def need_capabilities(*numbers):
    """A container's root may lack some."""
    text = pathlib.Path("/proc/self/status").read_text()
    has = int(text.split("CapEff:")[1].split()[0], 16)
    if not all(has >> number & 1 for number in numbers):
        raise Skipped("root without its capabilities")


def need_root(*capabilities):
    if os.geteuid():
        raise Skipped("not root")
    need_capabilities(*capabilities)


@contextlib.contextmanager
def programs():
    """A directory for programs, which anybody may run. From /dev/shm a container runs none."""
    with tempfile.TemporaryDirectory() as name:
        if os.statvfs(name).f_flag & os.ST_NOEXEC:
            raise Skipped("no temporary programs here")
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def sees(pid, user=None):
    """The mount of /proc may hide the processes of others."""
    return not subprocess.run(["test", "-d", f"/proc/{pid}"], user=user, check=False).returncode


def ctl(control, *args, status=0):
    """What vmclockctl host says."""
    done = subprocess.run([BUILD / "vmclockctl", "host", f"--socket={control}", *args],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE, check=False, env=ENV)
    check(done.returncode == status, f"{args}: exit status {done.returncode}: {done.stdout}")
    return done.stdout


def now(path):
    """The present time, by the library's reader."""
    out = subprocess.run([BUILD / "vmclockctl", "now", "--json", path], env=ENV,
                         stdout=subprocess.PIPE, timeout=PATIENCE, check=False).stdout
    return json.loads(out)


def holds_truth(path, offset_ns):
    """The page's bracket holds the time that is so far ahead of the host's clock. Return:
    how wide it is, in ns.
    """
    before = time.time_ns() + offset_ns
    bracket = now(path)
    after = time.time_ns() + offset_ns
    earliest, latest = (bracket[k]["sec"] * 10**9 + bracket[k]["nsec"]
                        for k in ("earliest", "latest"))
    check(earliest <= after and before <= latest,
          f"[{earliest}, {latest}] and [{before}, {after}] are apart")
    return latest - earliest


def run(*args, **kwargs):
    """A writer that ends by itself: exit status and what it said."""
    done = subprocess.run([BUILD / "vmclock-hostd", *map(str, args)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE, check=False, **kwargs)
    return done.returncode, done.stdout


def refused(words, *args, **kwargs):
    code, text = run(*args, **kwargs)
    check(code == 2, f"exit status {code}: {text}")
    check(words in text, f"{words!r} is not in {text!r}")


class Player:
    """The process that plays QEMU."""

    def __init__(self, *memfds, program=(PLAYER, QEMU_PAGE.hex()), user=None):
        # Another user may not be let in where this Python is.
        become = f"import os; os.setresuid({user}, {user}, {user})\n" if user else ""
        self.proc = subprocess.Popen(
            [sys.executable, "-c", become + program[0], *program[1:], *memfds],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said = self.proc.stdout.readline().decode().strip()
        self.pid = self.proc.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def page(self):
        """The path under which the first memfd can be read."""
        for fd in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            if "memfd:vmclock_page" in os.readlink(fd):
                return fd
        raise Failed("the player has no page")


def help_and_version_are_there(_):
    code, text = run("--help")
    check(code == 0 and "--qemu-pid" in text and "Exit status" in text, text)
    code, text = run("--version")
    check(code == 0 and text.startswith("vmclock-hostd "), text)


def bad_usage_is_exit_status_2(tmp):
    refused("one of --qemu-pid, --file")
    refused("--interval=5", f"--file={tmp}/p", "--interval=5")
    check(not (tmp / "p").exists(), "a file was made")


def a_file_is_made_and_formatted(tmp):
    os.umask(0o022)
    path = tmp / "a" / "b" / "p"
    with Hostd(f"--file={path}", *ASSUME) as hostd:
        wait_for(lambda: page_is(path, SYNCHRONIZED), "the page is synchronized")
        page = Page(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        check(mode == 0o644, f"mode {mode:o}")
        check(len(page.raw) == page.size == 4096, f"size {page.size}")
        check(page.marker, "the marker is 0")
        check(page.period >> 63, f"period {page.period:#x}")
        check(page.tai == -37 and page.scale == 1, "not TAI")
        check(hostd.stop() == 0, "exit status")
        check("(assumed)" in hostd.text(), hostd.text())


def ends_cleanly(tmp, number):
    with Hostd(f"--file={tmp}/p", *ASSUME) as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        check(hostd.stop(number) == 0, "exit status")
        check(page_is(tmp / "p", UNRELIABLE), "the page is not even and UNRELIABLE")


def sigterm_leaves_the_page_even_and_unreliable(tmp):
    ends_cleanly(tmp, signal.SIGTERM)


def sigint_leaves_the_page_even_and_unreliable(tmp):
    ends_cleanly(tmp, signal.SIGINT)


def so_do_signals_that_nobody_sends(tmp):
    stkflt = 16         # has no name in Python 3.11
    for number in (signal.SIGPWR, signal.SIGXCPU, stkflt, signal.SIGRTMIN + 1,
                   signal.SIGRTMAX):
        ends_cleanly(tmp, number)


def a_parent_that_ignores_sigchld_does_no_harm(tmp):
    with programs() as where:
        chronyc = where / "chronyc"
        chronyc.write_text("#!/bin/sh\necho C0A80001,192.168.0.1,2,$(date +%s).000000000,"
                           "0.000000010,0.0,0.0,0.0,0.0,0.001,0.0002,0.00001,1.0,Normal\n")
        chronyc.chmod(0o755)
        with Hostd(f"--file={tmp}/p", "--source=chrony", f"--chronyc={chronyc}",
                   preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)):
            wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")


def a_signal_ends_full_speed_publishing_too(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME, "--publish-us=0") as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        seq = Page(tmp / "p").seq
        wait_for(lambda: Page(tmp / "p").seq - seq > 1000, "1000 updates were made")
        check(hostd.stop() == 0, "exit status")
        check(page_is(tmp / "p", UNRELIABLE), "the page is not even and UNRELIABLE")


def sighup_is_ignored(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME) as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        hostd.proc.send_signal(signal.SIGHUP)
        check(hostd.stop() == 0, "exit status: SIGHUP killed it")


def the_time_on_the_page_is_the_hosts(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME):
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        for _ in range(5):
            width = holds_truth(tmp / "p", TAI_NS)
            check(400000 <= width < 10**9, f"width {width}")


def kernel_is_synchronized():
    buffer = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).adjtimex(buffer)
    status = struct.unpack_from("@i", buffer, 5 * struct.calcsize("@l"))[0]
    return state != 5 and not status & 0x40


def without_a_word_from_the_operator_the_kernel_decides(tmp):
    synced = kernel_is_synchronized()
    with Hostd(f"--file={tmp}/p") as hostd:
        wait_for(lambda: "status" in hostd.text(), "a status is logged")
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED if synced else UNKNOWN),
                 "the page says what the kernel does")
        page = Page(tmp / "p")
        check(page.flags & BOUND_FLAGS == (BOUND_FLAGS if synced else 0),
              f"flags {page.flags:#x}")
        check("(assumed)" not in hostd.text(), hostd.text())


def a_killed_writers_odd_page_is_repaired(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME, "--publish-us=0") as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        hostd.stop(signal.SIGKILL)
    left = Page(tmp / "p")
    check(left.status == SYNCHRONIZED, "SIGKILL can't have been handled")
    with open(tmp / "p", "r+b") as file:    # unless it died in an update anyway
        file.seek(0x0c)
        file.write(struct.pack("<I", left.seq | 1))
    with Hostd(f"--file={tmp}/p", *ASSUME):
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        page = Page(tmp / "p")
    check(page.seq > left.seq, "the sequence went back")
    check(page.marker not in (0, left.marker), "the marker stayed")


def a_restart_keeps_the_marker(tmp):
    markers = []
    for _ in range(2):
        with Hostd(f"--file={tmp}/p", *ASSUME) as hostd:
            wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
            hostd.stop()
        markers.append(Page(tmp / "p").marker)
    check(markers[0] == markers[1], f"{markers}")


def a_second_writer_is_refused(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME) as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        refused("another writer has this page", f"--file={tmp}/p", *ASSUME)
        check(page_is(tmp / "p", SYNCHRONIZED), "the second writer changed the page")
        check(hostd.stop() == 0, "exit status of the first")


def what_is_no_page_is_refused_untouched(tmp):
    for content in (b"junk", b"\0" * 4096, os.urandom(4096)):
        (tmp / "p").write_bytes(content)
        refused("not touched", f"--file={tmp}/p", *ASSUME)
        check((tmp / "p").read_bytes() == content, f"{content[:8]} was changed")


def feeds_in_its_place(tmp, content, *options):
    """What was there stays as it is, for those who have it open."""
    (tmp / "p").write_bytes(content)
    with open(tmp / "p", "rb") as old, Hostd(f"--file={tmp}/p", *ASSUME, *options):
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        page = Page(tmp / "p")
        check(page.version == 1 and page.size == len(page.raw) == 4096, f"size {page.size}")
        check(not (tmp / "p.new").exists(), "something is left behind")
        return old.read()


def what_is_no_page_is_replaced_on_demand(tmp):
    check(feeds_in_its_place(tmp, b"junk", "--replace") == b"junk", "wiped")


def a_page_of_another_layout_is_replaced_and_its_readers_are_told(tmp):
    other = bytearray(QEMU_PAGE.ljust(4096, b"\0"))
    other[8] = 2
    small = bytearray(QEMU_PAGE.ljust(4096, b"\0"))
    small[4:8] = struct.pack("<I", 64)
    for content in (other, small):
        left = feeds_in_its_place(tmp, bytes(content))
        check(left[:4] == b"GONE" and len(left) == 4096, f"{left[:8]}")


def what_is_no_regular_file_is_refused(tmp):
    os.mkfifo(tmp / "fifo")
    refused("not a regular file", f"--file={tmp}/fifo")
    refused("not a regular file", f"--file={tmp}")
    (tmp / "target").write_bytes(b"")
    (tmp / "link").symlink_to(tmp / "target")
    refused("symbolic links", f"--file={tmp}/link")
    check((tmp / "target").read_bytes() == b"", "the link's target was changed")
    refused("Not a directory", f"--file={tmp}/target/p")


def a_leap_list_named_must_be_good(tmp):
    (tmp / "list").write_text("#@ 6311433600\n2272060800 10\n")
    (tmp / "bad").write_text("hello\n")
    refused("not a leap-seconds.list", f"--file={tmp}/p", f"--leap-seconds-list={tmp}/bad")
    refused("No such file", f"--file={tmp}/p", f"--leap-seconds-list={tmp}/none")
    check(not (tmp / "p").exists(), "a file was made")
    with Hostd(f"--file={tmp}/p", ASSUME[0], f"--leap-seconds-list={tmp}/list") as hostd:
        wait_for(lambda: page_is(tmp / "p", SYNCHRONIZED), "the page is synchronized")
        page = Page(tmp / "p")
        known = "offset from the kernel" in hostd.text()
        check(page.scale == 1 and page.flags & 1, "not TAI")
        check(known or page.tai == -10, f"offset {page.tai}")


def qemus_page_is_found_and_fed(_):
    with Player("1000:other", "8192:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME) as hostd:
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")
            page = Page(player.page())
            check(page.marker == 1, "the marker of a page without a clock was changed")
            check(page.counter != 0xff, "no counter")
            check(hostd.stop() == 0, "exit status")
            check(page_is(player.page(), UNRELIABLE), "not even and UNRELIABLE")


def the_writer_ends_with_the_machine(_):
    with Player("4096:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME) as hostd:
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")
            player.proc.kill()
            player.proc.wait()
            check(hostd.wait() == 0, "exit status")
            check("the machine has ended" in hostd.text(), hostd.text())


def a_page_that_is_open_twice_is_one_page(_):
    with Player("+4096:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME):
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")


def what_is_not_qemu_with_a_page_is_explained(_):
    refused("aux-ram-share=on", f"--qemu-pid={os.getpid()}", "--tsc-offset=0")
    with Player("4096:vmclock_page", "4096:vmclock_page") as player:
        refused("two VMClock pages", f"--qemu-pid={player.pid}", "--tsc-offset=0")
    with Player("100:vmclock_page") as player:
        refused("not a page of memory", f"--qemu-pid={player.pid}", "--tsc-offset=0")
    with Player("-4096:vmclock_page") as player:
        refused("not a VMClock page", f"--qemu-pid={player.pid}", "--tsc-offset=0")
    with Player() as player:
        pid = player.pid
    refused("No such process", f"--qemu-pid={pid}", "--tsc-offset=0")


def a_file_that_only_looks_like_a_memfd_is_not_opened(tmp):
    with Player(program=(IMPOSTOR, str(tmp), QEMU_PAGE.hex())) as player:
        # Where no file system may be mounted there are none that look so either.
        if player.said == "refused":
            raise Skipped("no file systems of its own here")
        check(player.said == "/memfd:vmclock_page (deleted)", f"it looks like {player.said}")
        refused("not a page of memory", f"--qemu-pid={player.pid}", "--tsc-offset=0")


def a_process_of_somebody_else_is_not_opened(_):
    if os.geteuid():
        if not sees(1):
            raise Skipped("the processes of others are hidden here")
        refused("does not belong to user", "--qemu-pid=1", "--tsc-offset=0")
        refused("Permission denied", "--qemu-pid=1", "--tsc-offset=0", "--qemu-user=root")
        return
    with programs() as tmp, Player("4096:vmclock_page") as player:
        if not sees(player.pid, NOBODY):
            raise Skipped("the processes of others are hidden here")
        shutil.copy(BUILD / "vmclock-hostd", tmp / "vmclock-hostd")
        for options, words in (((), f"does not belong to user {NOBODY}"),
                               (("--qemu-user=root",), "Permission denied")):
            done = subprocess.run([tmp / "vmclock-hostd", f"--qemu-pid={player.pid}",
                                   "--tsc-offset=0", *options], text=True, user=NOBODY, cwd="/",
                                  stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
            check(done.returncode == 2 and words in done.stderr, done.stderr)


def is_untouched(player):
    return pathlib.Path(player.page()).read_bytes() == QEMU_PAGE.ljust(4096, b"\0")


def who_may_open_a_process_has_to_know_whose_it_is(_):
    with Player("4096:vmclock_page") as player:
        options = [f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME]
        refused(f"does not belong to user {NOBODY}", *options, f"--qemu-user={NOBODY}")
        check(is_untouched(player), "it was written")
        with Hostd(*options, f"--qemu-user={os.geteuid()}"):
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")


def root_opens_anothers_process_only_where_that_user_is_named(_):
    need_root(SYS_PTRACE)
    with Player("4096:vmclock_page", user=NOBODY) as player:
        options = [f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME]
        refused("does not belong to user 0", *options)
        refused("--qemu-user says", *options)
        refused("does not belong to user 1", *options, "--qemu-user=1")
        check(is_untouched(player), "it was written")
        names = [user.pw_name for user in pwd.getpwall() if user.pw_uid == NOBODY]
        for name in (NOBODY, *names[:1]):
            with Hostd(*options, f"--qemu-user={name}") as hostd:
                wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "it is synchronized")
                check(hostd.stop() == 0, "exit status")


def two_writers_of_one_machine_are_refused(_):
    with Player("4096:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME):
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")
            refused("another writer has this page", f"--qemu-pid={player.pid}", "--tsc-offset=0")


def a_page_written_by_the_hypervisor_ends_the_writer(_):
    with Player("4096:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME, "--interval=50ms") as hostd:
            wait_for(lambda: page_is(player.page(), SYNCHRONIZED), "the page is synchronized")
            with open(player.page(), "r+b") as file:    # as QEMU does at a restore
                file.seek(0x0c)
                file.write(struct.pack("<I", 1000000))
            check(hostd.wait() == 1, "exit status")
            check("restored" in hostd.text(), hostd.text())
        check(page_is(player.page(), UNRELIABLE), "not even and UNRELIABLE")


def ends_with_its_page(hostd, path, size):
    wait_for(lambda: page_is(path, SYNCHRONIZED), "the page is synchronized")
    os.truncate(path, size)
    check(hostd.wait() == 1, f"exit status {hostd.proc.returncode}")
    check("the page is gone" in hostd.text(), hostd.text())
    check("restored" not in hostd.text(), hostd.text())
    check(os.stat(path).st_size == size, "the file was changed")


def a_file_cut_to_nothing_ends_the_writer_with_a_word(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME, "--interval=50ms") as hostd:
        ends_with_its_page(hostd, tmp / "p", 0)


def a_file_cut_within_the_page_ends_the_writer_with_a_word(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME, "--interval=50ms") as hostd:
        ends_with_its_page(hostd, tmp / "p", 100)


def a_file_cut_at_full_speed_ends_the_writer_with_a_word(tmp):
    with Hostd(f"--file={tmp}/p", *ASSUME, "--publish-us=0") as hostd:
        ends_with_its_page(hostd, tmp / "p", 0)


def a_machine_that_cuts_its_page_ends_the_writer_with_a_word(_):
    with Player("4096:vmclock_page") as player:
        with Hostd(f"--qemu-pid={player.pid}", "--tsc-offset=0", *ASSUME, "--interval=50ms") as hostd:
            ends_with_its_page(hostd, player.page(), 0)


TESTS = [
    help_and_version_are_there,
    bad_usage_is_exit_status_2,
    a_file_is_made_and_formatted,
    sigterm_leaves_the_page_even_and_unreliable,
    sigint_leaves_the_page_even_and_unreliable,
    so_do_signals_that_nobody_sends,
    a_parent_that_ignores_sigchld_does_no_harm,
    a_signal_ends_full_speed_publishing_too,
    sighup_is_ignored,
    the_time_on_the_page_is_the_hosts,
    without_a_word_from_the_operator_the_kernel_decides,
    a_killed_writers_odd_page_is_repaired,
    a_restart_keeps_the_marker,
    a_second_writer_is_refused,
    what_is_no_page_is_refused_untouched,
    what_is_no_page_is_replaced_on_demand,
    a_page_of_another_layout_is_replaced_and_its_readers_are_told,
    what_is_no_regular_file_is_refused,
    a_leap_list_named_must_be_good,
    qemus_page_is_found_and_fed,
    the_writer_ends_with_the_machine,
    a_page_that_is_open_twice_is_one_page,
    what_is_not_qemu_with_a_page_is_explained,
    a_file_that_only_looks_like_a_memfd_is_not_opened,
    a_process_of_somebody_else_is_not_opened,
    who_may_open_a_process_has_to_know_whose_it_is,
    root_opens_anothers_process_only_where_that_user_is_named,
    two_writers_of_one_machine_are_refused,
    a_page_written_by_the_hypervisor_ends_the_writer,
    a_file_cut_to_nothing_ends_the_writer_with_a_word,
    a_file_cut_within_the_page_ends_the_writer_with_a_word,
    a_file_cut_at_full_speed_ends_the_writer_with_a_word,
    a_machine_that_cuts_its_page_ends_the_writer_with_a_word,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
