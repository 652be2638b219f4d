#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the picture of a lost reference: real-run.py FILE.svg

A minute of a page that vmclock-hostd writes on a real chronyd, which runs as an
ordinary program and is told by this one how slow the host's clock is. The reference
is lost and comes back; then another one comes, which is 20 ms away.
"""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
import host_chronyd_test as host
from host_hostd_test import BUILD, ENV, SYNCHRONIZED, page_is
from tap import directory, wait_for

MS = 10**6


def ctl(*args, **kwargs):
    return subprocess.Popen([BUILD / "vmclockctl", *map(str, args)], env=ENV, **kwargs)


def run(tmp, picture):
    def synchronized():
        return page_is(tmp / "page", SYNCHRONIZED)

    with host.hostd(tmp, "--interval=1s", "--holdover-after=3s", "--drift=500",
                    "--holdover-max-bound=8ms"):
        with host.fed_chronyd(tmp), open(tmp / "trace", "wb") as trace:
            wait_for(synchronized, "the page is synchronized")
            recorder = ctl("record", "--interval=0.25", "--for=70", tmp / "page", stdout=trace)
            time.sleep(15)
        time.sleep(18)
        with host.fed_chronyd(tmp):
            wait_for(synchronized, "the reference is back")
            time.sleep(15)
        host.SLOW_NS = 25 * MS
        with host.fed_chronyd(tmp):
            recorder.wait()
    done = ctl("plot", f"--output={picture}", tmp / "trace").wait()
    return done or ctl("lint", tmp / "trace").wait()


def main():
    if not host.CLIENTS:
        raise SystemExit(host.NO_CHRONYD)
    with directory() as tmp:
        return run(tmp, sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
