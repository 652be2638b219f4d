#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclockctl host, with somebody on the other side of the socket who says anything."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

from tap import PATIENCE, directory, main

BUILD = pathlib.Path(os.environ["BUILD"])
os.environ["LD_LIBRARY_PATH"] = str(BUILD)


def answer(path, said):
    """One connection: read the request's line, say SAID, and go."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield
        listener.settimeout(PATIENCE)
        with listener.accept()[0] as client:
            client.settimeout(PATIENCE)
            client.recv(4096)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(said)


def status_of(tmp, said, *options):
    path = tmp / "socket"
    serving = answer(path, said)
    next(serving)
    server = threading.Thread(target=lambda: next(serving, None))
    server.start()
    done = subprocess.run([BUILD / "vmclockctl", "host", f"--socket={path}", *options, "status"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                          check=False)
    server.join()
    path.unlink()
    return done


def vm_line(**words):
    vm = dict({"name": "web", "state": "failed", "message": "none", "target": "file"}, **words)
    return json.dumps({"vm": vm}, ensure_ascii=False).encode() + b"\n"


END = b'{"ok":true}\n'


def names_and_messages_cannot_talk_to_a_terminal(tmp):
    for word in ("\x1b[31m", "\x9b31m", "\x7f", "a\nb", "\x85", "\x80"):
        done = status_of(tmp, vm_line(name=word, message=word, target=word) + END)
        assert done.returncode == 0, done
        for char in done.stdout.decode():
            assert char == "\n" or not (ord(char) < 0x20 or 0x7f <= ord(char) < 0xa0), \
                done.stdout
        assert done.stdout.count(b"\n") == 2, done.stdout


def letters_of_any_language_are_shown_as_they_are(tmp):
    done = status_of(tmp, vm_line(message="Zähler \u4e2d\u6587 \u0080\u00c2\u00a0") + END)
    assert "Zähler \u4e2d\u6587 ?\u00c2\u00a0\n" in done.stdout.decode(), done.stdout


def what_is_no_answer_is_an_error_of_the_system_and_says_so(tmp):
    for said, complaint in ((b"HTTP/1.1 400 Bad Request\n", b"not JSON"), (b"[]\n", b"not JSON"),
                            (b"", b"without an answer"), (b'{"ok":true}', b"without an answer"),
                            (b"x" * 1000000, b"too long")):
        done = status_of(tmp, said)
        assert done.returncode == 2 and complaint in done.stderr, done
        assert not done.stdout, done


TESTS = [
    names_and_messages_cannot_talk_to_a_terminal,
    letters_of_any_language_are_shown_as_they_are,
    what_is_no_answer_is_an_error_of_the_system_and_says_so,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, given=directory))
