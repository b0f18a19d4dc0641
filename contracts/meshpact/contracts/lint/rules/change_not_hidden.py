"""MP133: a method whose name says that it changes something is not marked as a read."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import MethodOptions

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words
from meshpact.contracts.model import Method

VERBS: Final = words(
    "Add Apply Approve Assign Cancel Change Clear Close Confirm Create Delete Disable Enable "
    "Import Insert Move Patch Place Purge Put Receive Release Remove Rename Replace Reserve "
    "Reset Restore Revoke Rotate Save Send Set Ship Submit Transfer Update Upsert Write"
)
_CHANGE: Final = re.compile(rf"(?:Batch|Bulk)?(?:{'|'.join(VERBS)})(?=[A-Z0-9]|$)")


def _find(context: Context, method: Method) -> Hits:
    level = method.proto.options.idempotency_level
    if level == MethodOptions.NO_SIDE_EFFECTS and _CHANGE.match(method.proto.name):
        yield Hit(
            "its name says that it changes something, and it is marked as a read",
            "write option idempotency_level = IDEMPOTENT where a second call changes nothing more, "
            "else leave the option out; or rename it",
        )


RULE = LintRule(
    id="MP133",
    name="change-not-hidden",
    summary="Methods named Create, Update, Delete and the like are not marked NO_SIDE_EFFECTS.",
    why="clients and proxies may repeat, hedge or cache what is marked as a read",
    method=_find,
)
