#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs, stores and sums up tests that speak TAP.

  tap.py run --results DIR [--timeout S] NAME -- CMD ARGS...
        run a TAP program, show what it prints, store it as NAME
  tap.py cmd --results DIR [--timeout S] NAME -- CMD ARGS...
        run a command that is one test: it passes if it exits with 0. Its
        output goes to a log and is shown when it fails
  tap.py add --results DIR NAME FILE [--status N]
        store TAP that was captured elsewhere
  tap.py sum --results DIR [--expected-skips FILE] [--require NAME...]
        name every failure and every skip, then "N passed, N failed, N skipped"

A program that lies about its plan, crashes, or runs out of time has one
failure more than it says. Sum fails unless something passed, nothing failed,
every skip is expected and every required name has results.

A NAME may have folders in it. Expected skips are lines NAME: REASON, where NAME
is that of the program.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys

RESULT = re.compile(r"(not ok|ok)\b *(\d+)?(?: *- *| +)?(.*)")
PLAN = re.compile(r"1\.\.(\d+)(?:\s*#\s*SKIP\b\s*(.*))?", re.I)
DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL)\b:?\s*(.*)", re.I)


class Results:
    """What one program's output says, and what is wrong with it."""

    def __init__(self, name, text, status):
        self.name = name
        self.passed, self.failed, self.skipped = [], [], []
        self.plan = None
        self.numbers = []
        for line in text.splitlines():
            self.take(line.rstrip())
        self.judge(status)

    def take(self, line):
        if match := PLAN.fullmatch(line):
            self.take_plan(match)
        elif match := RESULT.fullmatch(line):
            self.take_result(match)
        elif line.startswith("Bail out!"):
            self.failed.append(line)

    def take_plan(self, match):
        if self.plan is not None:
            self.failed.append("a second plan")
        self.plan = int(match[1])
        if self.plan == 0 and match[2] is not None:
            self.skipped.append((self.name, match[2]))

    def take_result(self, match):
        verdict, number, rest = match.groups()
        self.numbers.append(int(number) if number else len(self.numbers) + 1)
        directive = DIRECTIVE.search(rest)
        what = DIRECTIVE.sub("", rest).strip() or f"test {self.numbers[-1]}"
        if verdict != "ok":
            self.failed.append(what)
        elif directive and directive[1].upper() == "SKIP":
            self.skipped.append((what, directive[2]))
        elif directive:
            self.failed.append(f"{what}: passed, but marked {directive[1]}")
        else:
            self.passed.append(what)

    def judge(self, status):
        """Find where output, plan and exit status do not fit each other."""
        if self.plan is None:
            self.failed.append("no plan: it did not get as far as a test")
        elif sorted(self.numbers) != list(range(1, self.plan + 1)):
            self.failed.append(f"planned 1..{self.plan}, got {len(self.numbers)} results"
                               " (or numbers that are wrong)")
        elif self.plan == 0 and not self.skipped:
            self.failed.append("no tests")
        if status == "0" or (status.isdecimal() and int(status) < 128 and self.failed):
            return
        self.failed.append({"timeout": "ran out of time",
                            "": "was interrupted"}.get(status, f"exit status {status}"))


def store(results, name, text, status):
    """Keep a program's output; @status is a number, or "timeout"."""
    tap = pathlib.Path(results) / f"{name}.tap"
    tap.parent.mkdir(parents=True, exist_ok=True)
    tap.write_text(text)
    tap.with_suffix(".status").write_text(f"{status}\n")


def execute(args, show):
    """Run the command: its output and its status as store() wants it."""
    with subprocess.Popen(args.command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors="replace", start_new_session=True) as child:
        def stop(*_):
            nonlocal late
            late = True
            os.killpg(child.pid, signal.SIGKILL)

        late = False
        lines = []
        signal.signal(signal.SIGALRM, stop)
        signal.alarm(args.timeout)
        try:
            for line in child.stdout:
                lines.append(line)
                if show:
                    print(line, end="", flush=True)
            status = child.wait()
        except BaseException:
            # Its own clean-up first, then whatever is left of it.
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                pass
            raise
        finally:
            signal.alarm(0)
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    status = 128 - status if status < 0 else status
    return "".join(lines), "timeout" if late else str(status)


def cmd_run(args):
    store(args.results, args.name, "", "")
    text, status = execute(args, show=True)
    store(args.results, args.name, text, status)
    return report(Results(args.name, text, status))


def cmd_cmd(args):
    print(f"{args.name} ...", flush=True)
    store(args.results, args.name, "", "")
    text, status = execute(args, show=False)
    log = pathlib.Path(args.results) / f"{args.name}.log"
    verdict = "ok" if status == "0" else "not ok"
    store(args.results, args.name, f"1..1\n{verdict} 1 {args.name}\n",
          "0" if status == "0" else "1")
    log.write_text(text)
    if status == "0":
        return 0
    print("".join(text.splitlines(keepends=True)[-30:]), end="")
    print(f"{args.name}: FAILED with status {status}, see {log}", flush=True)
    return 1


def cmd_add(args):
    text = pathlib.Path(args.file).read_text(errors="replace")
    store(args.results, args.name, text, args.status)
    return report(Results(args.name, text, args.status))


def report(results):
    for what in results.failed:
        print(f"{results.name}: FAILED: {what}", flush=True)
    return 1 if results.failed else 0


def load(directory):
    for tap in sorted(pathlib.Path(directory).rglob("*.tap")):
        status = tap.with_suffix(".status")
        name = str(tap.relative_to(directory).with_suffix(""))
        yield Results(name, tap.read_text(errors="replace"),
                      status.read_text().strip() if status.exists() else "")


def read_expected(path):
    if not path:
        return set()
    lines = (line.strip() for line in pathlib.Path(path).read_text().splitlines())
    return {tuple(part.strip() for part in line.split(":", 1))
            for line in lines if line and not line.startswith("#")}


def cmd_sum(args):
    sets = list(load(args.results))
    expected = read_expected(args.expected_skips)
    missing = set(args.require) - {one.name for one in sets}
    failed = [(one.name, what) for one in sets for what in one.failed]
    failed += [(name, "has no results") for name in sorted(missing)]
    passed = sum(len(one.passed) for one in sets)
    skipped = [(one.name, *skip) for one in sets for skip in one.skipped]
    unexpected = [skip for skip in skipped if (skip[0], skip[2]) not in expected]

    for name, what in failed:
        print(f"FAILED   {name}: {what}")
    for name, what, reason in skipped:
        kind = "UNEXPECTED SKIP" if (name, what, reason) in unexpected else "skipped"
        print(f"{kind}  {name}: {what}: {reason}")
    if not passed:
        print("nothing passed")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    return 0 if passed and not failed and not unexpected else 1


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    for verb, function in (("run", cmd_run), ("cmd", cmd_cmd)):
        sub = verbs.add_parser(verb)
        sub.set_defaults(function=function)
        sub.add_argument("--timeout", type=int, default=600)
        sub.add_argument("name")
        sub.add_argument("command", nargs="+")
    add = verbs.add_parser("add")
    add.set_defaults(function=cmd_add)
    add.add_argument("name")
    add.add_argument("file")
    add.add_argument("--status", default="0")
    total = verbs.add_parser("sum")
    total.set_defaults(function=cmd_sum)
    total.add_argument("--expected-skips")
    total.add_argument("--require", nargs="*", default=[])
    for sub in verbs.choices.values():
        sub.add_argument("--results", required=True)
    return parser.parse_args(argv)


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    args = parse_args(sys.argv[1:])
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return args.function(args)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"tap.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
