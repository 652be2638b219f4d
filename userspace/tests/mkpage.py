#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a VMClock page to a file: mkpage.py FILE [field=value]...

Without fields it is a good page: the reference point is now, the period that
of a 2.4 GHz counter. `counter=arm|tsc|native|none` names the counter; `len`
is the length of the file. `edit=1` changes the fields of a file that is there.
"""

import platform
import struct
import sys

# name: (offset, struct format)
FIELDS = {
    "magic": (0x00, "<I"), "size": (0x04, "<I"), "version": (0x08, "<H"),
    "counter_id": (0x0a, "<B"), "time_type": (0x0b, "<B"),
    "seq_count": (0x0c, "<I"), "disruption_marker": (0x10, "<Q"),
    "flags": (0x18, "<Q"), "pad": (0x20, "<H"), "clock_status": (0x22, "<B"),
    "smear_hint": (0x23, "<B"), "tai_offset_sec": (0x24, "<h"),
    "leap_indicator": (0x26, "<B"), "counter_period_shift": (0x27, "<B"),
    "counter_value": (0x28, "<Q"), "counter_period_frac_sec": (0x30, "<Q"),
    "counter_period_esterror_rate_frac_sec": (0x38, "<Q"),
    "counter_period_maxerror_rate_frac_sec": (0x40, "<Q"),
    "time_sec": (0x48, "<Q"), "time_frac_sec": (0x50, "<Q"),
    "time_esterror_nanosec": (0x58, "<Q"),
    "time_maxerror_nanosec": (0x60, "<Q"),
    "vm_generation_counter": (0x68, "<Q"),
}

COUNTERS = {"arm": 0, "tsc": 1, "none": 0xff,
            "native": 0 if platform.machine() == "aarch64" else 1}

GOOD = {
    "magic": 0x4b4c4356, "size": 0x1000, "version": 1,
    "counter_id": COUNTERS["native"], "time_type": 1, "seq_count": 2,
    "disruption_marker": 2**63 + 1, "flags": 0x179, "clock_status": 2,
    "tai_offset_sec": -37, "counter_period_shift": 31,
    "counter_period_frac_sec": 0xE5109EC205D7BEA7,
    "counter_period_esterror_rate_frac_sec": 0x10000000,
    "counter_period_maxerror_rate_frac_sec": 0xC0275149A4,
    "time_sec": 1767225637, "time_frac_sec": 2**63,
    "time_esterror_nanosec": 300, "time_maxerror_nanosec": 1200,
    "vm_generation_counter": 2**64 - 1,
}


def main(path, args):
    words = dict(arg.split("=", 1) for arg in args)
    edit = words.pop("edit", None)
    length = int(words.pop("len", "4096"), 0)
    if "counter" in words:
        words["counter_id"] = str(COUNTERS[words.pop("counter")])
    fields = {} if edit else dict(GOOD)
    fields.update((name, int(value, 0)) for name, value in words.items())

    with open(path, "r+b" if edit else "wb") as page:
        if not edit:
            page.truncate(length)
        for name, value in fields.items():
            offset, fmt = FIELDS[name]
            if offset + struct.calcsize(fmt) <= length:
                page.seek(offset)
                page.write(struct.pack(fmt, value))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
