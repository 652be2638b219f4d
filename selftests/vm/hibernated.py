#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A guest that hibernates, and is woken by another QEMU each time.

It has a disk to swap to. Each QEMU ends when the guest has switched itself off; the
next one begins with a kernel that finds the image there. hibernate_test, in the guest,
goes through it twice: the second time the page has another marker, but the number
that QEMU's page always begins with.
"""

import argparse
import contextlib
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import kernel_log	# pylint: disable=wrong-import-position
import tap
import vm

DISK = 1 << 30
MAGIC = b"VCLK"
MARKER = 0x7777
LIVES = 3
PATIENCE = 600
TEST = "hibernate_test"


def make_disk(path):
    """A sparse file with the header of a swap area."""
    with open(path, "wb") as disk:
        disk.truncate(DISK)
        disk.seek(1024)
        disk.write(struct.pack("<II", 1, DISK // 4096 - 1))
        disk.seek(4096 - 10)
        disk.write(b"SWAPSPACE2")


class Guest(vm.Machine):
    """One QEMU. The kernel that comes back has the first one's command line."""

    def __init__(self, args, life, image, logs, token):
        logs.mkdir(parents=True)
        disk = ["-drive", f"file={logs.parent}/disk,if=none,id=disk,format=raw,cache=unsafe",
                "-device", "nvme,drive=disk,serial=1"]
        resume = [f"VMCLOCK_RESUME={args.disk}"] if life > 1 else []
        super().__init__(args.kernel, image, logs, "hibernated", resume, disk)
        self.token = token or self.token

    def set_marker(self):
        """Under the number that the page has, as soon as QEMU has filled it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), self.vmclock_page(write=True) as page:
                if page[:4] == MAGIC:
                    struct.pack_into("<Q", page, 0x10, MARKER)
                    return
            time.sleep(0.01)
        raise OSError("QEMU does not make a page")

    def follow(self):
        """What the guest says until QEMU ends."""
        text = b""
        deadline = time.monotonic() + PATIENCE
        self.output.settimeout(1)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                data = self.output.recv(65536)
                if not data:
                    return text.decode(errors="replace").replace("\r", "")
                text += data
        self.ask_why()
        raise OSError(f"the guest does not switch itself off, see {self.logs}")


def live(args, logs):
    """All lives of the guest: what its test said, and did it get to the end?"""
    image, token, text = logs / "initramfs", None, ""
    vm.make_image(image, pathlib.Path(args.build).resolve(), [args.module],
                  [f"selftests/{TEST}"], f"{PATIENCE} {TEST} /selftests/{TEST}\n")
    for life in range(1, LIVES + 1):
        with Guest(args, life, image, logs / str(life), token) as guest:
            token = guest.token
            if life == LIVES:
                guest.set_marker()
            text += guest.follow()
            ended = guest.wait_off(60) and guest.got_token()
        if ended:
            break
    return text, ended and life == LIVES


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--kernel", required=True, help="the guest's kernel image")
    parser.add_argument("--module", required=True, help="vmclock.ko for that kernel")
    parser.add_argument("--series", default="6.1", help="what the kernel is called")
    parser.add_argument("--disk", default="nvme0n1", help="what the kernel calls the disk")
    parser.add_argument("--results", help="where the guest's TAP is stored")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    args = parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    name = "hibernated" if args.series == "6.1" else f"{args.series}-hibernated"
    logs = pathlib.Path(args.build).resolve() / "vm" / name
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    make_disk(logs / "disk")
    print(f"# booting the machine {LIVES} times, logs in {logs}", flush=True)
    try:
        text, ended = live(args, logs)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"TAP version 13\n1..1\nnot ok 1 all of it was done\n# {error}")
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        (logs / "disk").unlink()
    (logs / "output.log").write_text(text)
    said, _, rest = text.partition(f"# begin {TEST}\n")[2].partition(f"# end {TEST} status=")
    tap.store(args.results, f"{name}-{TEST}", said, rest.partition("\n")[0])
    print("".join(f"# guest: {line}\n" for line in said.splitlines() if line.strip()), end="")
    complaints = [line for log in sorted(logs.glob("*/console.log"))
                  for line in kernel_log.splats(log)]
    print("TAP version 13\n1..2")
    print(f"{'ok' if ended else 'not ok'} 1 the machine is woken twice, and ends well")
    print(f"{'not ok' if complaints else 'ok'} 2 its log is clean")
    print("".join(f"# {line}\n" for line in complaints), end="")
    return 1 if complaints or not ended else 0


if __name__ == "__main__":
    sys.exit(main())
