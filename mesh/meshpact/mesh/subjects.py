"""End users and groups by issuer: whom an entry of mesh.yaml or of a bindings_file means.

The same `sub` of two issuers is two people. A plain name will do where there is only one issuer.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshpact.mesh.model import Subject
from meshpact.mesh.problems import shown
from meshpact.mesh.reader import closest


class SubjectError(ValueError):
    """An entry names nobody: what was found, what is allowed, what to do."""

    def __init__(self, found: str, allowed: str, remedy: str) -> None:
        self.found = found
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(f"{found}; allowed: {allowed}. {remedy}")


def resolved(entry: str | Subject, issuers: Sequence[str]) -> Subject:
    """The user or group that an entry means; `issuers` are those of mesh.yaml.

    A text is a name of the only issuer there is, and of nobody ("") where there is none. Raises
    SubjectError.
    """
    issuer, name = ("", entry) if isinstance(entry, str) else (entry.issuer, entry.name)
    if not name:
        raise SubjectError("found an empty text", "a name", "")
    if name.endswith("*"):
        raise SubjectError(
            f"found {shown(name)}: users and groups have no wildcards",
            "a whole name",
            "Bind a group that all of them are in",
        )
    if issuer:
        if issuer not in issuers:
            known = ", ".join(issuers) or "none: this mesh has no issuers"
            near = closest(issuer, issuers, f"Add it: issuers: [issuer: {issuer}]")
            raise SubjectError(f"unknown issuer {shown(issuer)}", known, near)
        return Subject(issuer=issuer, name=name)
    if len(issuers) > 1:
        raise SubjectError(
            f"found {shown(name)}, and this mesh has {len(issuers)} issuers",
            "a name with its issuer",
            f"Write {{issuer: {' or '.join(issuers)}, name: {name}}}",
        )
    return Subject(issuer=issuers[0] if issuers else "", name=name)
