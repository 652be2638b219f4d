#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does kernel_log.py see complaints, and let through only what is known to be none?"""

import sys

import claims
import kernel_log

GREETING = "[    0.0] Linux version {} (builder) #1 SMP"
WARNING = "[    1.0] WARNING: CPU: 1 PID: 30 at io_get_cqe_overflow+0xa6/0x3d0"
WORKER = "[    1.0] Workqueue: iou_exit io_ring_exit_work"
KASAN = "[    1.0] BUG: KASAN: slab-use-after-free in vmclock_read"


def log(*middle, version="6.12.117-vmclock-debug"):
    """A log with one report."""
    return "\n".join([GREETING.format(version), "[    1.0] ------------[ cut here ]------------",
                      *middle, "[    1.0] Call Trace:",
                      "[    1.0] ---[ end trace 0000000000000000 ]---", "[    2.0] bye", ""])


def count(*middle, **version):
    return len(kernel_log.complaints(log(*middle, **version)))


def silence_is_clean():
    return kernel_log.complaints(GREETING.format("6.1.0") + "\nhello\n") == []


def a_log_that_is_none_is_not_clean():
    return len(kernel_log.complaints("")) == 1


def a_warning_is_seen():
    return count("[    1.0] WARNING: CPU: 0 at vmclock_read+0x1/0x2", WORKER) == 2


def a_mistake_of_the_kernel_is_let_through():
    return count(WARNING, WORKER) == 0


def that_of_another_worker_is_not():
    return count(WARNING, "[    1.0] Workqueue: events vmclock_watch") == 2


def nor_that_of_another_kernel():
    return count(WARNING, WORKER, version="6.120.1") == 2


def nor_what_comes_in_between():
    return count(WARNING, WORKER, KASAN) == 1


def nor_what_comes_after_it():
    text = log(WARNING, WORKER) + KASAN + "\n[    3.0] Call Trace:\n"
    return len(kernel_log.complaints(text)) == 2


def nor_a_report_without_end():
    return len(kernel_log.complaints(log(WARNING, WORKER).replace("end trace", "end"))) == 2


TESTS = [
    silence_is_clean,
    a_log_that_is_none_is_not_clean,
    a_warning_is_seen,
    a_mistake_of_the_kernel_is_let_through,
    that_of_another_worker_is_not,
    nor_that_of_another_kernel,
    nor_what_comes_in_between,
    nor_what_comes_after_it,
    nor_a_report_without_end,
]


if __name__ == "__main__":
    sys.exit(claims.main(TESTS))
