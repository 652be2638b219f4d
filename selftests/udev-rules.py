#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does the example of udev rules fit what the driver sends?

  udev-rules.py RULES SOURCE...

The uevents are those that the driver's source has in it, VMCLOCK_EVENT=... and
what else begins with VMCLOCK_. For each the rules must do something, for others
nothing, and they may name no variable that is not sent. What of udev's language
the example does not use is not known here, and refused.
"""

import fnmatch
import pathlib
import re
import sys

TOKEN = re.compile(r'([A-Z]+)(?:\{(\w+)\})?(==|!=|\+=|:=|=)"([^"]*)"(?:, *|$)')
MATCHES = {"SUBSYSTEM", "KERNEL", "ACTION", "ENV"}
ACTIONS = {"RUN", "TAG", "ENV"}


class Wrong(Exception):
    """The rules are not what they should be."""


def parse_line(line):
    """The tokens of a rule: (key, attribute, operator, value)."""
    tokens, at = [], 0
    while at < len(line):
        match = TOKEN.match(line, at)
        if not match:
            raise Wrong(f"can't be read: {line[at:]}")
        key, _, operator, _ = match.groups()
        known = MATCHES if operator in ("==", "!=") else ACTIONS | {"GOTO", "LABEL"}
        if key not in known:
            raise Wrong(f"not known: {key}{operator}")
        tokens.append(match.groups())
        at = match.end()
    return tokens


def parse(text):
    return [parse_line(line.strip()) for line in text.splitlines()
            if line.strip() and line.lstrip()[0] != "#"]


def is_match(token, event):
    key, attribute, operator, pattern = token
    value = event.get(attribute if key == "ENV" else key, "")
    return fnmatch.fnmatchcase(value, pattern) == (operator == "==")


def follow(rules, event):
    """What the rules do about an event."""
    done, label = [], None
    for rule in rules:
        if label is not None and ("LABEL", None, "=", label) not in rule:
            continue
        label = None
        if not all(is_match(token, event) for token in rule if token[2] in ("==", "!=")):
            continue
        for token in rule:
            if token[0] == "GOTO":
                label = token[3]
            elif token[0] in ACTIONS and token[2] not in ("==", "!="):
                done.append(token)
    if label is not None:
        raise Wrong(f"no LABEL: {label}")
    return done


def names_used(rules):
    """The variables of events that rules look at."""
    for rule in rules:
        for key, attribute, operator, value in rule:
            if key == "ENV" and operator in ("==", "!="):
                yield attribute
            yield from re.findall(r"\$env\{(\w+)\}", value)


def check(rules, source):
    events = set(re.findall(r'"VMCLOCK_EVENT=(\w+)"', source))
    variables = set(re.findall(r'"(VMCLOCK_\w+)=', source))
    device = {"SUBSYSTEM": "misc", "KERNEL": "vmclock", "ACTION": "change"}
    if not {"disrupted", "generation"} <= events:
        raise Wrong(f"the driver sends {sorted(events)}?")
    if unknown := set(names_used(rules)) - variables:
        raise Wrong(f"the driver does not send {sorted(unknown)}")
    for event in sorted(events):
        for kernel in ("vmclock", "vmclock1"):
            if not follow(rules, device | {"KERNEL": kernel, "VMCLOCK_EVENT": event}):
                raise Wrong(f"nothing is done about {event} of {kernel}")
        for other in ({"ACTION": "add"}, {"SUBSYSTEM": "ptp"}, {"KERNEL": "loop-control"}):
            if follow(rules, device | {"VMCLOCK_EVENT": event} | other):
                raise Wrong(f"something is done about {event} of {other}")
    if follow(rules, device):
        raise Wrong("something is done about no event")


def main():
    rules, *sources = sys.argv[1:]
    try:
        check(parse(pathlib.Path(rules).read_text(encoding="utf-8")),
              "".join(pathlib.Path(path).read_text(encoding="utf-8") for path in sources))
    except Wrong as wrong:
        print(f"{rules}: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
