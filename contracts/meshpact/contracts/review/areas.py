"""The three things that a contract says, each of which a change may touch."""

from __future__ import annotations

import enum

from meshpact.contracts.review.model import Change
from meshpact.contracts.review.rules import RULES
from meshpact.contracts.review.semver import OF_MESH

_METHODS = frozenset({"method-added", "method-moved", "method-removed"})
_BOUNDS = frozenset({"audit-kept-less", "audit-kept-longer", "limit-lowered", "limit-raised"})


class Area(enum.Enum):
    """`wire`: what can be sent at all; `policy`: under which conditions; `access`: by whom."""

    WIRE = "wire"
    POLICY = "policy"
    ACCESS = "access"


def area_of(change: Change) -> Area:
    """What a finding is about."""
    rule = change.delta.rule
    if rule not in RULES or rule in _METHODS:
        return Area.WIRE
    if change.delta.part.startswith("access"):
        return Area.ACCESS
    return Area.ACCESS if rule.startswith(OF_MESH) and rule not in _BOUNDS else Area.POLICY
