#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmodified programs under libvmclk-preload.so: date, Python, SQLite.

The page's time is years away from the kernel's, so that nobody can take the
one for the other. It is made at the present counter, in memory.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tap import PATIENCE, check, main, page_path

HERE = pathlib.Path(__file__).resolve().parent
# The sanitised variant has no library to preload.
BUILD = pathlib.Path(os.environ["BUILD"].removesuffix("-asan")).resolve()
CTL = BUILD / "vmclockctl"

THERE = 2524608000              # 2050-01-01, TAI
OTHER_FILE = """
import os, sys, time
mine, other = sys.argv[1:]
fds = [int(fd) for fd in os.listdir("/proc/self/fd")
       if os.path.realpath(f"/proc/self/fd/{fd}") == mine]
for fd in fds: os.dup2(os.open(other, os.O_RDONLY), fd)
print(time.time() if fds else 0)
"""
NEVER_BACK = """
import sys, time, threading
stop, back, seen = False, [], set()
def watch(read):
    last = 0
    while not stop:
        now = read()
        if now < last: back.append((last, now))
        seen.add(now // (10**9 * 86400 * 365))
        last = now
readers = (lambda: time.clock_gettime_ns(time.CLOCK_REALTIME),
           lambda: time.clock_gettime_ns(time.CLOCK_TAI), time.time_ns)
threads = [threading.Thread(target=watch, args=[r]) for r in readers]
for t in threads: t.start()
print("ready", flush=True)
sys.stdin.read()
stop = True
for t in threads: t.join()
print(len(back), back[:3], max(seen))
"""


def run(*command, **more):
    env = dict(os.environ, LD_LIBRARY_PATH=str(BUILD))
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE, env=env,
                          encoding="utf-8", **more)


def make(page, *fields):
    """A page whose reference point is the counter's present value."""
    pages = [sys.executable, HERE / "mkpage.py", page]
    run(*pages, check=True)
    counter = json.loads(run(CTL, "now", "--json", page).stdout)["counter"]
    run(*pages, f"counter_value={counter}", f"time_sec={THERE}", *fields, check=True)


def edit(page, *fields):
    run(sys.executable, HERE / "mkpage.py", page, "edit=1", *fields, check=True)


def under(page, *command, **more):
    return run(CTL, "exec", f"--page={page}", "--", *command, **more)


def output_of(page, *command):
    """What it prints, without a word on stderr, as a number."""
    result = under(page, *command)
    check(result.returncode == 0 and not result.stderr,
          f"{command[0]}: {result.returncode}, {result.stderr!r}")
    return float(result.stdout)


def is_there(seconds, offset=0):
    check(0 <= seconds - THERE - offset < PATIENCE, f"{seconds} is not {THERE}{offset:+}")


def date_shows_the_pages_time(page):
    make(page)
    is_there(output_of(page, "date", "+%s.%N"), -37)


def python_shows_it_in_utc_and_tai(page):
    make(page)
    is_there(output_of(page, sys.executable, "-c", "import time; print(time.time())"), -37)
    is_there(output_of(page, sys.executable, "-c",
                       "import time; print(time.clock_gettime(time.CLOCK_TAI))"))


def a_database_client_shows_it(page):
    make(page)
    is_there(output_of(page, "sqlite3", ":memory:", "select strftime('%s', 'now')"), -37)


def what_is_not_ours_is_the_kernels(page):
    make(page)
    before = time.monotonic()
    during = output_of(page, sys.executable, "-c", "import time; print(time.monotonic())")
    check(before <= during <= time.monotonic(), f"{during} is not the monotonic clock")


def children_inherit_it(page):
    make(page)
    is_there(output_of(page, "sh", "-c", "cd / && date +%s"), -37)
    named = run(CTL, "exec", f"--page={page.name}", "sh", "-c", "cd / && date +%s",
                cwd=page.parent)
    is_there(float(named.stdout), -37)


def a_page_that_was_named_before_stays_unless_there_is_another(page):
    """By a unit's environment, say, or by an exec around this one."""
    make(page)
    named = run("env", f"VMCLK_PRELOAD_PAGE={page}", CTL, "exec", "date", "+%s")
    check(not named.stderr, named.stderr)
    is_there(float(named.stdout), -37)
    nested = under(page, CTL, "exec", "date", "+%s")
    is_there(float(nested.stdout), -37)
    other = run("env", "VMCLK_PRELOAD_PAGE=/nonexistent", CTL, "exec", f"--page={page}",
                "date", "+%s")
    check(not other.stderr, other.stderr)
    is_there(float(other.stdout), -37)


def an_untrusted_page_is_said_once_and_leaves_the_kernels_time(page):
    for fields, word in ((("clock_status=4",), "status"), (("version=0",), "not yet"),
                         (("counter=none",), "no time"),
                         (("time_maxerror_nanosec=5000000000",), "trust")):
        make(page)
        edit(page, *(f"counter_id={0xff}" if f == "counter=none" else f for f in fields))
        before = int(time.time())
        result = under(page, "date", "+%s")
        check(before <= int(result.stdout) <= time.time(), f"date is {result.stdout}")
        check(len(result.stderr.splitlines()) == 1 and word in result.stderr
              and str(page) in result.stderr, f"{fields}: {result.stderr!r}")


def a_page_that_is_not_there_leaves_the_kernels_time(page):
    make(page)
    env = dict(os.environ, LD_PRELOAD=str(BUILD / "libvmclk-preload.so"),
               VMCLK_PRELOAD_PAGE=str(page) + ".none")
    before = int(time.time())
    result = subprocess.run(["date", "+%s"], capture_output=True, env=env,
                            timeout=PATIENCE, encoding="utf-8", check=True)
    check(before <= int(result.stdout) <= time.time(), f"date is {result.stdout}")
    check(len(result.stderr.splitlines()) == 1 and ".none" in result.stderr, result.stderr)


def trust_that_comes_and_goes_never_steps_it_back(page):
    """The kernel is decades behind the page: losing it is a long way back."""
    make(page)
    env = dict(os.environ, LD_LIBRARY_PATH=str(BUILD))
    with subprocess.Popen([CTL, "exec", f"--page={page}", sys.executable, "-c", NEVER_BACK],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
                          encoding="utf-8") as program:
        check(program.stdout.readline() == "ready\n", "it does not start")
        for n in range(10):
            time.sleep(0.05)
            edit(page, f"seq_count={2 * n + 3}")
            edit(page, f"clock_status={4 if n % 2 == 0 else 2}", f"time_sec={THERE - n}")
            edit(page, f"seq_count={2 * n + 4}")
        out, _ = program.communicate("", timeout=PATIENCE)
    count, _, rest = out.partition(" ")
    check(count == "0", f"backwards: {out}")
    check(int(rest.split()[-1]) == THERE // (86400 * 365), f"the page was not used: {out}")


def a_file_in_the_place_of_the_page_is_not_read(page):
    make(page)
    with tempfile.TemporaryDirectory(dir=page.parent) as where:
        other = pathlib.Path(where) / "page"
        make(other, f"time_sec={2 * THERE}")
        told = output_of(page, sys.executable, "-c", OTHER_FILE, page.resolve(), other)
    check(0 < told < THERE + 86400, str(told))


def time_may_have_nowhere_to_go(page):
    make(page)
    output_of(page, sys.executable, "-c",
              "import ctypes; libc = ctypes.CDLL(None); print(libc.gettimeofday(None, None))")


def the_programs_own_failure_is_passed_on(page):
    make(page)
    check(under(page, "sh", "-c", "exit 7").returncode == 7, "not 7")
    check(under(page, "/no/such/program").returncode == 127, "not 127")
    check(under(page, "/").returncode == 126, "not 126")
    quiet = run("sh", "-c", '"$@" 2>&-', "sh", CTL, "exec", f"--page={page}", "/no/such/program")
    check(quiet.returncode == 127, f"{quiet.returncode} where stderr is closed")


def no_program_or_no_page_is_wrong_usage(page):
    check(run(CTL, "exec").returncode == 2, "without a program")
    result = under(str(page) + ".none", "true")
    check(result.returncode == 2 and ".none" in result.stderr, result.stderr)


def what_is_preloaded_already_stays(page):
    make(page)
    env = dict(os.environ, LD_LIBRARY_PATH=str(BUILD), LD_PRELOAD="/no/such/library.so")
    result = subprocess.run([CTL, "exec", f"--page={page}", "sh", "-c", "echo $LD_PRELOAD"],
                            capture_output=True, env=env, timeout=PATIENCE, encoding="utf-8",
                            check=True)
    check(result.stdout == f"{BUILD}/libvmclk-preload.so:/no/such/library.so\n", result.stdout)


TESTS = [
    date_shows_the_pages_time,
    python_shows_it_in_utc_and_tai,
    a_database_client_shows_it,
    what_is_not_ours_is_the_kernels,
    children_inherit_it,
    a_page_that_was_named_before_stays_unless_there_is_another,
    an_untrusted_page_is_said_once_and_leaves_the_kernels_time,
    a_page_that_is_not_there_leaves_the_kernels_time,
    trust_that_comes_and_goes_never_steps_it_back,
    a_file_in_the_place_of_the_page_is_not_read,
    time_may_have_nowhere_to_go,
    the_programs_own_failure_is_passed_on,
    no_program_or_no_page_is_wrong_usage,
    what_is_preloaded_already_stays,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=page_path))
