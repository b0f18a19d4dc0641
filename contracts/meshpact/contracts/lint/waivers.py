"""Waivers: comments in a contract that set a rule aside for one thing, with the reason.

    // meshpact:lint-ignore MP171 because partners send names of any length
    string name = 1;

A waiver stands in the comment above what it is for, or behind it on its line. It covers all that is
inside: above a message its fields, above `syntax` the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

MARK: Final = "meshpact:lint-ignore"
_WAIVER: Final = re.compile(
    rf"(?P<before>.*?)//\s*{MARK}(?![\w-])[ \t]*(?P<rule>\S+)?[ \t]*(?P<because>because\b)?"
    r"[ \t]*(?P<reason>.*)"
)
_SYNTAX: Final = (12,)
_EDITION: Final = (14,)


@dataclass
class Waiver:
    """One waiver: where it stands, and the lines (from 1, both included) that it covers."""

    rule: str
    reason: str
    line: int
    column: int
    alone: bool
    """Whether its line holds nothing else."""
    first: int
    last: int
    used: bool = field(default=False)

    def covers(self, rule: str, line: int) -> bool:
        """Whether a finding at a line is waived."""
        return rule == self.rule and self.first <= line <= self.last


def waivers_of(file: FileDescriptorProto, text: str) -> list[Waiver]:
    """The waivers in the text of a file."""
    if MARK not in text:
        return []
    lines = text.split("\n")
    spans = _Spans(file, len(lines))
    return list(_waivers(lines, spans))


def _waivers(lines: list[str], spans: _Spans) -> Iterator[Waiver]:
    for number, line in enumerate(lines, 1):
        match = _WAIVER.fullmatch(line.rstrip("\r"))
        if match is None:
            continue
        alone = not match["before"].strip()
        target = _next_statement(lines, number) if alone else number
        first, last = spans.starting(target) if alone else spans.around(target)
        yield Waiver(
            rule=match["rule"] or "",
            reason=match["reason"].strip() if match["because"] else "",
            line=number,
            column=line.index("//", len(match["before"])) + 1,
            alone=alone,
            first=first,
            last=last,
        )


def _next_statement(lines: list[str], number: int) -> int:
    for following in range(number, len(lines)):
        text = lines[following].strip()
        if text and not text.startswith("//"):
            return following + 1
    return number


class _Spans:
    """The lines that the things of a file take."""

    def __init__(self, file: FileDescriptorProto, lines: int) -> None:
        self._lines = lines
        self._spans: list[tuple[int, int]] = []
        self._head = 0
        for location in file.source_code_info.location:
            span = location.span
            first, last = span[0] + 1, (span[2] if len(span) == 4 else span[0]) + 1
            if not location.path:
                continue
            self._spans.append((first, last))
            if tuple(location.path) in (_SYNTAX, _EDITION):
                self._head = first

    def starting(self, line: int) -> tuple[int, int]:
        """What the largest thing takes that begins on a line; the file for its `syntax`."""
        if line == self._head:
            return 1, self._lines
        ends: Iterable[int] = (last for first, last in self._spans if first == line)
        return line, max(ends, default=line)

    def around(self, line: int) -> tuple[int, int]:
        """What the smallest thing takes that ends on a line."""
        spans = [span for span in self._spans if span[1] == line]
        return max(spans, key=lambda span: (span[0] == line, span[0]), default=(line, line))
