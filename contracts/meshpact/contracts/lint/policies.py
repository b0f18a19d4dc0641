"""What several rules ask of a method's policy."""

from __future__ import annotations

import re
from typing import Final

from meshpact.contracts.lint.prose import words
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb

READS: Final = words(
    "BatchGet Check Count Describe Download Export Fetch Find Get List Lookup Query Read "
    "Search Show Stat Watch"
)
_READ: Final = re.compile(rf"(?:{'|'.join(READS)})(?=[A-Z0-9]|$)")


def is_read(method: Method) -> bool:
    """Whether the name of a method says that it reads."""
    return _READ.match(method.proto.name) is not None


def streams(method: Method) -> bool:
    """Whether a method streams in either direction."""
    return method.proto.client_streaming or method.proto.server_streaming


def names_roles(access: pb.Access) -> bool:
    """Whether access demands a role of anybody."""
    return bool(access.roles or access.workload_roles or access.user_roles)


def time(seconds: float) -> str:
    """A length of time in words: `500 ms`, `2 s`, `24 h`."""
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds:g} s"
