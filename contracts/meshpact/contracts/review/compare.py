"""Two sides held against each other: the findings of a review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.methods import AccessMethod, Overlay, methods_of
from meshpact.contracts.errorenums import ErrorValue
from meshpact.contracts.faults import ContractsError, Fault, Place
from meshpact.contracts.model import Contracts, Method
from meshpact.contracts.review import errordiff, fields
from meshpact.contracts.review.meshdiff import Meshes, mesh_changes
from meshpact.contracts.review.model import Change, Delta, Impact, Touch, Unreadable
from meshpact.contracts.review.pairing import Pairs, pairs_of
from meshpact.contracts.review.policydiff import policy_deltas
from meshpact.contracts.review.reach import fellows
from meshpact.contracts.review.sides import Side
from meshpact.contracts.review.touches import Callers, Touches, Usage, access_touches
from meshpact.contracts.review.trials import MOST, Trials
from meshpact.contracts.review.validation import instead, place_of, validation_changes
from meshpact.contracts.review.wire import wire_change, wire_faults
from meshpact.contracts.review.wireusers import WireUsers
from meshpact.interceptors.policy import MethodPolicy
from meshpact.mesh import config as configs
from meshpact.mesh import overlay as overlays
from meshpact.mesh.model import MeshConfig
from meshpact.mesh.roles import RoleBindings

_ORDER: Final = {Impact.BREAKS: 0, Impact.WIDENS: 1, Impact.NOTE: 2}


class State:
    """One side with its methods and their policies."""

    def __init__(self, side: Side, built_in: Overlay, *, whole: bool) -> None:
        self.side = side
        self.contracts = Contracts(side.image)
        config = configs.load(side.mesh) if side.mesh is not None else None
        overlay = dict(built_in)
        file = ""
        if config is not None and config.overlay is not None:
            file = config.overlay
            for name, policy in overlays.load(file).items():
                overlay[name.removeprefix("/")] = policy
        try:
            methods = methods_of(side.image, overlay, file, whole=whole, contracts=self.contracts)
        except ContractsError as error:
            faults = [replace(fault, place=side.show(fault.place)) for fault in error.faults]
            text = str(ContractsError(faults))
            raise Unreadable(f"{side.name} cannot be reviewed: {text}") from None
        self.methods: Mapping[str, AccessMethod] = methods
        self.config = config

    @cached_property
    def mesh(self) -> AccessMesh | None:
        """Its mesh, if it has one."""
        if self.config is None or self.side.mesh is None:
            return None
        return self.mesh_with(self.config)

    def mesh_with(self, config: MeshConfig) -> AccessMesh:
        """These contracts with the bindings of a mesh.yaml."""
        assert self.side.mesh is not None, "who has a mesh has its file"
        return AccessMesh(self.side.mesh, config, RoleBindings.compile(config), self.methods)

    @cached_property
    def protos(self) -> dict[str, Method]:
        """Its methods as the contracts have them, by name."""
        return {
            method.name: method
            for file in self.contracts.files
            for service in file.services
            for method in service.methods
        }


@dataclass(frozen=True)
class Found:
    """What a comparison found, in order, and what it could not look at."""

    changes: tuple[Change, ...]
    remarks: tuple[str, ...]
    pairs: Pairs


def compare(
    old: State, new: State, category: str, usage: Usage | None = None, texts: int = MOST
) -> Found:
    """Everything that differs, the worst first; "" as category leaves out the wire, and no more
    than so many texts are tried on rules that cannot be compared."""

    with ThreadPoolExecutor(1) as pool:  # buf works in a process of its own meanwhile
        wire = pool.submit(wire_faults, old.side.image, new.side.image, category)
        comparing = _Comparing(old, new, usage, Trials(texts))
        found = list(comparing.changes())
        found += comparing.on_the_wire(wire.result())
    comparing.say_guesses()
    ordered = sorted(dict.fromkeys(found), key=_key)
    return Found(tuple(_told_apart(ordered)), tuple(comparing.remarks), comparing.pairs)


def _told_apart(changes: list[Change]) -> Iterator[Change]:
    """No two with the same ID: an approval is for one."""
    seen: Counter[str] = Counter()
    for change in changes:
        id_ = change.id
        yield replace(change, copy=seen[id_]) if seen[id_] else change
        seen[id_] += 1


def _key(change: Change) -> tuple[int, str, str, str, str]:
    delta = change.delta
    return _ORDER[delta.impact], change.subject, delta.part, delta.rule, delta.message


class _Comparing:
    def __init__(self, old: State, new: State, usage: Usage | None, trials: Trials) -> None:
        self._trials = trials
        self._old = old
        self._new = new
        self._usage = usage
        self.pairs = pairs_of(old.contracts, new.contracts)
        self.remarks: list[str] = []
        self._callers: Callers | None = None
        self._became = dict(self.pairs.methods)
        self._became.update({name: name for name in old.methods if name in new.methods})
        self._was = {two: one for one, two in self._became.items()}

    def changes(self) -> Iterator[Change]:
        """All but the wire."""
        found = [*self._methods(), *self._errors(), *self._messages()]
        touches = self._touches(found)
        told: set[tuple[str, str]] = set()
        for change in found:
            who = list(change.touched)
            if change.delta.part.startswith("access") or change.delta.rule in _WHOLE:
                kinds = _NEW if change.delta.rule in _COMING else _KINDS[change.delta.impact]
                mine = [each for each in touches.of(change.subject) if each.kind in kinds]
                who += mine or self._nobody(change)
                told |= {(change.subject, kind) for kind in kinds}
            who += self._of_method(change)
            yield replace(change, touched=tuple(who))
        old, new = self._old.mesh, self._new.mesh
        if old is not None and new is not None:
            for change in mesh_changes(Meshes(old, new, self._was), touches, told):
                yield replace(change, touched=(*change.touched, *self._of_method(change)))

    def on_the_wire(self, faults: Sequence[Fault]) -> Iterator[Change]:
        """What buf found, with whom it touches."""
        users = WireUsers(self._old.contracts, self._new.contracts, self._became)
        for fault in faults:
            change = wire_change(fault, users.touches(fault))
            yield replace(change, touched=(*change.touched, *self._of_method(change)))

    def say_guesses(self) -> None:
        """Remark on which services it was guessed what they serve."""
        if self._callers is not None and self._callers.guessed:
            listed = ", ".join(sorted(self._callers.guessed))
            self.remarks.append(
                f"what {listed} serves is guessed by name; services.NAME.serves of mesh.yaml can "
                "say it"
            )

    def _methods(self) -> Iterator[Change]:
        for name, method in self._old.protos.items():
            if name not in self._became:
                yield self._change(_delta_removed(), name, self._gone(method))
        for name, method in self._new.protos.items():
            was = self._was.get(name)
            if was is None:
                yield from self._added(name, method)
                continue
            if was != name:
                text = f"was {was}"
                delta = Delta("method-moved", Impact.BREAKS, text, "", was, name)
                yield self._change(delta, name, self._place(method))
            yield from self._policies(was, name)
        for name, known in self._new.methods.items():
            if name not in self._new.protos and (before := self._old.methods.get(name)):
                for delta in policy_deltas(before.policy, known.policy):
                    yield self._change(delta, name, known.place(delta.part))

    def _added(self, name: str, method: Method) -> Iterator[Change]:
        place = self._place(method)
        yield self._change(Delta("method-added", Impact.NOTE, "is new"), name, place)
        known = self._new.methods.get(name)
        if known is not None and (reason := known.policy.access.unauthenticated):
            text = f"is new, and anyone who reaches the port may call it: {reason}"
            delta = Delta("unauthenticated", Impact.WIDENS, text, "access.unauthenticated")
            yield self._change(delta, name, known.place("access.unauthenticated"))

    def _policies(self, was: str, name: str) -> Iterator[Change]:
        old, new = self._old.methods.get(was), self._new.methods.get(name)
        if new is None:
            if old is not None:
                text = "states no policy any more: no server starts with it"
                yield self._change(
                    Delta("policy-removed", Impact.BREAKS, text),
                    name,
                    self._place(self._new.protos[name]),
                )
            return
        if old is None:
            text = "has its first policy"
            yield self._change(Delta("policy-added", Impact.NOTE, text), name, new.place(""))
            return
        for delta in policy_deltas(old.policy, new.policy):
            yield self._change(delta, name, new.place(delta.part))
        one, two = self._old.protos[was], self._new.protos[name]
        for delta in errordiff.listed_deltas(
            (self._old.contracts, one), (self._new.contracts, two)
        ):
            yield self._change(delta, name, new.place(delta.part))

    def _errors(self) -> Iterator[Change]:
        before = errordiff.own_errors(self._old.contracts)
        after = errordiff.own_errors(self._new.contracts)
        files = {file.name: file for file in self._new.contracts.files}
        for name, old in before.items():
            new = after.get(name) or _moved(old, before, after)
            if new is None:
                continue
            for delta in errordiff.value_deltas(old, new):
                file = files[new.file]
                place = self._new.side.image.place(file.name, *file.locations.of(new.path))
                yield self._change(delta, new.full_name, place)

    def _messages(self) -> Iterator[Change]:
        before = fields.own_messages(self._old.contracts)
        after = fields.own_messages(self._new.contracts)
        for name, old in before.items():
            new = after.get(self.pairs.messages.get(name, ""))
            if new is None or old.proto == new.proto:
                continue
            known, named = old.fields(), {field.name: field for field in old.proto.field}
            for number, field in new.fields().items():
                # By name first: the same datum may have got another number.
                was = named.get(field.name) or known.get(number)
                if was is not None:
                    for delta in fields.redaction_deltas(was, field):
                        place = new.place(self._new.contracts, number)
                        yield self._change(delta, f"{new.name[1:]}.{field.name}", place)
        yield from self._replaced(after)
        yield from validation_changes(
            self._old.contracts, self._new.contracts, self.pairs, before, after, self._trials
        )

    def _replaced(self, after: Mapping[str, fields.Message]) -> Iterator[Change]:
        """What is shown of messages that took the place of others."""
        if self.pairs.reach.cut:
            self.remarks.append(
                "so many messages took the place of others that not all were compared"
            )
        for pair in self.pairs.replaced:
            if not (methods := self.pairs.reach.calls(pair)):
                continue  # nobody judges what is in there
            old, new = (
                self._old.contracts.messages[pair[0]][1],
                self._new.contracts.messages[pair[1]][1],
            )
            for was, field in fellows(old, new, by_name=old.name != new.name):
                for delta in fields.redaction_deltas(was, field) if was is not None else ():
                    text = f"{instead(old, methods)}: {delta.message}"
                    place = place_of(
                        self._new.contracts, after.get(pair[1]), field.number, methods[0]
                    )
                    subject = f"{pair[1][1:]}.{field.name}"
                    yield self._change(replace(delta, message=text), subject, place)

    def _touches(self, found: list[Change]) -> Touches:
        mesh = self._new.mesh
        if mesh is None:
            return Touches()
        suspects: set[str] | None = {
            change.subject
            for change in found
            if change.delta.part.startswith("access") or change.delta.rule in _WHOLE
        }
        old = self._old.mesh
        if old is None:
            old = replace(mesh, methods=self._old.methods)
            self.remarks.append(
                f"{self._old.side.name} has no such mesh.yaml: its bindings are taken to be the "
                "same"
            )
        elif _texts(old) != _texts(mesh):
            suspects = None
        return access_touches(old, mesh, self._became, suspects)

    def _nobody(self, change: Change) -> list[Touch]:
        if self._new.mesh is None or not change.delta.part.startswith("access"):
            return []
        return [Touch("nobody", "", change.subject, "no caller of mesh.yaml gains or loses it")]

    def _of_method(self, change: Change) -> Iterator[Touch]:
        mesh = self._new.mesh
        if mesh is None or (change.delta.impact is Impact.NOTE and not change.delta.part):
            return
        for name in self._methods_of(change):
            was = self._was.get(name, name)
            old = self._old.methods.get(was)
            yield from self._called(change, name, old.policy if old else None, mesh)

    def _called(
        self, change: Change, name: str, old: MethodPolicy | None, mesh: AccessMesh
    ) -> Iterator[Touch]:
        callers = self._callers or Callers(mesh)
        self._callers = callers
        if change.delta.part.startswith("deadline") and old is not None:
            new = self._new.methods[name].policy
            yield from callers.unfit(name, change.delta.part, old, new)
        if change.delta.impact is Impact.BREAKS:
            was = self._was.get(name, name)  # mesh.yaml may still have the old name
            for caller in dict.fromkeys((*callers.of(name), *callers.of(was))):
                yield Touch("callers", caller, name, f"{caller} calls it, as mesh.yaml says")
        if self._usage is not None and change.delta.impact is Impact.BREAKS:
            yield from self._usage.of(self._was.get(name, name), mesh, old)

    def _methods_of(self, change: Change) -> tuple[str, ...]:
        if change.subject in self._new.methods or change.subject in self._old.methods:
            return (change.subject,)
        return tuple(
            dict.fromkeys(
                each.method for each in change.touched if each.kind == "uses" and each.method
            )
        )

    def _change(self, delta: Delta, subject: str, place: Place) -> Change:
        return Change(delta, subject, place)

    def _place(self, method: Method) -> Place:
        file = method.service.file
        return self._new.side.image.place(file.name, *file.locations.of(method.path))

    def _gone(self, method: Method) -> Place:
        """Where a reader of the new side looks for a method that is gone."""
        for file in self._new.contracts.files:
            for service in file.services:
                if service.full_name == method.service.full_name:
                    place = file.locations.of(service.path)
                    return self._new.side.image.place(file.name, *place)
        file = method.service.file
        return self._old.side.show(
            self._old.side.image.place(file.name, *file.locations.of(method.path))
        )


_WHOLE: Final = frozenset(
    {"method-added", "method-removed", "method-moved", "policy-added", "policy-removed"}
)
"""Rules of findings about a method as a whole."""

_COMING: Final = frozenset({"method-added", "policy-added"})
_NEW: Final = frozenset({"gains", "loses", "changes"})
_KINDS: Final = {
    Impact.BREAKS: frozenset({"loses", "changes"}),
    Impact.WIDENS: frozenset({"gains", "changes"}),
    Impact.NOTE: frozenset[str](),
}
"""What becomes of callers that a finding about access explains. All else that becomes of them is
mesh.yaml's doing, and findings of their own tell it."""


def _texts(mesh: AccessMesh) -> list[bytes]:
    """All that says who holds which role."""
    config = mesh.config
    files = (mesh.path, config.bindings_file, config.overlay)
    return [Path(file).read_bytes() if file is not None else b"" for file in files]


def _delta_removed() -> Delta:
    return Delta("method-removed", Impact.BREAKS, "is gone")


def _moved(
    old: ErrorValue, before: Mapping[str, ErrorValue], after: Mapping[str, ErrorValue]
) -> ErrorValue | None:
    """An error that is the only new one of the same reason and domain."""
    alike = [
        each
        for name, each in after.items()
        if name not in before and (each.reason, each.domain) == (old.reason, old.domain)
    ]
    return alike[0] if len(alike) == 1 else None
