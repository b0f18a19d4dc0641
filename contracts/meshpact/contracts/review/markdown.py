"""A review as a comment on a pull request: the verdict, the few lines that matter, all the rest
folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshpact.contracts.report.model import relative
from meshpact.contracts.review.model import Change, Impact, Review, Touch
from meshpact.contracts.review.touches import sentence

TOP: Final = 8
"""Lines above the fold."""
LONGEST: Final = 60_000
"""Characters; GitHub takes 65,536 in a comment."""
_TITLES: Final = {
    Impact.BREAKS: "breaks callers",
    Impact.WIDENS: "widens access",
    Impact.NOTE: "note",
}
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#~])")


@dataclass(frozen=True)
class _Line:
    """Findings that say the same of several subjects."""

    changes: Sequence[Change]

    @property
    def first(self) -> Change:
        return self.changes[0]


def write(review: Review) -> str:
    """The comment, short enough for GitHub."""
    head = list(_head(review))
    tail = list(_tail(review))
    folded: list[str] = []
    room = LONGEST - sum(len(line) + 1 for line in (*head, *tail))
    lines = list(_all(review))
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            rest = sum(1 for each in lines[number:] if each.startswith("| "))
            folded.append(f"| | and {rest} more: `meshpact review --format json` has all | | |")
            break
        folded.append(line)
    return "\n".join([*head, *_fold(review, folded), *tail, ""])


def verdict(review: Review) -> str:
    """One sentence: what the change does, in counts."""
    breaks, widens = len(review.of(Impact.BREAKS)), len(review.of(Impact.WIDENS))
    waived = sum(1 for change in review.changes if change.waiver is not None)
    parts = [
        f"{_count(breaks, 'finding')} {'breaks' if breaks == 1 else 'break'} callers"
        if breaks
        else "",
        f"{_count(widens, 'finding')} {'widens' if widens == 1 else 'widen'} access"
        if widens
        else "",
        f"{_count(waived, 'finding')} approved on file" if waived else "",
    ]
    text = ", ".join(part for part in parts if part)
    if review.needs_approval:
        return f"needs approval: {text}"
    return f"nothing to approve{f' ({text})' if text else ''}"


def _head(review: Review) -> Iterator[str]:
    yield f"### Contract review: {verdict(review)}"
    yield ""
    lines = [line for line in _grouped(review.changes) if line.first.needs_approval]
    if lines:
        yield "| | what | who | where |"
        yield "|---|---|---|---|"
        for line in lines[:TOP]:
            impact = _TITLES[line.first.delta.impact]
            where = _place(line.first)
            yield f"| **{impact}** | {_what(line)} | {_who(line)} | {where} |"
        if len(lines) > TOP:
            yield f"| | and {len(lines) - TOP} more below | | |"
        yield ""
    for stale in review.stale:
        yield f"- **{_plain(stale)}**"
    for remark in review.remarks:
        yield f"- {_plain(remark)}"
    if review.stale or review.remarks:
        yield ""


def _fold(review: Review, lines: Sequence[str]) -> Iterator[str]:
    if not review.changes:
        return
    yield f"<details><summary>All {_count(len(review.changes), 'finding')}</summary>"
    yield ""
    yield "| class | what | where | ID |"
    yield "|---|---|---|---|"
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _all(review: Review) -> Iterator[str]:
    for change in review.changes:
        impact = _TITLES[change.delta.impact]
        if change.waiver is not None:
            waiver = change.waiver
            by = f"approved by {waiver.owner} until {waiver.expires}: {waiver.reason}"
            impact += f"; {_plain(by)}"
        who = sentence(change)
        what = _what(_Line([change])) + (f" ({_plain(who)})" if who else "")
        yield f"| {impact} | {what} | {_place(change)} | `{change.id}` |"


def _tail(review: Review) -> Iterator[str]:
    yield f"Compared with {_plain(review.against)}."


def _grouped(changes: Sequence[Change]) -> list[_Line]:
    """One line for what is the same in several methods of a service, worst first."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        delta = change.delta
        whose = change.subject.rpartition("/")[0] or change.subject or change.place
        key = (delta.rule, delta.impact, delta.message, whose, change.needs_approval)
        groups.setdefault(key, []).append(change)
    return [_Line(each) for each in groups.values()]


def _what(line: _Line) -> str:
    change = line.first
    return f"{_subject(line)}{_plain(change.delta.message)}"


def _subject(line: _Line) -> str:
    names = list(dict.fromkeys(change.subject for change in line.changes if change.subject))
    if not names:
        return f"{line.first.delta.rule}: "
    if len(names) == 1:
        return f"`{_short(names[0])}`: "
    service = names[0].rpartition("/")[0].rpartition(".")[2]
    methods = ", ".join(f"`{name.rpartition('/')[2]}`" for name in names[:4])
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"`{service}`: {methods}{more}: "


def _short(name: str) -> str:
    """`InventoryService/GetStock`, `StockLine.sku`: enough for those who know the package."""
    if "/" in name:
        return name[name.rpartition("/")[0].rfind(".") + 1 :]
    parts = name.split(".")
    first = next((index for index, part in enumerate(parts) if part[:1].isupper()), 0)
    return ".".join(parts[first:])


def _who(line: _Line) -> str:
    touched = dict.fromkeys(each for change in line.changes for each in change.touched)
    return _plain(sentence(replace(line.first, touched=_merged(list(touched)))))


def _merged(touched: Sequence[Touch]) -> tuple[Touch, ...]:
    """Each caller once a kind, their calls summed up."""
    found: dict[tuple[str, ...], Touch] = {}
    for each in touched:
        key = (each.kind, each.who, each.text if each.kind == "deadline" else "")
        known = found.get(key)
        if known is None:
            found[key] = each
        elif each.kind == "calls" and each.who:
            count = known.count + each.count
            text = f"{each.who} called them {count:,} times"
            found[key] = Touch(each.kind, each.who, "", text, count)
    return tuple(found.values())


def _place(change: Change) -> str:
    place = change.finding
    if not place.file:
        return ""
    line = f":{place.line}" if place.line else ""
    return f"`{relative(place.file)}{line}`"


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
