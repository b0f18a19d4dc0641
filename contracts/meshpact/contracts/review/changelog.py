"""`meshpact review --log`: what a range of commits did to contracts, commit by commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from meshpact.contracts.access.methods import Overlay
from meshpact.contracts.faults import Place
from meshpact.contracts.review.bump import Bump, Suggestion, Version
from meshpact.contracts.review.compare import State, compare
from meshpact.contracts.review.gitobjects import Commit, Repository
from meshpact.contracts.review.history import History
from meshpact.contracts.review.model import Change, Unreadable
from meshpact.contracts.review.ranges import Range, commits_of
from meshpact.contracts.review.semver import suggest
from meshpact.contracts.review.sides import Asked
from meshpact.contracts.review.surface import Addition, additions


@dataclass(frozen=True)
class Difference:
    """What is between two states."""

    changes: tuple[Change, ...]
    added: tuple[Addition, ...]
    semver: Suggestion


@dataclass(frozen=True)
class Entry:
    """What one commit did, or the `fault` for which its contracts cannot be read."""

    commit: Commit
    did: Difference | None = None
    fault: str = ""


@dataclass(frozen=True)
class Log:
    """The changelog of a range, the youngest commit first. `since` and `until` are for people."""

    since: str
    until: str
    entries: tuple[Entry, ...]
    semver: Suggestion | None
    """What the range as a whole asks for; None where an end of it cannot be read."""
    looked_at: int
    """Commits in the range."""
    remarks: tuple[str, ...] = ()


def changelog(
    text: str, asked: Asked, category: str, built_in: Overlay, current: Version | None = None
) -> Log:
    """The changelog of the range `A..B`; `category` is one of buf breaking. Raises WrongUse."""
    repository = Repository.around(next((p for p in asked.protos if p.exists()), asked.protos[0]))
    span = commits_of(repository, text)
    remarks: list[str] = []
    if span.forked:
        remarks.append(
            f"{span.names[0]} is not part of {span.names[1]}: the log begins where both went their "
            f"ways, at {span.base[:12]}"
        )
    with History(repository, asked, built_in) as history:
        entries = tuple(_entries(history, span, category))
        try:
            semver = _whole(history, span, category, current)
        except Unreadable as error:
            semver = None
            remarks.append(f"no version can be suggested: {str(error).splitlines()[0]}")
        remarks += history.remarks
    if asked.mesh is None:
        remarks.append("no mesh.yaml was given: who gains and who loses is not known (--mesh)")
    count = len(span.commits)
    return Log(*span.names, tuple(reversed(entries)), semver, count, tuple(remarks))


def _entries(history: History, span: Range, category: str) -> Iterator[Entry]:
    """The commits that change a contract, each held against the last one that could be read."""
    ids = [span.before, *(commit.id for commit in span.commits)]
    keys = history.keys(ids)
    with contextlib.ExitStack() as all_:
        held = all_.enter_context(contextlib.ExitStack())
        last: State | None = None
        with contextlib.suppress(Unreadable):
            if any(key != keys[0] for key in keys):
                last = held.enter_context(history.state(span.before))
        for commit, key, before in zip(span.commits, keys[1:], keys, strict=False):
            if key == before:
                continue
            fresh = all_.enter_context(contextlib.ExitStack())
            try:
                state = fresh.enter_context(history.state(commit.id))
            except Unreadable as error:
                yield Entry(commit, fault=str(error))
                continue
            if last is None:
                yield Entry(commit, fault="can be read, and nothing before it: not compared")
            else:
                did = _difference(last, state, category)
                if did.changes or did.semver.bump is not Bump.NONE:
                    yield Entry(commit, did)
            held.close()
            held, last = fresh, state


def _whole(history: History, span: Range, category: str, current: Version | None) -> Suggestion:
    before, after = history.keys([span.base, span.until])
    if before == after:
        return Suggestion(Bump.NONE, (), current)
    with history.state(span.base) as old, history.state(span.until) as new:
        return replace(_difference(old, new, category).semver, current=current)


def _difference(old: State, new: State, category: str) -> Difference:
    found = compare(old, new, category)
    added = list(additions(old.side.image, new.side.image, found.pairs.messages))
    semver = suggest(found.changes, added, (old.side.image, new.side.image))

    def shown(place: Place) -> Place:
        """As the commit's own tree has it."""
        for side in (old.side, new.side):
            place = side.show(place)
            place = replace(place, file=place.file.removeprefix(f"{side.name}:"))
        return place

    return Difference(
        tuple(replace(each, place=shown(each.place)) for each in found.changes),
        tuple(replace(each, place=shown(each.place)) for each in added),
        semver,
    )
