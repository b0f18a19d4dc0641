"""A review as JSON, by the schema `review.schema.json` beside this module."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files

from meshpact.contracts.report.model import relative
from meshpact.contracts.review.bump import Suggestion
from meshpact.contracts.review.model import Approval, Change, Impact, Review, Touch


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
        "semver": None if review.semver is None else semver(review.semver),
        "approvals": None
        if review.approvals is None
        else [_approval(each) for each in review.approvals],
        "findings": [finding(change) for change in review.changes],
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


def _approval(approval: Approval) -> dict[str, object]:
    demand = approval.demand
    return {
        "owners": list(demand.owners),
        "section": demand.section,
        "required": demand.required if demand.owners else 0,
        "optional": demand.optional,
        "findings": [change.id for change in approval.changes],
    }


def semver(suggestion: Suggestion) -> dict[str, object]:
    """The version that a change asks for."""
    following = suggestion.next
    return {
        "bump": suggestion.bump.value,
        "beforeOne": suggestion.bump.before_one.value,
        "current": "" if suggestion.current is None else str(suggestion.current),
        "next": "" if following is None else str(following),
        "because": [asdict(reason) for reason in suggestion.reasons],
    }


def finding(change: Change) -> dict[str, object]:
    """One finding."""
    told = change.finding
    found: dict[str, object] = {
        "id": change.id,
        "rule": told.rule,
        "class": change.delta.impact.value,
        "subject": told.subject,
        "part": change.delta.part,
        "message": told.message,
        "before": change.delta.before,
        "after": change.delta.after,
        "file": relative(told.file),
        "line": told.line,
        "column": told.column,
        "why": told.why,
        "remedy": told.remedy,
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
