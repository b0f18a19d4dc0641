"""Findings as lines of Markdown: what is the same for several methods stands in one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshpact.contracts.report.model import relative
from meshpact.contracts.review.model import Change, Impact, Touch
from meshpact.contracts.review.touches import sentence

TITLES: Final = {
    Impact.BREAKS: "breaks callers",
    Impact.WIDENS: "widens access",
    Impact.NOTE: "note",
}
WIDEST_CELL: Final = 600
"""Characters of one message in a table."""
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#~])")
_MENTION: Final = re.compile(r"(?<!\w)@(?=\w)")


@dataclass(frozen=True)
class Line:
    """Findings that say the same of several subjects."""

    changes: Sequence[Change]

    @property
    def first(self) -> Change:
        """One of them, for what they share."""
        return self.changes[0]

    @property
    def what(self) -> str:
        """Whom it is about, and what is said."""
        message = self.first.delta.message
        cut = message if len(message) <= WIDEST_CELL else f"{message[:WIDEST_CELL]} ..."
        return f"{self._subject}{plain(cut)}"

    @property
    def who(self) -> str:
        """Whom it touches; "" for nobody that is known."""
        touched = dict.fromkeys(each for change in self.changes for each in change.touched)
        return plain(sentence(replace(self.first, touched=_merged(list(touched)))))

    @property
    def place(self) -> str:
        """Where the first of them stands; "" for nowhere."""
        finding = self.first.finding
        if not finding.file:
            return ""
        line = f":{finding.line}" if finding.line else ""
        return code(f"{relative(finding.file)}{line}")

    @property
    def _subject(self) -> str:
        names = list(dict.fromkeys(change.subject for change in self.changes if change.subject))
        if not names:
            return f"{self.first.delta.rule}: "
        if len(names) == 1:
            return f"{code(short(names[0]))}: "
        service = names[0].rpartition("/")[0].rpartition(".")[2]
        methods = ", ".join(code(name.rpartition("/")[2]) for name in names[:4])
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        return f"{code(service)}: {methods}{more}: "


def grouped(changes: Sequence[Change]) -> list[Line]:
    """One line for what is the same in several methods of a service, worst first."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        delta = change.delta
        whose = change.subject.rpartition("/")[0] or change.subject or change.place
        key = (delta.rule, delta.impact, delta.message, whose, change.needs_approval)
        groups.setdefault(key, []).append(change)
    return [Line(each) for each in groups.values()]


def short(name: str) -> str:
    """`InventoryService/GetStock`, `StockLine.sku`: enough for those who know the package."""
    if "/" in name:
        return name[name.rpartition("/")[0].rfind(".") + 1 :]
    parts = name.split(".")
    first = next((index for index, part in enumerate(parts) if part[:1].isupper()), 0)
    return ".".join(parts[first:])


def plain(text: str) -> str:
    """A text that Markdown shows as it is, in one line; what does not print becomes a `?`, and
    nobody is called by an `@`."""
    escaped = _SPECIAL.sub(r"\\\1", _printable(text).replace("&", "&amp;"))
    return _MENTION.sub("@&#8203;", escaped)


def code(text: str) -> str:
    """A text as code, also in a table."""
    shown = _printable(text).replace("`", "'").replace("|", r"\|")
    return f"`{shown}`"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def count(number: int, what: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _merged(touched: Sequence[Touch]) -> tuple[Touch, ...]:
    """Each caller once a kind, their calls summed up."""
    found: dict[tuple[str, ...], Touch] = {}
    for each in touched:
        about = {"deadline": each.text, "uses": each.method or each.text}.get(each.kind, "")
        key = (each.kind, each.who, about)
        known = found.get(key)
        if known is None:
            found[key] = each
        elif each.kind == "calls" and each.who:
            count = known.count + each.count
            text = f"{each.who} called them {count:,} times"
            found[key] = Touch(each.kind, each.who, "", text, count)
    return tuple(found.values())
