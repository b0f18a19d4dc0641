"""What one server bears, whose workloads are known, and how long trails are kept: the rest of
mesh.yaml that decides about calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.access.matrix import Grant, Kind, matrix_of, rows_of
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.mesh.model import Limits


@dataclass(frozen=True)
class _Limit:
    """A limit in words; `lowered` and `raised` are what that means. With `running`, lowering it
    matters to methods whose calls last longer."""

    words: str
    lowered: Impact
    raised: Impact
    running: bool = False


_MORE: Final = Impact.WIDENS
_LIMITS: Final = {
    "max_metadata_bytes": _Limit("bytes of metadata", Impact.BREAKS, _MORE),
    "max_concurrent_streams": _Limit("calls at once on one connection", Impact.BREAKS, _MORE),
    "max_connections": _Limit("connections at once", Impact.BREAKS, _MORE),
    "max_connection_age": _Limit("s until a connection takes no call", Impact.NOTE, Impact.NOTE),
    "max_connection_age_grace": _Limit(
        "s for calls on a connection that is too old", Impact.BREAKS, Impact.NOTE, True
    ),
    "max_connection_idle": _Limit("s for an idle connection", Impact.NOTE, Impact.NOTE),
    "handshake_timeout": _Limit("s for a handshake", Impact.BREAKS, Impact.NOTE),
    "drain": _Limit("s for calls on a server that stops", Impact.BREAKS, Impact.NOTE, True),
}


def limit_changes(old: AccessMesh, new: AccessMesh) -> Iterator[Change]:
    """Limits, trust domains, audit trails."""
    for name, limit in _LIMITS.items():
        yield from _limit(name, limit, old, new)
    yield from _trust_domain(old, new)
    yield from _federation(old, new)
    yield from _trails(old, new)


def _limit(name: str, limit: _Limit, old: AccessMesh, new: AccessMesh) -> Iterator[Change]:
    one, two = _value(old.config.limits, name), _value(new.config.limits, name)
    if one == two:
        return
    ends = _shown(one), _shown(two)
    text = f"{ends[1]} {limit.words}; before: {ends[0]}"
    lowered = two is not None and (one is None or two < one)
    impact = limit.lowered if lowered else limit.raised
    touched: list[Touch] = []
    if lowered and limit.running and one is not None and two is not None:
        touched = [
            Touch("uses", "", method, f"{method} may take {each.policy.default_deadline:g} s")
            for method, each in new.methods.items()
            if two < each.policy.default_deadline <= one
        ]
        impact = limit.lowered if touched else Impact.NOTE
    rule = "limit-lowered" if lowered else "limit-raised"
    delta = Delta(rule, impact, text, "", *ends)
    yield Change(delta, f"limits.{name}", new.place(("limits", name)), tuple(touched))


def _value(limits: Limits, name: str) -> float | None:
    value: float | None = getattr(limits, name)
    return value


def _shown(value: float | None) -> str:
    return "any number of" if value is None else f"{value:,g}" if value < 10**6 else f"{value:,.0f}"


def _trust_domain(old: AccessMesh, new: AccessMesh) -> Iterator[Change]:
    before, after = old.config.trust_domain, new.config.trust_domain
    if before != after:
        text = f"all workloads are of {after} now; before: {before}"
        delta = Delta("trust-domain", Impact.BREAKS, text, "", before, after)
        yield Change(delta, "trust_domain", new.place(("trust_domain",)))
        return
    for name, service in new.config.services.items():
        known = old.config.services.get(name)
        if known is not None and known.id != service.id:
            text = f"has another identity: {service.id}; before: {known.id}"
            delta = Delta("identity-changed", Impact.NOTE, text, "", known.id, service.id)
            yield Change(delta, f"services.{name}", new.place(("services", name, "id")))


def _federation(old: AccessMesh, new: AccessMesh) -> Iterator[Change]:
    before, after = old.config.federation, new.config.federation
    for domain in sorted({*before, *after}):
        subject, place = f"federation.{domain}", new.place(("federation", domain))
        if domain not in before:
            delta = Delta("federation-added", Impact.WIDENS, f"workloads of {domain} are known now")
            yield Change(delta, subject, place, tuple(_known(new, domain, "gains")))
        elif domain not in after:
            text = f"workloads of {domain} are not known any more"
            delta = Delta("federation-removed", Impact.BREAKS, text)
            yield Change(delta, subject, place, tuple(_known(old, domain, "loses")))
        else:
            ends = _bundle(old, domain), _bundle(new, domain)
            if ends[0] != ends[1]:
                text = f"another bundle vouches for {domain}: {ends[1]}; before: {ends[0]}"
                delta = Delta("federation-bundle", Impact.WIDENS, text, "", *ends)
                yield Change(delta, subject, place)


def _bundle(mesh: AccessMesh, domain: str) -> str:
    bundle = mesh.config.federation[domain].bundle
    return bundle if "://" in bundle else os.path.relpath(bundle, mesh.path.parent)


def _known(mesh: AccessMesh, domain: str, kind: str) -> Iterator[Touch]:
    """The bound workloads of another domain, and what they may call."""
    rows = [
        row
        for row in rows_of(mesh)
        if row.kind in (Kind.WORKLOAD, Kind.PATTERN) and row.id.startswith(f"spiffe://{domain}/")
    ]
    matrix = matrix_of(mesh, rows, list(mesh.methods.values()))
    for (row, method), cell in matrix.cells.items():
        if cell.grant is not Grant.NO:
            yield Touch(kind, row.name, method, f"{row.name} {kind} {method}")


def _trails(old: AccessMesh, new: AccessMesh) -> Iterator[Change]:
    before, after = (each.config.audit.max_bytes * each.config.audit.keep for each in (old, new))
    if before == after:
        return
    ends = f"{before:,} bytes", f"{after:,} bytes"
    text = f"{ends[1]} of audit lines are kept for each service; before: {ends[0]}"
    lowered = after < before
    rule = "audit-kept-less" if lowered else "audit-kept-longer"
    delta = Delta(rule, Impact.WIDENS if lowered else Impact.NOTE, text, "", *ends)
    yield Change(delta, "audit", new.place(("audit",)))
