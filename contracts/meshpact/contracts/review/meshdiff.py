"""What a change of mesh.yaml does by itself: bindings, modes and denials here; networks, issuers
and limits in modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from meshpact.contracts.access.diff import Change as AccessChange
from meshpact.contracts.access.matrix import Grant
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.faults import Place
from meshpact.contracts.review.issuerdiff import issuer_changes
from meshpact.contracts.review.limitdiff import limit_changes
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.contracts.review.networkdiff import network_changes
from meshpact.contracts.review.touches import Touches, told
from meshpact.contracts.serving import Serving, contracts_of
from meshpact.interceptors.policy import Access
from meshpact.mesh import names
from meshpact.mesh.model import Denied, Mode

_RULES: Final = {
    "loses": ("binding-removed", Impact.BREAKS),
    "gains": ("binding-added", Impact.WIDENS),
    "changes": ("binding-changed", Impact.NOTE),
}


@dataclass(frozen=True)
class Meshes:
    """The meshes of both sides, who serves what on each, and the old names of methods by the new
    ones."""

    old: AccessMesh
    new: AccessMesh
    was: Mapping[str, str]

    def serving(self) -> tuple[Serving, Serving]:
        """Who serves what on each side."""
        return _serving(self.old), _serving(self.new)


def _serving(mesh: AccessMesh) -> Serving:
    return Serving(mesh.config, contracts_of(mesh.methods))


def mesh_changes(
    meshes: Meshes, touches: Touches, explained: Container[tuple[str, str]]
) -> Iterator[Change]:
    """All that mesh.yaml changes; `explained` are methods, and kinds of what becomes of their
    callers, that a finding about a contract tells of."""
    left = {
        method: [each for each in changes if (method, each.kind) not in explained]
        for method, changes in touches.changes.items()
    }
    yield from _denials(meshes, left)
    yield from _modes(meshes, left)
    place = Place(str(meshes.new.path))
    for method, changes in left.items():
        for each in map(told, changes):
            rule, impact = _RULES[each.kind]
            yield Change(Delta(rule, impact, each.text), method, place, (each,))
    serving = meshes.serving()
    yield from network_changes(meshes.old, meshes.new, meshes.was, serving)
    yield from issuer_changes(meshes.old, meshes.new, serving)
    yield from limit_changes(meshes.old, meshes.new)


# Denied identities --------------------------------------------------------------------------------


def _denials(meshes: Meshes, left: dict[str, list[AccessChange]]) -> Iterator[Change]:
    """Who is denied at once, or no longer; takes what they lose or gain out of `left`."""
    old, new = meshes.old.config.denied, meshes.new.config.denied
    for before, after, rule, impact, text in (
        (old, new, "identity-denied", Impact.BREAKS, "is refused at once now"),
        (new, old, "identity-not-denied", Impact.WIDENS, "is not refused any more"),
    ):
        for entry in after.workloads:
            if not _covered(entry, before):
                touched = _taken(left, partial(_matches, entry))
                about = meshes.new.name_of(entry)
                yield _denied(meshes, Delta(rule, impact, text), f"denied.{about}", touched)
        known = _serials(before)
        for number, shown in _serials(after).items():
            if number not in known:
                what = f"whoever shows the certificate {shown} {text}"
                yield _denied(meshes, Delta(rule, impact, what), f"denied.{shown}", ())


def _denied(meshes: Meshes, delta: Delta, subject: str, touched: Sequence[Touch]) -> Change:
    return Change(delta, subject, meshes.new.place(("denied",)), tuple(touched))


def _covered(entry: str, denied: Denied) -> bool:
    return any(entry == each or _matches(each, entry) for each in denied.workloads)


def _matches(entry: str, workload: str) -> bool:
    """Whether an entry of `denied` is a workload, or a prefix of it."""
    if entry.endswith(names.ANY):
        return workload.startswith(entry.removesuffix("*"))
    return entry == workload


def _serials(denied: Denied) -> dict[int, str]:
    return {int(serial.replace(":", ""), 16): serial for serial in denied.serials}


def _taken(left: dict[str, list[AccessChange]], about: Callable[[str], bool]) -> list[Touch]:
    """Takes the changes of some callers out of `left`."""
    found: list[Touch] = []
    for method, changes in list(left.items()):
        mine = [each for each in changes if about(each.caller.id)]
        if mine:
            found += map(told, mine)
            left[method] = [each for each in changes if each not in mine]
    return found


# Modes --------------------------------------------------------------------------------------------


def _modes(meshes: Meshes, left: dict[str, list[AccessChange]]) -> Iterator[Change]:
    """Methods and roles whose absence is reported only, or is refused again."""
    old, new = meshes.old, meshes.new
    for name, method in new.methods.items():
        was = meshes.was.get(name, name)
        if was not in old.methods or not _demands(method.policy.access):
            continue
        before, after = old.bindings.observes(was), new.bindings.observes(name)
        if before is not after:
            touched = _observed(left, [name])
            place = new.place(("methods", name))
            yield Change(_mode(after, "what callers lack"), name, place, tuple(touched))
    for role, entry in new.config.roles.items():
        known = old.config.roles.get(role)
        if known is not None and known.mode is not entry.mode:
            asking = [
                name
                for name, method in new.methods.items()
                if role in _roles(method.policy.access) and not new.bindings.observes(name)
            ]
            delta = _mode(entry.mode is Mode.OBSERVE, f"lacking the role {role}")
            touched = _observed(left, asking)
            touched += [Touch("uses", "", each, f"{each} asks for it") for each in asking]
            place = new.place(("roles", role, "mode"))
            if not asking:
                delta = Delta(delta.rule, Impact.NOTE, f"{delta.message} (no method asks for it)")
            yield Change(delta, f"roles.{role}", place, tuple(touched))


def _mode(observed: bool, what: str) -> Delta:
    if observed:
        return Delta("observed", Impact.WIDENS, f"{what} is reported only: such calls go on now")
    return Delta("enforced", Impact.BREAKS, f"{what} is refused now; it was reported only")


def _observed(left: dict[str, list[AccessChange]], methods: Sequence[str]) -> list[Touch]:
    """Takes out of `left` who is let in by observation alone, before or now."""
    found: list[Touch] = []
    for method in methods:
        changes = left.get(method, [])
        mine = [e for e in changes if Grant.OBSERVED in (e.before.grant, e.after.grant)]
        found += map(told, mine)
        left[method] = [each for each in changes if each not in mine]
    return found


def _demands(access: Access) -> bool:
    return bool(_roles(access) or access.scopes) and not access.unauthenticated


def _roles(access: Access) -> frozenset[str]:
    return access.roles | access.workload_roles | access.user_roles
