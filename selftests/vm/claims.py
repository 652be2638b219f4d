# SPDX-License-Identifier: GPL-2.0-only
"""Tests that are claims: functions that say whether it is so, what their name says."""

import traceback


def holds(number, claim):
    try:
        good = claim()
    # Whatever it is: the claims after this one are tried, and main() does not end well.
    except (Exception, SystemExit):
        good = False
        for line in traceback.format_exc().splitlines():
            print("#", line)
    print("ok" if good else "not ok", number, "-", claim.__name__.replace("_", " "), flush=True)
    return good


def main(claims):
    """Try them all, TAP on stdout. Return: the exit status."""
    print("TAP version 13", f"1..{len(claims)}", sep="\n", flush=True)
    good = [holds(number, claim) for number, claim in enumerate(claims, 1)]
    return 0 if all(good) else 1
