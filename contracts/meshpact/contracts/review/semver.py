"""The semantic version that a change of contracts asks for, and what decides it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from meshpact.contracts.image import Image
from meshpact.contracts.review.bump import Bump, Reason, Suggestion, Version
from meshpact.contracts.review.model import Change, Impact
from meshpact.contracts.review.surface import Addition, differs

ADDITIVE: Final = frozenset(
    {"method-added", "policy-added", "error-added", "error-metadata-added", "idempotency-granted"}
)
"""Notes that give callers something they had not; the other notes are patches."""
OF_MESH: Final = (
    "audit-kept",
    "binding-",
    "enforced",
    "federation-",
    "identity-",
    "issuer-",
    "limit-",
    "network-",
    "observed",
    "proxies",
    "trust-domain",
)
"""How rules begin that speak of mesh.yaml, which is no part of the contracts."""


def suggest(
    changes: Iterable[Change],
    added: Sequence[Addition],
    images: tuple[Image, Image],
    current: Version | None = None,
) -> Suggestion:
    """The highest number that any finding or addition moves; approvals change nothing about it.

    `images` are the old and the new one: what differs between them in any other way is a patch.
    """
    reasons: dict[Bump, list[Reason]] = {bump: [] for bump in Bump}
    for bump, reason in _reasons(changes, added):
        reasons[bump].append(reason)
    for bump in (Bump.MAJOR, Bump.MINOR, Bump.PATCH):
        if reasons[bump]:
            return Suggestion(bump, tuple(reasons[bump]), current)
    if differs(*images):
        words = Reason("words", "", "only comments, names or options changed that no caller sees")
        return Suggestion(Bump.PATCH, (words,), current)
    return Suggestion(Bump.NONE, (), current)


def bump_of(change: Change) -> Bump:
    """What one finding asks for."""
    if change.delta.rule.startswith(OF_MESH):
        return Bump.NONE
    if change.delta.impact is Impact.BREAKS:
        return Bump.MAJOR
    if change.delta.impact is Impact.WIDENS or change.delta.rule in ADDITIVE:
        return Bump.MINOR
    return Bump.PATCH


def _reasons(changes: Iterable[Change], added: Sequence[Addition]) -> Iterator[tuple[Bump, Reason]]:
    for change in changes:
        delta = change.delta
        yield bump_of(change), Reason(delta.rule, change.subject, delta.message, change.id)
    for each in added:
        yield Bump.MINOR, Reason("added", each.name, f"{each.kind} is new")
