# SPDX-License-Identifier: GPL-2.0-only
"""Pages of our own in the stock machine, beside the one of QEMU's device.

They lie in guest RAM that the kernel is told not to use, from BASE on, and an
SSDT describes an ACPI device for each. Guest tests find page N by the path of
its ACPI node, \\_SB_.VCPN, and look at what the driver made of it:

 N  _HID      size    _CRS             what is special
 0  AMZNC10C  0x1000  0x1000           good; synchronized TAI line at 2.4 GHz
 1  AMZNC10C  0x1000  0x1000           magic 0x21212121
 2  AMZNC10C  0x1000  0x1000           version 2
 3  AMZNC10C  0x2000  0x1000           claims more than the resource has
 4  AMZNC10C  0x10    0x1000           claims less than the smallest page
 5  AMZNC10C  0x1000  0x1000           counter id 7
 6  AMZNC10C  0x1000  0x1000           period shift 128
 7  AMZNC10C  0x1000  0x10             resource less than the smallest page
 8  TEST0001  0x68    0x1000           found by _CID VMCLOCK; no generation
 9  AMZNC10C  0x80    0x80, at +0x800  smaller than a page of the kernel
 A  AMZNC10C  0x1000  0x1000           lies in RAM that the kernel uses
 B  AMZNC10C  0x1000  0x1000           good; NOTIFICATION_PRESENT

What is not said is as in page 0: version 1, the machine's counter, seq_count 2,
disruption marker 0x1111, flags TAI_OFFSET_VALID | PERIOD_MAXERROR_VALID |
TIME_MAXERROR_VALID | GENERATION_PRESENT, TAI offset -37, shift 31, period
0xE5109EC205D7BEA7 +/- 0xC0275149A4, C1 0, T1 1767225637.5 s +/- 1200 ns,
generation 0x2222.

Page B is notified of when the status of \\_SB.BELL is evaluated: a guest test
reads it in sysfs after it has had the page changed.

Guest tests change pages through the link (ttyS3), one command a line:

 poke N OFFSET HEXBYTES    answer ok
 peek N OFFSET LENGTH      answer HEXBYTES

Numbers are C-like; a bad command is answered by bad.
"""

import pathlib
import struct
import subprocess

BASE = 0x1C000000
PAGE = 0x1000
ROOM = 0x10000
RAM_IN_USE = 0x10000000
# The last page there is for the clock exchange, see clock-link.h.
LINK = BASE + ROOM - PAGE

# What depends on the machine's counter; an emulated arm64's has 62.5 MHz.
TSC = {"counter_id": 1, "period_shift": 31, "period": 0xE5109EC205D7BEA7,
       "period_maxerror": 0xC0275149A4}
ARM_VCT = {"counter_id": 0, "period_shift": 25, "period": 0x89705F4136B4A597,
           "period_maxerror": 0x734ACA5F63}

LAYOUT = struct.Struct("<IIHBBIQQ2xBBhBBQQQQQQQQQ")
GOOD = {
    "magic": 0x4B4C4356, "size": 0x1000, "version": 1, "counter_id": 1,
    "time_type": 1, "seq_count": 2, "disruption_marker": 0x1111,
    "flags": 1 << 0 | 1 << 4 | 1 << 6 | 1 << 8,
    "clock_status": 2, "smear_hint": 0, "tai_offset_sec": -37,
    "leap_indicator": 0, "period_shift": 31, "counter_value": 0,
    "period": 0xE5109EC205D7BEA7, "period_esterror": 0,
    "period_maxerror": 0xC0275149A4, "time_sec": 1767225637,
    "time_frac": 1 << 63, "time_esterror": 0, "time_maxerror": 1200,
    "generation": 0x2222,
}
NO_GENERATION = {"size": 0x68, "flags": GOOD["flags"] & ~(1 << 8), "generation": 0}

# Per page: what differs from GOOD, and _HID, offset and length of _CRS.
PAGES = [
    ({}, "AMZNC10C", 0, PAGE),
    ({"magic": 0x21212121}, "AMZNC10C", 0, PAGE),
    ({"version": 2}, "AMZNC10C", 0, PAGE),
    ({"size": 0x2000}, "AMZNC10C", 0, PAGE),
    ({"size": 0x10}, "AMZNC10C", 0, PAGE),
    ({"counter_id": 7}, "AMZNC10C", 0, PAGE),
    ({"period_shift": 128}, "AMZNC10C", 0, PAGE),
    ({}, "AMZNC10C", 0, 0x10),
    (NO_GENERATION, "TEST0001", 0, PAGE),
    ({"size": 0x80}, "AMZNC10C", 0x800, 0x80),
    ({}, "AMZNC10C", RAM_IN_USE - (BASE + 10 * PAGE), PAGE),
    ({"flags": GOOD["flags"] | 1 << 9}, "AMZNC10C", 0, PAGE),
]

BELL = """
    Device (BELL) {
        Name (_HID, "TEST0002")
        Method (_STA) {
            Notify (\\_SB.VCPB, 0x80)
            Return (0x0F)
        }
    }
"""

DEVICE = """
    Device (VCP{n:X}) {{
        Name (_HID, "{hid}")
        Name (_CID, "VMCLOCK")
        Name (_DDN, "VMCLOCK")
        Name (_UID, {uid})
        Name (_STA, 0x0F)
        Name (_CRS, ResourceTemplate () {{
            Memory32Fixed (ReadOnly, {at:#010x}, {length:#010x})
        }})
    }}
"""


def ssdt(directory):
    """Compile the table; return the path of the AML."""
    # Not 0: QEMU's own device has no _UID, and may count as that.
    devices = "".join(DEVICE.format(n=n, uid=n + 1, hid=hid, length=length,
                                    at=BASE + n * PAGE + offset)
                      for n, (_, hid, offset, length) in enumerate(PAGES))
    asl = pathlib.Path(directory) / "pages.asl"
    asl.write_text('DefinitionBlock ("", "SSDT", 2, "VMCLK ", "PAGES   ", 1) {\n'
                   "Scope (\\_SB) {" + devices + BELL + "}\n}\n")
    subprocess.run(["iasl", "-p", asl.with_suffix(""), asl], check=True,
                   stdout=subprocess.DEVNULL)
    return asl.with_suffix(".aml")


def content(n, counter):
    """The bytes of page N that are not zero."""
    return LAYOUT.pack(*(GOOD | counter | PAGES[n][0]).values())


def fill(ram, counter):
    """Write the pages into guest RAM, an mmap."""
    for n, (_, _, offset, _) in enumerate(PAGES):
        page = content(n, counter)
        start = BASE + n * PAGE + offset
        ram[start:start + len(page)] = page


def answer(ram, line, base=BASE, room=ROOM):
    """Do one command of the link; return the answer."""
    try:
        verb, page, offset, what = line.split()
        start = int(page, 0) * PAGE + int(offset, 0)
        length = len(what) // 2 if verb == "poke" else int(what, 0)
        if start < 0 or length <= 0 or start + length > room:
            return "bad"
        at = slice(base + start, base + start + length)
        if verb == "poke":
            ram[at] = bytes.fromhex(what)
            return "ok"
        return ram[at].hex() if verb == "peek" else "bad"
    except (ValueError, IndexError):
        return "bad"
