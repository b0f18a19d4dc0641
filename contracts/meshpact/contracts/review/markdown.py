"""A review as a comment on a pull request: the verdict, the few lines that matter, all the rest
folded."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from meshpact.contracts.review.bump import Bump, Suggestion
from meshpact.contracts.review.codeowners import Demand
from meshpact.contracts.review.lines import TITLES, Line, code, count, grouped, plain, short
from meshpact.contracts.review.model import Approval, Impact, Review
from meshpact.contracts.review.touches import sentence

TOP: Final = 8
"""Lines above the fold."""
REASONS: Final = 3
"""Findings that are named as deciding a version."""
WIDEST: Final = 160
"""Characters of each of them."""
LONGEST: Final = 60_000
"""Characters; GitHub takes 65,536 in a comment."""


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
        f"{count(breaks, 'finding')} {'breaks' if breaks == 1 else 'break'} callers"
        if breaks
        else "",
        f"{count(widens, 'finding')} {'widens' if widens == 1 else 'widen'} access"
        if widens
        else "",
        f"{count(waived, 'finding')} approved on file" if waived else "",
    ]
    text = ", ".join(part for part in parts if part)
    if review.needs_approval:
        return f"needs approval: {text}"
    return f"nothing to approve{f' ({text})' if text else ''}"


def version(suggestion: Suggestion) -> str:
    """One sentence: the version that the change asks for, and why."""
    bump, following = suggestion.bump, suggestion.next
    early = f" (before 1.0: {bump.before_one.value})" if bump.before_one is not bump else ""
    text = f"Version: **{bump.value}**{early}"
    if following is not None:
        text = f"Version: **{following}** after {suggestion.current} ({bump.value})"
    if bump is Bump.NONE:
        return f"{text}: the contracts are the same"
    told = list(_reasons(suggestion))
    more = f"; and {len(told) - REASONS} more" if len(told) > REASONS else ""
    return f"{text}: {'; '.join(told[:REASONS])}{more}"


def _reasons(suggestion: Suggestion) -> Iterator[str]:
    """A text for what is said alike, with its first subject."""
    subjects: dict[str, list[str]] = {}
    for reason in suggestion.reasons:
        subjects.setdefault(reason.message, []).append(reason.subject)
    for message, names in subjects.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        subject = f"{code(short(names[0]))}{more}: " if names[0] else ""
        yield f"{subject}{plain(textwrap.shorten(message[: 2 * WIDEST], WIDEST).rstrip('.'))}"


def _head(review: Review) -> Iterator[str]:
    yield f"### Contract review: {verdict(review)}"
    yield ""
    lines = [line for line in grouped(review.changes) if line.first.needs_approval]
    if lines:
        yield "| | what | who | where |"
        yield "|---|---|---|---|"
        for line in lines[:TOP]:
            impact = TITLES[line.first.delta.impact]
            where = line.place
            yield f"| **{impact}** | {line.what} | {line.who} | {where} |"
        if len(lines) > TOP:
            yield f"| | and {len(lines) - TOP} more below | | |"
        yield ""
    if review.approvals:
        yield "| who approves | findings |"
        yield "|---|---|"
        for approval in review.approvals[:TOP]:
            yield f"| {_owners(approval.demand)} | {_owned(approval)} |"
        if len(review.approvals) > TOP:
            yield f"| and {len(review.approvals) - TOP} more | `--format json` has all |"
        yield ""
    for stale in review.stale[:TOP]:
        yield f"- **{plain(stale)}**"
    if len(review.stale) > TOP:
        yield f"- **and {len(review.stale) - TOP} more waivers that are out of date**"
    for remark in review.remarks:
        yield f"- {plain(remark)}"
    if review.semver is not None:
        yield f"- {version(review.semver)}"
    if review.stale or review.remarks or review.semver is not None:
        yield ""


def _owners(demand: Demand) -> str:
    """In code, so that nobody is called by a comment."""
    if not demand.owners:
        return "nobody owns these files"
    names = " or ".join(f"`{name.replace('`', '')}`" for name in demand.owners)
    several = f", {demand.required} of them" if demand.required > 1 else ""
    optional = ", optional" if demand.optional else ""
    section = f" ({plain(demand.section)})" if demand.section else ""
    return f"{names}{section}{several}{optional}"


def _owned(approval: Approval) -> str:
    lines = [line.what for line in grouped(approval.changes)]
    short_ = "; ".join(_cut(line) for line in lines[:REASONS])
    return f"{short_}; and {len(lines) - REASONS} more" if len(lines) > REASONS else short_


def _cut(line: str) -> str:
    """A line of Markdown of some words less, no code left open."""
    cut = textwrap.shorten(line[: 4 * WIDEST], WIDEST)
    return f"{cut}`" if cut.replace("\\`", "").count("`") % 2 else cut


def _fold(review: Review, lines: Sequence[str]) -> Iterator[str]:
    if not review.changes:
        return
    yield f"<details><summary>All {count(len(review.changes), 'finding')}</summary>"
    yield ""
    yield "| class | what | where | ID |"
    yield "|---|---|---|---|"
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _all(review: Review) -> Iterator[str]:
    for change in review.changes:
        impact = TITLES[change.delta.impact]
        if change.waiver is not None:
            waiver = change.waiver
            by = f"approved by {waiver.owner} until {waiver.expires}: {waiver.reason}"
            impact += f"; {plain(by)}"
        who = sentence(change)
        what = Line([change]).what + (f" ({plain(who)})" if who else "")
        yield f"| {impact} | {what} | {Line([change]).place} | `{change.id}` |"


def _tail(review: Review) -> Iterator[str]:
    yield f"Compared with {plain(review.against)}."
