# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's kernel complains of in its log."""

import pathlib
import re

# Anything of these is a failure.
SPLAT = re.compile(
    r"\bBUG\b|WARNING:|Oops|Call Trace|general protection|KFENCE|KASAN|UBSAN|"
    r"lockdep(?! checking is enabled)|possible recursive locking|circular locking|refcount_t|"
    r"blocked for more than|unregister_netdevice|Kernel panic|"
    r"Unable to handle|unable to handle|Bad page|Object already free|"
    r"Poison overwritten|Redzone|rcu: INFO|soft lockup|hard LOCKUP|"
    r"self-detected stall|memory leak(?! detector initialized)")

GREETING = "Linux version"
BEGIN, END = "[ cut here ]", "[ end trace "
# Complaints of a kernel that is wrong itself, by the beginning of its version, with what
# must stand in the report.
#
# io_uring of 6.12, with lockdep: who closes a ring with IORING_SETUP_DEFER_TASKRUN and
# lives on has a worker cancel the ring's commands, of whatever driver. The assertion
# expects the task itself there. It was mended later: it asks whether the ring is ending.
MISTAKEN = [("6.12.", (re.compile(r"WARNING: .* at io_get_cqe_overflow\+"),
                       re.compile(r"Workqueue: iou_exit io_ring_exit_work\b")))]


def reports(lines):
    """The reports that are framed, as (first, last) line numbers."""
    first = None
    for number, line in enumerate(lines):
        if BEGIN in line:
            first = number
        elif END in line and first is not None:
            yield first, number
            first = None


def mistaken(lines, version):
    """The numbers of the lines that are complaints but mistakes."""
    numbers = set()
    for first, last in reports(lines):
        report = "\n".join(lines[first:last])
        for series, needles in MISTAKEN:
            if not version.startswith(series) or not all(n.search(report) for n in needles):
                continue
            # Whatever another CPU says in between counts.
            numbers |= {n for n in range(first, last)
                        if needles[0].search(lines[n]) or lines[n].endswith("Call Trace:")}
    return numbers


def complaints(text):
    """The suspicious lines of a kernel log."""
    greeting = re.search(GREETING + r" (\S+)", text)
    if not greeting:
        return ["it does not begin with the kernel's greeting"]
    lines = text.splitlines()
    known = mistaken(lines, greeting[1])
    return [line for number, line in enumerate(lines)
            if SPLAT.search(line) and number not in known]


def splats(log):
    """The suspicious lines of a file that is a kernel log."""
    return complaints(pathlib.Path(log).read_text(errors="replace"))
