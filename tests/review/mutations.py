"""Generated edits of the reference contracts, and what the guard itself decides before and after.

The oracle runs the guard's admission, its size check, its rate limiter and protovalidate on
generated calls. It never looks at a policy as the reviewer does: only at what becomes of calls.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import protovalidate
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty

from acme.retail.store.v1 import store_pb2
from meshpact.contracts.access.assumed import Assumed
from meshpact.contracts.access.methods import AccessMethod
from meshpact.contracts.image import Image, compile_image
from meshpact.contracts.review.compare import State, compare
from meshpact.contracts.review.model import Impact
from meshpact.contracts.review.sides import Side
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.message import compile_accept
from meshpact.interceptors.rate import Gcra
from meshpact.interceptors.spec import MethodSpec
from meshpact.mesh.denials import Denials
from review.contractedits import EDITS, VALUES

Flip = tuple[str, str, str]
"""A method, what decides (access, size, rate, validation), and what calls become: refused or
accepted."""

PROTOS: Final = Path(__file__).resolve().parents[2] / "protos"
_DOMAIN: Final = "spiffe://mutation.example/"
_F = FieldDescriptorProto


@dataclass(frozen=True)
class Mutation:
    """One edit; `text` says which."""

    text: str
    old: Image
    new: Image


@cache
def reference() -> Image:
    """The reference contracts."""
    return compile_image([PROTOS])


def mutations(count: int, seed: int) -> Iterator[Mutation]:
    """So many edits, the same for a seed."""
    chance = random.Random(seed)
    made = 0
    while made < count:
        files = [_copy(file) for file in reference().files]
        own = [file for file in files if file.name.startswith("acme/") and file.service]
        text = chance.choice(EDITS)(chance.choice(own), chance)
        if text:
            made += 1
            yield Mutation(text, reference(), Image(tuple(files), reference().own))


def announced(mutation: Mutation) -> set[Flip]:
    """What the reviewer says that calls become."""
    sides = [
        State(Side("", each, None, {}), {}, whole=False) for each in (mutation.old, mutation.new)
    ]
    found: set[Flip] = set()
    for change in compare(sides[0], sides[1], "WIRE").changes:
        kind = _kind(change.delta.part, change.delta.rule)
        if not kind or change.delta.impact is Impact.NOTE:
            continue
        becomes = "refused" if change.delta.impact is Impact.BREAKS else "accepted"
        methods = [change.subject] if "/" in change.subject else [t.method for t in change.touched]
        found |= {(method, kind, becomes) for method in methods}
    return found


def _kind(part: str, rule: str) -> str:
    if rule.startswith("validation"):
        return "validation"
    return {"access": "access", "message_size.request_bytes": "size", "rate": "rate"}.get(
        "access" if part.startswith("access") else part, ""
    )


def flipped(mutation: Mutation) -> set[Flip]:
    """What calls really become, by running both guards."""
    sides = [
        State(Side("", each, None, {}), {}, whole=False).methods
        for each in (mutation.old, mutation.new)
    ]
    found: set[Flip] = set()
    for name in sides[0]:
        old, new = sides[0][name], sides[1][name]
        found |= {(name, "access", way) for way in _access(old, new)}
        found |= {(name, "size", way) for way in _sizes(old, new)}
        found |= {(name, "rate", way) for way in _rates(old, new)}
    return found | _validation(mutation)


def _way(before: bool, after: bool) -> Iterator[str]:
    if before != after:
        yield "accepted" if after else "refused"


class _Roles:
    """Everybody holds the roles that their names list."""

    version: object = object()
    observed = frozenset[str]()
    denied = Denials()

    def observes(self, method: str, /) -> bool:
        return False

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        return _listed(spiffe_id.removeprefix(_DOMAIN))

    def roles_of_user(self, issuer: str, subject: str, groups: frozenset[str], /) -> frozenset[str]:
        return _listed(subject)


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split("+"))) - {"nobody"}


def _access(old: AccessMethod, new: AccessMethod) -> set[str]:
    one, two = old.policy.access, new.policy.access
    if one == two:
        return set()
    guards = Assumed(old, _Roles()), Assumed(new, _Roles())
    roles = sorted(
        {role for each in (one, two) for role in each.roles | each.workload_roles | each.user_roles}
    )
    scopes = sorted(one.scopes | two.scopes)
    named = ["+".join(each) or "nobody" for each in _subsets(roles)]
    users: list[EndUser | None] = [None]
    users += [
        EndUser(
            issuer="https://issuer.example",
            subject=who,
            audience=frozenset(),
            scopes=frozenset(given),
            groups=frozenset(),
            expires=math.inf,
        )
        for who in named
        for given in _subsets(scopes)
    ]
    found: set[str] = set()
    for workload in ("", *(f"{_DOMAIN}{each}" for each in named)):
        for user in users:
            before, after = (guard.decide(workload, user).lets_in for guard in guards)
            found.update(_way(before, after))
    return found


def _subsets(items: list[str]) -> list[tuple[str, ...]]:
    return [each for size in range(len(items) + 1) for each in itertools.combinations(items, size)]


def _sizes(old: AccessMethod, new: AccessMethod) -> set[str]:
    """Requests of the sizes around both limits, of a message that takes any bytes."""
    if old.policy.request_bytes == new.policy.request_bytes:
        return set()
    method = store_pb2.DESCRIPTOR.services_by_name["StoreService"].methods[0]
    spec = MethodSpec(method, "list", Empty, Empty)
    accepts = compile_accept(spec, old.policy), compile_accept(spec, new.policy)
    found: set[str] = set()
    for limit in (old.policy.request_bytes, new.policy.request_bytes):
        for size in (limit - 1, limit, limit + 1):
            body = size // 2 * b"\x08\x00" if size % 2 == 0 else size // 2 * b"\x08\x00" + b"\x80"
            before, after = (_passes(accept, body) for accept in accepts)
            found.update(_way(before, after))
    return found


def _passes(accept: Callable[[bytes], object], body: bytes) -> bool:
    try:
        accept(body)
    except StatusError as refusal:
        return refusal.reason != "MESSAGE_TOO_LARGE"
    return True


def _rates(old: AccessMethod, new: AccessMethod) -> set[str]:
    """A burst of calls at once, then calls at every pace that one of the rates names."""
    one, two = old.policy.rate, new.policy.rate
    if one == two or one is None or two is None:
        return set() if one == two else {"accepted" if two is None else "refused"}
    found: set[str] = set()
    paces = [0.0, *(each.per / each.requests * (1 + e) for each in (one, two) for e in (0, 1e-6))]
    for pace in paces:
        limits = Gcra(one), Gcra(two)
        for number in range(max(one.burst, two.burst) * 8 + 5):
            before, after = (limit.take("k", 100 + number * pace) == 0.0 for limit in limits)
            if before != after:
                found.update(_way(before, after))
                break
    return found


def _validation(mutation: Mutation) -> set[Flip]:
    changed = [
        (old, new)
        for old, new in zip(mutation.old.files, mutation.new.files, strict=True)
        if old.message_type != new.message_type
    ]
    found: set[Flip] = set()
    for old, new in changed:
        for before, after in zip(old.message_type, new.message_type, strict=True):
            for index, field in enumerate(after.field):
                if before.field[index] != field:
                    ways = _field_ways(mutation, f"{new.package}.{after.name}", field)
                    takers = _takers(mutation.new, f".{new.package}.{after.name}")
                    found |= {(each, "validation", way) for each in takers for way in ways}
    return found


def _takers(image: Image, message: str) -> set[str]:
    """The methods whose requests can hold a message, found by walking down from each request."""
    types = {
        f".{file.package}.{each.name}": each for file in image.files for each in file.message_type
    }

    def holds(name: str, seen: frozenset[str]) -> bool:
        return name == message or any(
            holds(field.type_name, seen | {name})
            for field in (types[name].field if name in types else ())
            if field.type == _F.TYPE_MESSAGE and field.type_name not in seen
        )

    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in image.own_files
        for service in file.service
        for method in service.method
        if holds(method.input_type, frozenset())
    }


def _field_ways(mutation: Mutation, message: str, field: FieldDescriptorProto) -> set[str]:
    sides = [_Validating(image, message) for image in (mutation.old, mutation.new)]
    found: set[str] = set()
    for value in VALUES[field.type]:
        before, after = (side.takes(field.name, value) for side in sides)
        found.update(_way(before, after))
    return found


class _Validating:
    def __init__(self, image: Image, message: str) -> None:
        pool = DescriptorPool()
        for file in image.files:
            pool.AddSerializedFile(file.SerializeToString())
        self._type: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(message))
        self._validator = protovalidate.Validator()

    def takes(self, field: str, value: Any) -> bool:
        """Whether a field's value passes, whatever the other fields say."""
        message = self._type()
        setattr(message, field, value)
        return not any(
            violation.proto.field.elements[0].field_name == field
            for violation in self._validator.collect_violations(message)
            if violation.proto.field is not None and violation.proto.field.elements
        )


def _copy(file: FileDescriptorProto) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    return copy
