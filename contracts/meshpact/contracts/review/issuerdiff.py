"""Issuers of end users' tokens on both sides of mesh.yaml: whose tokens are taken now, for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.contracts.serving import Serving
from meshpact.interceptors.policy import EndUserRule
from meshpact.mesh.model import Issuer
from meshpact.mesh.tree import Place as TreePlace


def issuer_changes(
    old: AccessMesh, new: AccessMesh, serving: tuple[Serving, Serving]
) -> Iterator[Change]:
    """A finding for each thing that decides which tokens are taken; a note where no method looks at
    such tokens."""
    before = {issuer.issuer: issuer for issuer in old.config.issuers}
    after = {issuer.issuer: issuer for issuer in new.config.issuers}
    looking = _Looking(new, serving[1])
    for index, (name, issuer) in enumerate(after.items()):
        place: TreePlace = ("issuers", index)
        known = before.get(name)
        if known is None:
            yield looking.change(_added(issuer), name, place)
            continue
        for delta in _deltas((known, issuer), (old.path.parent, new.path.parent), looking):
            yield looking.change(delta, name, place)
    for name in before:
        if name not in after:
            text = "tokens of this issuer are refused now"
            delta = Delta("issuer-removed", Impact.BREAKS, text)
            yield looking.change(delta, name, ("issuers",))
    for name, service in new.config.services.items():
        was = old.config.services.get(name)
        serves = service.factory or service.command
        if serves and was is not None and was.audience != service.audience:
            ends = was.audience, service.audience
            for delta in _own_audience(name, *ends):
                place = ("services", name, "audience")
                yield looking.change(delta, f"services.{name}", place, name)


@dataclass(frozen=True)
class _Looking:
    """The methods that look at tokens."""

    mesh: AccessMesh
    serving: Serving

    def change(self, delta: Delta, subject: str, place: TreePlace, server: str = "") -> Change:
        """A finding with the methods whose tokens it is about: all that look at them; where
        audiences are the matter those that name none; with `server` those that it serves."""
        unnamed = delta.part == "audiences"
        methods = [
            name
            for name, method in self.mesh.methods.items()
            if method.policy.access.end_user is not EndUserRule.NONE
            and not (unnamed and method.policy.access.audience)
            and (not server or server in self.serving.of(method.service))
        ]
        impact, text = delta.impact, delta.message
        if not methods and impact is not Impact.NOTE:
            impact, text = Impact.NOTE, f"{text} (no method looks at such tokens)"
        told = Delta(delta.rule, impact, text, "", delta.before, delta.after)
        touched = tuple(Touch("uses", "", each, f"{each} looks at tokens") for each in methods)
        return Change(told, subject, self.mesh.place(place), touched)

    def groups_of(self, issuer: str) -> bool:
        """Whether a group of an issuer holds a role."""
        return any(each.issuer == issuer for each in self.mesh.bindings.groups)


def _added(issuer: Issuer) -> Delta:
    text = f"tokens of this issuer are taken now, for {', '.join(issuer.audiences)}"
    return Delta("issuer-added", Impact.WIDENS, text, "", "", issuer.issuer)


def _deltas(
    issuers: tuple[Issuer, Issuer], folders: tuple[Path, Path], looking: _Looking
) -> Iterator[Delta]:
    old, new = issuers
    yield from _listed("issuer-audience", "audiences", old.audiences, new.audiences, "the audience")
    yield from _listed(
        "issuer-algorithm", "algorithms", old.algorithms, new.algorithms, "the algorithm"
    )
    if old.token_type is not new.token_type:
        yield from _both("issuer-token-type", "tokens", old.token_type.value, new.token_type.value)
    if old.groups_claim != new.groups_claim:
        ends = old.groups_claim, new.groups_claim
        if looking.groups_of(new.issuer):
            yield from _both("issuer-groups", "groups by the claim", *ends)
        else:
            text = f"groups come by the claim {ends[1]}; before: {ends[0]} (no group has a role)"
            yield Delta("issuer-groups", Impact.NOTE, text, "", *ends)
    keys = _keys(old, folders[0]), _keys(new, folders[1])
    if keys[0] != keys[1]:
        text = f"others say whose tokens are sound: {keys[1]}; before: {keys[0]}"
        yield Delta("issuer-keys", Impact.WIDENS, text, "", *keys)
    if old.introspection != new.introspection:
        yield _introspection(old.introspection, new.introspection)
    for name in ("client_id", "client_secret_file", "token_endpoint"):
        ends = _text(old, name, folders[0]), _text(new, name, folders[1])
        if ends[0] != ends[1]:
            text = f"{name} is {ends[1] or 'left out'}; before: {ends[0] or 'left out'}"
            yield Delta("issuer-client", Impact.NOTE, text, "", *ends)


def _listed(
    rule: str, part: str, old: tuple[str, ...], new: tuple[str, ...], what: str
) -> Iterator[Delta]:
    ends = ", ".join(old), ", ".join(new)
    for each in sorted({*old} - {*new}):
        text = f"tokens by {what} {each} alone are refused now"
        yield Delta(f"{rule}-removed", Impact.BREAKS, text, part, *ends)
    for each in sorted({*new} - {*old}):
        text = f"tokens by {what} {each} are taken, too"
        yield Delta(f"{rule}-added", Impact.WIDENS, text, part, *ends)


def _own_audience(name: str, before: str, after: str) -> Iterator[Delta]:
    refused = f"tokens for {before} are refused at {name}, unless they name {after} too"
    taken = f"tokens for {after} are taken at {name}"
    yield Delta("audience-refused", Impact.BREAKS, refused, "audiences", before, after)
    yield Delta("audience-accepted", Impact.WIDENS, taken, "audiences", before, after)


def _both(rule: str, what: str, before: str, after: str) -> Iterator[Delta]:
    """Of two kinds neither is part of the other."""
    refused = f"{what} {before} do not count any more; now: {after}"
    taken = f"{what} {after} count now; before: {before}"
    yield Delta(f"{rule}-refused", Impact.BREAKS, refused, "", before, after)
    yield Delta(f"{rule}-taken", Impact.WIDENS, taken, "", before, after)


def _introspection(before: str, after: str) -> Delta:
    if not after:
        text = "opaque tokens are refused now"
        return Delta("issuer-opaque-refused", Impact.BREAKS, text, "", before, after)
    if not before:
        text = f"opaque tokens are taken, as {after} says of them"
        return Delta("issuer-opaque-taken", Impact.WIDENS, text, "", before, after)
    text = f"others say whose tokens are sound: {after}; before: {before}"
    return Delta("issuer-keys", Impact.WIDENS, text, "", before, after)


def _keys(issuer: Issuer, folder: Path) -> str:
    given = ((name, _text(issuer, name, folder)) for name in ("jwks", "discovery", "file"))
    return ", ".join(f"{name} {value}" for name, value in given if value) or "introspection alone"


def _text(issuer: Issuer, name: str, folder: Path) -> str:
    """A value as mesh.yaml has it: paths are absolute only once it is read."""
    value = str(getattr(issuer, name))
    if name in ("file", "client_secret_file") and value:
        return os.path.relpath(value, folder)
    return value
