# SPDX-License-Identifier: GPL-2.0-or-later
"""A test program in Python: functions that main() runs in their order. A test passes
unless it raises something; its name, with spaces for underscores, is the sentence that
it proves.
"""

import contextlib
import pathlib
import tempfile
import time
import traceback

PATIENCE = 120          # seconds until something that must happen has failed


class Failed(Exception):
    """What the test wanted is not so."""


class Skipped(Exception):
    """The test proves nothing here."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < end, f"waited in vain until {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def directory():
    """For a test that needs one. On a disk a page would give no time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield pathlib.Path(name)


@contextlib.contextmanager
def page_path():
    with directory() as tmp:
        yield tmp / "page"


def note(text):
    # Whatever counts the results takes each of these for an end of line.
    for line in str(text).splitlines():
        print("#", line)


def passes(number, test, given):
    verdict, directive = "ok", ""
    try:
        if given:
            with given() as what:
                test(what)
        else:
            test()
    except Skipped as why:
        directive = f" # SKIP {why}"
    except Failed as why:
        verdict = "not ok"
        note(why)
    # Whatever else it is: the tests after this one must run, and main() must not end well.
    except (Exception, SystemExit):
        verdict = "not ok"
        note(traceback.format_exc())
    print(f"{verdict} {number} - {test.__name__.replace('_', ' ')}{directive}", flush=True)
    return verdict == "ok"


def main(tests, *notes, given=None, skip=None):
    """Run @tests, each with what the context manager @given gives, or none of them if
    there is a reason to @skip them all. Return: the exit status.
    """
    print("TAP version 13")
    for text in notes:
        note(text)
    if skip:
        print(f"1..0 # SKIP {skip}")
        return 0
    print(f"1..{len(tests)}", flush=True)
    passed = [passes(number, test, given) for number, test in enumerate(tests, 1)]
    return 0 if all(passed) else 1
