"""Findings less what is waived, and what is wrong with the waivers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from meshpact.contracts.findings import Finding
from meshpact.contracts.image import Image
from meshpact.contracts.lint import waiverrules
from meshpact.contracts.lint.model import LintRule
from meshpact.contracts.lint.prose import is_reason
from meshpact.contracts.lint.waivers import MARK, Waiver, waivers_of
from meshpact.contracts.lint.walk import Found
from meshpact.mesh.reader import closest

Waivers = Mapping[str, Sequence[Waiver]]
"""By the path of the file."""


def read_waivers(image: Image) -> dict[str, list[Waiver]]:
    """The waivers in the sources of an image's own files."""
    found: dict[str, list[Waiver]] = {}
    for file in image.own_files:
        source = image.own[file.name]
        data = source.read_bytes() if source is not None else b""
        if MARK.encode() in data:
            found[str(source)] = waivers_of(file, data.decode("utf-8", errors="replace"))
    return found


def waived(findings: Iterable[Found], waivers: Waivers) -> Iterator[Found]:
    """The findings that no waiver covers; the waivers that cover one are marked as used."""
    for found in findings:
        finding = found.finding
        covering = [
            waiver
            for waiver in waivers.get(finding.file, ())
            if waiver.covers(finding.rule, finding.line)
        ]
        for waiver in covering:
            waiver.used = True
        if not any(is_reason(waiver.reason) for waiver in covering):
            yield found


def faults_of(waivers: Waivers, known: Collection[str], ran: Collection[str]) -> Iterator[Found]:
    """What is wrong with waivers. `ran` are the rules that looked: only they can have found
    nothing."""
    for file, entries in waivers.items():
        for waiver in entries:
            if waiver.rule not in known:
                near = closest(waiver.rule, known, "See meshpact lint --rules")
                message = f"there is no rule {waiver.rule!r}" if waiver.rule else "it names no rule"
                yield _found(waiverrules.UNKNOWN, file, waiver, message, near)
            elif not is_reason(waiver.reason):
                message = (
                    f"{waiver.reason!r} is no reason" if waiver.reason else "it gives no reason"
                )
                remedy = f"write // {MARK} {waiver.rule} because ... in some words"
                yield _found(waiverrules.REASON, file, waiver, message, remedy)
            elif not waiver.used and waiver.rule in ran:
                message = f"{waiver.rule} finds nothing here"
                yield _found(waiverrules.UNUSED, file, waiver, message, "take it out", waiver.line)


def _found(
    rule: LintRule, file: str, waiver: Waiver, message: str, remedy: str, delete: int = 0
) -> Found:
    finding = Finding(
        rule=rule.id,
        severity=rule.severity,
        file=file,
        line=waiver.line,
        column=waiver.column,
        message=message,
        why=rule.why,
        remedy=remedy,
        subject="",
    )
    return Found(finding, delete)
