#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest counters from host counters, by whole numbers of any size.

Prints "guest HOST RATIO FRAC_BITS OFFSET = GUEST" and
"ticks FROM TO RATIO FRAC_BITS = DISTANCE": the distance of two guest counters.
"""

import os
import random

TOP = 2**64
EDGES = [0, 1, 2**32, 2**63 - 1, 2**63, TOP - 1]


def guest(host, ratio, frac_bits, offset):
    return (host * ratio // 2**frac_bits + offset) % TOP


def main():
    seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
    print("seed", seed)
    rng = random.Random(seed)
    cases = [(h, r, f, o) for h in EDGES for r in EDGES[1:] for f in (0, 32, 48, 63)
             for o in EDGES]
    cases += [(rng.getrandbits(64), rng.getrandbits(rng.randint(1, 64)) + 1,
               rng.randint(0, 63), rng.getrandbits(64)) for _ in range(3000)]
    for host, ratio, frac_bits, offset in cases:
        ratio %= TOP
        print("guest", host, ratio, frac_bits, offset, "=",
              guest(host, ratio, frac_bits, offset))
    for _ in range(3000):
        # Ratios as hardware has them: from a quarter to four times.
        frac_bits = rng.choice([32, 48])
        ratio = rng.randint(2**frac_bits // 4, 4 * 2**frac_bits)
        start = rng.getrandbits(64)
        end = start + rng.getrandbits(rng.randint(1, 40))
        print("ticks", start, end, ratio, frac_bits, "=",
              end * ratio // 2**frac_bits - start * ratio // 2**frac_bits)


main()
