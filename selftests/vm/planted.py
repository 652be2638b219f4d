# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's log must say of the bugs in planted/planted.c."""

import re

REPORTS = {
    "KASAN, use after free": r"BUG: KASAN: slab-use-after-free in read_after_free\S* \[planted\]",
    "KASAN, out of bounds": r"BUG: KASAN: slab-out-of-bounds in read_past_the_end\S* \[planted\]",
    "lockdep, inversion": r"WARNING: possible circular locking dependency detected",
    "lockdep, sleeping while atomic": r"BUG: sleeping function called .*/planted\.c",
    "UBSAN, shift": r"UBSAN: shift-out-of-bounds in .*/planted\.c",
    "kmemleak": r"memory leak: .* lose_memory\S* \[planted\]",
}


def missing(complaints):
    """Names of those that are not among the lines."""
    return [name for name, report in REPORTS.items()
            if not any(re.search(report, line) for line in complaints)]
