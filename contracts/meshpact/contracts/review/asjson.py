"""A review as JSON, by the schema `review.schema.json` beside this module."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files

from meshpact.contracts.report.model import relative
from meshpact.contracts.review.model import Change, Impact, Review, Touch


def write(review: Review) -> str:
    """One JSON object."""
    content = {
        "version": 1,
        "tool": "meshpact",
        "toolVersion": version("meshpact"),
        "command": "review",
        "against": review.against,
        "head": review.head,
        "needsApproval": review.needs_approval,
        "counts": counts(review),
        "findings": [_finding(change) for change in review.changes],
        "staleWaivers": list(review.stale),
        "remarks": list(review.remarks),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def schema() -> str:
    """The JSON Schema (draft 2020-12) of what `write` writes."""
    return (
        files("meshpact.contracts.review")
        .joinpath("review.schema.json")
        .read_text(encoding="utf-8")
    )


def counts(review: Review) -> dict[str, int]:
    """How many findings there are of each class, waived ones apart."""
    found = {impact.value: len(review.of(impact)) for impact in Impact}
    return {**found, "waived": sum(1 for change in review.changes if change.waiver is not None)}


def _finding(change: Change) -> dict[str, object]:
    finding = change.finding
    found: dict[str, object] = {
        "id": change.id,
        "rule": finding.rule,
        "class": change.delta.impact.value,
        "subject": finding.subject,
        "part": change.delta.part,
        "message": finding.message,
        "before": change.delta.before,
        "after": change.delta.after,
        "file": relative(finding.file),
        "line": finding.line,
        "column": finding.column,
        "why": finding.why,
        "remedy": finding.remedy,
        "touched": [_touch(each) for each in change.touched],
    }
    if change.waiver is not None:
        found["waiver"] = asdict(change.waiver)
    return found


def _touch(touch: Touch) -> dict[str, object]:
    found: dict[str, object] = {
        "kind": touch.kind,
        "who": touch.who,
        "method": touch.method,
        "text": touch.text,
    }
    return {**found, "count": touch.count} if touch.kind == "calls" else found
