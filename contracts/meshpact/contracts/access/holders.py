"""Where in mesh.yaml and its bindings_file it stands that a caller holds a role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.faults import Place
from meshpact.interceptors.call import EndUser
from meshpact.mesh import names
from meshpact.mesh.bindingsfile import Binding
from meshpact.mesh.model import Subject
from meshpact.mesh.roles import closure
from meshpact.mesh.tree import Place as TreePlace


@dataclass(frozen=True)
class Held:
    """One binding: `role` is bound to `holder` at `place`, and `granted` are the roles that it
    gives, those that it includes among them. `subject` is the user or group, else the holder."""

    role: str
    holder: str
    subject: str | Subject
    place: Place
    granted: frozenset[str]


def held_by_workload(mesh: AccessMesh, spiffe_id: str) -> list[Held]:
    """All bindings that give a workload roles."""
    return [
        held
        for held in bindings_of(mesh)
        if held.holder == spiffe_id
        or (held.holder.endswith(names.ANY) and spiffe_id.startswith(held.holder[:-1]))
    ]


def held_by_user(mesh: AccessMesh, user: EndUser) -> list[Held]:
    """All bindings that give an end user roles."""
    holders = {holder_of("user", Subject(issuer=user.issuer, name=user.subject))} | {
        holder_of("group", Subject(issuer=user.issuer, name=group)) for group in user.groups
    }
    return [held for held in bindings_of(mesh) if held.holder in holders]


def holder_of(kind: str, subject: Subject) -> str:
    """How a `user` or a `group` is named as a holder."""
    return f"{kind} {subject.name} at {subject.issuer}"


def bindings_of(mesh: AccessMesh) -> Iterator[Held]:
    """Every binding with its place, those of mesh.yaml first."""
    config = mesh.config
    granted = {name: closure(name, config.roles) for name in config.roles}
    for role, found in config.roles.items():
        for key, entries in (
            ("workloads", found.workloads),
            ("users", found.users),
            ("groups", found.groups),
        ):
            for index, entry in enumerate(entries):
                place: TreePlace = ("roles", role, key, index)
                holder = holder_of(key[:-1], entry) if isinstance(entry, Subject) else str(entry)
                yield Held(role, holder, entry, mesh.place(place), granted[role])
    if config.bindings_file is not None:
        issuers = [issuer.issuer for issuer in config.issuers]
        with Path(config.bindings_file).open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    binding = msgspec.json.decode(line, type=Binding)
                    holder, subject = _holder(binding, issuers)
                    at = Place(_shown(config.bindings_file), number)
                    yield Held(binding.role, holder, subject, at, granted[binding.role])


def _holder(binding: Binding, issuers: list[str]) -> tuple[str, str | Subject]:
    if binding.workload:
        return binding.workload, binding.workload
    issuer = binding.issuer or (issuers[0] if issuers else "")
    subject = Subject(issuer=issuer, name=binding.user or binding.group)
    return holder_of("user" if binding.user else "group", subject), subject


def _shown(path: str) -> str:
    """A path as people type it: below the working directory without that."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
