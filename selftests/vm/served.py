# SPDX-License-Identifier: GPL-2.0-only
"""Pages that vmclock-hostd itself serves, on PCI functions of the unstable
machine: in slot 0x13 of bus 0 an ivshmem-doorbell, in slot 0x14 an ivshmem-plain
with a file, described by the ACPI table of `vmclockctl acpi-table`.

Guest tests know them as T_PCI_SERVED and T_ACPI_SERVED. The guest's counter is not
known to the writers, so the times there are wrong; updates and interrupts are not.
"""

import os
import pathlib
import subprocess
import tempfile
import time

import vm

DOORBELL_SLOT, FILE_SLOT = 0x13, 0x14
PATIENCE = 60


class Served:
    """The writers; ended, if they still run, when @stack is."""

    def __init__(self, stack, build, logs):
        tools = build / "userspace"
        self.tmp = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="vmclock-")))
        self.writers = [self.start(stack, tools, logs / f"served-{option}.log",
                                   f"--{option}={self.tmp / option}")
                        for option in ("ivshmem-socket", "file")]
        subprocess.run([tools / "vmclockctl", "acpi-table", f"--slot={FILE_SLOT}",
                        f"--output={self.tmp / 'table'}"], check=True,
                       env=dict(os.environ, LD_LIBRARY_PATH=str(tools)))

    def start(self, stack, tools, log, where):
        """Start a writer, and wait for what it makes."""
        output = stack.enter_context(open(log, "wb"))
        writer = vm.start([tools / "vmclock-hostd", where, "--tsc-offset=0", "--force-counter",
                           "--interval=100ms", "--assume-synchronized=1ms", "--tai-offset=-37"],
                          stdout=output, stderr=output)
        stack.callback(vm.stop, writer)
        path = pathlib.Path(where.partition("=")[2])
        deadline = time.monotonic() + PATIENCE
        while not path.is_socket() and not (path.is_file() and path.stat().st_size >= 4096):
            if writer.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"no page, see {log}")
            time.sleep(0.05)
        return writer

    def options(self):
        """QEMU's."""
        return ["-acpitable", f"file={self.tmp / 'table'}",
                "-chardev", f"socket,id=served,path={self.tmp / 'ivshmem-socket'}", "-device",
                f"ivshmem-doorbell,chardev=served,vectors=1,addr={DOORBELL_SLOT:#x}",
                "-object", "memory-backend-file,id=served-file,size=4K,share=on,readonly=on,"
                f"mem-path={self.tmp / 'file'}",
                "-device", f"ivshmem-plain,memdev=served-file,addr={FILE_SLOT:#x}"]

    def end(self):
        """End the writers; return what was wrong with them."""
        return [f"a writer ended with {status}" for status in map(vm.stop, self.writers) if status]
