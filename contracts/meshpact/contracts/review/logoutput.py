"""A changelog of contracts as Markdown, and as JSON by the schema `log.schema.json` beside this
module."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from meshpact.contracts.report.model import relative
from meshpact.contracts.review.areas import Area, area_of
from meshpact.contracts.review.asjson import finding, semver
from meshpact.contracts.review.changelog import Difference, Entry, Log
from meshpact.contracts.review.lines import TITLES, count, grouped, plain, short
from meshpact.contracts.review.markdown import version as version_line
from meshpact.contracts.review.model import Impact
from meshpact.contracts.review.surface import Addition


def schema() -> str:
    """The JSON Schema (draft 2020-12) of a log as JSON."""
    return (
        files("meshpact.contracts.review").joinpath("log.schema.json").read_text(encoding="utf-8")
    )


def _json(log: Log) -> str:
    content = {
        "version": 1,
        "tool": "meshpact",
        "toolVersion": version("meshpact"),
        "command": "review --log",
        "since": log.since,
        "until": log.until,
        "commitsLookedAt": log.looked_at,
        "semver": None if log.semver is None else semver(log.semver),
        "commits": [_commit(entry) for entry in log.entries],
        "remarks": list(log.remarks),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _commit(entry: Entry) -> dict[str, object]:
    commit, did = entry.commit, entry.did
    changes = () if did is None else did.changes
    return {
        "commit": commit.id,
        "parents": list(commit.parents),
        "merge": len(commit.parents) > 1,
        "author": commit.author,
        "date": commit.date,
        "subject": commit.subject,
        "fault": entry.fault,
        "semver": None if did is None else semver(did.semver),
        **{
            area.value: [finding(change) for change in changes if area_of(change) is area]
            for area in Area
        },
        "added": [] if did is None else [_addition(each) for each in did.added],
    }


def _addition(each: Addition) -> dict[str, object]:
    place = each.place
    return {
        "kind": each.kind,
        "name": each.name,
        "file": relative(place.file),
        "line": place.line,
        "column": place.column,
    }


def _markdown(log: Log) -> str:
    return "\n".join([*_head(log), *(line for entry in log.entries for line in _entry(entry))])


def _head(log: Log) -> Iterator[str]:
    yield f"# Contracts from {plain(log.since)} to {plain(log.until)}"
    yield ""
    if log.semver is not None:
        yield f"- {version_line(log.semver)}"
    verb = "changes" if len(log.entries) == 1 else "change"
    yield f"- {len(log.entries)} of {count(log.looked_at, 'commit')} {verb} contracts"
    for remark in log.remarks:
        yield f"- {plain(remark)}"
    yield ""


def _entry(entry: Entry) -> Iterator[str]:
    commit = entry.commit
    yield f"## `{commit.id[:12]}` {plain(commit.subject)}"
    yield ""
    facts = [commit.date[:10], plain(commit.author)]
    if len(commit.parents) > 1:
        facts.append("merges " + ", ".join(f"`{parent[:12]}`" for parent in commit.parents[1:]))
    if entry.did is not None:
        facts.append(f"**{entry.did.semver.bump.value}**")
    yield " · ".join(facts)
    yield ""
    if entry.fault:
        yield "The contracts of this commit are not compared:"
        yield ""
        yield from (f"    {line}" for line in entry.fault.splitlines())
    if entry.did is not None:
        yield from _did(entry.did)
    yield ""


def _did(did: Difference) -> Iterator[str]:
    for area in Area:
        for line in grouped([change for change in did.changes if area_of(change) is area]):
            impact = line.first.delta.impact
            title = "" if impact is Impact.NOTE else f" **{TITLES[impact]}**:"
            who = f" ({line.who})" if line.who else ""
            yield f"- {area.value}:{title} {line.what}{who}"
        if area is Area.WIRE:
            yield from _new(did.added)
    if not did.changes and not did.added:
        yield "- only comments, names or options that no caller sees"


def _new(added: Sequence[Addition]) -> Iterator[str]:
    """A line for each kind of thing."""
    for kind in dict.fromkeys(each.kind for each in added):
        names = [f"`{short(each.name)}`" for each in added if each.kind == kind]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"- {Area.WIRE.value}: new {kind}: {', '.join(names[:NAMED])}{more}"


NAMED: Final = 6
"""New things that are named in one line."""
WRITERS: Final[Mapping[str, Callable[[Log], str]]] = {"markdown": _markdown, "json": _json}
"""The forms of a log."""
