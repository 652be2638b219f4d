# SPDX-License-Identifier: GPL-2.0-only
"""The test machine as an arm64 one: QEMU's board virt. It has no vmclock device, and
without firmware no ACPI: a device tree describes the pages.

Page N of pages.py is the node vcpN, found by its second name where that is said of
its _HID. The node vclk, before them, is a page as that of QEMU's own device in the
other machine: markers only. Page B lies in RAM that is reserved, the others in such
as the kernel has no mapping of. It has an interrupt, which the link raises:

 ring 11                  answer ok

The page that is fed is that of an ivshmem function, with a file of vmclock-hostd as
its memory. The writer is one for arm64, and runs in QEMU's user mode: its counter is
then what the machine's is, the host's time in units of 16 ns, but counted from
another moment. So do the others that read the counter on this side.

The console is the board's port, the others are on a PCI card: the first of those is
not used, so that the guest knows the rest by the names they have elsewhere.
"""

import mmap
import pathlib
import socket
import subprocess
import time

import pages
import qmp
import vm

BOARD, CPU = "virt,gic-version=2", "cortex-a57"
RAM = 0x40000000
NOTIFIED = 11
# An input of the interrupt controller that the board leaves free.
INTERRUPT = 200
# The place of the page of vclk, and what differs from a good one in it.
MARKERS = 12
MARKERS_ONLY = dict.fromkeys(pages.GOOD, 0) | {
    "magic": pages.GOOD["magic"], "size": pages.PAGE, "version": 1, "counter_id": 0xFF,
    "seq_count": 2, "disruption_marker": 1}

TREE = """
/ {{
    reserved-memory {{
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
{reserved}
    }};
{devices}
}};
"""

RESERVED = """
        pages@{start:x} {{
            reg = <0 {start:#x} 0 {length:#x}>;
            {more}
        }};
"""

DEVICE = """
    {name}@{at:x} {{
        compatible = {names};
        reg = <0 {at:#x} 0 {length:#x}>;
        {more}
    }};
"""


def device(n, hid, offset, length):
    """The node of page N."""
    return DEVICE.format(
        name="vclk" if n == MARKERS else f"vcp{n:x}", at=RAM + pages.BASE + n * pages.PAGE + offset,
        length=length, names=('"test,page", ' if hid == "TEST0001" else "") + '"amazon,vmclock"',
        # A shared one, on its rising edge.
        more=f"interrupts = <0 {INTERRUPT} 1>;" if n == NOTIFIED else "")


def reserved(room):
    """The nodes of what the kernel does not use."""
    own = NOTIFIED * pages.PAGE
    return "".join(
        RESERVED.format(start=RAM + pages.BASE + start, length=end - start, more=more)
        for start, end, more in ((0, own, "no-map;"), (own, own + pages.PAGE, ""),
                                 (own + pages.PAGE, room, "no-map;")))


def describe():
    """The nodes of all pages."""
    return device(MARKERS, "", 0, pages.PAGE) + "".join(
        device(n, *where) for n, (_, *where) in enumerate(pages.PAGES))


def device_tree(board, directory, room, devices):
    """QEMU's own, with our nodes in it; return the path."""
    own, tree = (pathlib.Path(directory) / name for name in ("board.dtb", "tree.dtb"))
    subprocess.run([*board, "-machine", f"dumpdtb={own}"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", own], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    source += TREE.format(reserved=reserved(room), devices=devices)
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", tree], check=True, text=True,
                   input=source)
    return tree


class Machine(vm.Machine):
    """A running guest."""

    emulator = "qemu-system-aarch64"
    run_by = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "-cpu", CPU)
    counter = pages.ARM_VCT
    creep = 625			# here, the host's time is known in microseconds

    def __enter__(self):
        super().__enter__()
        self.gic = next(f"/machine/unattached/{item['name']}" for item in
                        self.monitor.command("qom-list", path="/machine/unattached")
                        if item["type"] == "child<arm_gic>")
        self.wires = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        self.wires.settimeout(qmp.PATIENCE)
        self.wires.connect(str(self.tmp / "qtest"))
        return self

    def board(self):
        return ["-machine", f"{BOARD},memory-backend=ram", "-cpu", CPU,
                "-serial", f"file:{self.logs}/console.log",
                "-chardev", "null,id=unused", "-chardev", f"file,id=token,path={self.tmp}/token",
                "-device", "pci-serial-4x,chardev1=unused,chardev2=output,chardev3=token,"
                "chardev4=link",
                "-qtest-log", "none",
                "-qtest", f"unix:{self.tmp}/qtest,server=on,wait=off"]

    def board_cmdline(self):
        return "console=ttyAMA0"

    def add_pages(self):
        """The device tree, and what it does not describe."""
        devices = describe() if self.own_pages else ""
        board = [self.program, "-machine", BOARD, "-cpu", CPU, "-smp", "2",
                 "-m", f"{vm.MEMORY >> 20}M", "-display", "none", "-nodefaults"]
        words = ["-dtb", device_tree(board, self.tmp, self.room, devices)]
        if not self.own_pages:
            return words + self.add_fed_page()
        pages.fill(self.ram, self.counter)
        markers = pages.LAYOUT.pack(*MARKERS_ONLY.values())
        self.ram[(at := pages.BASE + MARKERS * pages.PAGE):at + len(markers)] = markers
        return words + self.functions.options()

    def add_fed_page(self):
        """A file with the page that a writer leaves: no time, until one comes again."""
        page = self.tmp / "page"
        with open(self.logs / "page.log", "wb") as log:
            # The logs are in BUILD/vm/NAME.
            writer = vm.start([*self.run_by, self.logs.parents[1] / "userspace/vmclock-hostd",
                               self.page_option(), "--tsc-offset=0", "--force-counter",
                               "--assume-synchronized=1ms"], stdout=log, stderr=log)
            deadline = time.monotonic() + qmp.PATIENCE
            while not page.exists() and writer.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if vm.stop(writer):
                raise OSError(f"no page, see {log.name}")
        return ["-object", "memory-backend-file,id=fed,size=4K,share=on,readonly=on,"
                f"mem-path={page}", "-device", "ivshmem-plain,memdev=fed"]

    def page_option(self):
        return f"--file={self.tmp / 'page'}"

    def vmclock_page(self):
        with open(self.tmp / "page", "rb") as page:
            return mmap.mmap(page.fileno(), pages.PAGE, prot=mmap.PROT_READ)

    def answer(self, line):
        return self.ring() if line.split() == ["ring", str(NOTIFIED)] else super().answer(line)

    def ring(self):
        """Raise the interrupt of page B: up and down again."""
        for level in (1, 0):
            self.wires.sendall(f"set_irq_in {self.gic} unnamed-gpio-in {INTERRUPT} {level}\n"
                               .encode())
            if not self.wires.recv(4096).startswith(b"OK"):
                return "bad"
        return "ok"
