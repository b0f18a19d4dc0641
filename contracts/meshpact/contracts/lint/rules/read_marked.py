"""MP132: a method whose name says that it reads is marked so."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import MethodOptions

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import is_read
from meshpact.contracts.model import Method


def _find(context: Context, method: Method) -> Hits:
    level = method.proto.options.idempotency_level
    if is_read(method) and level != MethodOptions.NO_SIDE_EFFECTS:
        yield Hit(
            "its name says that it reads, and it is not marked so",
            "add option idempotency_level = NO_SIDE_EFFECTS; or give it a name that says what it "
            "changes",
        )


RULE = LintRule(
    id="MP132",
    name="read-marked",
    summary="Methods named Get, List, Search and the like are marked NO_SIDE_EFFECTS.",
    why="clients try a read again by themselves, and only when the contract says that it is one",
    severity=Severity.WARNING,
    method=_find,
)
