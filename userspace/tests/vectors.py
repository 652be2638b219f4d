#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test vectors for the page's arithmetic, from whole numbers of any size.

Written from the specification's sections 8 and 9, not from the C code. Prints

  seed N
  time  C1 SEC FRAC P S C = SEC FRAC NSEC
  error C1 Pe Te S C = E
  stamp C1 SEC FRAC P S Pe Te C = POINT EARLIEST LATEST   (each SEC NSEC)

or `= refused`. The seed is VECTORS_SEED, or a new one each time.
"""

import os
import random

M64 = 2**64 - 1
NS = 10**9
SHIFTS = (0, 31, 63, 64, 127)
DISTANCES = (0, 1, 2**63 - 1, -1, -2**63)
FRACS = (0, 2**63, M64)


def ceil_div(a, b):
    return -(-a // b)


def distance(c, c1):
    """The counter's distance modulo 2^64, as a signed number."""
    d = (c - c1) % 2**64
    return d - 2**64 if d >= 2**63 else d


def time_at(c1, sec, frac, p, s, c):
    """Floor of the time in 2^-64 s, or None outside 64 bits of seconds."""
    t = sec * 2**64 + frac + distance(c, c1) * p // 2**s
    return divmod(t, 2**64) if 0 <= t < 2**128 else None


def nsec(frac):
    return frac * NS // 2**64


def error_at(c1, pe, te, s, c):
    growth = ceil_div(abs(distance(c, c1)) * pe, 2**s)
    return min(te + ceil_div(growth * NS, 2**64), M64)


def stamp_at(c1, sec, frac, p, s, pe, te, c):
    """Point, earliest and latest in ns, or None where they do not fit."""
    time, error = time_at(c1, sec, frac, p, s, c), error_at(c1, pe, te, s, c)
    if time is None or time[0] >= 2**63 or error == M64:
        return None
    point = time[0] * NS + nsec(time[1])
    # The line runs through [point, point + 1 ns).
    return point, point - error, point + error + 1


def show(kind, args, result):
    words = "refused" if result is None else " ".join(map(str, result))
    print(kind, *args, "=", words)


def put_time(c1, sec, frac, p, s, c):
    t = time_at(c1, sec, frac, p, s, c)
    show("time", (c1, sec, frac, p, s, c), t and (*t, nsec(t[1])))
    return t and (*t, nsec(t[1]))


def put_error(c1, pe, te, s, c):
    e = error_at(c1, pe, te, s, c)
    show("error", (c1, pe, te, s, c), (e,))
    return e


def put_stamp(*args):
    stamp = stamp_at(*args)
    flat = stamp and [part for ns in stamp for part in divmod(ns, NS)]
    show("stamp", args, flat)


def specification():
    """The specification's own vectors: literals, which must come out."""
    ghz, ghz24, mhz24 = 0x89705F4136B4A597, 0xE5109EC205D7BEA7, 0xB2F4FC0794908CF2
    assert put_time(2 * 10**9, 1700000000, 2**63, ghz, 29, 5 * 10**9) == (
        1700000003, 9223372036854775806, 499999999)
    assert put_time(10**12, 1767225637, 0, ghz24, 31, 10**12 + 2400000001) == (
        1767225638, 7686143364, 0)
    assert put_time(M64, 1767225637, M64, mhz24, 24, 72000000) == (
        1767225641, 768614336402, 41)
    assert put_time(0, 0, 0, 0x44B82FA0A, 0, 86400 * 10**9) == (
        86400, 25094740377600, 1360)
    assert put_error(0, 0xC0275149A4, 1200, 31, 24 * 10**9) == 1701
    # A tick before the reference: the floor, not the value nearest to zero.
    assert put_time(0, 5, 0, ghz, 29, M64) == (4, M64 - 18446744073, 999999998)


def edges():
    for s in SHIFTS:
        for d in DISTANCES:
            for p in (1, 2**63, M64):
                for c1 in (0, 1, M64):
                    c = (c1 + d) % 2**64
                    for frac in FRACS:
                        for sec in (0, 1, 1767225637, M64):
                            put_time(c1, sec, frac, p, s, c)
                    for te in (0, 1, M64 - 1, M64):
                        put_error(c1, p, te, s, c)
                    put_stamp(c1, 2**40, FRACS[s % 3], p, s, p, s, c)


def some_number(rnd, bits=64):
    """Of any length, not only of the greatest."""
    return rnd.getrandbits(rnd.randint(0, bits))


def some_line(rnd):
    c1 = rnd.getrandbits(64)
    c = (c1 + rnd.choice((1, -1)) * some_number(rnd, 63)) % 2**64
    return c1, c, some_number(rnd), rnd.randint(0, 127)


def randoms(rnd, n):
    for _ in range(n):
        c1, c, p, s = some_line(rnd)
        frac = rnd.getrandbits(64)
        put_time(c1, some_number(rnd), frac, p, s, c)
        put_error(c1, some_number(rnd), some_number(rnd), s, c)
        # Right at the end of 63 bits a time may be refused or not: no vector.
        sec = rnd.choice((0, 2**63 + 2**40)) + some_number(rnd, 62)
        put_stamp(c1, sec, frac, p or 1, max(s, 40), some_number(rnd, 60),
                  some_number(rnd), c)


def main():
    seed = int(os.environ.get("VECTORS_SEED") or random.SystemRandom().getrandbits(32))
    print("seed", seed)
    specification()
    edges()
    randoms(random.Random(seed), 3000)


main()
