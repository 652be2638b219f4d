# SPDX-License-Identifier: GPL-2.0-only
"""The test machine: its image, its QEMU, and what must not be in its log."""

import contextlib
import functools
import mmap
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

import ivshmem
import pages
import qmp
import rtc

# Two processors under emulation make the kernel distrust the TSC by itself.
TSC = {"unstable": "tsc=unstable"}
TSC_TRUSTED = "tsc=reliable clocksource=tsc"
CMDLINE = ("cryptomgr.notests nokaslr"
           " mitigations=off oops=panic panic=-1 slub_debug=FZPU"
           " kfence.sample_interval=1 init_on_free=1")
# A processor that is in the kernel for minutes. A machine that was saved says so, too.
HANGS = "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=300"
NO_HANGS = "nosoftlockup rcupdate.rcu_cpu_stall_suppress=1"
# Of a guest that stands still: its tasks and timers, see Machine.ask_why().
X86_CMDLINE = "unknown_nmi_panic panic_print=0x5"
MEMORY = 512 << 20
# From our pages to where the image may begin: more than any machine's room.
IMAGE_GAP = 2 << 20

def start(command, **options):
    """Start a helper that Ctrl-C does not reach and that dies with us."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, command)],
                            stdin=subprocess.DEVNULL, start_new_session=True, **options)


def stop(child, patience=10):
    """End a helper, kindly at first; return its status."""
    child.terminate()
    try:
        return child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def libraries(program):
    """What a program is linked with at run time: absolute paths, none if static."""
    ldd = subprocess.run(["ldd", program], check=False, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return re.findall(r"(/\S+) \(0x", ldd.stdout)


def make_image(path, build, modules, programs, listing):
    """Pack the initramfs: init, modules in their order, the list, programs, their libraries."""
    with tempfile.TemporaryDirectory(prefix="vmclock-") as root:
        root = pathlib.Path(root)
        files = {"init": build / "vm/init"}
        files |= {pathlib.Path(module).name: module for module in modules}
        files |= {program: build / program for program in programs}
        files |= {library.lstrip("/"): library for program in programs
                  for library in libraries(build / program)}
        for name, source in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / name)
        (root / "vm").mkdir(exist_ok=True)
        (root / "vm/list").write_text(listing)
        (root / "vm/modules").write_text("".join(f"/{pathlib.Path(module).name}\n"
                                                 for module in modules))
        for directory in ("proc", "sys", "dev", "tmp"):
            (root / directory).mkdir()
        pack(root, path)
    # QEMU puts it at the end of RAM, over what is there.
    if path.stat().st_size > MEMORY - pages.BASE - IMAGE_GAP:
        raise OSError(f"{path} is too large: it would lie over our pages")


def pack(root, path):
    """cpio and gzip the tree below @root into @path."""
    names = "".join(f"{item.relative_to(root)}\n" for item in sorted(root.rglob("*")))
    with open(path, "wb") as image:
        cpio = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
                              cwd=root, input=names.encode(), check=True,
                              stdout=subprocess.PIPE)
        subprocess.run(["gzip", "-1"], input=cpio.stdout, stdout=image, check=True)


class Machine:
    """A running guest. A context manager: leaving it ends everything."""

    emulator = "qemu-system-x86_64"
    run_by = ()			# what runs the machine's programs on the host
    counter = pages.TSC
    # Cycles, about 10 us. QEMU's emulated counter must not go back, so QEMU moves its
    # offset when one host CPU's reading is found behind another's: 0.7 us were seen
    # on a busy machine. It counts as an error of the offset, and is checked at the
    # end. With a thread for each processor it can be much more, 17 us were seen: they
    # read early, while they wait for QEMU's lock.
    creep = 30000
    room = pages.ROOM		# RAM that the guest's kernel leaves alone

    def __init__(self, kernel, image, logs, mode, environment=(), more_options=(),
                 program=None):
        self.kernel, self.image, self.logs = kernel, image, logs
        self.program = program or self.emulator
        self.more_options = list(more_options)
        self.own_pages = mode in ("stock", "unstable", "soak")
        self.hangs = HANGS if self.own_pages else NO_HANGS
        self.tsc = TSC.get(mode, TSC_TRUSTED)
        self.threads = "single" if mode in ("feed", "host", "run") else "multi"
        # A test looks at the registers of a device that has a driver.
        self.has_port = mode == "host"
        self.iomem = "iomem=relaxed" if self.has_port else ""
        # What the kernel does not know goes to init's environment.
        self.environment = " ".join(environment)
        self.token = secrets.token_hex(16)
        self.functions = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.tmp = pathlib.Path(stack.enter_context(
                tempfile.TemporaryDirectory(prefix="vmclock-")))
            output, link, bell = (self.listen(stack, name) for name in ("output", "link", "bell"))
            self.make_ram(stack)
            if self.own_pages:
                self.functions = ivshmem.Functions(stack, self.tmp / "bell", self.counter)
            log = stack.enter_context(open(self.logs / "qemu.log", "wb"))
            command = [*self.command(), *self.add_port(), *self.add_pages(), *self.more_options]
            self.qemu = start(command, stdout=log, stderr=log,
                              pass_fds=(self.ram_fd, *self.function_fds()))
            stack.callback(stop, self.qemu)
            if self.functions:
                self.functions.serve(self.accept(stack, bell))
            self.output = self.accept(stack, output)
            self.link = self.accept(stack, link)
            # A guest that does not read must not hold us.
            self.link.settimeout(60)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Give back what it took: a quarter of a gigabyte of RAM, above all."""
        self.stack.close()

    def command(self):
        """QEMU's command line."""
        return [self.program, *self.board(),
                "-object", f"memory-backend-file,id=ram,size={MEMORY},share=on,"
                f"mem-path=/proc/self/fd/{self.ram_fd}",
                "-accel", f"tcg,thread={self.threads}", "-smp", "2",
                "-m", f"{MEMORY >> 20}M", "-display", "none", "-nodefaults",
                "-no-user-config", "-no-reboot",
                "-kernel", self.kernel, "-initrd", self.image, "-append",
                f"{CMDLINE} {self.hangs} {self.board_cmdline()} {self.iomem}"
                f" vmclock.token={self.token} {self.environment}",
                "-chardev", f"socket,id=output,path={self.tmp}/output",
                "-chardev", f"socket,id=link,path={self.tmp}/link",
                "-qmp", f"unix:{self.tmp}/qmp,server=on,wait=off"]

    def board(self):
        """The machine and its device; the serial ports are in the guest's order."""
        serial = [f"file:{self.logs}/console.log", "chardev:output",
                  f"file:{self.tmp}/token", "chardev:link"]
        return ["-machine", "q35,aux-ram-share=on,memory-backend=ram", "-cpu", "max",
                "-device", "vmclock",
                *(word for port in serial for word in ("-serial", port))]

    def board_cmdline(self):
        return f"console=ttyS0 {X86_CMDLINE} {self.tsc} memmap={self.room}${pages.BASE:#x}"

    def listen(self, stack, name):
        """A socket for QEMU to connect a serial port to."""
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(self.tmp / name))
        listener.listen(1)
        listener.settimeout(1)
        return listener

    def accept(self, stack, listener):
        for _ in range(60):
            with contextlib.suppress(TimeoutError):
                return stack.enter_context(listener.accept()[0])
            if self.qemu.poll() is not None:
                break
        raise OSError(f"QEMU did not start, see {self.logs / 'qemu.log'}")

    def make_ram(self, stack):
        """Guest RAM that we can reach: a file that only has a descriptor."""
        self.ram_fd = os.memfd_create("guest-ram")
        stack.callback(os.close, self.ram_fd)
        os.truncate(self.ram_fd, MEMORY)
        self.ram = mmap.mmap(self.ram_fd, MEMORY)
        stack.callback(self.ram.close)

    def add_port(self):
        """A place to plug a device in."""
        if not self.has_port:
            return []
        return ["-device", f"pcie-root-port,id={rtc.PORT},chassis=1,slot=1"]

    def add_pages(self):
        """Put our own pages into RAM; QEMU's options for that."""
        if not self.own_pages:
            return []
        pages.fill(self.ram, self.counter)
        return ["-acpitable", f"file={pages.ssdt(self.tmp)}", *self.functions.options()]

    def function_fds(self):
        return self.functions.fds if self.functions else []

    def answer(self, line):
        """Do one command of the link; return the answer."""
        mine = self.functions.answer(line) if self.functions else None
        return mine or pages.answer(self.ram, line)

    @functools.cached_property
    def monitor(self):
        """QEMU's, which takes one connection at a time."""
        monitor = qmp.Monitor(self.tmp / "qmp")
        self.stack.callback(monitor.close)
        return monitor

    def ask_why(self):
        """A guest stands still: have its kernel log what its tasks and timers wait for."""
        with contextlib.suppress(OSError):
            self.monitor.command("inject-nmi")
            self.wait_off(60)

    def wait_off(self, seconds):
        """Has QEMU ended by itself?"""
        try:
            return self.qemu.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False

    def got_token(self):
        """Has the guest said that it got to the end?"""
        return (self.tmp / "token").read_text(errors="replace").strip() == self.token

    def page_option(self):
        """The writer's, for the page that is fed."""
        return f"--qemu-pid={self.qemu.pid}"

    def vmclock_page(self, write=False):
        """Map the page of QEMU's own device."""
        for fd in pathlib.Path(f"/proc/{self.qemu.pid}/fd").iterdir():
            if os.readlink(fd).startswith("/memfd:vmclock_page"):
                with open(fd, "r+b" if write else "rb") as page:
                    return mmap.mmap(page.fileno(), pages.PAGE, access=mmap.ACCESS_WRITE
                                     if write else mmap.ACCESS_READ)
        raise OSError("QEMU has no memfd for the page of its vmclock device")

    def wait_fed(self, alive, seconds=30):
        """Wait until a writer has put a synchronized time into the page."""
        page = self.vmclock_page()
        deadline = time.monotonic() + seconds
        while page[0x22] != 2 or page[0x0C] & 1:
            if not alive() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True
