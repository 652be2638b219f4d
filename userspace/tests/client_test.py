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
import tempfile
import threading

BUILD = pathlib.Path(os.environ["BUILD"])
os.environ["LD_LIBRARY_PATH"] = str(BUILD)
PATIENCE = 60


def answer(path, said):
    """One connection: read the request's line, say SAID, and go."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        yield
        listener.settimeout(PATIENCE)
        with listener.accept()[0] as client:
            client.settimeout(PATIENCE)
            client.recv(4096)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(said)


def status_of(folder, said, *options):
    path = os.path.join(folder, "socket")
    serving = answer(path, said)
    next(serving)
    server = threading.Thread(target=lambda: next(serving, None))
    server.start()
    done = subprocess.run([BUILD / "vmclockctl", "host", f"--socket={path}", *options, "status"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                          check=False)
    server.join()
    os.unlink(path)
    return done


def vm_line(**words):
    vm = dict({"name": "web", "state": "failed", "message": "none", "target": "file"}, **words)
    return json.dumps({"vm": vm}, ensure_ascii=False).encode() + b"\n"


END = b'{"ok":true}\n'


def no_controls(folder):
    """Names and messages cannot talk to a terminal."""
    for word in ("\x1b[31m", "\x9b31m", "\x7f", "a\nb", "\x85", "\x80"):
        done = status_of(folder, vm_line(name=word, message=word, target=word) + END)
        assert done.returncode == 0, done
        for char in done.stdout.decode():
            assert char == "\n" or not (ord(char) < 0x20 or 0x7f <= ord(char) < 0xa0), \
                done.stdout
        assert done.stdout.count(b"\n") == 2, done.stdout


def other_languages(folder):
    """Letters of any language are shown as they are."""
    done = status_of(folder, vm_line(message="Zähler \u4e2d\u6587 \u0080\u00c2\u00a0") + END)
    assert "Zähler \u4e2d\u6587 ?\u00c2\u00a0\n" in done.stdout.decode(), done.stdout


def no_daemon(folder):
    """What is no answer is an error of the system, and says so."""
    for said, complaint in ((b"HTTP/1.1 400 Bad Request\n", b"not JSON"), (b"[]\n", b"not JSON"),
                            (b"", b"without an answer"), (b'{"ok":true}', b"without an answer"),
                            (b"x" * 1000000, b"too long")):
        done = status_of(folder, said)
        assert done.returncode == 2 and complaint in done.stderr, done
        assert not done.stdout, done


def main():
    tests = (no_controls, other_languages, no_daemon)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, test in enumerate(tests, 1):
            verdict = "ok"
            try:
                test(folder)
            except Exception as error:
                print(f"# {error!r}")
                verdict = "not ok"
                failed += 1
            print(f"{verdict} {number} - {test.__doc__}", flush=True)
    print(f"1..{len(tests)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
