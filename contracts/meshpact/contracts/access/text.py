"""What the tools of access print for people: tables, steps, changes, and YAML to paste."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from meshpact.contracts.access.diff import Difference
from meshpact.contracts.access.explain import OPEN, Explanation
from meshpact.contracts.access.matrix import Cell, Grant, Matrix, Row
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.suggest import Suggestion, Unused
from meshpact.mesh.model import Mode, Subject
from meshpact.mesh.roles import closure

SIGNS: Final = {Grant.NO: ".", Grant.WITH: "u", Grant.OBSERVED: "o", Grant.YES: "x"}
LEGEND: Final = (
    "x may call   u with an end user whose roles suffice (a user or group: behind some workloads)"
    "   o refused by access, but only observed   . may not"
)
MAX_CALLERS: Final = 60
"""Columns of a table in a terminal."""


def matrix_text(matrix: Matrix) -> Iterator[str]:
    """A table for each service: its methods against the callers, which have numbers."""
    rows = matrix.rows[:MAX_CALLERS]
    width = len(str(len(rows)))
    for number, row in enumerate(rows, 1):
        yield f"{number:>{width}}  {row.name}"
    if len(rows) < len(matrix.rows):
        more = len(matrix.rows) - len(rows)
        yield f"and {more} callers more: --json has all of them, --caller picks some"
    longest = max((len(method.name.rpartition("/")[2]) for method in matrix.methods), default=0)
    for service, methods in groupby(matrix.methods, key=lambda method: method.service):
        yield ""
        yield service
        yield f"  {'':{longest}}  " + " ".join(f"{n:>{width}}" for n in range(1, len(rows) + 1))
        for method in methods:
            signs = (SIGNS[matrix.cell(row, method.name).grant] for row in rows)
            name = method.name.rpartition("/")[2]
            yield f"  {name:{longest}}  " + " ".join(f"{sign:>{width}}" for sign in signs)
    yield ""
    yield LEGEND


def matrix_markdown(matrix: Matrix) -> Iterator[str]:
    """A table of methods with those who may call them, for a page or a review."""
    yield "| method | may call | with an end user, or behind some workloads | only observed |"
    yield "|---|---|---|---|"
    for method in matrix.methods:
        by_grant = {
            grant: ", ".join(
                row.name for row in matrix.rows if matrix.cell(row, method.name).grant is grant
            )
            for grant in Grant
        }
        cells = (by_grant[grant] for grant in (Grant.YES, Grant.WITH, Grant.OBSERVED))
        yield f"| `{method.name}` | {' | '.join(cells)} |"


def matrix_json(matrix: Matrix) -> dict[str, object]:
    """The matrix; pairs that are not there may not."""
    return {
        "callers": [_row(row) for row in matrix.rows],
        "methods": [
            {"method": method.name, "place": str(method.place("access"))}
            for method in matrix.methods
        ],
        "grants": [
            {"caller": row.name, "method": method, **_cell(cell)}
            for (row, method), cell in matrix.cells.items()
            if cell.grant is not Grant.NO
        ],
    }


def explanation_text(explanation: Explanation) -> Iterator[str]:
    """Each step on a line, with the places that decided it below."""
    behind = f" for {explanation.user}" if explanation.user else ""
    yield f"{explanation.caller or 'nobody'}{behind} calls {explanation.method}"
    width = max(len(step.check) for step in explanation.steps)
    for step in explanation.steps:
        yield f"  {step.check:{width}}  {step.outcome:10}  {step.text}"
        for place in step.places:
            yield f"  {'':{width}}              {place}"
    decision = explanation.decision
    why = f": {decision.reason}" if decision.reason else ""
    left_open = dict.fromkeys(step.check for step in explanation.steps if step.outcome == OPEN)
    unless = f" (not judged: {', '.join(left_open)})" if left_open and decision.lets_in else ""
    yield f"{decision.decision}{why}{unless}"
    if decision.error is not None:
        yield f"  the caller is told: {decision.error.message}"


def explanation_json(explanation: Explanation) -> dict[str, object]:
    """The steps and the decision."""
    decision = explanation.decision
    return {
        "method": explanation.method,
        "caller": explanation.caller,
        "user": explanation.user,
        "decision": decision.decision,
        "reason": decision.reason,
        "code": decision.error.code.name if decision.error is not None else "",
        "message": decision.error.message if decision.error is not None else "",
        "steps": [
            {
                "check": step.check,
                "outcome": step.outcome,
                "reason": step.reason,
                "text": step.text,
                "places": [str(place) for place in step.places],
            }
            for step in explanation.steps
        ],
    }


def difference_text(found: Difference) -> Iterator[str]:
    """A line a change: + gains, - loses, ~ other conditions."""
    signs = {"gains": "+", "loses": "-", "changes": "~"}
    for change in found.changes:
        yield (
            f"{signs[change.kind]} {change.caller.name} {change.kind} {change.method} "
            f"({_words(change.before)} -> {_words(change.after)})"
        )
    for network in found.networks:
        yield f"~ {network.place}: {_listed(network.before)} -> {_listed(network.after)}"
    if not found:
        yield "nobody gains or loses anything"


def difference_json(found: Difference) -> dict[str, object]:
    """The changes."""
    return {
        "changes": [
            {
                "change": change.kind,
                "caller": _row(change.caller),
                "method": change.method,
                "before": _cell(change.before),
                "after": _cell(change.after),
            }
            for change in found.changes
        ],
        "networks": [
            {"place": each.place, "before": each.before, "after": each.after}
            for each in found.networks
        ],
    }


def suggestion_text(mesh: AccessMesh, found: Suggestion) -> Iterator[str]:
    """YAML to paste, and as comments what else is to be known.

    Bindings whose use the trail would hide stand in it, too: without them, calls would fail.
    """
    holders = {role: list(each) for role, each in found.roles.items()}
    for unused in found.unused:
        if unused.hidden:
            holders.setdefault(unused.held.role, []).append(unused.held.subject)
    roles = mesh.config.roles
    kept = {*holders, *(name for name, role in roles.items() if role.groups)}
    kept = kept.union(*(closure(name, roles) for name in kept & roles.keys()))
    yield "roles:" if kept else "roles: {}"
    for name in sorted(kept):
        yield f"  {name}: {{{', '.join(_role_parts(mesh, name, holders.get(name, ())))}}}"
    for unused in found.unused:
        held = unused.held
        what = f"{held.role} of {_name(mesh, held.holder)} ({held.place})"
        if unused.hidden:
            hidden = ", ".join(name.rpartition("/")[2] for name in unused.hidden)
            yield f"# kept, though no need is seen: {what}; {hidden} would not show one"
        else:
            yield f"# {'more than was used' if unused.seen else 'never used'}: {what}"
    for sentence in found.unexplained:
        yield f"# {sentence}"
    if found.blind:
        yield (
            "# Allowed calls of these leave no line, as they do not audit ALL; bindings for them "
            "cannot be suggested:"
        )
        yield from (f"#   {name}" for name in found.blind)


def suggestion_json(mesh: AccessMesh, found: Suggestion) -> dict[str, object]:
    """The bindings and what else is to be known."""
    return {
        "roles": {
            role: {
                "workloads": [_name(mesh, each) for each in holders if isinstance(each, str)],
                "users": [
                    {"issuer": each.issuer, "name": each.name}
                    for each in holders
                    if isinstance(each, Subject)
                ],
            }
            for role, holders in found.roles.items()
        },
        "unused": [_unused(mesh, each) for each in found.unused if not each.hidden],
        "kept": [_unused(mesh, each) for each in found.unused if each.hidden],
        "blind": list(found.blind),
        "unexplained": list(found.unexplained),
    }


def _unused(mesh: AccessMesh, unused: Unused) -> dict[str, object]:
    held = unused.held
    found: dict[str, object] = {
        "role": held.role,
        "holder": _name(mesh, held.holder),
        "place": str(held.place),
        "seen": unused.seen,
    }
    return {**found, "hidden": list(unused.hidden)} if unused.hidden else found


def _role_parts(mesh: AccessMesh, name: str, holders: Sequence[str | Subject]) -> Iterator[str]:
    role = mesh.config.roles.get(name)
    workloads = [_quoted(_name(mesh, each)) for each in holders if isinstance(each, str)]
    users = [each for each in holders if isinstance(each, Subject)]
    groups = [each for each in (role.groups if role else ()) if isinstance(each, Subject)]
    if workloads:
        yield f"workloads: [{', '.join(workloads)}]"
    for key, subjects in (("users", users), ("groups", groups)):
        if subjects:
            yield f"{key}: [{', '.join(_subjects(mesh, subjects))}]"
    if role is not None and role.includes:
        yield f"includes: [{', '.join(role.includes)}]"
    if role is not None and role.mode is Mode.OBSERVE:
        yield "mode: observe"


def _subjects(mesh: AccessMesh, subjects: Iterable[Subject]) -> Iterator[str]:
    several = len(mesh.config.issuers) > 1
    for each in subjects:
        name = _quoted(each.name)
        yield f"{{issuer: {_quoted(each.issuer)}, name: {name}}}" if several else name


def _name(mesh: AccessMesh, holder: str) -> str:
    return mesh.name_of(holder)


def _quoted(text: str) -> str:
    plain = text.replace("-", "").replace("_", "").isalnum() and text[0].isalpha()
    return (
        text
        if plain and text not in ("yes", "no", "on", "off", "true", "false", "null")
        else (json.dumps(text))
    )


def _row(row: Row) -> dict[str, str]:
    found = {"name": row.name, "kind": row.kind.value, "id": row.id}
    return {**found, "issuer": row.issuer} if row.issuer else found


def _cell(cell: Cell) -> dict[str, object]:
    found: dict[str, object] = {"grant": cell.grant.value}
    if cell.partners:
        found["with"] = list(cell.partners)
    return found


def _words(cell: Cell) -> str:
    return f"with {', '.join(cell.partners)}" if cell.grant is Grant.WITH else cell.grant.value


def _listed(cidrs: Sequence[str] | None) -> str:
    return "no list" if cidrs is None else ", ".join(cidrs) or "nothing"
