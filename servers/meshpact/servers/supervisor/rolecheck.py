"""Whether the roles of mesh.yaml and those that its contracts ask for are the same ones.

A role that no contract asks for gives nobody anything, and one that mesh.yaml does not have lets
nobody in: both are how a slip of the pen looks.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from meshpact.mesh.model import Role


def unknown_roles(roles: Mapping[str, Role], asked: Iterable[str]) -> list[str]:
    """A sentence for each role of mesh.yaml when no contract asks for it or what it includes."""
    wanted = sorted(set(asked))
    sentences: list[str] = []
    for name in roles:
        if not _closure(roles, name) & set(wanted):
            near = difflib.get_close_matches(name, wanted, 1)
            remedy = f"Did you mean {near[0]}?" if near else "Remove it, or let a contract ask."
            sentences.append(
                f"roles.{name}: no contract of this mesh asks for a role of that name; "
                f"allowed: {', '.join(wanted) or 'none'}. {remedy}"
            )
    return sentences


def missing_roles(roles: Collection[str], asked: Mapping[str, Iterable[str]]) -> list[str]:
    """A sentence for each role that a service's contracts ask for and mesh.yaml does not have."""
    sentences: list[str] = []
    for service, names in asked.items():
        for absent in sorted(set(names) - set(roles)):
            near = difflib.get_close_matches(absent, roles, 1)
            meant = f" (was {near[0]} meant?)" if near else ""
            sentences.append(
                f"warning: the contracts of {service} ask for the role {absent}{meant}, which "
                "mesh.yaml does not have: nobody can hold it. Add it to roles, or take it out of "
                "the contracts; meshpact lint --mesh says where it stands"
            )
    return sentences


def _closure(roles: Mapping[str, Role], name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += roles[role].includes if role in roles else ()
    return found
