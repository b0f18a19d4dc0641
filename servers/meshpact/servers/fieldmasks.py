"""Field masks: which fields of a resource to read (AIP-157) and to change (AIP-134).

Paths are names of the contract with dots between (AIP-161): `title`, `address.city`. A path goes
through single messages only; `*` alone stands for all fields.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, Generic, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from meshpact.interceptors.errors import FieldViolation, invalid_request

M = TypeVar("M", bound=Message)

_behavior: Any = importlib.import_module("google.api.field_behavior_pb2")  # it has no types

ALL: Final = "*"
DEEPEST: Final = 100
"""Messages within messages, as protobuf reads them at most."""
TOLD: Final = 20
"""Names of fields that an error lists, at most."""


class ReadMask(Generic[M]):
    """A checked read mask for resources of one type.

    An empty mask takes `default` (paths), or all fields if there is none. INVALID_ARGUMENT, reason
    INVALID_REQUEST, on `field` for a path that the resource does not have.
    """

    def __init__(
        self,
        kind: type[M],
        mask: FieldMask,
        *,
        default: Sequence[str] = (),
        field: str = "read_mask",
    ) -> None:
        self._kind = kind
        paths = _checked(_type(kind), list(mask.paths) or list(default), field)
        self.paths = paths
        """What to read, without paths that others include; empty for all fields."""

    def wants(self, name: str) -> bool:
        """Whether the field of that name, or something in it, is asked for."""
        return not self.paths or any(path.split(".")[0] == name for path in self.paths)

    def apply(self, resource: M) -> M:
        """The resource with the fields asked for, and no others."""
        if not self.paths:
            return resource
        found = self._kind()
        for path in self.paths:
            _take(resource, found, path)
        return found


class UpdateMask(Generic[M]):
    """A checked update mask for a resource that is to become like `wanted`.

    Without a mask all fields that are set in `wanted` are changed; with `*` all fields. What the
    contract marks OUTPUT_ONLY or IDENTIFIER (google.api.field_behavior) is left as it is (AIP-203).
    INVALID_ARGUMENT, reason INVALID_REQUEST, on `field` for a path that the resource does not have.
    """

    def __init__(self, wanted: M, mask: FieldMask, *, field: str = "update_mask") -> None:
        self._wanted = wanted
        self._field = field
        descriptor = _type(wanted)
        named = list(mask.paths)
        if named:
            named = _checked(descriptor, named, field) or [each.name for each in descriptor.fields]
        else:
            named = [each.name for each, _ in wanted.ListFields()]
        self.paths = [path for path in named if not _server_sets(_path(descriptor, path))]
        """What to change."""

    def apply(self, resource: M) -> M:
        """The resource after the change; INVALID_ARGUMENT when a field would change that the
        contract marks IMMUTABLE.
        """
        changed = type(resource)()
        changed.CopyFrom(resource)
        for path in self.paths:
            _take(self._wanted, changed, path)
        for path in _settled(resource, changed):
            text = f"names {path!r}, which cannot be changed"
            raise invalid_request([FieldViolation(self._field, text, "FIELD_IMMUTABLE")])
        return changed


def _checked(descriptor: Descriptor, paths: list[str], field: str) -> list[str]:
    """The paths without repetitions; none for all fields. Raises for one that is not there."""
    if paths == [ALL]:
        return []
    for path in paths:
        problem = _problem(descriptor, path)
        if problem:
            raise invalid_request([FieldViolation(field, problem, "FIELD_MASK_INVALID")])
    kept = set(paths)
    return [path for path in sorted(kept) if not kept.intersection(_above(path))]


def _above(path: str) -> Iterator[str]:
    end = path.find(".")
    while end >= 0:
        yield path[:end]
        end = path.find(".", end + 1)


def _problem(descriptor: Descriptor, path: str) -> str:
    if path == ALL:
        return "holds '*' beside other paths; '*' stands alone"
    if path.count(".") >= DEEPEST:
        return f"holds a path of more than {DEEPEST} names; no message is that deep"
    at = descriptor
    *parents, last = path.split(".")
    for name in parents:
        found = at.fields_by_name.get(name)
        if found is None:
            return _unknown(at, path, name)
        if found.is_repeated or found.message_type is None:
            return f"holds {path!r}, and {name!r} has no fields of its own to name; take it whole"
        at = found.message_type
    return "" if last in at.fields_by_name else _unknown(at, path, last)


def _unknown(at: Descriptor, path: str, name: str) -> str:
    names = ", ".join(sorted(each.name for each in at.fields)[:TOLD])
    return f"holds {path!r}, but {at.name} has no field {name!r}; it has {names}"


def _path(descriptor: Descriptor, path: str) -> list[FieldDescriptor]:
    found: list[FieldDescriptor] = []
    for name in path.split("."):
        at = found[-1].message_type if found else descriptor
        found.append(cast("Descriptor", at).fields_by_name[name])
    return found


def _is(path: list[FieldDescriptor], behavior: int) -> bool:
    return any(
        behavior in cast("Any", each.GetOptions()).Extensions[_behavior.field_behavior]
        for each in path
    )


def _server_sets(path: list[FieldDescriptor]) -> bool:
    return _is(path, _behavior.OUTPUT_ONLY) or _is(path, _behavior.IDENTIFIER)


def _take(source: Message, target: Message, path: str) -> None:
    """Makes one field of `target` what it is in `source`, unset too."""
    *parents, last = path.split(".")
    at: Any = target
    for name in parents:
        if not (at.HasField(name) or source.HasField(name)):
            return
        at, source = getattr(at, name), getattr(source, name)
    at.ClearField(last)
    alone = type(source)()
    alone.CopyFrom(source)
    for field, _ in source.ListFields():
        if field.name != last:
            alone.ClearField(field.name)
    if alone.ListFields():
        at.MergeFrom(alone)


def _type(message: Message | type[Message]) -> Descriptor:
    return cast("Descriptor", message.DESCRIPTOR)


def _settled(before: Message | None, after: Message, within: str = "") -> Iterator[str]:
    """Puts what the server sets back as it was, in messages at any depth; gives the paths of what
    cannot be changed and did. In a message that is new all but what the server sets may be set.
    """
    old = type(after)() if before is None else before
    for field in _type(after).fields:
        name = field.name
        if _server_sets([field]):
            _take(old, after, name)
        elif _is([field], _behavior.IMMUTABLE):
            if before is not None and getattr(before, name) != getattr(after, name):
                yield within + name
        elif field.message_type is not None and not field.is_repeated:
            had = old.HasField(name)
            if had or after.HasField(name):
                part = getattr(after, name) if after.HasField(name) else type(getattr(old, name))()
                yield from _settled(getattr(old, name) if had else None, part, f"{within}{name}.")
