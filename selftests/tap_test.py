#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does tap.py see through programs that say too little, or too much?"""

import pathlib
import subprocess
import sys
import tempfile

TAP = pathlib.Path(__file__).resolve().parent / "tap.py"
EXPECTED = "a/b: no such device\n"


def tap(results, *args):
    """Run tap.py: its status and the last line of what it prints."""
    done = subprocess.run([sys.executable, TAP, args[0], "--results", results, *args[1:]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.returncode, (done.stdout.splitlines() or [""])[-1]


def sum_of(text, *more, status=0, name="a/b"):
    """Run a program that prints @text, then sum up."""
    with tempfile.TemporaryDirectory() as results:
        (pathlib.Path(results) / "expected").write_text(EXPECTED)
        tap(results, "run", "--timeout", "2", name, "--", "/bin/sh", "-c",
            f"cat <<'END'\n{text}\nEND\n{status if isinstance(status, str) else f'exit {status}'}")
        return tap(results, "sum", "--expected-skips", f"{results}/expected", *more)


def stored(command, *args):
    """Run another verb, then sum up."""
    with tempfile.TemporaryDirectory() as results:
        path = pathlib.Path(results) / "captured"
        path.write_text("1..1\nok 1 x\n")
        first = tap(results, command, *(arg.replace("CAPTURED", str(path)) for arg in args))
        return first[0], tap(results, "sum")


# What a program prints (and how it ends), and the sum's status and last line.
CASES = {
    "all passed": (sum_of, ("1..2\nok 1 x\nok 2 y",), {}, (0, "2 passed, 0 failed, 0 skipped")),
    "the harness's own form": (
        sum_of, ("TAP version 13\n1..1\n# Starting 1 tests from 1 test cases.\n"
                 "#  RUN           global.x ...\n#            OK  global.x\nok 1 global.x\n"
                 "# PASSED: 1 / 1 tests passed.\n# Totals: pass:1 fail:0",), {},
        (0, "1 passed, 0 failed, 0 skipped")),
    "one failed": (sum_of, ("1..2\nok 1 x\nnot ok 2 y",), {"status": 1},
                   (1, "1 passed, 1 failed, 0 skipped")),
    "failed, and says 0": (sum_of, ("1..1\nnot ok 1 y",), {}, (1, "0 passed, 1 failed, 0 skipped")),
    "a plan at the end": (sum_of, ("ok - x\n1..1",), {}, (0, "1 passed, 0 failed, 0 skipped")),
    "expected skip": (sum_of, ("1..2\nok 1 x\nok 2 # SKIP no such device",), {},
                      (0, "1 passed, 0 failed, 1 skipped")),
    "unexpected skip": (sum_of, ("1..2\nok 1 x\nok 2 # SKIP too lazy",), {},
                        (1, "1 passed, 0 failed, 1 skipped")),
    "expected of another program": (
        sum_of, ("1..2\nok 1 x\nok 2 # SKIP no such device",), {"name": "c"},
        (1, "1 passed, 0 failed, 1 skipped")),
    "all skipped, as expected": (sum_of, ("1..1\nok 1 # SKIP no such device",), {},
                                 (1, "0 passed, 0 failed, 1 skipped")),
    "whole program skipped": (sum_of, ("1..0 # SKIP no such device",), {},
                              (1, "0 passed, 0 failed, 1 skipped")),
    "a skip that is not ok": (sum_of, ("1..1\nnot ok 1 x # SKIP no such device",), {},
                              (1, "0 passed, 1 failed, 0 skipped")),
    "a known failure is a failure": (sum_of, ("1..1\nnot ok 1 x # TODO later",), {},
                                     (1, "0 passed, 1 failed, 0 skipped")),
    "an expected failure is a failure": (sum_of, ("1..1\nok 1 x # XFAIL broken",), {},
                                         (1, "0 passed, 1 failed, 0 skipped")),
    "no plan": (sum_of, ("ok 1 x",), {}, (1, "1 passed, 1 failed, 0 skipped")),
    "no output": (sum_of, ("",), {}, (1, "0 passed, 1 failed, 0 skipped")),
    "no tests": (sum_of, ("1..0",), {}, (1, "0 passed, 1 failed, 0 skipped")),
    "two plans": (sum_of, ("1..1\n1..1\nok 1 x",), {}, (1, "1 passed, 1 failed, 0 skipped")),
    "truncated": (sum_of, ("1..3\nok 1 x",), {}, (1, "1 passed, 1 failed, 0 skipped")),
    "more than planned": (sum_of, ("1..1\nok 1 x\nok 2 y",), {},
                          (1, "2 passed, 1 failed, 0 skipped")),
    "a number twice": (sum_of, ("1..2\nok 1 x\nok 1 y",), {}, (1, "2 passed, 1 failed, 0 skipped")),
    "gives up": (sum_of, ("1..1\nok 1 x\nBail out! lost",), {},
                 (1, "1 passed, 1 failed, 0 skipped")),
    "passed, and says 1": (sum_of, ("1..1\nok 1 x",), {"status": 1},
                           (1, "1 passed, 1 failed, 0 skipped")),
    "crashes": (sum_of, ("1..1\nok 1 x",), {"status": "kill -SEGV $$"},
                (1, "1 passed, 1 failed, 0 skipped")),
    "failed and crashes": (sum_of, ("1..1\nnot ok 1 x",), {"status": "kill -SEGV $$"},
                           (1, "0 passed, 2 failed, 0 skipped")),
    "hangs": (sum_of, ("1..1\nok 1 x",), {"status": "sleep 60"},
              (1, "1 passed, 1 failed, 0 skipped")),
    "required and there": (sum_of, ("1..1\nok 1 x", "--require", "a/b"), {},
                           (0, "1 passed, 0 failed, 0 skipped")),
    "required and missing": (sum_of, ("1..1\nok 1 x", "--require", "a/b", "c"), {},
                             (1, "1 passed, 1 failed, 0 skipped")),
    "captured": (stored, ("add", "a", "CAPTURED"), {}, (0, (0, "1 passed, 0 failed, 0 skipped"))),
    "captured from a crash": (stored, ("add", "a", "CAPTURED", "--status", "139"), {},
                              (1, (1, "1 passed, 1 failed, 0 skipped"))),
    "a command that works": (stored, ("cmd", "a", "--", "true"), {},
                             (0, (0, "1 passed, 0 failed, 0 skipped"))),
    "a command that fails": (stored, ("cmd", "a", "--", "false"), {},
                             (1, (1, "0 passed, 1 failed, 0 skipped"))),
    "a command that is not there": (stored, ("cmd", "a", "--", "/nonexistent"), {},
                                    (2, (1, "0 passed, 2 failed, 0 skipped"))),
    "a command that hangs": (stored, ("cmd", "--timeout", "1", "a", "--", "sleep", "60"), {},
                             (1, (1, "0 passed, 1 failed, 0 skipped"))),
}


def main():
    failed = False
    print(f"TAP version 13\n1..{len(CASES)}", flush=True)
    for number, (name, (function, args, kwargs, wanted)) in enumerate(CASES.items(), 1):
        got = function(*args, **kwargs)
        failed |= got != wanted
        print(f"{'ok' if got == wanted else 'not ok'} {number} {name}", flush=True)
        if got != wanted:
            print(f"# got {got}, wanted {wanted}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
