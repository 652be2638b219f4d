#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmclockctl record, lint and plot: broken pages and traces, one for each finding,
and good ones; random traces against lint_checker.py. TAP on stdout.

BUILD is the directory with vmclockctl and vmclock-hostd. LINT_SEED repeats a run.
"""

import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import lint_checker
import mkpage
from tap import PATIENCE, check, main, wait_for

BUILD = pathlib.Path(os.environ["BUILD"])
SIM = str(BUILD).removesuffix("-asan") + "/tests/sim/sim"
os.environ["LD_LIBRARY_PATH"] = str(BUILD)
SEED = int(os.environ.get("LINT_SEED", random.randrange(2**32)))
COUNTER = "arm" if mkpage.COUNTERS["native"] == 0 else "tsc"
MONOTONIC, NOTIFIES, BOUNDED = 1 << 7, 1 << 9, 0x50


def ctl(*args, **kwargs):
    return subprocess.run([BUILD / "vmclockctl", *map(str, args)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE, check=False, **kwargs)


def page(**fields):
    raw = bytearray(0x70)
    for name, value in {**mkpage.GOOD, **fields}.items():
        struct.pack_into(mkpage.FIELDS[name][1], raw, mkpage.FIELDS[name][0], value)
    return bytes(raw)


def trace(*looks):
    """Looks are (page, counter[, seconds[, notified]])."""
    lines, last = ["vmclock-trace 1", f"counter {COUNTER}"], None
    for number, (raw, counter, *more) in enumerate(looks):
        seconds, notified = (more + [number, "-"][len(more):])[:2]
        if raw != last:
            lines.append("p " + raw.hex())
        last = raw
        now = 1767225600 * 10**9 + int(seconds * 10**9)
        lines.append(f"s {counter} {now} {now + 50} {int(seconds * 10**9)} {notified}")
    return lines


class Scratch:
    """A directory; on a disk pages would give no time."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))

    def put(self, name, lines):
        path = self.path / name
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return path


scratch = Scratch()


def lint(*args):
    done = ctl("lint", "--json", *args)
    check(done.returncode in (0, 1), f"lint: {done.returncode}: {done.stderr}")
    answer = json.loads(done.stdout)
    loud = any(f["severity"] != "note" for f in answer["findings"])
    check(done.returncode == loud, f"exit status {done.returncode} for {answer}")
    return answer, {f["name"] for f in answer["findings"]}


def lint_lines(lines):
    return lint(scratch.put("trace", lines))


# What is wrong with a page alone: its fields, and all that must be found.
PAGES = [
    ({}, set()),
    ({"counter_id": 0xff, "time_type": 0, "flags": 0, "clock_status": 0,
      "vm_generation_counter": 0, "counter_period_frac_sec": 0}, set()),
    ({"clock_status": 4}, set()),
    ({"time_type": 2, "flags": 0x178}, set()),
    ({"size": 0x70}, set()),
    ({"magic": 1}, {"magic"}),
    ({"magic": 0x454e4f47}, {"magic"}),
    ({"version": 0}, {"version"}),
    ({"size": 0x1f}, {"size"}),
    ({"size": 0x68, "flags": 0x79, "vm_generation_counter": 0}, {"fields"}),
    ({"size": 0x6f, "flags": 0x179}, {"fields", "flag-alone"}),
    ({"counter_id": 7}, {"counter"}),
    ({"time_type": 4}, {"scale"}),
    ({"time_type": 0}, {"utc"}),
    ({"pad": 0x100}, {"reserved"}),
    ({"flags": 0x579}, {"flags"}),
    ({"flags": 0x178}, {"no-tai"}),
    ({"tai_offset_sec": 37}, {"tai-sign"}),
    ({"tai_offset_sec": -9}, {"tai-value"}),
    ({"tai_offset_sec": -10}, set()),
    ({"clock_status": 5}, {"status"}),
    ({"flags": 0x139}, {"no-bound"}),
    ({"flags": 0x169}, {"no-bound"}),
    ({"time_maxerror_nanosec": 0, "time_esterror_nanosec": 0}, {"zero-bound"}),
    ({"counter_period_maxerror_rate_frac_sec": 0, "flags": 0x171}, {"zero-bound"}),
    ({"time_esterror_nanosec": 1201}, {"estimate"}),
    ({"counter_period_esterror_rate_frac_sec": 2**63}, {"estimate"}),
    ({"leap_indicator": 6}, {"leap"}),
    ({"leap_indicator": 3}, {"leap-scale"}),
    ({"smear_hint": 3}, {"smear"}),
    ({"counter_period_shift": 128}, {"shift"}),
    ({"counter_period_shift": 64}, {"shift-wide"}),
    ({"counter_period_frac_sec": 0}, {"period"}),
    ({"counter_period_frac_sec": 2**62}, {"period-coarse"}),
    ({"flags": 0x79}, {"generation"}),
    ({"seq_count": 3}, {"odd"}),
]


def pages_alone():
    for fields, wanted in PAGES:
        _, found = lint_lines(trace((page(**fields), 0)))
        check(found == wanted, f"{fields}: {found}, not {wanted}")


def pages_in_files():
    path = scratch.path / "page"
    for fields, wanted in PAGES:
        mkpage.main(path, [f"{name}={value}" for name, value in fields.items()])
        _, found = lint("--for=0.003", path)
        check(found == wanted, f"{fields}: {found}, not {wanted}")
    for length, wanted in ((0, "short"), (0x1f, "short"), (0x6f, "size")):
        mkpage.main(path, [f"len={length}"])
        _, found = lint("--for=0.003", path)
        check(found == {wanted}, f"{length} bytes: {found}, not {wanted}")


def every_finding_has_a_test():
    source = pathlib.Path("tools/lint.h").read_text(encoding="ascii")
    names = {line.split('"')[1] for line in source.splitlines()
             if line.startswith("\tX(")}
    tested = set().union(*(wanted for _, wanted in PAGES + SERIES)) | {"short"}
    check(len(names) > 30 and names == tested, f"differ: {names ^ tested}")


def line(seq, sec, **fields):
    """A page whose reference point is counter 0 at @sec seconds."""
    return page(seq_count=seq, time_sec=sec, time_frac_sec=fields.pop("frac", 0),
                **fields)


def still(seq, **fields):
    """Bounds that do not grow, and a second wide: edges can be hit exactly."""
    return line(seq, fields.pop("sec", 100), time_maxerror_nanosec=10**9,
                counter_period_maxerror_rate_frac_sec=1,
                counter_period_esterror_rate_frac_sec=0, **fields)


PROMISE = 0x179 | MONOTONIC
UTC = {"time_type": 0}

# What is wrong from one look to the next.
SERIES = [
    (trace((still(2), 0), (still(4), 0), (still(6), 9)), set()),
    (trace((still(2), 0), (still(2, smear_hint=1), 0)), {"torn"}),
    (trace((still(4), 0), (still(2), 0)), {"seq-back"}),
    (trace((still(0xfffffffe), 0), (still(0), 0)), set()),
    (trace((still(2), 0), (still(4, size=0x2000), 0)), {"constant"}),
    (trace((still(2), 0), (still(4, time_type=2), 0)), {"constant"}),
    (trace((still(2), 0), (still(4, counter_id=0xff), 0)), {"constant"}),
    (trace(*((still(2 * n, disruption_marker=m), 0) for n, m in enumerate((5, 6, 5)))),
     {"marker-again"}),
    (trace(*((still(2 * n, disruption_marker=m), 0) for n, m in enumerate((5, 5, 6)))),
     set()),
    (trace(*((still(2 * n, vm_generation_counter=g), 0) for n, g in enumerate((7, 8, 7)))),
     {"generation-again"}),
    # A step of one second is in the bracket, 2^-64 s more is not.
    (trace((still(2), 0), (still(4, sec=101), 0)), set()),
    (trace((still(2), 0), (still(4, sec=101, frac=1), 0)), {"nesting"}),
    (trace((still(2), 0), (still(4, sec=99), 0)), set()),
    (trace((still(2), 0), (still(4, sec=98, frac=2**64 - 1), 0)), {"nesting"}),
    # Not only the line just before counts.
    (trace((still(2), 0), (still(4, sec=101), 0), (still(6, sec=102), 0)), {"nesting"}),
    # But of 64 updates, also across the number's wrap.
    (trace((still(2), 0), (still(130, sec=102), 0)), {"nesting"}),
    (trace((still(2), 0), (still(132, sec=102), 0)), {"nesting-old"}),
    (trace((still(2**32 - 64), 0), (still(64, sec=102), 0)), {"nesting"}),
    (trace((still(2**32 - 64), 0), (still(66, sec=102), 0)), {"nesting-old"}),
    # No time, no bracket, no promise.
    (trace((still(2), 0), (still(4, sec=200, clock_status=4), 0)), set()),
    (trace((still(2, clock_status=1), 0), (still(4, sec=200), 0)), set()),
    (trace((still(2), 0), (still(4, sec=200, disruption_marker=9), 0)), set()),
    (trace((still(2, **UTC, leap_indicator=1), 0),
           (still(4, sec=90, **UTC, leap_indicator=4, flags=PROMISE), 0)), {"utc"}),
    # Time may stand still, not go back, and only under the flag.
    (trace((still(2, flags=PROMISE), 0), (still(4, flags=PROMISE), 0)), set()),
    (trace((still(2, flags=PROMISE, frac=1), 0), (still(4, flags=PROMISE), 0)),
     {"backwards"}),
    (trace((still(2, flags=PROMISE, frac=1), 0), (still(4), 0)), set()),
    (trace((still(2, frac=1), 0), (still(4, flags=PROMISE), 0)), set()),
    (trace((still(2, flags=PROMISE, frac=1), 0), (still(6, flags=PROMISE), 0)), set()),
    (trace((still(2, flags=PROMISE), 5), (still(2, flags=PROMISE), 4)), set()),
    # Notifications: a second's patience, from when the update was seen.
    (trace((still(2, flags=0x379), 0, 0, "0"), (still(4, flags=0x379), 0, 1, "0"),
           (still(4, flags=0x379), 0, 2, "0")), {"silent"}),
    (trace((still(2, flags=0x379), 0, 0, "0"), (still(4, flags=0x379), 0, 1, "0"),
           (still(4, flags=0x379), 0, 1.9, "0")), set()),
    (trace((still(2, flags=0x379), 0, 0, "0"), (still(4, flags=0x379), 0, 1, "0"),
           (still(4, flags=0x379), 0, 1.5, "1"), (still(4, flags=0x379), 0, 9, "0")), set()),
    (trace((still(2, flags=0x379), 0, 0), (still(4, flags=0x379), 0, 1),
           (still(4, flags=0x379), 0, 9)), set()),
    (trace((still(2), 0, 0, "0"), (still(4), 0, 1, "0"), (still(4), 0, 9, "0")), set()),
]


def series():
    for number, (lines, wanted) in enumerate(SERIES):
        _, found = lint_lines(lines)
        check(found == wanted, f"{number}: {found}, not {wanted}: {lines}")


def missed_updates():
    answer, _ = lint_lines(trace((still(2), 0), (still(10), 0), (still(10), 0)))
    check((answer["updates"], answer["missed"], answer["looks"]) == ("1", "3", "3"), answer)


def a_random_trace(rng):
    """A clock that is steered, now and then more than its bound allows."""
    looks, counter, sec, frac = [], rng.randrange(2**64), 1000, 0
    updates = rng.choice((1, 1, 20))
    period, marker = mkpage.GOOD["counter_period_frac_sec"], 1
    for n in range(rng.randrange(2, 12)):
        fields = {"seq_count": 2 * updates * n, "counter_value": counter, "disruption_marker": marker,
                  "flags": rng.choice((0x179, PROMISE, PROMISE)),
                  "clock_status": rng.choice((2, 2, 2, 3, 4)),
                  "counter_period_frac_sec": period + rng.randrange(-2**30, 2**30),
                  "counter_period_maxerror_rate_frac_sec": rng.randrange(2**36),
                  "time_maxerror_nanosec": rng.choice((1, 1000, 2000)),
                  "time_sec": sec, "time_frac_sec": frac, "time_esterror_nanosec": 0,
                  "counter_period_esterror_rate_frac_sec": 0}
        this = lint_checker.Page(page(**fields))
        for _ in range(rng.randrange(1, 4)):
            counter = (counter + rng.randrange(10**rng.randrange(1, 10))) % 2**64
            looks.append((page(**fields), counter))
        step = rng.choice((0, 1, 300, 1500)) * rng.choice((-1, 1)) * 2**64 // 10**9
        sec, frac = divmod(this.time(counter) + step, 2**64)
        marker += rng.random() < 0.1
    return trace(*looks)


def random_traces():
    rng, seen = random.Random(SEED), []
    for _ in range(300):
        lines = a_random_trace(rng)
        truth = lint_checker.check(lines)
        _, found = lint_lines(lines)
        names = ("nesting", "nesting-old", "backwards")
        for name in names:
            check((name in found) == bool(truth[name]), f"{name}: {truth}: {lines}")
        seen.append([bool(truth[name]) for name in names])
    for column in zip(*seen):
        check(len(set(column)) == 2, f"only {set(column)} came up")


GOOD_LINES = trace((page(), 1), (page(), 2))

# What no recorder writes: the lines, and the number of the one that is refused.
MALFORMED = [
    (GOOD_LINES[:1] + GOOD_LINES[2:], 2),
    (GOOD_LINES[:1] + ["counter x86"] + GOOD_LINES[2:], 2),
    (GOOD_LINES[:2] + GOOD_LINES[3:], 3),
    (GOOD_LINES + ["x"], 6),
    (GOOD_LINES + [""], 6),
    (GOOD_LINES + ["p 5"], 6),
    (GOOD_LINES + ["p 5G"], 6),
    (GOOD_LINES + ["p " + "00" * 0x71], 6),
    (GOOD_LINES + ["p " + "00" * 5000], 6),
    (GOOD_LINES + ["s 1 2 3 4000000000 -", "s 1 2 3 3999999999 -"], 7),
    (GOOD_LINES + ["s 1 2 3 -"], 6),
    (GOOD_LINES + ["s 1 2 3 4000000000 2"], 6),
    (GOOD_LINES + ["s 1 2 3 4000000000 --"], 6),
    (GOOD_LINES + ["s 1 2 3 4000000000 "], 6),
    (GOOD_LINES + ["s -1 2 3 4000000000 -"], 6),
    (GOOD_LINES + ["s 18446744073709551616 2 3 4000000000 -"], 6),
    (GOOD_LINES + ["s 1 9223372036854775808 3 4000000000 -"], 6),
]


def malformed_traces():
    for lines, number in MALFORMED:
        for verb in ("lint", "plot"):
            done = ctl(verb, scratch.put("trace", lines))
            check(done.returncode == 2 and f"line {number}: " in done.stderr,
                  f"{verb} {lines}: {done.returncode} {done.stderr}")
    check(lint_lines(GOOD_LINES + ["# a comment"])[1] == set(), "a comment is refused")
    whole = ("\n".join(GOOD_LINES) + "\n").encode()
    path = scratch.path / "trace"
    for end in range(len(TRACE_MAGIC), len(whole)):
        path.write_bytes(whole[:end])
        done = ctl("lint", path)
        check(done.returncode == (0 if whole[:end].endswith(b"-\n") else 2),
              f"cut at {end}: {done.returncode} {done.stderr}")
    path.write_bytes(whole + b"# a comment without its end")
    check(ctl("lint", path).returncode == 2, "it ends within a comment")


TRACE_MAGIC = b"vmclock-trace 1\n"


def usage_errors():
    for args in (["lint", "/nonexistent"], ["lint", "--count=3"], ["lint", "--for=0"],
                 ["record", "/dev/null/x"], ["record", "--json"], ["plot"], ["lint", "a", "b"],
                 ["plot", "--output=x.gif", "y"], ["plot", "/nonexistent"], ["lint", "/tmp"]):
        done = ctl(*args)
        check(done.returncode == 2 and done.stderr.startswith("vmclockctl: ") and
              not done.stdout, f"{args}: {done}")


def half_an_hour_of_a_writer():
    """In simulated time, without events; whatever oscillator the seed has."""
    for seed in (1, 2, 5, SEED):
        lines = subprocess.run([SIM, f"--seed={seed}", "--seconds=1800", "--calm", "--text"],
                               stdout=subprocess.PIPE, text=True, check=True).stdout
        answer, found = lint_lines(lines.splitlines())
        check(int(answer["updates"]) > 1700, f"seed {seed}: {answer}")
        check(found <= {"nesting-old", "utc", "no-tai"}, f"seed {seed}: {answer}")


def record_of_a_writer():
    """What vmclock-hostd writes is clean, and the recorder writes what it saw."""
    path = scratch.path / "hosted"
    with open(scratch.path / "log", "w", encoding="utf-8") as log:
        hostd = subprocess.Popen([BUILD / "vmclock-hostd", f"--file={path}", "--interval=200ms",
                                  "--assume-synchronized=200us", "--tai-offset=-37"],
                                 stderr=log)
    try:
        wait_for(lambda: path.exists() and path.read_bytes()[0x22:0x23] == b"\x02",
                 "the page is synchronized")
        done = ctl("record", "--updates", "--for=4", path)
        check(done.returncode == 0, done.stderr)
        live, found = lint("--for=1", path)
        check(not found and int(live["updates"]) > 0, f"live: {live}")
        fixed = ctl("record", "--interval=0.01", "--count=7", path)
        news = ctl("record", "--updates", "--count=3", path)
    finally:
        hostd.terminate()
        hostd.wait(PATIENCE)
    lines = done.stdout.splitlines()
    answer, found = lint_lines(lines)
    truth = lint_checker.check(lines)
    check(not found and not truth["nesting"] and not truth["backwards"], f"{answer} {truth}")
    check(int(answer["updates"]) >= 3 and int(answer["compared"]) > 3, f"{answer}")
    check(int(answer["looks"]) == truth["looks"], f"{answer} {truth}")
    # The first look and the last, each update, and looks that come before one.
    check(truth["looks"] > int(answer["updates"]) + 2, f"{answer}")
    check(sum(line[0] == "s" for line in fixed.stdout.splitlines()) == 7, fixed.stdout)
    # The first look and two updates; looks before those are not counted.
    looks = "".join(line[0] for line in news.stdout.splitlines()[2:])
    check(re.fullmatch("ps(s?ps){2}", looks), news.stdout)
    scratch.put("hosted.trace", lines)


def record_ends_by_a_signal():
    path = scratch.path / "page"
    mkpage.main(path, [])
    proc = subprocess.Popen([BUILD / "vmclockctl", "record", "--interval=0.01", path],
                            stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        proc.stdout.readline()
    proc.terminate()
    rest, _ = proc.communicate(timeout=PATIENCE)
    check(proc.returncode == 0 and (not rest or rest.endswith("\n")), f"{proc} {rest!r}")


def pictures():
    source = scratch.path / "hosted.trace"
    svg, png = scratch.path / "a.svg", scratch.path / "a' .png"
    done = ctl("plot", f"--output={svg}", source)
    check(done.returncode == 0 and not done.stderr, done.stderr)
    text = "".join(xml.etree.ElementTree.parse(svg).getroot().itertext())
    for word in ("synchronized", "within the bound", "updates"):
        check(word in text, f"no '{word}' in the picture")
    check(ctl("plot", f"--output={png}", source).returncode == 0, "png")
    check(png.read_bytes().startswith(b"\x89PNG\r\n"), "not a PNG file")
    done = ctl("plot", "-", stdin=open(source, "rb"))
    check(done.stdout == svg.read_text(encoding="utf-8"), "other SVG on the standard output")
    timeless = ctl("plot", scratch.put("trace", trace((page(clock_status=0), 1))))
    check(timeless.returncode == 0 and "no time" in timeless.stdout and
          not timeless.stderr, timeless.stderr)


def fake_gnuplot(script):
    directory = scratch.path / "bin"
    directory.mkdir(exist_ok=True)
    path = directory / "gnuplot"
    path.write_text("#!/bin/sh\n" + script, encoding="ascii")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:/usr/bin:/bin"}


def plotted_numbers():
    """The data that gnuplot gets: offset and bound in us, status, updates."""
    looks = (still(2, sec=1767225637), 0), (still(4, sec=1767225639), 0), \
            (still(6, disruption_marker=4, clock_status=4), 0)
    path = scratch.put("trace", trace(*looks))
    script = ctl("plot", path, env=fake_gnuplot("cat\n")).stdout
    data = script.split("$looks << END\n")[1].split("END\n")[0].splitlines()
    rows = [row.split() for row in data]
    check([row[3:] for row in rows] == [["2", "NaN"], ["2", "0"], ["4", "0"]], rows)
    check(rows[2][1:3] == ["NaN", "NaN"], rows[2])
    for row, offset in zip(rows, (0, 10**6)):
        # The clock was read 25 ns before the middle; the bound has the 1 ns of rounding.
        check(abs(float(row[1]) - (offset - 0.025)) < 1e-3 and
              abs(float(row[2]) - 10**6) < 1e-2, row)
    check(script.count("set arrow from first 2.000000000") == 1, "the disruption")


def gnuplot_fails():
    path = scratch.put("trace", GOOD_LINES)
    done = ctl("plot", path, env={**os.environ, "PATH": str(scratch.path)})
    check(done.returncode == 2 and "gnuplot: " in done.stderr and
          "gnuplot-nox" in done.stderr, done)
    done = ctl("plot", path, env=fake_gnuplot("cat >/dev/null; exit 3\n"))
    check(done.returncode == 2 and "gnuplot: it failed" in done.stderr, done)
    many = scratch.put("trace", trace(*((page(), n) for n in range(5000))))
    done = ctl("plot", many, env=fake_gnuplot("exec true\n"))
    check(done.returncode == 2 and "gnuplot: it failed" in done.stderr, done)


TESTS = [pages_alone, pages_in_files, series, missed_updates, every_finding_has_a_test,
         random_traces, malformed_traces, usage_errors, half_an_hour_of_a_writer,
         record_of_a_writer, record_ends_by_a_signal, pictures, plotted_numbers, gnuplot_fails]


if __name__ == "__main__":
    try:
        sys.exit(main(TESTS, f"LINT_SEED={SEED}"))
    finally:
        shutil.rmtree(scratch.path)
