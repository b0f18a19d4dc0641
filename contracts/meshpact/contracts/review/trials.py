"""protovalidate on single texts, for one review: what was compiled is kept, and so much is tried at
most. The bound is a count, so that the same change is always told alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from meshpact.contracts.review.fieldrules import field_options
from meshpact.contracts.review.valuesets import Check, Way, text_check, untold

MOST: Final = 500_000
"""Texts that one review tries."""
_LONG: Final = 50
"""Characters that take as long as one more text does."""
_COMPILED: Final = 100
"""Texts that take as long as compiling rules does."""


def content(rules: Any) -> bytes:
    """Rules as a key; b"" for none."""
    return bytes(rules.SerializeToString(deterministic=True)) if rules is not None else b""


class Trials:
    """What decides about texts where rules cannot be compared. For one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._known: dict[tuple[str, bytes], Check | None] = {}
        self.ways: dict[object, Way] = {}
        """What became of rules that were tried before."""
        self._pool = DescriptorPool()
        self._validator: Any = None

    @property
    def spent(self) -> bool:
        """Whether as much was tried as one review may."""
        return self._left <= 0

    def take(self, texts: Sequence[str | bytes]) -> None:
        """Counts texts that are tried on both sides."""
        self._left -= 2 * len(texts) + sum(map(len, texts)) // _LONG

    def judge(self, rules: Any, kind: str) -> Check | None:
        """Whether rules of a kind, `string` or `bytes`, let a text through: by protovalidate where
        it takes that; None where rules cannot be compiled."""
        if not untold(rules, kind):
            return text_check(rules)
        key = kind, content(rules)
        if key not in self._known:
            self._known[key] = self._compiled(rules, kind)
        return self._known[key]

    def _compiled(self, rules: Any, kind: str) -> Check | None:
        """protovalidate on a message with one field of these rules."""
        import protovalidate  # late: it takes long to load, and few changes need it

        self._left -= _COMPILED
        if self._validator is None:
            self._validator = protovalidate.Validator()
        validator = self._validator
        name = f"Probe{len(self._known)}"  # a validator knows one type of a name
        file = FileDescriptorProto(name=f"{name}.proto", package="probe", syntax="proto3")
        field = file.message_type.add(name=name).field.add(
            name="value",
            number=1,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_STRING
            if kind == "string"
            else FieldDescriptorProto.TYPE_BYTES,
        )
        field.options.CopyFrom(field_options(**{kind: rules}))
        self._pool.AddSerializedFile(file.SerializeToString())
        make: Any = GetMessageClass(self._pool.FindMessageTypeByName(f"probe.{name}"))

        def takes(value: Any) -> bool:
            return not validator.collect_violations(make(value=value), fail_fast=True)

        try:
            takes("" if kind == "string" else b"")
        except (protovalidate.CompilationError, protovalidate.EvaluationError):
            return None
        return takes
