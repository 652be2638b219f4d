# SPDX-License-Identifier: GPL-2.0-only
"""Pages on PCI functions: the ivshmem devices of the stock machine.

Guest tests know them as pages 0x20 and on, in slot 0x10 and on of bus 0, and
change them with the link's commands:

 N     kind      memory   what it holds
 0x20  plain     4 KiB    page 0 of pages.py
 0x21  plain     1 MiB    no page, until a test puts one there
 0x22  doorbell  64 KiB   page 0x0B of pages.py: NOTIFICATION_PRESENT

The guest can't write to the first two. The link has one more command:

 ring N                   raise vector 0 of function N; answer ok
"""

import mmap
import os
import socket
import struct

import pages

FIRST = 0x20
FIRST_SLOT = 0x10
DOORBELL = 0x22
PEER_ID = 1
# Per function: bytes of memory, and the page of pages.py that it holds.
FUNCTIONS = [(0x1000, 0), (0x100000, None), (0x10000, 11)]
NO_PAGE = b"somebody else's memory".ljust(64, b"!")


class Functions:
    """The memory of all of them, and the server of the doorbell."""

    def __init__(self, stack, socket_path, counter):
        self.path = socket_path
        self.bell = os.eventfd(0)
        stack.callback(os.close, self.bell)
        self.fds, self.memory = [], []
        for size, page in FUNCTIONS:
            fd = os.memfd_create("ivshmem")
            stack.callback(os.close, fd)
            os.truncate(fd, size)
            self.fds.append(fd)
            self.memory.append(mmap.mmap(fd, size))
            content = NO_PAGE if page is None else pages.content(page, counter)
            self.memory[-1][:len(content)] = content

    def options(self):
        """QEMU's, for all functions."""
        words = []
        for n, fd in enumerate(self.fds):
            if FIRST + n == DOORBELL:
                words += ["-chardev", f"socket,id=doorbell,path={self.path}", "-device",
                          f"ivshmem-doorbell,chardev=doorbell,vectors=1,addr={FIRST_SLOT + n:#x}"]
                continue
            words += ["-object", f"memory-backend-file,id=ivshmem{n},size={FUNCTIONS[n][0]},"
                      f"share=on,readonly=on,mem-path=/proc/self/fd/{fd}",
                      "-device", f"ivshmem-plain,memdev=ivshmem{n},addr={FIRST_SLOT + n:#x}"]
        return words

    def serve(self, peer):
        """Tell QEMU, which waits for it, what an ivshmem server tells a peer."""
        version = 0
        peer.sendall(struct.pack("<qq", version, PEER_ID))
        for number, fd in ((-1, self.fds[DOORBELL - FIRST]), (PEER_ID, self.bell)):
            socket.send_fds(peer, [struct.pack("<q", number)], [fd])

    def answer(self, line):
        """Do one command of the link, if it is for us; return the answer, or None."""
        words = line.split()
        try:
            function = int(words[1], 0) - FIRST
            if function < 0:
                return None
            if words[0] == "ring" and function + FIRST == DOORBELL:
                os.eventfd_write(self.bell, 1)
                return "ok"
            words[1] = "0"
            return pages.answer(self.memory[function], " ".join(words), 0, FUNCTIONS[function][0])
        except (ValueError, IndexError):
            return "bad"
