"""Generated edits of the reference contracts and their mesh.yaml, and how what a review announces
is held against what calls really become (`oracle`)."""

from __future__ import annotations

import contextlib
import copy
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from meshpact.contracts.image import Image, compile_image
from meshpact.contracts.review.compare import State, compare
from meshpact.contracts.review.model import Change, Impact
from meshpact.contracts.review.sides import Side
from meshpact.mesh import config as configs
from meshpact.mesh.config import MeshConfig
from review import fieldedits, guardworld, meshedits, meshoracle, messageedits, oracle, ruleedits
from review.contractedits import ACCESS, COUNTED, Edit, edit_policy
from review.guardworld import Contracts
from review.oracle import Flip

ROOT: Final = Path(__file__).resolve().parents[2]
KINDS: Final = (
    *("access", "access", "counted", "rules", "probe", "messages", "replaced", "mesh", "mesh"),
)
"""What is edited, in turn."""


@dataclass(frozen=True)
class Mutation:
    """One edit; `text` says which. `bodies` are requests to try, by method; `meshes` the mesh.yaml
    of each side."""

    kind: str
    text: str
    old: Image
    new: Image
    bodies: Mapping[str, Sequence[bytes]] = field(default_factory=dict[str, Sequence[bytes]])
    meshes: tuple[Path, Path] | None = None


@dataclass(frozen=True)
class Verdict:
    """What differs between what was announced and what calls became: sentences. `flips` says what
    became of calls, `untold` whether the review could not tell."""

    wrong: tuple[str, ...]
    flips: frozenset[str]
    untold: bool = False


@cache
def reference() -> Image:
    """The reference contracts."""
    return compile_image([ROOT / "protos"])


def mutations(count: int, seed: int, of: Sequence[str] = KINDS) -> Iterator[Mutation]:
    """So many edits of some kinds in turn, the same for a seed."""
    chance = random.Random(seed)
    kinds = itertools.cycle(of)
    for number in range(count):
        kind = next(kinds)
        made = None
        while made is None:
            with contextlib.suppress(ruleedits.NoExample):
                made = _make(kind, chance, number)
        yield made


def _make(kind: str, chance: random.Random, number: int) -> Mutation | None:
    if kind == "mesh":
        return _mesh(chance, number)
    if kind == "rules":
        return _rules(chance)
    if kind == "probe":
        text, old, new, tried = ruleedits.probe(reference(), chance)
        return Mutation(kind, text, old, new, tried)
    if kind in _MESSAGES:
        made = _MESSAGES[kind](reference(), chance)
        return Mutation(kind, *made) if made is not None else None
    return _policy(kind, chance)


_MESSAGES: Final = {"messages": messageedits.together, "replaced": messageedits.replaced}


def _policy(kind: str, chance: random.Random) -> Mutation | None:
    """An edit on top of others of its kind, so that there is something to take away."""
    edits = ACCESS if kind == "access" else COUNTED
    image = reference()
    at = chance.choice(_served(image))
    target = chance.random()
    edit = chance.choice(edits)
    before = list(_applied(image, at, [chance.choice(edits), edit], target, chance))
    old = before[-1][1] if before else image
    after = list(_applied(old, at, [edit], target, chance))
    if not after:
        return None
    return Mutation(kind, f"after {[t for t, _ in before]}: {after[0][0]}", old, after[0][1])


def _applied(
    image: Image, at: int, edits: Sequence[Edit], target: float, chance: random.Random
) -> Iterator[tuple[str, Image]]:
    for edit in edits:
        files = [
            ruleedits.copied(each) if index == at else each
            for index, each in enumerate(image.files)
        ]
        if text := edit_policy(files[at], target, edit, chance):
            image = Image(tuple(files), image.own)
            yield text, image


def _served(image: Image) -> list[int]:
    """The files that have services of the user's own."""
    return [
        index
        for index, file in enumerate(image.files)
        if file.name in image.own and any(service.method for service in file.service)
    ]


def _rules(chance: random.Random) -> Mutation | None:
    image = reference()
    at = chance.choice(_served(image))
    files = [
        ruleedits.copied(each) if index == at else each for index, each in enumerate(image.files)
    ]
    text, message, name = fieldedits.edit_rules(files[at], chance)
    if not text:
        return None
    new = Image(tuple(files), image.own)
    return Mutation("rules", text, image, new, fieldedits.bodies(new, image, message, name))


def _mesh(chance: random.Random, number: int) -> Mutation | None:
    image = reference()
    methods = _methods(image)
    mesh = meshedits.reference(ROOT / "mesh.yaml", methods)
    edit = chance.choice(meshedits.EDITS)
    said: list[str] = []
    for _ in range(2):
        further = copy.deepcopy(mesh)
        if text := edit(further, methods, chance):
            mesh = further
            said.append(text)
    new = copy.deepcopy(mesh)
    text = edit(new, methods, chance)
    folder = guardworld.folder() / f"mesh-{number}"
    sides = [meshedits.written(each, folder / name) for each, name in ((mesh, "old"), (new, "new"))]
    if not text or None in sides:
        return None
    paths = folder / "old/mesh.yaml", folder / "new/mesh.yaml"
    return Mutation("mesh", f"after {said}: {text}", image, image, {}, paths)


def judge(mutation: Mutation) -> Verdict:
    """Holds what the review announces against what both guards decide."""
    changes = _announced(mutation)
    if mutation.meshes is not None:
        return _judge_mesh(mutation, changes)
    old, new = Contracts(mutation.old), Contracts(mutation.new)
    real = set(oracle.validation(old, new, mutation.bodies))
    for name in _methods(mutation.new):
        real |= set(oracle.Policies(name, old, new).flips())
    said = {flip for change in changes for flip in _flips(change)}
    untold = {
        touch.method
        for change in changes
        if change.delta.rule == "validation-unclear"
        for touch in change.touched
    }
    wrong = {flip for flip in said ^ real if flip[1] != "validation" or flip[0] not in untold}
    return Verdict(
        tuple(f"{mutation.text}: {' '.join(flip)}: {_fault(flip, said)}" for flip in sorted(wrong)),
        frozenset(f"{kind}: {way}" for _, kind, way in real),
        bool(untold),
    )


def _fault(flip: Flip, said: set[Flip]) -> str:
    return "only announced" if flip in said else "not told"


def _announced(mutation: Mutation) -> tuple[Change, ...]:
    meshes = mutation.meshes or (None, None)
    old, new = (
        State(Side(name, image, mesh, {}), {}, whole=False)
        for name, image, mesh in zip(
            ("old", "new"), (mutation.old, mutation.new), meshes, strict=True
        )
    )
    return compare(old, new, "").changes


_DECIDES: Final = {
    "message_size.request_bytes": "size",
    "rate": "rate",
    "rate.by": "rate",
    "concurrency": "concurrency",
}


def _flips(change: Change) -> Iterator[Flip]:
    """What a finding says that calls become."""
    delta = change.delta
    if delta.impact is Impact.NOTE:
        return
    kind = "access" if delta.part.startswith("access") else _DECIDES.get(delta.part, "")
    if delta.rule in ("validation-tightened", "validation-loosened"):
        kind = "validation"
    elif delta.rule.startswith(("network-", "proxies")):
        kind = "network"
    elif delta.rule.startswith("issuer-") or change.subject.startswith("services."):
        kind = "tokens"
    methods = (
        [change.subject]
        if kind not in ("validation", "network", "tokens")
        else [touch.method for touch in change.touched if touch.kind == "uses"]
    )
    way = "refused" if delta.impact is Impact.BREAKS else "accepted"
    if kind:
        yield from ((method, kind, way) for method in methods)


def _judge_mesh(mutation: Mutation, changes: Sequence[Change]) -> Verdict:
    assert mutation.meshes is not None
    sides = configs.load(mutation.meshes[0]), configs.load(mutation.meshes[1])
    contracts = Contracts(mutation.new)
    methods = _methods(mutation.new)
    meshes = meshoracle.Meshes(contracts, methods, sides)
    wrong: list[str] = []
    became: set[str] = set()
    real = set[Flip]()
    if sides[0].networks != sides[1].networks:
        real |= set(meshes.networks())
    if sides[0].issuers != sides[1].issuers:
        real |= set(meshes.tokens())
    said = {
        flip for change in changes for flip in _flips(change) if flip[1] in ("network", "tokens")
    }
    for flip in sorted(said ^ real):
        wrong.append(f"{' '.join(flip)}: {_fault(flip, said)}")
    became |= {f"{kind}: {way}" for _, kind, way in real}
    told = {
        (touch.method, touch.who, touch.kind)
        for change in changes
        if change.delta.impact is not Impact.NOTE
        for touch in change.touched
        if touch.kind in ("gains", "loses")
    }
    calls = set[meshoracle.Call]()
    if _bound(sides[0]) != _bound(sides[1]):
        calls |= set(meshes.bindings())
    for call in sorted(calls, key=str):
        became.add(f"binding: {call.way}")
        about = {(call.method, who, call.way) for who in (call.workload, call.user) if who}
        if not about & told:
            wrong.append(f"{call}: not told")
    behind = {(c.method, who, c.way) for c in calls for who in (c.workload, c.user) if who}
    for method, who, way in sorted(told - behind):
        wrong.append(f"{who} {way} {method}: only announced")
    return Verdict(tuple(f"{mutation.text}: {each}" for each in wrong), frozenset(became))


def _bound(config: MeshConfig) -> tuple[object, ...]:
    """All that says who holds which role, and what comes of lacking one."""
    return config.roles, config.denied, config.methods, config.services, config.trust_domain


def _methods(image: Image) -> list[str]:
    """All methods of the user's own contracts."""
    return sorted(
        f"{file.package}.{service.name}/{method.name}"
        for file in image.own_files
        for service in file.service
        for method in service.method
    )
